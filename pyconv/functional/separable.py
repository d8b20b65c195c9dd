"""Maps of images that are a matrix along each axis: the graph of average pooling and resizing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..autograd.function import Function
from ..tensor import Tensor


class Separable(Function):
    """The first call: `compute` returns the result, and the map that it made of the arguments."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, compute: Callable[..., Any], *args: Any) -> Tensor:
        output, ctx.map = compute(*args)
        ctx.count = len(args)
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Again.apply(g, ctx.map, True), None, *(None,) * ctx.count


class Again(Function):
    """The map once more, or its transpose: each is the gradient of the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, map: Any, transposed: bool) -> Tensor:
        ctx.map, ctx.transposed = map, transposed
        return Tensor(_core.separable_apply(map, x._array, transposed))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Again.apply(g, ctx.map, not ctx.transposed), None, None
