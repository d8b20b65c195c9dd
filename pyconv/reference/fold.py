"""Windows of images as columns (*im2col*), and columns added up in images, its adjoint (*col2im*).

For a fixed offset of the window the elements that all its places see are a strided slice of the
padded image, as in conv.py. `unfold` copies each of these slices to a row; `fold` adds each row to
its slice. So one is the other's gradient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyconv.reference.conv import Array, Ints, _offsets, _output_size, _tuple


def unfold(
    input: ArrayLike, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Array:
    """Take every window as a column.

    Parameters
    ----------
    input : array of shape (N, C, H, W) or (C, H, W)
    kernel_size, dilation, padding, stride : int or two ints

    Returns
    -------
    array of shape (N, C * R * S, P * Q) or (C * R * S, P * Q)
        For a window of R x S with P x Q places.

    Examples
    --------
    >>> unfold([[[1, 2, 3]]], (1, 2))
    array([[1., 2.],
           [2., 3.]])
    """
    image, kernel = np.asarray(input, float), _tuple(kernel_size, 2)
    sides = [(n, n) for n in _tuple(padding, 2)]
    padded = np.pad(image, [(0, 0)] * (image.ndim - 2) + sides)
    size = _output_size(padded.shape[-2:], kernel, stride, dilation)
    columns = np.empty((*image.shape[:-2], *kernel, *size))
    for offset, window in _offsets(kernel, size, stride, dilation):
        columns[(..., *offset[1:], slice(None), slice(None))] = padded[window]
    rows = image.shape[-3] * int(np.prod(kernel))
    return columns.reshape(*image.shape[:-3], rows, int(np.prod(size)))


def unfold_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Gradient of `unfold` with respect to input.

    Examples
    --------
    >>> unfold_backward([[1, 1], [1, 1]], [[[1, 2, 3]]], (1, 2))
    array([[[1., 2., 1.]]])
    """
    height, width = np.shape(input)[-2:]
    return fold(grad_output, (height, width), kernel_size, dilation, padding, stride)


def fold(
    input: ArrayLike,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Add columns up where their windows are.

    Parameters
    ----------
    input : array of shape (N, C * R * S, P * Q) or (C * R * S, P * Q)
    output_size, kernel_size, dilation, padding, stride : int or two ints

    Returns
    -------
    array of shape (N, C, H, W) or (C, H, W)
        With H x W the `output_size`.

    Examples
    --------
    >>> fold([[1, 2], [2, 3]], (1, 3), (1, 2))
    array([[[1., 4., 3.]]])
    """
    columns, kernel = np.asarray(input, float), _tuple(kernel_size, 2)
    height, width = _tuple(output_size, 2)
    top, left = _tuple(padding, 2)
    full = height + 2 * top, width + 2 * left
    size = _output_size(full, kernel, stride, dilation)
    channels = columns.shape[-2] // int(np.prod(kernel))
    columns = columns.reshape(*columns.shape[:-2], channels, *kernel, *size)
    padded = np.zeros((*columns.shape[:-4], *full))
    for offset, window in _offsets(kernel, size, stride, dilation):
        padded[window] += columns[(..., *offset[1:], slice(None), slice(None))]
    return padded[..., top : top + height, left : left + width]


def fold_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Gradient of `fold` with respect to input.

    Examples
    --------
    >>> fold_backward([[[1, 2, 3]]], [[0, 0], [0, 0]], (1, 3), (1, 2))
    array([[1., 2.],
           [2., 3.]])
    """
    return unfold(grad_output, kernel_size, dilation, padding, stride)
