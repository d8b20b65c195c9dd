"""Functions that make tensors from a size; those of data are in conversion.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import _core
from .arguments import (
    MOST_ELEMENTS,
    DType,
    array_of,
    flag,
    holds,
    integer,
    new_dtype,
    number,
    one_size,
    quiet,
    shape_of,
    size_of,
    value_of,
    wide,
)
from .tensor import Array, Tensor

_only_shapes = ContextVar("_only_shapes", default=False)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Make tensors, parameters among them, that have a shape and no memory.

    Inside, `zeros`, `ones`, `full` and `empty` return arrays whose elements are all the same one,
    which cannot be written to, and `pyconv.nn.init` draws nothing: a network of any size is made
    at once, to be counted.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     layer = pyconv.nn.Linear(75_000_000, 75_000_000, bias=False)
    >>> layer.weight.numel()
    5625000000000000
    """
    token = _only_shapes.set(True)
    try:
        yield
    finally:
        _only_shapes.reset(token)


def makes_only_shapes() -> bool:
    """Return whether a `shapes_only` is open."""
    return _only_shapes.get()


def as_tensor(data: Any, name: str = "data") -> Tensor:
    """Return `data` itself if it is a Tensor, or a Tensor of it that shares memory if possible.

    For the package itself; errors call the argument by its name. Users have `pyconv.as_tensor`.
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, tuple) and data and isinstance(data[0], Tensor):
        raise TypeError(
            f"{name} is a tuple that holds Tensors, expected a Tensor; recurrent layers return "
            "(output, state)"
        )
    return Tensor(array_of(data, None, name))


def argument(op: str, data: Any, name: str = "input") -> Tensor:
    """Do what `as_tensor` does; the name is put together only if it may be needed."""
    return data if isinstance(data, Tensor) else as_tensor(data, f"{op}: {name}")


def kernel_float(op: str, data: Any, name: str = "input") -> Tensor:
    """Make a Tensor that the kernels take, or raise a TypeError that names the argument."""
    x = argument(op, data, name)
    if wide(x.dtype).char not in "fd":
        raise TypeError(f"{op}: {name}.dtype is {x.dtype}, expected float32 or float64")
    return x


def from_numpy(array: Array) -> Tensor:
    """Make a tensor that shares the memory of a NumPy array.

    Parameters
    ----------
    array : numpy.ndarray
        An array of numbers, of any strides.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `array` is not a NumPy array, or does not hold numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconv
    >>> a = np.zeros(2)
    >>> t = pyconv.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.], dtype=float64)
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}")
    return Tensor(array_of(array, None, "array"))


def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of zeros; sizes are given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.zeros(2, 3).shape
    (2, 3)
    """
    given, kind = one_size("zeros: size", sizes, size), new_dtype("zeros", dtype, device)
    if _only_shapes.get():
        return full(given, 0, dtype=kind, requires_grad=requires_grad)
    return make(np.zeros(shape_of(given), kind), requires_grad)


def ones(
    *sizes: Any,
    size: Any = None,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of ones; sizes are given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.ones(3)
    tensor([1., 1., 1.])
    """
    given, kind = one_size("ones: size", sizes, size), new_dtype("ones", dtype, device)
    if _only_shapes.get():
        return full(given, 1, dtype=kind, requires_grad=requires_grad)
    return make(np.ones(shape_of(given), kind), requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: DType = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of shape `size` filled with one value, whose type decides the default dtype.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.full((2,), 7)
    tensor([7, 7])
    """
    value = value_of(fill_value, new_dtype("full", dtype, device, None), "fill_value")
    if value.ndim:
        raise ValueError(f"fill_value has shape {value.shape}, expected a number")
    if _only_shapes.get():
        return make(np.broadcast_to(value, size_of((size,), "size")), requires_grad)
    return make(np.full(shape_of(size), value), requires_grad)


def empty(
    *sizes: Any,
    size: Any = None,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor with whatever the memory held; sizes are given one by one or as a tuple.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.empty(2, 3).shape
    (2, 3)
    """
    given, kind = one_size("empty: size", sizes, size), new_dtype("empty", dtype, device)
    if _only_shapes.get():
        return zeros(given, dtype=kind, requires_grad=requires_grad)
    return make(_core.empty(shape_of(given), kind), requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DType = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make the numbers from `start` (0 if `end` is left out) up to, not including, `end`.

    For a dtype of integers, what follows the point of the arguments is cut off.

    Raises
    ------
    ValueError
        If `step` is 0, or does not lead from `start` to `end`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    given = {"start": start, "end": end, "step": step}
    floats = any(isinstance(value, (float, np.floating)) for value in given.values())
    kind = new_dtype("arange", dtype, device, np.float32 if floats else np.int64)
    values = _numbers("arange", given, kind.kind in "iu" or not floats)
    if values[2] == 0:
        raise ValueError(f"arange: step is {step}, expected one that is not 0 in {kind}")
    count = (values[1] - values[0]) / values[2]
    if not 0 <= count <= MOST_ELEMENTS:  # also where it is NaN
        raise ValueError(
            f"arange: start is {start}, end is {end} and step is {step}, "
            "expected a step that leads to the end, and at most 2**40 elements"
        )
    array = np.arange(*values)
    if array.dtype != kind:
        with quiet():
            array = array.astype(kind)
    return make(array, requires_grad)


def _numbers(op: str, given: dict[str, Any], whole: bool) -> list[Any]:
    """Return floats, or integers: then, as in PyTorch, what follows the point is cut off."""
    values: list[Any] = [number(f"{op}: {name}", value) for name, value in given.items()]
    if not whole:
        return values
    return [
        integer(f"{op}: {name}", int(value) if math.isfinite(value) else value)
        for name, value in given.items()
    ]


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make `steps` numbers at equal distances, from `start` to `end`, both included.

    For a dtype of integers, what follows the point is cut off, of `start` and `end` beforehand.

    Raises
    ------
    ValueError
        If `steps` is negative, or the dtype does not hold `start` or `end`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    count = integer("linspace: steps", steps, 0, MOST_ELEMENTS)
    kind = new_dtype("linspace", dtype, device)
    first, last = _numbers("linspace", {"start": start, "end": end}, kind.kind in "iu")
    if not holds(kind, min(first, last), max(first, last)):
        raise ValueError(f"linspace: start is {start} and end is {end}, beyond what {kind} holds")
    with quiet():
        return make(np.linspace(first, last, count).astype(kind), requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a matrix of `n` rows and `m` columns (`n` if left out): ones on the diagonal, else 0.

    Raises
    ------
    ValueError
        If a size is negative.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows = integer("eye: n", n, 0)
    columns = rows if m is None else integer("eye: m", m, 0)
    shape = shape_of(rows, columns)
    return make(np.eye(*shape, dtype=new_dtype("eye", dtype, device)), requires_grad)


def zeros_like(
    input: Any, *, dtype: DType = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Make zeros of the shape of `input`, and of its dtype unless another is given.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.zeros_like(pyconv.arange(2))
    tensor([0, 0])
    """
    return _like("zeros_like", input, dtype, device, requires_grad)


def ones_like(
    input: Any, *, dtype: DType = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Make ones of the shape of `input`, and of its dtype unless another is given.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.ones_like(pyconv.arange(2))
    tensor([1, 1])
    """
    return _like("ones_like", input, dtype, device, requires_grad)


def _like(name: str, input: Any, dtype: DType, device: Any, requires_grad: bool) -> Tensor:
    array = as_tensor(input, "input")._array
    dtype = new_dtype(name, dtype, device, array.dtype)
    return make(getattr(np, name)(array, dtype), requires_grad)


def make(array: Array, requires_grad: bool) -> Tensor:
    """Make a Tensor that may require grad; ValueError if it holds integers then."""
    result = Tensor(array)
    if flag("requires_grad", requires_grad):
        result.requires_grad = True
    return result
