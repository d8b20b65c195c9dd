"""Pooling: the largest element of each window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor

# ndim, kernel_size, stride, padding, dilation, ceil_mode
Config = tuple[int, Any, Any, Any, Any, bool]


class MaxPool(Function):
    """The largest element of each window, and its place in the flattened image."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, config: Config) -> tuple[Tensor, Tensor]:
        ndim, kernel_size, stride, padding, dilation, ceil_mode = config
        output, indices, ctx.shape = _core.max_pool_forward(
            ndim, input._array, kernel_size, stride, padding, dilation, ceil_mode
        )
        ctx.ndim = ndim
        places = Tensor(indices)
        ctx.save_for_backward(places)
        return Tensor(output), places

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: Any) -> Any:
        (indices,) = ctx.saved_tensors
        return MaxPoolBackward.apply(grad_output, indices, ctx.shape, ctx.ndim), None


class MaxPoolBackward(Function):
    """Zeros to which each gradient is added at the place that its window took."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, indices: Tensor, shape: Any, ndim: int) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape, ctx.ndim = shape, ndim
        return Tensor(_core.max_pool_backward(shape, grad_output._array, indices._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return Gather.apply(g, indices, ctx.shape, ctx.ndim), None, None, None


class Gather(Function):
    """The elements at the places that a pooling took: 0 where it saw only padding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, shape: Any, ndim: int) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape, ctx.ndim = shape, ndim
        places = indices._array
        lead = places.shape[: places.ndim - ndim]
        flat = places.reshape(*lead, math.prod(places.shape[len(lead) :]))
        image = x._array.reshape(*lead, math.prod(x._array.shape[len(lead) :]))
        taken = np.take_along_axis(image, np.maximum(flat, 0), -1)
        return Tensor(np.where(flat < 0, x.dtype.type(0), taken).reshape(places.shape))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return MaxPoolBackward.apply(g, indices, ctx.shape, ctx.ndim), None, None, None


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window of an image.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size : int or tuple of two
        Size of the window.
    stride : int or tuple of two, optional
        Step of the window; its size if left out.
    padding : int or tuple of two
        Rows and columns of minus infinity on each side; at most half the window.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    ceil_mode : bool
        Also take windows that reach beyond the end.
    return_indices : bool
        Also return where each largest element lies.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)
        With ``P = (H + 2 * padding - dilation * (R - 1) - 1) // stride + 1`` for a window of R
        rows, and Q likewise. With `return_indices`, a pair of it and an int64 Tensor of the same
        shape: the place in the flattened H x W image.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.max_pool2d(pyconv.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[3.]]]])
    """
    config = (2, kernel_size, stride, padding, dilation, ceil_mode)
    output, indices = MaxPool.apply(as_tensor(input, "input"), config)
    return (output, indices) if return_indices else output
