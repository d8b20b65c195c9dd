"""A module per library that is timed, named after it.

Each has ``VARIANTS``, its columns in the table; ``setup(threads)``, called once in a process of its
own; and ``prepare(problem, arrays, direction, variant)``, which returns a `Prepared`, or raises
NotImplementedError with the reason if the library cannot compute the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Arrays = dict[str, Any]

LEARNING_RATE = 1e-3  # of the steps of optimisers


def first(result: Any) -> Any:
    """Return the values of those that come with indices."""
    return result[0] if isinstance(result, tuple) else result


class Prepared(NamedTuple):
    """One problem, ready to be timed.

    Attributes
    ----------
    run : what is timed: computes the problem once
    fetch : turns what `run` returned into NumPy arrays: the output, then the gradients; timed too
        in the plain mode
    algorithm : which way was chosen, if the library says so
    """

    run: Callable[[], Any]
    fetch: Callable[[Any], list[Any]]
    algorithm: str = ""
