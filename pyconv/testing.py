"""Help for tests: force how a kernel runs, and compare results within what rounding allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyconv import _core
from pyconv.arguments import integer, one_of, precision

__all__ = ["WINOGRAD_SLACK", "assert_close", "force", "tolerance"]

# What the results of Winograd's algorithm may err, in multiples of what a plain sum may: its
# transforms multiply and cancel again (Barabasz et al., arXiv:1803.10986). Root mean squares were
# two to five times those of im2col for 3x3 and 5x5 filters, up to ten times for others; the plain
# sum stays well below what it may err.
WINOGRAD_SLACK = 8.0


@contextmanager
def force(
    isa: str | None = None,
    algorithm: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Iterator[None]:
    """Run the block with a given instruction set, algorithms or number of threads.

    Parameters
    ----------
    isa : str, optional
        One of the names that `pyconv.show_config` lists as available.
    algorithm : mapping of op to name, optional
        For example ``{"conv2d": "im2col"}``.
    threads : int, optional

    Raises
    ------
    ValueError
        If a name does not exist, or cannot run on this machine; if `threads` is below 1 or above
        1024.
    TypeError
        If `algorithm` is no such mapping, or `threads` no integer.

    Examples
    --------
    >>> import pyconv
    >>> with force(threads=1):
    ...     pyconv.get_num_threads()
    1
    """
    choices = {} if algorithm is None else algorithm
    if not isinstance(choices, Mapping) or not all(isinstance(op, str) for op in choices):
        raise TypeError(f"force: algorithm is {algorithm!r}, expected a mapping of ops to names")
    with ExitStack() as restore:
        if isa is not None:
            one_of("force: isa", isa, _core.available_isas())
            restore.callback(_core.set_isa, _core.isa())
            _core.set_isa(isa)
        for op, name in choices.items():
            one_of(f"force: algorithm of {op}", name, _core.algorithm_names(op))
            restore.callback(_core.force_algorithm, op, _core.force_algorithm(op, name))
        if threads is not None:
            restore.callback(_core.set_num_threads, _core.get_num_threads())
            _core.set_num_threads(integer("force: threads", threads, 1, 1024))
        yield


def tolerance(dtype: DTypeLike, reduction_length: int) -> float:
    """Error to allow in a sum of ``reduction_length`` terms, as a share of the size of the sum.

    Rounding errors of random sign grow like the square root of the number of terms (Higham,
    *Accuracy and Stability of Numerical Algorithms*, section 2.8).

    Examples
    --------
    >>> import numpy as np
    >>> tolerance(np.float32, 4) / float(np.finfo(np.float32).eps)
    8.0
    """
    return float(2 * precision(np.dtype(dtype)) * (2 + np.sqrt(reduction_length)))


def assert_close(
    actual: ArrayLike,
    expected: ArrayLike,
    reduction_length: int = 1,
    scale: float = 1.0,
    allow_empty: bool = False,
    slack: float = 1.0,
) -> None:
    """Fail unless ``actual`` equals ``expected`` within the rounding of its own type.

    Parameters
    ----------
    actual : array of floats
        Its type sets the tolerance.
    expected : array
        The truth, best in float64. Shapes must be equal; NaN equals NaN.
    reduction_length : int
        How many terms were added up for one element.
    scale : float
        The size of one term. A sum of n terms of random sign is taken to be sqrt(n) times as large,
        so that a sum that happens to cancel may still carry the error of its terms.
    allow_empty : bool
        Without it, a comparison of no elements fails.
    slack : float
        Multiplies the tolerance, for an algorithm that is known to err more than a plain sum.

    Raises
    ------
    AssertionError
        Says how many elements differ, and how far the worst is beyond the tolerance.

    Examples
    --------
    >>> assert_close([1.0, 2.0], [1.0, 2.0])
    """
    got, truth = np.asarray(actual), np.asarray(expected)
    assert got.shape == truth.shape, f"shape is {got.shape}, expected {truth.shape}"
    assert got.size or allow_empty, f"nothing was compared: the shape is {got.shape}"
    sizes = scale * np.sqrt(reduction_length) + np.abs(truth)
    allowed = slack * tolerance(got.dtype, reduction_length) * sizes
    with np.errstate(invalid="ignore"):
        same = (got == truth) | (np.isnan(got) & np.isnan(truth))
        bad = ~(same | (np.isfinite(truth) & (np.abs(got - truth) <= allowed)))
    if bad.any():
        raise AssertionError(_describe(got, truth, allowed, bad))


def _describe(got: Any, truth: Any, allowed: Any, bad: Any) -> str:
    """Say how many elements are wrong and show the worst."""
    with np.errstate(invalid="ignore"):
        excess = np.where(bad, np.nan_to_num(np.abs(got - truth) / allowed, nan=np.inf), 0)
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    return (
        f"{np.count_nonzero(bad)} of {got.size} elements differ; the worst, at "
        f"{tuple(int(i) for i in worst)}, is {got[worst]}, expected {truth[worst]}, "
        f"{excess[worst]:.3g} times the tolerance"
    )
