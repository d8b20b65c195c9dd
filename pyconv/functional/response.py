"""Local response normalisation: over neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..arguments import integer, number
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import kernel_float
from ..tensor import Array, Tensor


class WindowSum(Function):
    """For each channel the sum over it, `before` channels before it and `after` channels after."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: int, after: int) -> Tensor:
        ctx.config = before, after
        return Tensor(_window_sum(x._array, before, after))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        before, after = ctx.config
        return WindowSum.apply(g, after, before), None, None


def _window_sum(x: Array, before: int, after: int) -> Array:
    output = x.copy(order="K")
    for shift in range(1, min(max(before, after), x.shape[1] - 1) + 1):
        if shift <= before:
            output[:, shift:] += x[:, :-shift]
        if shift <= after:
            output[:, :-shift] += x[:, shift:]
    return output


class LocalResponseNorm(Function):
    """x * d ** -beta with d = k + scale * (sum of x ** 2 over the window of the channel)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, scale: float, beta: float, k: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.config = size // 2, (size - 1) // 2, scale, beta, k
        return Tensor(_core.response_forward(x._array, *ctx.config))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        before, after, scale, beta, k = ctx.config
        if not is_grad_enabled():
            grad = Tensor(_core.response_backward(g._array, x._array, *ctx.config))
            return grad, None, None, None, None
        d = WindowSum.apply(x * x, before, after) * scale + k  # the same in recorded operations
        passed = g * d**-beta
        shared = WindowSum.apply(passed * x / d, after, before)
        return passed - (2 * scale * beta) * x * shared, None, None, None, None


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by a power of the squares of the neighbouring channels.

    ``input / (k + alpha / size * sum of squares) ** beta``, the sum over a window of channels.

    Parameters
    ----------
    input : array_like of shape (N, C, d1, ...)
        float32 or float64; the result lies in memory as it does.
    size : int
        The channels in a window: ``size // 2`` before a channel, the channel, the rest after.
    alpha, beta, k : float
        As in the formula.

    Returns
    -------
    Tensor
        Of the shape of `input`.

    Raises
    ------
    ValueError
        If `input` has less than 3 dimensions, or an option is out of range.
    TypeError
        If the dtype is not supported.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, *ImageNet classification with deep convolutional neural
    networks*, 2012, section 3.3 (there alpha is not divided by the size).

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.local_response_norm([[[3.0], [4.0]]], size=3, alpha=3, beta=1, k=0)
    tensor([[[0.12],
             [0.16]]])
    """
    x = kernel_float("local_response_norm", input)
    if x.ndim < 3:
        raise ValueError(
            f"local_response_norm: input has shape {x.shape}, expected (N, C, d1, ...)"
        )
    for name, value in (("alpha", alpha), ("beta", beta), ("k", k)):
        if not math.isfinite(number(f"local_response_norm: {name}", value)):
            raise ValueError(f"local_response_norm: {name} is {value!r}, expected a finite number")
    width = integer("local_response_norm: size", size, 1)
    return LocalResponseNorm.apply(x, width, alpha / width, float(beta), k)
