"""Arithmetic and choice between two operands, with broadcasting."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core
from ..arguments import FLOATING, KERNELS, broadcast, holds, integer, promoted, quiet
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Array, Tensor
from .casting import cast, in_float32
from .elementwise import Sqrt, Square, abs, log
from .shape import sum_to

# ---- two operands: dtypes, broadcasting --------------------------------------------------------


_NUMBERS = (int, float, bool, np.float64)  # Python's; np.float64 is a float, as in PyTorch
_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2}


def _pair(a: Any, b: Any) -> tuple[Tensor, Any]:
    """Make Tensors of one dtype of two operands; a Python number may stay second, for a kernel."""
    if not isinstance(a, Tensor):
        b = b if type(b) in _NUMBERS else as_tensor(b, "other")
        a = _operand(a, b, "input")
    if not isinstance(b, Tensor):
        if type(b) in _NUMBERS and (a._array.dtype.num in KERNELS or a.dtype.kind == "V"):
            return a, b
        b = _operand(b, a, "other")
    if a._array.dtype.num == b._array.dtype.num:  # in any byte order
        return a, b
    dtype = _common_dtype(a, b)
    return cast(a, dtype), cast(b, dtype)


def tensors_of(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Make Tensors of one dtype of two operands."""
    a, b = _pair(a, b)
    return a, b if isinstance(b, Tensor) else _operand(b, a, "other")


def _operand(value: Any, other: Any, name: str) -> Tensor:
    """Make a Tensor of a value; a Python number takes the dtype of `other` if that can hold it."""
    if type(value) is np.float64:
        value = float(value)
    if type(value) in _NUMBERS and isinstance(other, Tensor):
        kind = other.dtype.kind
        if kind in FLOATING or (kind in "iu" and type(value) is int):
            if not holds(other.dtype, value, value):
                which = f"{value}, " if -1e20 < value < 1e20 else ""
                raise ValueError(f"{name} is {which}an integer beyond {other.dtype}")
            if -3e38 < value < 3e38 and other.dtype.num in KERNELS:
                return Tensor(np.asarray(value, other.dtype))
            try:
                with quiet():  # which costs as much as all the rest
                    return Tensor(np.asarray(value, other.dtype))
            except OverflowError:
                raise ValueError(f"{name} is an integer beyond {other.dtype}") from None
    return as_tensor(value, name)


def _common_dtype(a: Tensor, b: Tensor) -> np.dtype[Any]:
    """Floats win over integers, integers over bools; then tensors with dimensions over numbers."""
    rank_a, rank_b = _RANK[a.dtype.kind], _RANK[b.dtype.kind]
    if rank_a != rank_b:
        return a.dtype if rank_a > rank_b else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return a.dtype if a.ndim else b.dtype
    return promoted(a.dtype, b.dtype)


def _is_floating(x: Any) -> bool:
    return isinstance(x, Tensor) and x._array.dtype.kind in FLOATING


def _float_pair(a: Any, b: Any) -> tuple[Tensor, Any]:
    """Make floats of integers before they are a pair, whose dtype may not hold both."""
    if not (_is_floating(a) or _is_floating(b)):
        a = a if type(a) in _NUMBERS and type(b) not in _NUMBERS else as_tensor(a, "input")
        b = b if type(b) in _NUMBERS else as_tensor(b, "other")
        if not (_is_floating(a) or _is_floating(b)):
            a, b = (cast(x, np.float32) if isinstance(x, Tensor) else x for x in (a, b))
    return _pair(a, b)


# ---- arithmetic --------------------------------------------------------------------------------


# Their forward(ctx, a, b) is compiled. It leaves in ctx.shapes those of both operands, or None if
# they are the same or b is a number, and in ctx.number that number or None.


def _saved(ctx: Any) -> tuple[Any, Any]:
    a, b = ctx.saved_tensors
    return a, b if ctx.number is None else ctx.number


def _summed(ctx: Any, grad_a: Tensor | None, grad_b: Tensor | None) -> Any:
    """Sum the gradients of operands over the dimensions along which these were repeated."""
    if ctx.shapes is None:
        return grad_a, grad_b
    shape_a, shape_b = ctx.shapes
    return (
        None if grad_a is None else sum_to(grad_a, shape_a),
        None if grad_b is None else sum_to(grad_b, shape_b),
    )


def _refuse_bools(op: str, array: Array) -> None:
    if array.dtype.kind == "b":
        raise TypeError(f"{op}: input.dtype is bool, expected numbers")


def _of_numpy(op: str, function: np.ufunc) -> Callable[[Array, Array], Array]:
    """Make the function of arrays for which there is no kernel."""

    def compute(a: Array, b: Array) -> Array:
        if op == "sub":
            _refuse_bools(op, a)
        with np.errstate(all="ignore"):  # kernels do not warn either
            result: Array = broadcast(op, function, input=a, other=b)
        return result

    return compute


class Add(Function):
    """a + b."""

    forward = staticmethod(_core.arithmetic_function(0, _of_numpy("add", np.add)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        need_a, need_b = ctx.needs_input_grad
        return _summed(ctx, g if need_a else None, g if need_b else None)


class Sub(Function):
    """a - b."""

    forward = staticmethod(_core.arithmetic_function(1, _of_numpy("sub", np.subtract)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        need_a, need_b = ctx.needs_input_grad
        return _summed(ctx, g if need_a else None, -g if need_b else None)


class Mul(Function):
    """a * b."""

    forward = staticmethod(_core.arithmetic_function(2, _of_numpy("mul", np.multiply)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = _saved(ctx)
        need_a, need_b = ctx.needs_input_grad
        return _summed(ctx, g * b if need_a else None, g * a if need_b else None)


class Div(Function):
    """a / b."""

    forward = staticmethod(_core.arithmetic_function(3, _of_numpy("div", np.divide)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = _saved(ctx)
        need_a, need_b = ctx.needs_input_grad
        # Not a / (b * b), which overflows and vanishes before the result does.
        return _summed(ctx, g / b if need_a else None, -g * (a / b) / b if need_b else None)


class Neg(Function):
    """-a."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        array = a._array
        kernel = array.dtype.num in KERNELS
        return Tensor(_core.arithmetic(2, array, -1) if kernel else np.asarray(-array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return -g


class Pow(Function):
    """a ** b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        with np.errstate(all="ignore"):  # kernels do not warn either: 0 ** -1 is infinite
            power = broadcast("pow", operator.pow, input=a._array, exponent=b._array)
        return Tensor(np.asarray(power))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            # Where b is 0 the derivative is 0, also at a = 0, where a ** -1 is infinite.
            flat = b._array == 0
            if ctx.needs_input_grad[1]:  # elsewhere it has a derivative with respect to b
                with np.errstate(all="ignore"):
                    flat = flat & ~np.isfinite(1 / a._array)
            power = pow(a, where(flat, 1, b) - 1)
            grad_a = sum_to(g * b * power, a.shape)
        if ctx.needs_input_grad[1]:
            # Where a is 0 and stays 0, the derivative is 0 and not 0 * log(0).
            zero = Tensor(np.asarray((a._array == 0) & (b._array >= 0)))
            grad_b = sum_to(g * pow(a, b) * log(where(zero, 1, a)), b.shape)
        return grad_a, grad_b


def add(input: Any, other: Any) -> Tensor:
    """Add with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.add([1.0, 2.0], 1)
    tensor([2., 3.])
    """
    return _core.apply_to_pair(Add, _pair, input, other)


def sub(input: Any, other: Any) -> Tensor:
    """Subtract with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sub([1.0, 2.0], 1)
    tensor([0., 1.])
    """
    return _core.apply_to_pair(Sub, _pair, input, other)


def mul(input: Any, other: Any) -> Tensor:
    """Multiply with broadcasting.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.mul([1.0, 2.0], 3)
    tensor([3., 6.])
    """
    return _core.apply_to_pair(Mul, _pair, input, other)


def div(input: Any, other: Any) -> Tensor:
    """Divide with broadcasting; integers give floats.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.div([1, 2], 2)
    tensor([0.5, 1. ])
    """
    return _core.apply_to_pair(Div, _float_pair, input, other)


def neg(input: Any) -> Tensor:
    """Change the sign.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.neg([1.0, -2.0])
    tensor([-1.,  2.])
    """
    x = as_tensor(input, "neg: input")
    _refuse_bools("neg", x._array)
    return Neg.apply(x)


def pow(input: Any, exponent: Any) -> Tensor:
    """Raise to a power, with broadcasting; a power of integers is cut off to an integer.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.pow([1.0, 2.0], 2)
    tensor([1., 4.])
    """
    is_number = type(exponent) in _NUMBERS
    if is_number:
        input = as_tensor(input, "pow: input")
        if input._array.dtype.num in KERNELS:
            if exponent == 0.5:
                return Sqrt.apply(input)
            if exponent in (2, 3):
                square = Square.apply(input)
                return square if exponent == 2 else mul(square, input)
        elif input.dtype.kind == "V":  # which does not hold each exponent
            return in_float32(pow, input, exponent)
        exponent = _operand(exponent, input, "exponent")
    a, b = tensors_of(input, as_tensor(exponent, "pow: exponent"))
    _refuse_bools("pow", a._array)
    if a._array.dtype.kind == "i" and (b._array < 0).any():
        if is_number:
            raise ValueError(
                f"pow: exponent is negative and input.dtype is {a.dtype}, expected floats"
            )
        # 1 and -1 stay, but for their sign; all else is a fraction, cut off to 0.
        power = Pow.apply(a, where(b < 0, Tensor(b._array & 1), b))
        return where((b < 0) & (abs(a) != 1), 0, power)
    return Pow.apply(a, b)


def clip_integers(array: Array, low: Any, high: Any) -> Array:
    """Return integers within the bounds of `clamp`, in their dtype; int64 for bools."""
    limits = np.iinfo(np.int64 if array.dtype.kind == "b" else array.dtype)
    if low is None or low < limits.min:
        low = limits.min
    if high is None or high > limits.max:
        high = limits.max
    low = integer("clamp: min", low, most=limits.max)
    high = integer("clamp: max", high, limits.min, limits.max)
    return np.asarray(np.clip(array, low, high), limits.dtype)


# ---- choice --------------------------------------------------------------------------------------


class Where(Function):
    """a where the condition holds, b elsewhere."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(condition)
        ctx.shapes = a._array.shape, b._array.shape
        arrays = {"condition": condition._array, "input": a._array, "other": b._array}
        return Tensor(broadcast("where", np.where, **arrays))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (condition,) = ctx.saved_tensors
        need = ctx.needs_input_grad
        return (
            None,
            sum_to(where(condition, g, 0), ctx.shapes[0]) if need[1] else None,
            sum_to(where(condition, 0, g), ctx.shapes[1]) if need[2] else None,
        )


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """Take elements of `input` where `condition` holds and of `other` elsewhere.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.where([True, False], [1.0, 2.0], 0)
    tensor([1., 0.])
    """
    return Where.apply(as_tensor(condition, "where: condition"), *tensors_of(input, other))
