"""Max pooling: the largest element of each window.

Like a convolution (`pyconv.reference.conv`), with the maximum in place of the sum and a padding of
minus infinity, so that padding never wins:

    output[n, c, p, q] = max_{r, t} padded[n, c, p*s + r*d, q*s + t*d]

The gradient goes, whole, to the input that won. The first of equal values wins; a NaN wins over
every number, and the last NaN over the others, as in PyTorch. An adaptive pool has windows of its
own (`pyconv.reference.avg_pool`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconv.reference.avg_pool import Ints, _output_size
from pyconv.reference.conv import _offsets, _tuple

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def max_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each window; see `max_pool2d`.

    Parameters
    ----------
    input : array of shape (N, C, W) or (C, W)
    kernel_size, stride, padding, dilation : int
    ceil_mode, return_indices : bool

    Examples
    --------
    >>> max_pool1d([[1, 5, 2, 3]], 2)
    array([[5., 3.]])
    """
    result = _largest(1, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool1d`: each element of grad_output is added where its maximum stood.

    Examples
    --------
    >>> max_pool1d_backward([[1, 10]], [[1, 5, 2, 3]], 2)
    array([[ 0.,  1.,  0., 10.]])
    """
    _, indices = _largest(1, input, kernel_size, stride, padding, dilation, ceil_mode)
    return _scatter(1, grad_output, indices, np.shape(input), add=True)


def max_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each window.

    Parameters
    ----------
    input : array of shape (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding, dilation : int or two ints
        The stride is the kernel size if not given.
    ceil_mode : bool
        Also keep a last window that reaches over the end, if it starts in the input or in the
        padding before it.
    return_indices : bool
        Also return where in its plane of H*W values each maximum stood; -1 for a window that
        dilation leads past the input altogether, whose maximum is minus infinity.

    Returns
    -------
    output : array of shape (N, C, P, Q) or (C, P, Q)
    indices : array of int64 of the same shape, if asked for

    Examples
    --------
    >>> max_pool2d([[[1, 5, 2, 3]]], kernel_size=(1, 2))
    array([[[5., 3.]]])
    """
    result = _largest(2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool2d`: each element of grad_output is added where its maximum stood.

    Examples
    --------
    >>> max_pool2d_backward([[[1, 10]]], [[[1, 5, 2, 3]]], kernel_size=(1, 2))
    array([[[ 0.,  1.,  0., 10.]]])
    """
    _, indices = _largest(2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return _scatter(2, grad_output, indices, np.shape(input), add=True)


def max_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each window; see `max_pool2d`.

    Parameters
    ----------
    input : array of shape (N, C, D, H, W) or (C, D, H, W)
    kernel_size, stride, padding, dilation : int or three ints
    ceil_mode, return_indices : bool

    Examples
    --------
    >>> max_pool3d([[[[1, 5, 2, 3]]]], kernel_size=(1, 1, 2))
    array([[[[5., 3.]]]])
    """
    result = _largest(3, input, kernel_size, stride, padding, dilation, ceil_mode)
    return result if return_indices else result[0]


def max_pool3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `max_pool3d`: each element of grad_output is added where its maximum stood.

    Examples
    --------
    >>> max_pool3d_backward([[[[1, 10]]]], [[[[1, 5, 2, 3]]]], (1, 1, 2))
    array([[[[ 0.,  1.,  0., 10.]]]])
    """
    _, indices = _largest(3, input, kernel_size, stride, padding, dilation, ceil_mode)
    return _scatter(3, grad_output, indices, np.shape(input), add=True)


def _largest(
    ndim: int,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Array, Indices]:
    """Return the maximum of each window and its place in the plane."""
    image = np.asarray(input, float)
    lead, plane = image.shape[:-ndim], image.shape[-ndim:]
    kernel, steps = _tuple(kernel_size, ndim), _tuple(stride or kernel_size, ndim)
    before, spread = _tuple(padding, ndim), _tuple(dilation, ndim)
    size = _output_size(plane, kernel, steps, before, spread, ceil_mode)

    reach = [s * (p - 1) + d * (k - 1) + 1 for s, p, d, k in zip(steps, size, spread, kernel)]
    widths = [(b, max(0, r - b - n)) for b, r, n in zip(before, reach, plane)]
    padded = np.pad(image, [(0, 0)] * len(lead) + widths, constant_values=-np.inf)
    places = np.pad(np.arange(np.prod(plane)).reshape(plane), widths, constant_values=-1)

    output = np.full((*lead, *size), -np.inf)
    indices = np.full(output.shape, -1)
    for _, window in _offsets(kernel, size, steps, spread):
        value = padded[window]
        wins = (value > output) | np.isnan(value) | (indices < 0)
        output = np.where(wins, value, output)
        indices = np.where(wins, places[window], indices)
    return output, indices


def _scatter(
    ndim: int, values: ArrayLike, indices: Any, shape: tuple[int, ...], add: bool
) -> Array:
    """Put values at their places in planes of zeros."""
    from_planes, output = np.asarray(values, float), np.zeros(shape)
    for plane in np.ndindex(*shape[:-ndim]):
        for place, value in zip(np.asarray(indices)[plane].flat, from_planes[plane].flat):
            if place >= 0:
                output[plane].flat[place] = value + (output[plane].flat[place] if add else 0)
    return output
