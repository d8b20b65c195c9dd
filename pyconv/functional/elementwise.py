"""Operations on each element: arithmetic with broadcasting, comparison, exp, log, relu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .reduce import sum as sum_over
from .shape import Expand, Reshape

# ---- two operands: dtypes, broadcasting --------------------------------------------------------


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Make Tensors of one dtype of two operands."""
    if not isinstance(a, Tensor):
        a = _operand(a, b)
    elif not isinstance(b, Tensor):
        b = _operand(b, a)
    if a._array.dtype == b._array.dtype:
        return a, b
    dtype = _common_dtype(a, b)
    return cast(a, dtype), cast(b, dtype)


def _operand(value: Any, other: Any) -> Tensor:
    """Make a Tensor of a value; a Python number takes the dtype of `other` if that can hold it."""
    if type(value) in (int, float, bool) and isinstance(other, Tensor):
        kind = other.dtype.kind
        if kind == "f" or (kind in "iu" and type(value) is int):
            return Tensor(np.asarray(value, other.dtype))
    return as_tensor(value)


def _common_dtype(a: Tensor, b: Tensor) -> np.dtype[Any]:
    """Floats win over integers, integers over bools; then tensors with dimensions over numbers."""
    rank_a, rank_b = "biuf".index(a.dtype.kind) + 1 & 6, "biuf".index(b.dtype.kind) + 1 & 6
    if rank_a != rank_b:
        return a.dtype if rank_a > rank_b else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return a.dtype if a.ndim else b.dtype
    return np.promote_types(a.dtype, b.dtype)


def _sum_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum a gradient over the dimensions along which an operand of `shape` was repeated."""
    if gradient._array.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    repeated = [i for i, n in enumerate(gradient.shape) if i < extra or shape[i - extra] != n]
    result: Tensor = Reshape.apply(sum_over(gradient, repeated), shape)
    return result


def _float_pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    a, b = _pair(a, b)
    return (a, b) if a._array.dtype.kind == "f" else (cast(a, np.float32), cast(b, np.float32))


class Cast(Function):
    """Conversion to another dtype."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: Any) -> Tensor:
        ctx.dtype = x.dtype
        return Tensor(x._array.astype(dtype))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return Cast.apply(grad_output, ctx.dtype), None


def cast(input: Any, dtype: DTypeLike) -> Tensor:
    """Return `input` with elements of `dtype`: itself if it has that dtype already.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.cast([1, 2], "float32")
    tensor([1., 2.])
    """
    x, dtype = as_tensor(input), np.dtype(dtype)
    if dtype.kind not in "biuf":
        raise TypeError(f"cast: dtype is {dtype}, expected one of numbers")
    result: Tensor = x if x._array.dtype == dtype else Cast.apply(x, dtype)
    return result


# ---- arithmetic --------------------------------------------------------------------------------


class Add(Function):
    """a + b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.shapes = a._array.shape, b._array.shape
        return Tensor(np.asarray(a._array + b._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        need = ctx.needs_input_grad
        return (
            _sum_to(g, ctx.shapes[0]) if need[0] else None,
            _sum_to(g, ctx.shapes[1]) if need[1] else None,
        )


class Sub(Function):
    """a - b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.shapes = a._array.shape, b._array.shape
        return Tensor(np.asarray(a._array - b._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        need = ctx.needs_input_grad
        return (
            _sum_to(g, ctx.shapes[0]) if need[0] else None,
            _sum_to(-g, ctx.shapes[1]) if need[1] else None,
        )


class Mul(Function):
    """a * b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.shapes = a._array.shape, b._array.shape
        if ctx.needs_input_grad:
            need_a, need_b = ctx.needs_input_grad
            ctx.save_for_backward(a if need_b else None, b if need_a else None)
        return Tensor(np.asarray(a._array * b._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        need = ctx.needs_input_grad
        return (
            _sum_to(g * b, ctx.shapes[0]) if need[0] else None,
            _sum_to(g * a, ctx.shapes[1]) if need[1] else None,
        )


class Div(Function):
    """a / b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.shapes = a._array.shape, b._array.shape
        if ctx.needs_input_grad:
            ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b)
        return Tensor(np.asarray(a._array / b._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        need = ctx.needs_input_grad
        return (
            _sum_to(g / b, ctx.shapes[0]) if need[0] else None,
            _sum_to(-g * a / (b * b), ctx.shapes[1]) if need[1] else None,
        )


class Pow(Function):
    """a ** b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return Tensor(np.asarray(a._array**b._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            # Where b is 0 the derivative is 0, also at a = 0, where a ** -1 is infinite.
            power = pow(a, where(b == 0, 1, b) - 1)
            grad_a = _sum_to(g * b * power, a.shape)
        if ctx.needs_input_grad[1]:
            log_a = log(where(a > 0, a, 1))
            grad_b = _sum_to(g * pow(a, b) * log_a, b.shape)
        return grad_a, grad_b


class Neg(Function):
    """-x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return Tensor(np.asarray(-x._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Neg.apply(g)


def add(input: Any, other: Any) -> Tensor:
    """Add with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.add([1.0, 2.0], 1)
    tensor([2., 3.])
    """
    return _apply(Add, *_pair(input, other))


def sub(input: Any, other: Any) -> Tensor:
    """Subtract with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sub([1.0, 2.0], 1)
    tensor([0., 1.])
    """
    return _apply(Sub, *_pair(input, other))


def mul(input: Any, other: Any) -> Tensor:
    """Multiply with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.mul([1.0, 2.0], 3)
    tensor([3., 6.])
    """
    return _apply(Mul, *_pair(input, other))


def div(input: Any, other: Any) -> Tensor:
    """Divide with broadcasting; integers give floats.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.div([1, 2], 2)
    tensor([0.5, 1. ])
    """
    return _apply(Div, *_float_pair(input, other))


def pow(input: Any, exponent: Any) -> Tensor:
    """Raise to a power, with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.pow([1.0, 2.0], 2)
    tensor([1., 4.])
    """
    return _apply(Pow, *_pair(input, exponent))


def neg(input: Any) -> Tensor:
    """Change the sign.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.neg([1.0, -2.0])
    tensor([-1.,  2.])
    """
    return _apply(Neg, as_tensor(input))


def _apply(function: type[Function], *args: Any) -> Tensor:
    result: Tensor = function.apply(*args)
    return result
