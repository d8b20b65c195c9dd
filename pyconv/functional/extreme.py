"""The largest and the smallest elements: along a dimension with places, of two, and of all."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from ..arguments import KERNELS, broadcast
from ..autograd.function import Function
from ..tensor import Tensor
from .arithmetic import where
from .indexing import IndexBackward
from .shape import Expand, sum_to


def has_kernel(x: Tensor, dim: int) -> bool:
    """Whether the kernel takes elements of this dtype, and so many along `dim`."""
    return x.dtype.num in KERNELS and x.shape[dim] < 2**31 - 1


def largest_places(x: Tensor, dim: int) -> Tensor:
    """Return the places of the largest elements along a dimension, which stays with size 1."""
    return Tensor(_core.extreme(True, x._array, dim, False)[0])


class ExtremeAlong(Function):
    """The largest or smallest elements along a dimension, which stays, and their places."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, largest: bool, dim: int) -> tuple[Tensor, Tensor]:
        indices, values = _core.extreme(largest, x._array, dim, True)
        places = Tensor(indices)
        ctx.save_for_backward(places)
        ctx.shape, ctx.dim = x._array.shape, dim
        return Tensor(values), places

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: Any) -> Any:
        (places,) = ctx.saved_tensors
        return ExtremeBackward.apply(grad_output, places, ctx.shape, ctx.dim), None, None


class ExtremeBackward(Function):
    """Zeros but for the places of the largest or smallest elements."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, places: Tensor, shape: tuple[int, ...], dim: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape, ctx.dim = shape, dim
        return Tensor(_core.extreme_backward(g._array, places._array, shape, dim))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (places,) = ctx.saved_tensors
        return TakeAlong.apply(g, places, ctx.dim), None, None, None


class TakeAlong(Function):
    """The elements at given places of a dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape, ctx.dim = x._array.shape, dim
        return Tensor(np.take_along_axis(x._array, places._array, dim))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (places,) = ctx.saved_tensors
        return ExtremeBackward.apply(g, places, ctx.shape, ctx.dim), None, None


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
    def forward(ctx: Any, x: Tensor, choose: np.ufunc) -> Tensor:
        output = Tensor(np.asarray(choose.reduce(x._array, None)))
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
