"""Bounds of elements: clamp, and the largest or smallest of two or of all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arguments import broadcast, number
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .arithmetic import clip_integers, where
from .elementwise import floating, unary
from .shape import Expand, IndexBackward, sum_to

Clamp = unary("clamp", lambda g, x, low, high: where(x >= low, where(x <= high, g, 0), 0))
_ARRAYS = (Tensor, np.ndarray)


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Replace elements below `min` by `min`, then those above `max` by `max`; NaN stays NaN.

    Parameters
    ----------
    input : array_like
        Any shape; numbers of any dtype.
    min, max : float or Tensor, optional
        The bounds, of which at least one is needed; Tensors broadcast, and get gradients.

    Returns
    -------
    Tensor
        Same shape and dtype, for bools int64; float32 if a bound of integers or bools is no
        integer. With Tensors, what `where` makes of them and `input`.

    Raises
    ------
    TypeError
        If a bound is no number.
    ValueError
        If both bounds are missing, or one is NaN or beyond a dtype of integers, or shapes do not
        broadcast.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.clamp([-1.0, 2.0], min=0)
    tensor([0., 2.])
    """
    x = as_tensor(input, "clamp: input")
    if min is None and max is None:
        raise ValueError("clamp: min and max are None, expected at least one number")
    if isinstance(min, _ARRAYS) or isinstance(max, _ARRAYS):
        return _clamp_to_tensors(x, {"min": min, "max": max})
    low = -math.inf if min is None else number("clamp: min", min)
    high = math.inf if max is None else number("clamp: max", max)
    whole = not any(isinstance(bound, (float, np.floating)) for bound in (min, max))
    if x.dtype.kind in "biu" and whole:
        return Tensor(clip_integers(x._array, min, max))
    return Clamp.apply(floating(x, "clamp: input"), low, high)


def _clamp_to_tensors(x: Tensor, given: dict[str, Any]) -> Tensor:
    """Take bounds from tensors, NaN with them; one of both may be a number."""
    bounds = {n: v for n, v in given.items() if v is not None}
    numbers = {n for n, v in bounds.items() if isinstance(v, (int, float, np.number))}
    bounds |= {n: as_tensor(v, f"clamp: {n}") for n, v in bounds.items() if n not in numbers}
    arrays = {n: bound._array for n, bound in bounds.items() if n not in numbers}
    broadcast("clamp", np.broadcast, input=x._array, **arrays)
    for name, bound in bounds.items():
        if name in numbers:
            x = clamp(x, **{name: bound})
            continue
        beyond = x < bound if name == "min" else x > bound
        x = where(beyond | (bound != bound), bound, x)
    return x


class ExtremeOfTwo(Function):
    """The larger or smaller of two elements; equal ones share the gradient."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, op: str) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.op, choose = op, np.maximum if op == "max" else np.minimum
        return Tensor(np.asarray(broadcast(op, choose, input=a._array, other=b._array)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        lost = (a < b, a > b) if ctx.op == "max" else (a > b, a < b)
        grad_a, grad_b = (where(a == b, g / 2, where(never, 0, g)) for never in lost)
        return sum_to(grad_a, a.shape), sum_to(grad_b, b.shape), None


class ExtremeOfAll(Function):
    """The largest or smallest element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, reduce: Any) -> Tensor:
        output = Tensor(np.asarray(reduce(x._array)))
        ctx.save_for_backward(x, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        x, output = ctx.saved_tensors
        best = output._array
        found = np.asarray(x._array == best if best == best else np.isnan(x._array))
        count = int(found.sum())
        # float16 does not hold a large count.
        wide = grad_output.to(np.promote_types(grad_output.dtype, np.float32))
        shares = Expand.apply((wide / count).to(grad_output.dtype), (count,))
        return IndexBackward.apply(shares, x._array.shape, found), None
