"""Convolution: the three directions as functions, each the derivative of the other two.

A transposed convolution is the same: only its kernel, the first entry of its `Config`, differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .reduce import Sum

# The kernel, ndim, and the arguments after the arrays: one argument of apply instead of seven.
Config = tuple[Callable[..., Any], int, tuple[Any, ...]]


def sum_but_channels(images: Tensor, ndim: int) -> Tensor:
    """Sum over the batch, if there is one, and `ndim` spatial dimensions: a bias's gradient."""
    total = images.ndim
    dims = tuple([i for i in range(total) if i != total - ndim - 1])
    return Sum.apply(images, dims, False)


class Conv(Function):
    """The output from input, weight and bias."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, config: Config
    ) -> Tensor:
        kernel, ndim, options = config
        b = None if bias is None else bias._array
        output, ctx.shape = kernel(ndim, input._array, weight._array, b, *options)
        ctx.config = config
        need = ctx.needs_input_grad
        if any(need):
            ctx.save_for_backward(input if need[1] else None, weight if need[0] else None)
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        input, weight = ctx.saved_tensors
        need = ctx.needs_input_grad
        shape, config = ctx.shape, ctx.config
        return (
            ConvBackwardInput.apply(grad_output, weight, shape, config) if need[0] else None,
            ConvBackwardWeight.apply(grad_output, input, shape, config) if need[1] else None,
            sum_but_channels(grad_output, config[1]) if need[2] else None,
            None,
        )


class ConvBackwardInput(Function):
    """The gradient of the input from those of the output, and the weight."""

    @staticmethod
    def forward(
        ctx: Any, grad_output: Tensor, weight: Tensor, shape: Any, config: Config
    ) -> Tensor:
        ctx.save_for_backward(grad_output, weight)
        ctx.shape, ctx.config = shape, config
        return Tensor(_core.conv_backward_input(shape, grad_output._array, weight._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        grad_output, weight = ctx.saved_tensors
        need = ctx.needs_input_grad
        shape, config = ctx.shape, ctx.config
        return (
            Conv.apply(g, weight, None, config) if need[0] else None,
            ConvBackwardWeight.apply(grad_output, g, shape, config) if need[1] else None,
            None,
            None,
        )


class ConvBackwardWeight(Function):
    """The gradient of the weight from those of the output, and the input."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, input: Tensor, shape: Any, config: Config) -> Tensor:
        ctx.save_for_backward(grad_output, input)
        ctx.shape, ctx.config = shape, config
        return Tensor(_core.conv_backward_weight(shape, grad_output._array, input._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        grad_output, input = ctx.saved_tensors
        need = ctx.needs_input_grad
        shape, config = ctx.shape, ctx.config
        return (
            Conv.apply(input, g, None, config) if need[0] else None,
            ConvBackwardInput.apply(grad_output, g, shape, config) if need[1] else None,
            None,
            None,
        )


def convolve(
    kernel: Callable[..., Any],
    ndim: int,
    input: Any,
    weight: Any,
    bias: Any,
    options: tuple[Any, ...],
) -> Tensor:
    """Make Tensors of the arguments of a public function below or in conv_transpose.py."""
    return Conv.apply(
        as_tensor(input, "input"),
        as_tensor(weight, "weight"),
        None if bias is None else as_tensor(bias, "bias"),
        (kernel, ndim, options),
    )


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a window along sequences and take a weighted sum at each place; see `conv2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, L) or (C, L)
        A batch of sequences with C channels, or one; float32 or float64.
    weight : array_like of shape (K, C / groups, R)
        The filters.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups
        As in `conv2d`, for one dimension.

    Returns
    -------
    Tensor of shape (N, K, P) or (K, P)
        With ``P = (L + 2 * padding - dilation * (R - 1) - 1) // stride + 1``.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.conv1d([[1.0, 2.0, 4.0, 8.0]], [[[-1.0, 1.0]]])
    tensor([[1., 2., 4.]])
    """
    options = stride, padding, dilation, groups
    return convolve(_core.conv_forward, 1, input, weight, bias, options)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a window over images and take a weighted sum at each place.

    ``output[n, k, p, q] = bias[k] + sum over c, r, s of weight[k, c, r, s] *
    input[n, c, stride * p - padding + dilation * r, stride * q - padding + dilation * s]``:
    mathematically a cross-correlation, as usual in this field.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        A batch of images with C channels, or one image; float32 or float64.
    weight : array_like of shape (K, C / groups, R, S)
        The filters.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride : int or tuple of two
        Step of the window.
    padding : int, tuple of two, "same" or "valid"
        Zeros around the image; "same" keeps its size (at stride 1), "valid" adds none.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    groups : int
        Channels are split into this many groups that do not mix; C of them is depthwise.

    Returns
    -------
    Tensor of shape (N, K, P, Q) or (K, P, Q)
        With ``P = (H + 2 * padding - dilation * (R - 1) - 1) // stride + 1``, and Q likewise.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If dtypes differ or are not supported, or an argument has the wrong type.

    References
    ----------
    Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> image, filters = pyconv.ones(1, 1, 3, 3), pyconv.ones(1, 1, 2, 2)
    >>> F.conv2d(image, filters)
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    options = stride, padding, dilation, groups
    return convolve(_core.conv_forward, 2, input, weight, bias, options)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a window through volumes and take a weighted sum at each place; see `conv2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        A batch of volumes, or of films, with C channels, or one; float32 or float64.
    weight : array_like of shape (K, C / groups, Q, R, S)
        The filters.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride, padding, dilation, groups
        As in `conv2d`, for three dimensions.

    Returns
    -------
    Tensor of shape (N, K, D', H', W') or (K, D', H', W')
        With ``D' = (D + 2 * padding - dilation * (Q - 1) - 1) // stride + 1``, and so on.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.conv3d(pyconv.ones(1, 2, 2, 3), pyconv.ones(1, 1, 2, 2, 2))
    tensor([[[[8., 8.]]]])
    """
    options = stride, padding, dilation, groups
    return convolve(_core.conv_forward, 3, input, weight, bias, options)
