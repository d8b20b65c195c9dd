"""Sequences of sizes as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arguments import integer
from ..nn.rnn_base import MOST_LAYERS as MOST_LAYERS  # of one kind: making more takes minutes


def sequence(what: str, values: Any, of: str) -> Sequence[Any]:
    """Return a list, tuple or the like; TypeError for all else."""
    if not isinstance(values, Sequence):
        raise TypeError(f"{what} is {values!r}, expected a sequence of {of}")
    return values


def integers(what: str, values: Any, most: int = 2**31 - 1) -> list[int]:
    """Return a sequence of positive integers; TypeError for what is none."""
    return [integer(what, value, 1, most) for value in sequence(what, values, "integers")]
