"""Transposed convolution: the gradient of a convolution with respect to its input.

A convolution reads, for each output, a window of the input. The transposed one writes: each input
adds the kernel, times its value, to a window of the output. With stride ``s``, dilation ``d`` and
one group, in two dimensions,

    padded[n, k, p*s + r*d, q*s + t*d] += weight[c, k, r, t] * input[n, c, p, q]
    for all c, p, q, r, t

and the output is what is left of ``padded`` when `padding` rows and columns are cut off each side.
The windows of one kernel offset ``(r, t)`` are a strided slice, as in conv.py:

    padded[window of the offset] += weight[offset].T @ input

Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285, chapter
4; the name "deconvolution" is from Zeiler et al., *Deconvolutional networks*, CVPR 2010.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyconv.reference.conv import (
    Array,
    Index,
    Ints,
    _offsets,
    _per_channel,
    _split_groups,
    _tuple,
)


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Enlarge sequences by windows that add up; see `conv_transpose2d`.

    Parameters
    ----------
    input : array of shape (N, C, L) or (C, L)
    weight : array of shape (C, K / groups, R)

    Examples
    --------
    >>> conv_transpose1d([[1, 2]], [[[1, 10, 100]]], stride=2)
    array([[  1.,  10., 102.,  20., 200.]])
    """
    options = stride, padding, output_padding, groups, dilation
    return _conv_transpose(input, weight, bias, *options)


def conv_transpose1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv_transpose1d` with respect to input, weight and bias, in this order.

    Examples
    --------
    >>> conv_transpose1d_backward([[1, 0, 0]], [[3, 4]], [[[5, 6]]])[0]
    array([[5., 0.]])
    """
    return _conv_transpose_backward(grad_output, input, weight, stride, padding, groups, dilation)


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Enlarge images by windows that add up: the adjoint of `conv2d`.

    Parameters
    ----------
    input : array of shape (N, C, H, W) or (C, H, W)
    weight : array of shape (C, K / groups, R, S)
    bias : array of shape (K,), optional
    stride, dilation : int or two ints
    padding : int or two ints
        Rows and columns cut off each side of the output.
    output_padding : int or two ints
        Rows and columns more at the end of the output.
    groups : int
        As in `conv2d`.

    Returns
    -------
    array of shape (N, K, P, Q) or (K, P, Q)
        With ``P = (H - 1) * stride - 2 * padding + dilation * (R - 1) + output_padding + 1``.

    Examples
    --------
    >>> conv_transpose2d([[[1, 1]]], [[[[1, 2], [3, 4]]]])
    array([[[1., 3., 2.],
            [3., 7., 4.]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return _conv_transpose(input, weight, bias, *options)


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv_transpose2d` with respect to input, weight and bias, in this order.

    Parameters
    ----------
    grad_output : array of the shape of the output, (N, K, P, Q) or (K, P, Q)

    Returns
    -------
    grad_input, grad_weight, grad_bias : arrays of the shapes of input, weight and bias

    Examples
    --------
    >>> conv_transpose2d_backward([[[1, 0, 0], [0, 0, 1]]], [[[1, 1]]], [[[[1, 2], [3, 4]]]])[0]
    array([[[1., 4.]]])
    """
    return _conv_transpose_backward(grad_output, input, weight, stride, padding, groups, dilation)


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """Enlarge volumes by windows that add up; see `conv_transpose2d`.

    Parameters
    ----------
    input : array of shape (N, C, D, H, W) or (C, D, H, W)
    weight : array of shape (C, K / groups, Q, R, S)

    Examples
    --------
    >>> conv_transpose3d([[[[2]]]], np.ones((1, 1, 1, 1, 2)))
    array([[[[2., 2.]]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return _conv_transpose(input, weight, bias, *options)


def conv_transpose3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `conv_transpose3d` with respect to input, weight and bias, in this order.

    Examples
    --------
    >>> conv_transpose3d_backward([[[[1, 5]]]], [[[[2]]]], np.ones((1, 1, 1, 1, 2)))[0]
    array([[[[6.]]]])
    """
    return _conv_transpose_backward(grad_output, input, weight, stride, padding, groups, dilation)


def _conv_transpose(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Array:
    image, kernel = np.asarray(input, float), np.asarray(weight, float)
    if image.ndim == kernel.ndim - 1:
        options = stride, padding, output_padding, groups, dilation
        return np.squeeze(_conv_transpose(image[None], weight, bias, *options), axis=0)

    filters = _split_groups(kernel, 0, groups)  # (G, C/G, K/G, ...)
    size, rank = image.shape[2:], kernel.ndim - 2
    columns = image.reshape(len(image), groups, filters.shape[1], int(np.prod(size)))
    steps, spread, extra = (_tuple(v, rank) for v in (stride, dilation, output_padding))
    full = [
        (n - 1) * s + d * (r - 1) + 1 + more
        for n, s, d, r, more in zip(size, steps, spread, kernel.shape[2:], extra)
    ]
    windows = np.zeros((len(image), groups, filters.shape[2], *full))  # (N, G, K/G, ...)
    for offset, window in _offsets(kernel.shape[2:], size, stride, dilation):
        slab = windows[window]
        slab += (filters[offset].swapaxes(-1, -2) @ columns).reshape(slab.shape)

    output = windows.reshape(len(image), groups * filters.shape[2], *full)[_inside(padding, full)]
    if bias is not None:
        output = output + _per_channel(bias, output.ndim)
    return output


def _conv_transpose_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Ints,
    padding: Ints,
    groups: int,
    dilation: Ints,
) -> tuple[Array, Array, Array]:
    grad, image, kernel = (np.asarray(a, float) for a in (grad_output, input, weight))
    if image.ndim == kernel.ndim - 1:
        options = stride, padding, groups, dilation
        gradients = _conv_transpose_backward(grad[None], image[None], weight, *options)
        return gradients[0][0], gradients[1], gradients[2]

    filters = _split_groups(kernel, 0, groups)
    size, rank = image.shape[2:], kernel.ndim - 2
    columns = image.reshape(len(image), groups, filters.shape[1], int(np.prod(size)))
    widths = [(0, 0), (0, 0), *((p, p) for p in _tuple(padding, rank))]
    windows = _split_groups(np.pad(grad, widths), 1, groups)
    pixels = (len(image), groups, filters.shape[2], columns.shape[-1])

    grad_columns, grad_filters = np.zeros_like(columns), np.zeros_like(filters)
    for offset, window in _offsets(kernel.shape[2:], size, stride, dilation):
        slab = windows[window].reshape(pixels)
        grad_columns += filters[offset] @ slab
        grad_filters[offset] = (columns @ slab.swapaxes(-1, -2)).sum(axis=0)

    grad_bias = grad.sum(axis=(0, *range(2, grad.ndim)))
    return grad_columns.reshape(image.shape), grad_filters.reshape(kernel.shape), grad_bias


def _inside(padding: Ints, size: list[int]) -> Index:
    """Index what is left when the padding is cut off each side."""
    return (..., *(slice(p, n - p) for p, n in zip(_tuple(padding, len(size)), size)))
