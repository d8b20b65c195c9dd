"""Functions that make tensors from data or from a size."""

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
    integer,
    new_dtype,
    number,
    one_size,
    quiet,
    shape_of,
    size_of,
    value_of,
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
    """Return `data` itself if it is a Tensor, or a Tensor of it that shares memory if possible."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, tuple) and data and isinstance(data[0], Tensor):  # as layers return
        raise TypeError(f"{name} is a tuple that holds Tensors, expected a Tensor")
    return Tensor(array_of(data, None, name))


def kernel_float(op: str, data: Any, name: str = "input") -> Tensor:
    """Make a Tensor that the kernels take, or raise a TypeError that names the argument."""
    x = as_tensor(data, name)
    if x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8):
        raise TypeError(f"{op}: {name}.dtype is {x.dtype}, expected float32 or float64")
    return x


def tensor(
    data: Any, dtype: DType = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Make a tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
        A number, a nested list of numbers, a NumPy array or a Tensor.
    dtype : numpy.dtype, optional
        Type of the elements. Default: the type of `data` if it has one; else float32 for Python
        floats, int64 for Python integers, bool for booleans.
    requires_grad : bool
        Whether operations on the tensor are recorded for `backward`.
    device : str, optional
        ``"cpu"``, the only one.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `data` does not hold numbers.
    ValueError
        If nested lists have unequal lengths, or `requires_grad` is set for integers.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    dtype = new_dtype("tensor", dtype, device, None)
    array = data._array if isinstance(data, Tensor) else array_of(data, dtype)
    return _make(np.array(array, dtype), requires_grad)


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


def from_dlpack(x: Any) -> Tensor:
    """Make a tensor that shares the memory of another library's, through the DLPack protocol.

    Parameters
    ----------
    x : object
        Anything with ``__dlpack__``, on the CPU.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `x` does not have the protocol, or does not hold numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconv
    >>> pyconv.from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: x is a {type(x).__name__}, expected one with __dlpack__")
    try:
        array = np.from_dlpack(x)
    except (BufferError, RuntimeError) as error:  # another device; a dtype that NumPy lacks
        raise TypeError(f"from_dlpack: x cannot be shared: {error}") from None
    return Tensor(array_of(array, None, "x"))


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
    shape = size_of((one_size("zeros: size", sizes, size),), "size")
    return full(shape, 0, dtype=new_dtype("zeros", dtype, device), requires_grad=requires_grad)


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
    shape = size_of((one_size("ones: size", sizes, size),), "size")
    return full(shape, 1, dtype=new_dtype("ones", dtype, device), requires_grad=requires_grad)


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
        return _make(np.broadcast_to(value, size_of((size,), "size")), requires_grad)
    return _make(np.full(shape_of(size), value), requires_grad)


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
    return _make(_core.empty(shape_of(given), kind), requires_grad)


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

    Examples
    --------
    >>> import pyconv
    >>> pyconv.arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    values = [
        number(f"arange: {n}", v) for n, v in zip(("start", "end", "step"), (start, end, step))
    ]
    if step == 0:
        raise ValueError("arange: step is 0")
    count = (values[1] - values[0]) / values[2]
    if not -math.inf < count <= MOST_ELEMENTS:  # also where it is NaN
        raise ValueError(
            f"arange: start is {start}, end is {end} and step is {step}, "
            "expected at most 2**40 elements"
        )
    integers = not any(isinstance(v, (float, np.floating)) for v in (start, end, step))
    if integers:
        for name, value in zip(("start", "end", "step"), (start, end, step)):
            integer(f"arange: {name}", value)
    dtype = new_dtype("arange", dtype, device, np.int64 if integers else np.float32)
    with quiet():
        return _make(np.arange(start, end, step).astype(dtype), requires_grad)


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

    Raises
    ------
    ValueError
        If `steps` is negative.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    count = integer("linspace: steps", steps, 0, MOST_ELEMENTS)
    ends = number("linspace: start", start), number("linspace: end", end)
    dtype = new_dtype("linspace", dtype, device)
    with quiet():
        return _make(np.linspace(*ends, count).astype(dtype), requires_grad)


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
    rows, columns = integer("eye: n", n), integer("eye: m", n if m is None else m)
    shape = shape_of(rows, columns)
    return _make(np.eye(*shape, dtype=new_dtype("eye", dtype, device)), requires_grad)


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
    return _make(getattr(np, name)(array, dtype), requires_grad)


def _make(array: Array, requires_grad: bool) -> Tensor:
    result = Tensor(array)
    if flag("requires_grad", requires_grad):
        result.requires_grad = True  # refuses integers
    return result
