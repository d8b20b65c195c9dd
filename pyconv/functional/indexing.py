"""Elements by index: ``x[key]`` with integers, slices and arrays, and ``x[key] = value``."""

from __future__ import annotations

import math
import operator
import textwrap
from typing import Any

import numpy as np

from .._core import embedding_backward, view_of
from ..arguments import KERNELS, quiet
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import READ_ONLY, Array, Tensor


class Index(Function):
    """x[key]; a copy if an array is part of the key."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, key: Any) -> Tensor:
        ctx.shape, ctx.key = x._array.shape, key
        result = indexed(x._array, key)
        if _takes_arrays(key):
            return Tensor(np.asarray(result))
        if not isinstance(result, np.ndarray):  # NumPy's number: a view with no dimensions instead
            result = x._array[(*key, ...) if isinstance(key, tuple) else (key, ...)]
        return view_of(x, result)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return IndexBackward.apply(grad_output, ctx.shape, ctx.key), None


class IndexBackward(Function):
    """Zeros to which the gradient is added at key."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, shape: tuple[int, ...], key: Any) -> Tensor:
        ctx.key = key
        g = grad_output._array
        if _takes_arrays(key) and not _is_mask(key):
            return Tensor(_added_at(g, shape, key))
        result = np.zeros(shape, g.dtype)
        result[key] = g
        return Tensor(result)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Index.apply(g, ctx.key), None, None


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _takes_arrays(key: Any) -> bool:
    if isinstance(key, tuple):
        return any(isinstance(part, (np.ndarray, bool)) for part in key)
    return isinstance(key, (np.ndarray, bool))


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


def _dims_taken(part: Any) -> int:
    """How many dimensions a part of a key takes; of ``...``, none."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if _is_mask(part) else 1


def _added_at(g: Array, shape: tuple[int, ...], key: Any) -> Array:
    """Zeros to which `g` is added at a key with arrays, which may repeat an element."""
    parts = _parts(key)
    taken = sum(_dims_taken(part) for part in parts)
    if any(part is Ellipsis for part in parts):
        taken = len(shape)
    rows, width = math.prod(shape[:taken]), math.prod(shape[taken:])
    if width < 2 or g.dtype.num not in KERNELS:  # the places would be more than the elements
        result = np.zeros(shape, g.dtype)
        np.add.at(result, key, g)
        return result
    places = np.arange(rows).reshape(shape[:taken])[key].ravel()
    added: Array = embedding_backward(g.reshape(places.size, width), places, rows, -1)
    return added.reshape(shape)


def index(input: Any, key: Any) -> Tensor:
    """Return ``input[key]`` with NumPy's rules; slices and integers share memory.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.index([[1, 2], [3, 4]], (slice(None), 0))
    tensor([1, 3])
    """
    return Index.apply(as_tensor(input, "input"), array_key(key))


def indexed(array: Array, key: Any) -> Any:
    """Return ``array[key]``; an error in our words if there is no such thing."""
    try:
        return array[key]
    except ValueError:
        raise ValueError(f"index {key}: expected a step other than 0 in a slice") from None
    except IndexError:
        parts = _parts(key)
        taken = [_dims_taken(part) for part in parts]
        if sum(part is Ellipsis for part in parts) > 1:
            why = "has more than one ..., for"
        elif sum(taken) > array.ndim:
            why = f"takes {sum(taken)} dimensions of"
        elif _takes_arrays(key):
            why = "is out of bounds, or its arrays do not fit, for"
        else:
            why = "is out of bounds for"
        shown = textwrap.shorten(str(key), 80)
        raise IndexError(f"index {shown} {why} a tensor of shape {array.shape}") from None


def assign(array: Array, key: Any, value: Array) -> None:
    """Write a value at a key of `array_key`; leading dimensions of size 1 are left out."""
    if not array.flags.writeable:
        raise ValueError(READ_ONLY.format("x[key] = value"))
    given = value.shape
    while value.shape[:1] == (1,):
        value = value[0]
    if value.dtype != array.dtype:
        with quiet():
            value = value.astype(array.dtype)
    try:
        array[key] = value
    except (IndexError, TypeError, ValueError):
        place = np.shape(indexed(array, key))  # raises if the key is wrong
        raise ValueError(
            f"x[key] = value: value has shape {given}, expected one that broadcasts to {place}"
        ) from None


def array_key(key: Any) -> Any:
    """Return an index for NumPy, which shares nothing that may change later."""
    if isinstance(key, tuple):
        return tuple([_part_of_key(part) for part in key])
    return _part_of_key(key)


_INDICES = "expected integers, slices, None, ... or arrays of integers or bools"


def _part_of_key(part: Any) -> Any:
    if isinstance(part, int):
        if not -(2**63) <= part < 2**63:
            raise IndexError(f"index {part} is out of bounds")
        return part
    if type(part) is slice:
        a, b, c = part.start, part.stop, part.step
        if (
            (a is None or type(a) is int)
            and (b is None or type(b) is int)
            and (c is None or type(c) is int)
        ):
            return part
        try:  # a Tensor may change later
            return slice(*[n if n is None else operator.index(n) for n in (a, b, c)])
        except (TypeError, ValueError):
            raise TypeError(f"index {part}: expected integers or None in a slice") from None
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, str):
        raise TypeError(f"index {part!r}: {_INDICES}")
    try:
        array = np.array(part._array if isinstance(part, Tensor) else part)
    except NotImplementedError:  # of `compile`
        raise
    except (RuntimeError, ValueError):  # the former of a list of Tensors that require grad
        raise IndexError(f"index {part!r}: expected integers or bools of one shape") from None
    if array.size and array.dtype.kind not in "biu":
        raise IndexError(f"index {part!r}: {_INDICES}")
    if not array.ndim and array.dtype.kind in "iu":
        return _part_of_key(int(array))
    return array if array.size or array.dtype.kind in "biu" else array.astype(np.intp)
