"""Convolution, as a sum over the offsets of the kernel.

Deep learning's convolution is a cross-correlation: the kernel is not flipped. With stride ``s``,
dilation ``d`` and the input padded by zeros, one group in two dimensions is

    output[n, k, p, q] = bias[k]
        + sum_{c, r, t} weight[k, c, r, t] * padded[n, c, p*s + r*d, q*s + t*d]

For a fixed offset ``(r, t)`` the terms that all outputs need from the input are a strided slice of
it, the *window* of that offset, and the sum over channels is a matrix product. So a convolution is

    output = bias + sum over offsets of  weight[offset] @ window[offset]

and nothing below depends on the number of dimensions. The gradients follow from the same line, as
for any matrix product: with respect to the window, ``weight[offset].T @ grad_output``; with respect
to the weight, ``grad_output @ window[offset].T``.

Sizes and padding are explained in Dumoulin & Visin, *A guide to convolution arithmetic for deep
learning*, arXiv:1603.07285; the operation and its gradient in Prince, *Understanding Deep
Learning*, chapter 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ints = int | tuple[int, ...]
Index = tuple[Any, ...]


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve sequences; see `conv2d`.

    Parameters
    ----------
    input : array of shape (N, C, L) or (C, L)
    weight : array of shape (K, C / groups, R)

    Examples
    --------
    >>> conv1d([[0, 0, 1, 1]], [[[-1, 1]]])
    array([[0., 1., 0.]])
    """
    return _conv(input, weight, bias, stride, padding, dilation, groups)


def conv1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv1d` with respect to input, weight and bias, in this order.

    Examples
    --------
    >>> conv1d_backward([[1, 0, 0]], [[0, 0, 1, 1]], [[[-1, 1]]])[0]
    array([[-1.,  1.,  0.,  0.]])
    """
    return _conv_backward(grad_output, input, weight, stride, padding, dilation, groups)


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve images with kernels.

    Parameters
    ----------
    input : array of shape (N, C, H, W) or (C, H, W)
    weight : array of shape (K, C / groups, R, S)
    bias : array of shape (K,), optional
    stride, dilation : int or two ints
    padding : int, two ints, "valid" (none) or "same" (output as large as the input, stride 1)
    groups : int
        Channels are split into this many groups, convolved independently: output channel ``k``
        sees the input channels of group ``k // (K / groups)`` alone.

    Returns
    -------
    array of shape (N, K, P, Q) or (K, P, Q)
        With ``P = (H + padding before and after - dilation * (R - 1) - 1) // stride + 1``.

    Examples
    --------
    >>> conv2d([[[0, 0, 1, 1]]], [[[[-1, 1]]]])
    array([[[0., 1., 0.]]])
    """
    return _conv(input, weight, bias, stride, padding, dilation, groups)


def conv2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv2d` with respect to input, weight and bias, in this order.

    Parameters
    ----------
    grad_output : array of the shape of the output, (N, K, P, Q) or (K, P, Q)

    Returns
    -------
    grad_input, grad_weight, grad_bias : arrays of the shapes of input, weight and bias

    Examples
    --------
    >>> grad_input, grad_weight, grad_bias = conv2d_backward(
    ...     [[[1, 0, 0]]], [[[0, 0, 1, 1]]], [[[[-1, 1]]]])
    >>> grad_input
    array([[[-1.,  1.,  0.,  0.]]])
    """
    return _conv_backward(grad_output, input, weight, stride, padding, dilation, groups)


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """Convolve volumes; see `conv2d`.

    Parameters
    ----------
    input : array of shape (N, C, D, H, W) or (C, D, H, W)
    weight : array of shape (K, C / groups, Q, R, S)

    Examples
    --------
    >>> conv3d(np.ones((1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)))
    array([[[[8.]]]])
    """
    return _conv(input, weight, bias, stride, padding, dilation, groups)


def conv3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv3d` with respect to input, weight and bias, in this order.

    Examples
    --------
    >>> conv3d_backward([[[[2]]]], np.ones((1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)))[2]
    array([2.])
    """
    return _conv_backward(grad_output, input, weight, stride, padding, dilation, groups)


def conv2d_im2col(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> NDArray[Any]:
    """Compute `conv2d` the fast way in NumPy: all windows as one matrix, then one product.

    A strided view shows each window without a copy. Laid out as a matrix of C*R*S rows and P*Q
    columns (*im2col*: Chellapilla, Puri & Simard, *High performance convolutional neural networks
    for document processing*, 2006) it leaves the whole sum to the BLAS. The matrix holds each
    number of the input up to R*S times. Computes in, and returns, the type of the input.

    Examples
    --------
    >>> conv2d_im2col(np.float32([[[0, 0, 1, 1]]]), np.float32([[[[-1, 1]]]]))
    array([[[0., 1., 0.]]], dtype=float32)
    """
    image, kernel = np.asarray(input), np.asarray(weight)
    if image.ndim == kernel.ndim - 1:
        image = image[None]
        return np.squeeze(
            conv2d_im2col(image, weight, bias, stride, padding, dilation, groups),
            axis=0,
        )

    rank = kernel.ndim - 2
    widths = _pad_widths(kernel.shape[2:], padding, dilation)
    if any(before or after for before, after in widths):
        image = np.pad(image, widths)
    extent = [d * (n - 1) + 1 for d, n in zip(_tuple(dilation, rank), kernel.shape[2:])]
    axes = tuple(range(2, image.ndim))
    every = np.lib.stride_tricks.sliding_window_view(image, extent, axes)  # (N, C, P, Q, R, S)
    steps: Index = tuple(
        slice(None, None, step) for step in _tuple(stride, rank) + _tuple(dilation, rank)
    )
    views = every[(..., *steps)]
    size = views.shape[2 : 2 + rank]

    views = np.moveaxis(views, axes, range(-rank, 0))  # (N, C, R, S, P, Q)
    filters = kernel.reshape(groups, len(kernel) // groups, -1)
    columns = views.reshape(len(image), groups, filters.shape[2], int(np.prod(size)))
    output: NDArray[Any] = (filters @ columns).reshape(len(image), len(kernel), *size)
    if bias is not None:
        output += _per_channel(bias, output.ndim)
    return output


def _conv(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Array:
    image, kernel = np.asarray(input, float), np.asarray(weight, float)
    if image.ndim == kernel.ndim - 1:
        image = image[None]
        return np.squeeze(_conv(image, weight, bias, stride, padding, dilation, groups), axis=0)

    padded = np.pad(image, _pad_widths(kernel.shape[2:], padding, dilation))
    windows = _split_groups(padded, 1, groups)  # (N, G, C/G, ...)
    filters = _split_groups(kernel, 0, groups)  # (G, K/G, C/G, ...)
    size = _output_size(padded.shape[2:], kernel.shape[2:], stride, dilation)
    columns = (len(image), groups, filters.shape[2], int(np.prod(size)))

    output = np.zeros((len(image), groups, filters.shape[1], columns[-1]))
    for offset, window in _offsets(kernel.shape[2:], size, stride, dilation):
        output += filters[offset] @ windows[window].reshape(columns)
    output = output.reshape(len(image), len(kernel), *size)
    if bias is not None:
        output += _per_channel(bias, output.ndim)
    return output


def _conv_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> tuple[Array, Array, Array]:
    grad, image, kernel = (np.asarray(a, float) for a in (grad_output, input, weight))
    if image.ndim == kernel.ndim - 1:
        gradients = _conv_backward(
            grad[None], image[None], weight, stride, padding, dilation, groups
        )
        return gradients[0][0], gradients[1], gradients[2]

    widths = _pad_widths(kernel.shape[2:], padding, dilation)
    windows = _split_groups(np.pad(image, widths), 1, groups)
    filters = _split_groups(kernel, 0, groups)
    size = grad.shape[2:]
    columns = (len(image), groups, filters.shape[2], int(np.prod(size)))
    flat_grad = grad.reshape(len(image), groups, filters.shape[1], columns[-1])

    grad_windows, grad_filters = np.zeros_like(windows), np.zeros_like(filters)
    for offset, window in _offsets(kernel.shape[2:], size, stride, dilation):
        slab = windows[window]
        products = flat_grad @ slab.reshape(columns).swapaxes(-1, -2)
        grad_filters[offset] = products.sum(axis=0)
        grad_slab = filters[offset].swapaxes(-1, -2) @ flat_grad
        grad_windows[window] += grad_slab.reshape(slab.shape)

    inside: Index = tuple(slice(low, low + n) for (low, _), n in zip(widths[2:], image.shape[2:]))
    grad_input = grad_windows[(..., *inside)].reshape(image.shape)
    grad_bias = grad.sum(axis=(0, *range(2, grad.ndim)))
    return grad_input, grad_filters.reshape(kernel.shape), grad_bias


def _tuple(value: Any, rank: int) -> tuple[Any, ...]:
    """Repeat one number, alone or in a sequence, for each spatial axis."""
    each = tuple(value) if np.ndim(value) else (value,)
    return each * rank if len(each) == 1 else each


def _pad_widths(
    kernel: tuple[int, ...], padding: Ints | str, dilation: Ints
) -> list[tuple[int, int]]:
    """Zeros before and after each axis of (N, C, spatial...), for `numpy.pad`.

    "same" needs dilation * (kernel - 1) zeros; if that is odd, the odd one goes at the end.
    """
    rank = len(kernel)
    if padding == "same":
        total = [d * (n - 1) for d, n in zip(_tuple(dilation, rank), kernel)]
        return [(0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)]
    each = _tuple(0 if isinstance(padding, str) else padding, rank)
    return [(0, 0), (0, 0), *((p, p) for p in each)]


def _output_size(
    padded: tuple[int, ...], kernel: tuple[int, ...], stride: Ints, dilation: Ints
) -> tuple[int, ...]:
    """How many positions the kernel has along each axis of the padded input."""
    steps, spread = _tuple(stride, len(kernel)), _tuple(dilation, len(kernel))
    return tuple(
        (m - d * (n - 1) - 1) // s + 1 for m, n, s, d in zip(padded, kernel, steps, spread)
    )


def _offsets(
    kernel: tuple[int, ...], output: tuple[int, ...], stride: Ints, dilation: Ints
) -> Iterator[tuple[Index, Index]]:
    """Yield, for each offset of the kernel, its index and the index of the inputs it meets."""
    steps, spread = _tuple(stride, len(kernel)), _tuple(dilation, len(kernel))
    for offset in np.ndindex(*kernel):
        starts = [r * d for r, d in zip(offset, spread)]
        ends = [start + s * (p - 1) + 1 for start, s, p in zip(starts, steps, output)]
        yield (
            (..., *offset),
            (..., *(slice(*bounds) for bounds in zip(starts, ends, steps))),
        )


def _split_groups(array: Array, axis: int, groups: int) -> Array:
    """Reshape so that the channels at ``axis`` become (groups, channels / groups)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _per_channel(bias: ArrayLike, ndim: int) -> NDArray[Any]:
    """Reshape a bias (K,) to (K, 1, 1), so that it broadcasts over (N, K, P, Q)."""
    values: NDArray[Any] = np.asarray(bias)
    return values.reshape((-1,) + (1,) * (ndim - 2))
