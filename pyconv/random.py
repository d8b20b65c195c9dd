"""Random tensors, from one generator that `manual_seed` restarts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from .tensor import Array, Tensor, size_of

_generator: np.random.Generator | None = None


def default_generator() -> np.random.Generator:
    """Return the generator that every function uses when none is given."""
    return manual_seed(None) if _generator is None else _generator


def manual_seed(seed: int | None) -> np.random.Generator:
    """Restart the random numbers of pyconv: parameters, shuffling, `rand`, `randn`, `randint`.

    Parameters
    ----------
    seed : int or None
        A number >= 0; None takes fresh entropy from the system.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        If `seed` is negative.

    Examples
    --------
    >>> import pyconv
    >>> a = pyconv.manual_seed(0).random()
    >>> a == pyconv.manual_seed(0).random()
    True
    """
    global _generator
    if seed is not None and seed < 0:
        raise ValueError(f"manual_seed: seed is {seed}, must not be negative")
    _generator = np.random.Generator(np.random.PCG64(seed))
    return _generator


def rand(
    *size: Any,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """Make numbers uniform in [0, 1); `size` is given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.rand(2, 3).shape
    (2, 3)
    """
    draw: Any = (generator or default_generator()).random
    return Tensor(np.asarray(draw(size_of(size, "size"), dtype)), requires_grad)


def randn(
    *size: Any,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """Make normal numbers of mean 0 and variance 1; `size` is given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.randn(2, 3).shape
    (2, 3)
    """
    draw: Any = (generator or default_generator()).standard_normal
    return Tensor(np.asarray(draw(size_of(size, "size"), dtype)), requires_grad)


def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: np.random.Generator | None = None,
    dtype: DTypeLike = np.int64,
) -> Tensor:
    """Make integers uniform in [low, high); ``randint(high, size)`` starts from 0.

    Raises
    ------
    ValueError
        If `high` is not above `low`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise ValueError(f"randint: high is {high}, must be above low, which is {low}")
    draw = (generator or default_generator()).integers
    return Tensor(np.asarray(draw(low, high, size_of((size,), "size"))).astype(dtype))


def drop(array: Array, p: float, seed: int) -> Array:
    """Return the array, times 0 with probability p < 1 and else times 1 / (1 - p).

    The same seed drops the same elements. See `pyconv.functional.dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> drop(np.ones(4, np.float32), 0.5, 0)
    array([0., 2., 2., 2.], dtype=float32)
    """
    return _core.dropout(array, p, seed)
