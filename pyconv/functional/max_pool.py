"""Max pooling, with windows of one size or adaptive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..arguments import flag
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Tensor
from .casting import in_float32


class MaxPool(Function):
    """The largest element of each window, and its place in the flattened image."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, compute: Callable[..., Any], *args: Any) -> Any:
        output, indices, ctx.shape = compute(*args, True)
        ctx.count = len(args)
        places = Tensor(indices)
        ctx.save_for_backward(places)
        return Tensor(output), places

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: Any) -> Any:
        (indices,) = ctx.saved_tensors
        grad = MaxPoolBackward.apply(grad_output, indices, ctx.shape)
        return grad, None, *(None,) * ctx.count


class MaxPoolBackward(Function):
    """Zeros to which each gradient is added at the place that its window took."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, indices: Tensor, shape: Any) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape = shape
        return Tensor(_core.max_pool_backward(shape, grad_output._array, indices._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return Take.apply(g, indices, ctx.shape), None, None


class Take(Function):
    """The elements at the places that a pooling took: 0 where it saw only padding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, shape: Any) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.shape = shape
        return Tensor(_core.take_places(shape, x._array, indices._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return MaxPoolBackward.apply(g, indices, ctx.shape), None, None


def _largest(compute: Callable[..., Any], ndim: int, input: Any, args: Any, indices: bool) -> Any:
    """Pool, with the places of the maxima only if somebody asks for them."""
    x, indices = as_tensor(input, "input"), flag("return_indices", indices)
    if x._array.dtype.kind == "V":
        return in_float32(_largest, compute, ndim, x, args, indices)
    if indices or (x.requires_grad and is_grad_enabled()):
        output, places = MaxPool.apply(x, compute, ndim, x._array, *args)
        return (output, places) if indices else output
    return Tensor(compute(ndim, x._array, *args, False)[0])


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window of a sequence; see `max_pool2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, W) or (C, W)
        float32 or float64.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool2d`, for 1 dimension.

    Returns
    -------
    Tensor of shape (N, C, Q) or (C, Q)
        With `return_indices`, a pair of it and the places, as in `max_pool2d`.

    Raises
    ------
    ValueError, TypeError
        As `max_pool2d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.max_pool1d([[1.0, 5.0, 2.0, 3.0]], 2)
    tensor([[5., 3.]])
    """
    args = kernel_size, stride, padding, dilation, ceil_mode
    return _largest(_core.max_pool, 1, input, args, return_indices)


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
        Also take a last window that reaches beyond the end, if it starts before the end.
    return_indices : bool
        Also return where each largest element lies.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)
        With ``P = (H + 2 * padding - dilation * (R - 1) - 1) // stride + 1`` for a window of R
        rows, and Q likewise. With `return_indices`, a pair of it and an int64 Tensor of the same
        shape: the place in the flattened H x W image. The first of equal elements is taken; NaN is
        larger than all.

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
    args = kernel_size, stride, padding, dilation, ceil_mode
    return _largest(_core.max_pool, 2, input, args, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest element of each window of a volume; see `max_pool2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in `max_pool2d`, for 3 dimensions.

    Returns
    -------
    Tensor of shape (N, C, O, P, Q) or (C, O, P, Q)
        With `return_indices`, a pair of it and the places, as in `max_pool2d`.

    Raises
    ------
    ValueError, TypeError
        As `max_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.max_pool3d(pyconv.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    args = kernel_size, stride, padding, dilation, ceil_mode
    return _largest(_core.max_pool, 3, input, args, return_indices)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Take the largest element of each of as many bins as asked for; see `adaptive_avg_pool1d`.

    Parameters
    ----------
    input : array_like of shape (N, C, W) or (C, W)
        float32 or float64.
    output_size : int
        Bins along each dimension; None keeps the size.
    return_indices : bool
        Also return where each largest element lies, as in `max_pool1d`.

    Returns
    -------
    Tensor of shape (N, C, Q) or (C, Q)
        With `return_indices`, a pair of it and the places.

    Raises
    ------
    ValueError, TypeError
        As `adaptive_avg_pool1d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.adaptive_max_pool1d([[1.0, 5.0, 2.0]], 2)
    tensor([[5., 5.]])
    """
    return _largest(_core.adaptive_max_pool, 1, input, (output_size,), return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Take the largest element of each of as many bins as asked for; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    output_size : int or tuple of two
        Bins along each dimension; None keeps the size.
    return_indices : bool
        Also return where each largest element lies, as in `max_pool2d`.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)
        With `return_indices`, a pair of it and the places.

    Raises
    ------
    ValueError, TypeError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.adaptive_max_pool2d(pyconv.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[[4., 5.]]])
    """
    return _largest(_core.adaptive_max_pool, 2, input, (output_size,), return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Take the largest element of each of as many bins as asked for; see `adaptive_avg_pool3d`.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    output_size : int or tuple of three
        Bins along each dimension; None keeps the size.
    return_indices : bool
        Also return where each largest element lies, as in `max_pool3d`.

    Returns
    -------
    Tensor of shape (N, C, O, P, Q) or (C, O, P, Q)
        With `return_indices`, a pair of it and the places.

    Raises
    ------
    ValueError, TypeError
        As `adaptive_avg_pool3d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.adaptive_max_pool3d(pyconv.arange(8.0).reshape(1, 2, 2, 2), (1, None, 1))
    tensor([[[[5.],
              [7.]]]])
    """
    return _largest(_core.adaptive_max_pool, 3, input, (output_size,), return_indices)
