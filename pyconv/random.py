"""Random tensors, from one generator that `manual_seed` restarts."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core
from .arguments import DType, flag, integer, new_dtype, one_size, shape_of, wide
from .tensor import Array, Tensor

_generator: np.random.Generator | None = None


def default_generator() -> np.random.Generator:
    """Return the generator that every function uses when none is given."""
    return manual_seed(None) if _generator is None else _generator


def generator_of(generator: Any) -> np.random.Generator:
    """Return the generator, or the default for None; TypeError for anything else."""
    if generator is None:
        return default_generator()
    if not isinstance(generator, np.random.Generator):
        kind = type(generator).__name__
        raise TypeError(f"generator is a {kind}, expected a numpy.random.Generator")
    return generator


def manual_seed(seed: int | None) -> np.random.Generator:
    """Restart the random numbers of pyconv.

    They are those of initial parameters, dropout, `rand`, `randn` and `randint`, of shuffling,
    `random_split` and transforms in `pyconv.data`, and of `pyconv.design.sample`.

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
    number = None if seed is None else integer("manual_seed: seed", seed, 0)
    _generator = np.random.Generator(np.random.PCG64(number))
    return _generator


def rand(
    *sizes: Any,
    size: Any = None,
    generator: np.random.Generator | None = None,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make numbers uniform in [0, 1); sizes are given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.rand(2, 3).shape
    (2, 3)
    """
    draw: Any = generator_of(generator).random
    shape, kind = shape_of(one_size("rand: size", sizes, size)), new_dtype("rand", dtype, device)
    result = _drawn(draw, shape, kind, requires_grad)
    if kind.kind == "V":  # float32 close to 1 rounds to it
        np.minimum(result._array, 1 - 2.0**-8, out=result._array)
    return result


def randn(
    *sizes: Any,
    size: Any = None,
    generator: np.random.Generator | None = None,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make normal numbers of mean 0 and variance 1; sizes are given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.randn(2, 3).shape
    (2, 3)
    """
    draw: Any = generator_of(generator).standard_normal
    shape, kind = shape_of(one_size("randn: size", sizes, size)), new_dtype("randn", dtype, device)
    return _drawn(draw, shape, kind, requires_grad)


def _drawn(draw: Any, shape: tuple[int, ...], dtype: np.dtype[Any], requires_grad: bool) -> Tensor:
    if wide(dtype).char not in "fd":
        raise TypeError(f"dtype is {dtype}, expected float32, float64 or bfloat16")
    array = np.asarray(draw(shape, wide(dtype)), dtype)
    return Tensor(array, flag("requires_grad", requires_grad))


def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: np.random.Generator | None = None,
    dtype: DType = np.int64,
    device: str | None = None,
) -> Tensor:
    """Make integers uniform in [low, high); ``randint(high, size)`` starts from 0.

    Raises
    ------
    ValueError
        If `high` is not above `low`, or they go beyond what the dtype holds.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if size is None:
        low, high, size = 0, low, high
    low, high = integer("randint: low", low), integer("randint: high", high)
    if high <= low:
        raise ValueError(f"randint: high is {high}, must be above low, which is {low}")
    kind = new_dtype("randint", dtype, device, np.int64)
    least, most = 0.0, 1.0
    if kind.kind != "b":
        limits: Any = np.iinfo(kind) if kind.kind in "iu" else np.finfo(wide(kind))
        least, most = float(limits.min), float(limits.max)
    if low < least or high - 1 > most:
        raise ValueError(f"randint: low is {low} and high is {high}, beyond what {kind} holds")
    drawn = generator_of(generator).integers(low, high, shape_of(size))
    return Tensor(np.asarray(drawn).astype(kind))


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


def drop_channels(array: Array, p: float, seed: int, dims: int) -> Array:
    """Return the array with all that its last `dims` dimensions hold dropped together.

    Examples
    --------
    >>> import numpy as np
    >>> drop_channels(np.ones((2, 3), np.float32), 0.5, 0, 1)
    array([[0., 0., 0.],
           [2., 2., 2.]], dtype=float32)
    """
    return _core.dropout_channels(array, p, seed, dims)
