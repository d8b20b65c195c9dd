"""Adaptive max pooling, and the partial inverse of max pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconv.reference.avg_pool import Ints, Sizes, _bins_of_each
from pyconv.reference.conv import _tuple
from pyconv.reference.pool import Array, Indices, _scatter


def adaptive_max_pool1d(
    input: ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each bin; see `adaptive_avg_pool1d`.

    Examples
    --------
    >>> adaptive_max_pool1d([[1, 5, 2]], 2)
    array([[5., 5.]])
    """
    result = _largest_of_bins(1, input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool1d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_max_pool1d`, which goes to the maxima.

    Examples
    --------
    >>> adaptive_max_pool1d_backward([[1, 10]], [[1, 5, 2]], 2)
    array([[ 0., 11.,  0.]])
    """
    _, indices = _largest_of_bins(1, input, output_size)
    return _scatter(1, grad_output, indices, np.shape(input), add=True)


def adaptive_max_pool2d(
    input: ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each bin; see `adaptive_avg_pool2d`.

    Examples
    --------
    >>> adaptive_max_pool2d([[[1, 5, 2]]], (1, 2))
    array([[[5., 5.]]])
    """
    result = _largest_of_bins(2, input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool2d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_max_pool2d`, which goes to the maxima.

    Examples
    --------
    >>> adaptive_max_pool2d_backward([[[1, 10]]], [[[1, 5, 2]]], (1, 2))
    array([[[ 0., 11.,  0.]]])
    """
    _, indices = _largest_of_bins(2, input, output_size)
    return _scatter(2, grad_output, indices, np.shape(input), add=True)


def adaptive_max_pool3d(
    input: ArrayLike, output_size: Sizes, return_indices: bool = False
) -> Array | tuple[Array, Indices]:
    """Take the largest value of each bin; see `adaptive_avg_pool3d`.

    Examples
    --------
    >>> adaptive_max_pool3d([[[[1, 5, 2]]]], (1, 1, 2))
    array([[[[5., 5.]]]])
    """
    result = _largest_of_bins(3, input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool3d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_max_pool3d`, which goes to the maxima.

    Examples
    --------
    >>> adaptive_max_pool3d_backward([[[[1, 10]]]], [[[[1, 5, 2]]]], (1, 1, 2))
    array([[[[ 0., 11.,  0.]]]])
    """
    _, indices = _largest_of_bins(3, input, output_size)
    return _scatter(3, grad_output, indices, np.shape(input), add=True)


def max_unpool1d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put values where `max_pool1d` found them, the last of several; zeros elsewhere.

    Examples
    --------
    >>> max_unpool1d([[5, 3]], [[1, 3]], 2)
    array([[0., 5., 0., 3.]])
    """
    shape = _unpooled_shape(1, np.shape(input), kernel_size, stride, padding, output_size)
    return _scatter(1, input, indices, shape, add=False)


def max_unpool1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Gradient of `max_unpool1d`: what stands at the places.

    Examples
    --------
    >>> max_unpool1d_backward([[1, 2, 3, 4]], [[5, 3]], [[1, 3]], 2)
    array([[2., 4.]])
    """
    places, grad = np.asarray(indices), np.asarray(grad_output, float)
    grad_input = np.empty(places.shape)
    for plane in np.ndindex(*places.shape[:-1]):
        grad_input[plane] = grad[plane].ravel()[places[plane]]
    return grad_input


def max_unpool2d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put values where `max_pool2d` found them, the last of several; zeros elsewhere.

    Examples
    --------
    >>> max_unpool2d([[[5, 3]]], [[[1, 3]]], (1, 2))
    array([[[0., 5., 0., 3.]]])
    """
    shape = _unpooled_shape(2, np.shape(input), kernel_size, stride, padding, output_size)
    return _scatter(2, input, indices, shape, add=False)


def max_unpool2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Gradient of `max_unpool2d`: what stands at the places.

    Examples
    --------
    >>> max_unpool2d_backward([[[1, 2, 3, 4]]], [[[5, 3]]], [[[1, 3]]], (1, 2))
    array([[[2., 4.]]])
    """
    places, grad = np.asarray(indices), np.asarray(grad_output, float)
    grad_input = np.empty(places.shape)
    for plane in np.ndindex(*places.shape[:-2]):
        grad_input[plane] = grad[plane].ravel()[places[plane]]
    return grad_input


def max_unpool3d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put values where `max_pool3d` found them, the last of several; zeros elsewhere.

    Examples
    --------
    >>> max_unpool3d([[[[5, 3]]]], [[[[1, 3]]]], (1, 1, 2))
    array([[[[0., 5., 0., 3.]]]])
    """
    shape = _unpooled_shape(3, np.shape(input), kernel_size, stride, padding, output_size)
    return _scatter(3, input, indices, shape, add=False)


def max_unpool3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Gradient of `max_unpool3d`: what stands at the places.

    Examples
    --------
    >>> max_unpool3d_backward([[[[1, 2, 3, 4]]]], [[[[5, 3]]]], [[[[1, 3]]]], (1, 1, 2))
    array([[[[2., 4.]]]])
    """
    places, grad = np.asarray(indices), np.asarray(grad_output, float)
    grad_input = np.empty(places.shape)
    for plane in np.ndindex(*places.shape[:-3]):
        grad_input[plane] = grad[plane].ravel()[places[plane]]
    return grad_input


def _largest_of_bins(ndim: int, input: ArrayLike, output_size: Sizes) -> tuple[Array, Indices]:
    image = np.asarray(input, float)
    lead, plane = image.shape[:-ndim], image.shape[-ndim:]
    places = np.arange(np.prod(plane)).reshape(plane)
    bins = _bins_of_each(plane, output_size)
    output = np.empty((*lead, *map(len, bins)))
    indices = np.empty(output.shape, int)
    at: Any
    for at in np.ndindex(*output.shape[len(lead) :]):
        window: Any = (..., *(slice(*bins[axis][i]) for axis, i in enumerate(at)))
        values = image[window].reshape(*lead, places[window].size)
        # NumPy's argmax takes the first NaN, PyTorch the last.
        last = values.shape[-1] - 1 - np.isnan(values)[..., ::-1].argmax(-1)
        best: Any = np.where(np.isnan(values).any(-1), last, values.argmax(-1))
        output[(..., *at)] = np.take_along_axis(values, best[..., None], -1)[..., 0]
        indices[(..., *at)] = places[window].ravel()[best]
    return output, indices


def _unpooled_shape(
    ndim: int,
    shape: tuple[int, ...],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: tuple[int, ...] | None,
) -> tuple[int, ...]:
    lead, size = shape[:-ndim], shape[-ndim:]
    if output_size is not None:
        return (*lead, *_tuple(output_size, ndim)[-ndim:])
    kernel, steps = _tuple(kernel_size, ndim), _tuple(stride or kernel_size, ndim)
    sizes = zip(size, steps, kernel, _tuple(padding, ndim))
    return (*lead, *((n - 1) * s + k - 2 * p for n, s, k, p in sizes))
