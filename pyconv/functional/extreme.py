"""The largest and the smallest elements along a dimension, and their places, by a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from ..arguments import KERNELS
from ..autograd.function import Function
from ..tensor import Tensor


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
