"""What a case is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One call of an op.

    Attributes
    ----------
    name : what is special about it
    arrays : the shapes of the arguments that have gradients, filled with normal random numbers
    options : the other arguments, as they are; arrays of floats get the type of the others
    ties : round the numbers, so that equal ones and zeros are common
    positive : make all numbers larger than 1/2
    """

    name: str
    arrays: dict[str, tuple[int, ...]]
    options: dict[str, Any] = field(default_factory=dict)
    ties: bool = False
    positive: bool = False
