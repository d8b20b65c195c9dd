"""Operations along dimensions: sum, mean, max, argmax, softmax, log_softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import FLOATING, KERNELS, DType, dtype_of, flag, number, quiet
from ..autograd.function import Function
from ..autograd.grad_mode import state
from ..creation import argument, as_tensor
from ..tensor import Tensor
from .arithmetic import tensors_of, where
from .casting import in_float32
from .elementwise import sqrt
from .extreme import ExtremeAlong, ExtremeOfAll, ExtremeOfTwo, has_kernel, largest_places
from .indexing import Index
from .shape import Clone, Expand, Reshape, dim_of

Dims = int | Sequence[int] | None


class Sum(Function):
    """The sum over dimensions, which stay with size 1 if `keepdim`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
        array = x._array
        ctx.shape, ctx.dims = array.shape, dims
        if array.dtype.num in KERNELS:
            return Tensor(_core.sum_forward(array, dims, keepdim))
        dtype = None if array.dtype.kind == "f" else np.int64
        with quiet():
            return Tensor(np.asarray(np.sum(array, axis=dims, keepdims=keepdim, dtype=dtype)))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        kept = tuple([1 if i in ctx.dims else n for i, n in enumerate(ctx.shape)])
        if state.enabled:
            return Expand.apply(Reshape.apply(grad_output, kept), ctx.shape), None, None
        return Tensor(_core.expand(grad_output._array.reshape(kept), ctx.shape)), None, None


def sum(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> Tensor:
    """Sum over dimensions, or over everything; integers and bools give int64.

    With `dtype`, the elements are converted to that first.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sum([[1.0, 2.0], [3.0, 4.0]], dim=0)
    tensor([4., 6.])
    """
    x = as_tensor(input, "sum: input")
    dims = _dims(dim, x.ndim, "sum: dim")
    if dtype is not None:
        kind = dtype_of("sum: dtype", dtype)
        return sum(x.to(kind), dim, keepdim).to(kind)
    return Sum.apply(x, dims, flag("sum: keepdim", keepdim))


def mean(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> Tensor:
    """Average over dimensions, or over everything; integers and bools give float32.

    With `dtype`, the elements are converted to that first.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.mean([[1.0, 2.0], [3.0, 4.0]], dim=1)
    tensor([1.5, 3.5])
    """
    x = _converted("mean", input, dtype)
    array = x._array
    dims = _dims(dim, array.ndim, "mean: dim")
    if array.dtype.char in "eE":  # (b)float16: the sum or the count may be beyond it
        return mean(x.to(np.float32), dims, keepdim).to(array.dtype.newbyteorder("="))
    total = Sum.apply(x, dims, flag("mean: keepdim", keepdim))
    return total / (_count(array.shape, dims) or math.nan)


def var(
    input: Any,
    dim: Any = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Average squared distance from the mean, over dimensions or over everything.

    Parameters
    ----------
    input : array_like
        Floating point, any shape.
    dim : int or sequence of int, optional
        The dimensions that are averaged over. True or False stands for `unbiased`.
    unbiased : bool
        Divide by the number of elements less 1.
    keepdim : bool
        Keep these dimensions, with size 1.
    correction : float, optional
        What is taken off the number of elements, instead of 1 or 0.

    Returns
    -------
    Tensor
        NaN where nothing is left to divide by.

    Raises
    ------
    TypeError
        If `input` holds integers.
    ValueError
        If there is no dimension `dim`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.var([1.0, 2.0, 3.0])
    tensor(1.)
    """
    x = _floating(input, "var")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if x.dtype.kind == "V":
        return in_float32(var, x, dim, unbiased, keepdim, correction=correction)
    dims = _dims(dim, x.ndim, "var: dim")
    distance = x - mean(x, dims, keepdim=True)
    less = float(flag("var: unbiased", unbiased))
    if correction is not None:
        less = number("var: correction", correction)
    count = _count(x.shape, dims)
    total = Sum.apply(distance * distance, dims, flag("var: keepdim", keepdim))
    return total / (count - less if count > less else 0.0)


def std(x: Tensor, dim: Any, unbiased: bool, keepdim: bool, correction: float | None) -> Tensor:
    """Return the square root of `var`, for `Tensor.std`; its gradient at 0 is taken as 0."""
    if x.dtype.kind == "V":  # to be rounded once
        return in_float32(std, x, dim, unbiased, keepdim, correction)
    variance = var(x, dim, unbiased, keepdim, correction=correction)
    if not variance._requires_grad:
        return sqrt(variance)
    none = variance == 0
    return where(none, 0, sqrt(where(none, 1, variance)))


class Extreme(NamedTuple):
    """The largest or smallest elements along a dimension, and where they are."""

    values: Tensor
    indices: Tensor


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the largest element, or the pair (values, indices) along a dimension.

    The gradient goes to the first largest element along `dim`; without `dim` it is shared evenly
    by all largest elements. A tensor in place of `dim` gives the larger of each two elements.

    Raises
    ------
    ValueError
        If there is no element.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.max([[1, 5], [7, 3]], dim=1).indices
    tensor([1, 0])
    """
    return _extreme("max", np.maximum, np.argmax, as_tensor(input, "max: input"), dim, keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the smallest element, or the pair (values, indices) along a dimension.

    The gradient goes to the first smallest element along `dim`; without `dim` it is shared evenly
    by all smallest elements. A tensor in place of `dim` gives the smaller of each two elements.

    Raises
    ------
    ValueError
        If there is no element.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.min([[1, 5], [7, 3]], dim=1).indices
    tensor([0, 1])
    """
    return _extreme("min", np.minimum, np.argmin, as_tensor(input, "min: input"), dim, keepdim)


def _extreme(op: str, choose: np.ufunc, arg: Any, x: Tensor, dim: Any, keepdim: bool) -> Any:
    keepdim = flag(f"{op}: keepdim", keepdim)
    if dim is None:
        if not x._array.size:
            raise ValueError(f"{op}: input has shape {x.shape} and no {op}imum")
        return ExtremeOfAll.apply(x, choose)
    if isinstance(dim, (Tensor, np.ndarray)):
        if keepdim:
            raise TypeError(f"{op}: keepdim is True, expected False with a tensor as dim")
        return ExtremeOfTwo.apply(*tensors_of(x, dim), op)
    axis = dim_of(dim, x.ndim, f"{op}: dim")
    if not x.ndim:
        return Extreme(Clone.apply(x), Tensor(np.asarray(0)))
    if not x.shape[axis]:
        raise ValueError(f"{op}: input has shape {x.shape} and no {op}imum along dim {dim}")
    if has_kernel(x, axis):
        result = Extreme(*ExtremeAlong.apply(x, op == "max", axis))
    else:
        indices = arg(x._array, axis, keepdims=True)
        key = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
        key[axis] = indices
        result = Extreme(Index.apply(x, tuple(key)), Tensor(indices))
    return result if keepdim else Extreme(*[_drop(part, axis) for part in result])


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the largest element along `dim`, or in the flattened input.

    Raises
    ------
    ValueError
        If there is no element.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.argmax([[1, 5], [7, 3]], dim=1)
    tensor([1, 0])
    """
    x = as_tensor(input, "argmax: input")
    array = x._array
    axis = None if dim is None else dim_of(dim, array.ndim, "argmax: dim")
    if not (array.size if axis is None or not array.ndim else array.shape[axis]):
        raise ValueError(f"argmax: input has shape {array.shape} and no maximum")
    keepdim = flag("argmax: keepdim", keepdim)
    if axis is not None and array.ndim and has_kernel(x, axis):
        places = largest_places(x, axis)
        return places if keepdim else _drop(places, axis)
    return Tensor(np.asarray(np.argmax(array, axis, keepdims=keepdim)))


class LogSoftmax(Function):
    """x - log(sum(exp(x)))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        output = Tensor(_core.softmax_forward(True, x._array, dim))
        ctx.save_for_backward(output)
        ctx.dim = dim
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        if not state.enabled:
            grad = _core.softmax_backward(True, grad_output._array, output._array, ctx.dim)
            return Tensor(grad), None
        return grad_output - output.exp() * grad_output.sum(ctx.dim, keepdim=True), None


def log_softmax(input: Any, dim: int, *, dtype: DType = None) -> Tensor:
    """Return the logarithm of `softmax`, computed without overflow.

    Parameters
    ----------
    input : array_like
        Floating point, any shape.
    dim : int
        Dimension along which the exponentials sum to 1.
    dtype : numpy.dtype, optional
        What `input` is converted to first.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If `input` holds integers.
    ValueError
        If there is no dimension `dim`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.log_softmax([0.0, 0.0], dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _along(LogSoftmax, "log_softmax", input, dim, dtype)


def _along(function: type[Function], op: str, input: Any, dim: int, dtype: DType) -> Tensor:
    x = _floating(_converted(op, input, dtype), op)
    dim = dim_of(dim, x.ndim, f"{op}: dim")
    if x.ndim:
        return function.apply(x, dim)
    return Reshape.apply(function.apply(Reshape.apply(x, (1,)), 0), ())


class Softmax(Function):
    """exp(x) / sum(exp(x))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        output = Tensor(_core.softmax_forward(False, x._array, dim))
        ctx.save_for_backward(output)
        ctx.dim = dim
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        if not state.enabled:
            grad = _core.softmax_backward(False, grad_output._array, output._array, ctx.dim)
            return Tensor(grad), None
        product = grad_output * output
        return product - output * product.sum(ctx.dim, keepdim=True), None


def softmax(input: Any, dim: int, *, dtype: DType = None) -> Tensor:
    """Scale exponentials so that they sum to 1 along a dimension.

    Parameters
    ----------
    input : array_like
        Floating point, any shape.
    dim : int
        Dimension along which the result sums to 1.
    dtype : numpy.dtype, optional
        What `input` is converted to first.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If `input` holds integers.
    ValueError
        If there is no dimension `dim`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.softmax([0.0, 0.0], dim=0)
    tensor([0.5, 0.5])
    """
    return _along(Softmax, "softmax", input, dim, dtype)


def _converted(op: str, input: Any, dtype: DType) -> Tensor:
    x = argument(op, input)
    if dtype is None:
        return x
    kind = dtype_of(f"{op}: dtype", dtype)
    if kind.kind in "biu":
        raise TypeError(f"{op}: dtype is {kind}, expected a floating one")
    return x.to(kind)


def _floating(input: Any, name: str) -> Tensor:
    x = argument(name, input)
    if x.dtype.kind not in FLOATING:
        raise TypeError(f"{name}: input has dtype {x.dtype}, expected a floating one")
    return x


def _dims(dim: Dims, ndim: int, name: str) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(ndim))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    result = tuple([dim_of(d, ndim, name) for d in dims])
    if len(set(result)) != len(result):
        raise ValueError(f"{name} is {dim}, must name each dimension once")
    return result if ndim else ()


def _count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements there are along some dimensions."""
    return math.prod([shape[i] for i in dims])


def _drop(x: Tensor, dim: int) -> Tensor:
    shape = x._array.shape
    return Reshape.apply(x, shape[:dim] + shape[dim + 1 :])
