"""Average pooling: the mean of each window, and powers of it.

    output[n, c, p, q] = sum over the window of input[n, c, h, w] / divisor

The windows along one axis do not depend on the other axes, and neither do what a window holds
within the padded input (its divisor with padding counted) and within the input. Bin i of n of an
adaptive pool covers an axis of w elements from floor(i w / n) to ceil((i + 1) w / n).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconv.reference.conv import _tuple

Array = NDArray[np.float64]
Ints = int | tuple[int, ...]
Sizes = int | None | tuple[int | None, ...]
Key = tuple[Any, ...]


def avg_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window.

    Parameters
    ----------
    input : array of shape (N, C, W) or (C, W)
    kernel_size, stride, padding : int
        The stride is the kernel size if not given.
    ceil_mode : bool
        Also keep a last window that reaches over the end, if it starts before it.
    count_include_pad : bool
        Whether zeros of the padding count; what is beyond the padding never does.
    divisor_override : int
        What to divide by instead.

    Examples
    --------
    >>> avg_pool1d([[1, 5, 2, 4]], 2)
    array([[3., 3.]])
    """
    image = np.asarray(input, float)
    size, windows = _windows(
        1, image.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _means(image, 1, size, windows)


def avg_pool1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Gradient of `avg_pool1d`: each element's share goes to its whole window.

    Examples
    --------
    >>> avg_pool1d_backward([[1, 10]], [[1, 5, 2, 4]], 2)
    array([[0.5, 0.5, 5. , 5. ]])
    """
    shape = np.shape(input)
    _, windows = _windows(
        1, shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _shares(grad_output, shape, windows)


def avg_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window.

    Parameters
    ----------
    input : array of shape (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding : int or two ints
        The stride is the kernel size if not given.
    ceil_mode : bool
        Also keep a last window that reaches over the end, if it starts before it.
    count_include_pad : bool
        Whether zeros of the padding count; what is beyond the padding never does.
    divisor_override : int
        What to divide by instead.

    Examples
    --------
    >>> avg_pool2d([[[1, 5, 2, 4]]], (1, 2))
    array([[[3., 3.]]])
    """
    image = np.asarray(input, float)
    size, windows = _windows(
        2, image.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _means(image, 2, size, windows)


def avg_pool2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Gradient of `avg_pool2d`: each element's share goes to its whole window.

    Examples
    --------
    >>> avg_pool2d_backward([[[1, 10]]], [[[1, 5, 2, 4]]], (1, 2))
    array([[[0.5, 0.5, 5. , 5. ]]])
    """
    shape = np.shape(input)
    _, windows = _windows(
        2, shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _shares(grad_output, shape, windows)


def avg_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Take the mean of each window.

    Parameters
    ----------
    input : array of shape (N, C, D, H, W) or (C, D, H, W)
    kernel_size, stride, padding : int or three ints
        The stride is the kernel size if not given.
    ceil_mode : bool
        Also keep a last window that reaches over the end, if it starts before it.
    count_include_pad : bool
        Whether zeros of the padding count; what is beyond the padding never does.
    divisor_override : int
        What to divide by instead.

    Examples
    --------
    >>> avg_pool3d([[[[1, 5, 2, 4]]]], (1, 1, 2))
    array([[[[3., 3.]]]])
    """
    image = np.asarray(input, float)
    size, windows = _windows(
        3, image.shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _means(image, 3, size, windows)


def avg_pool3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Gradient of `avg_pool3d`: each element's share goes to its whole window.

    Examples
    --------
    >>> avg_pool3d_backward([[[[1, 10]]]], [[[[1, 5, 2, 4]]]], (1, 1, 2))
    array([[[[0.5, 0.5, 5. , 5. ]]]])
    """
    shape = np.shape(input)
    _, windows = _windows(
        3, shape, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _shares(grad_output, shape, windows)


def adaptive_avg_pool1d(input: ArrayLike, output_size: Sizes) -> Array:
    """Take the mean of each of `output_size` bins along an axis; None keeps the axis.

    Examples
    --------
    >>> adaptive_avg_pool1d([[1, 5, 2]], 2)
    array([[3. , 3.5]])
    """
    image = np.asarray(input, float)
    size, windows = _adaptive_windows(1, image.shape, output_size)
    return _means(image, 1, size, windows)


def adaptive_avg_pool1d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_avg_pool1d`: each element's share goes to its whole bin.

    Examples
    --------
    >>> adaptive_avg_pool1d_backward([[1, 10]], [[1, 5, 2]], 2)
    array([[0.5, 5.5, 5. ]])
    """
    shape = np.shape(input)
    _, windows = _adaptive_windows(1, shape, output_size)
    return _shares(grad_output, shape, windows)


def adaptive_avg_pool2d(input: ArrayLike, output_size: Sizes) -> Array:
    """Take the mean of each of `output_size` bins along an axis; None keeps the axis.

    Examples
    --------
    >>> adaptive_avg_pool2d([[[1, 5, 2]]], (1, 2))
    array([[[3. , 3.5]]])
    """
    image = np.asarray(input, float)
    size, windows = _adaptive_windows(2, image.shape, output_size)
    return _means(image, 2, size, windows)


def adaptive_avg_pool2d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_avg_pool2d`: each element's share goes to its whole bin.

    Examples
    --------
    >>> adaptive_avg_pool2d_backward([[[1, 10]]], [[[1, 5, 2]]], (1, 2))
    array([[[0.5, 5.5, 5. ]]])
    """
    shape = np.shape(input)
    _, windows = _adaptive_windows(2, shape, output_size)
    return _shares(grad_output, shape, windows)


def adaptive_avg_pool3d(input: ArrayLike, output_size: Sizes) -> Array:
    """Take the mean of each of `output_size` bins along an axis; None keeps the axis.

    Examples
    --------
    >>> adaptive_avg_pool3d([[[[1, 5, 2]]]], (1, 1, 2))
    array([[[[3. , 3.5]]]])
    """
    image = np.asarray(input, float)
    size, windows = _adaptive_windows(3, image.shape, output_size)
    return _means(image, 3, size, windows)


def adaptive_avg_pool3d_backward(
    grad_output: ArrayLike, input: ArrayLike, output_size: Sizes
) -> Array:
    """Gradient of `adaptive_avg_pool3d`: each element's share goes to its whole bin.

    Examples
    --------
    >>> adaptive_avg_pool3d_backward([[[[1, 10]]]], [[[[1, 5, 2]]]], (1, 1, 2))
    array([[[[0.5, 5.5, 5. ]]]])
    """
    shape = np.shape(input)
    _, windows = _adaptive_windows(3, shape, output_size)
    return _shares(grad_output, shape, windows)


# Where each window stands in the output, the input under it, and its divisor.
Windows = list[tuple[Key, Key, float]]


def _bins(old: int, new: int) -> list[tuple[int, int]]:
    """Return start and stop of each bin along an axis."""
    return [(i * old // new, -(-(i + 1) * old // new)) for i in range(new)]


def _bins_of_each(plane: tuple[int, ...], size: Sizes) -> list[list[tuple[int, int]]]:
    """Return the bins of each axis, for an output size as the user gives it."""
    each = zip(plane, _tuple(size, len(plane)))
    return [_bins(old, old if new is None else new) for old, new in each]


def _output_size(
    plane: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> tuple[int, ...]:
    """Count the windows along each axis."""
    size = []
    for n, k, s, p, d in zip(plane, kernel, stride, padding, dilation):
        free = n + 2 * p - d * (k - 1) - 1
        count = (free + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        size.append(count)
    return tuple(size)


def _windows(
    ndim: int,
    shape: tuple[int, ...],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[tuple[int, ...], Windows]:
    """Return the size of the output, and its windows."""
    plane, kernel = shape[-ndim:], _tuple(kernel_size, ndim)
    steps, pad = _tuple(stride or kernel_size, ndim), _tuple(padding, ndim)
    size = _output_size(plane, kernel, steps, pad, (1,) * ndim, ceil_mode)
    windows: Windows = []
    for at in np.ndindex(*size):
        starts = [i * s - p for i, s, p in zip(at, steps, pad)]
        stops = [min(a + k, n + p) for a, k, n, p in zip(starts, kernel, plane, pad)]
        inside = [slice(max(a, 0), min(b, n)) for a, b, n in zip(starts, stops, plane)]
        with_padding = int(np.prod([b - a for a, b in zip(starts, stops)]))
        without = int(np.prod([part.stop - part.start for part in inside]))
        divisor = divisor_override or (with_padding if count_include_pad else without)
        windows.append(((..., *at), (..., *inside), divisor))
    return size, windows


def _adaptive_windows(
    ndim: int, shape: tuple[int, ...], size: Sizes
) -> tuple[tuple[int, ...], Windows]:
    each = _bins_of_each(shape[-ndim:], size)
    counts = tuple(map(len, each))
    windows: Windows = []
    for at in np.ndindex(*counts):
        inside = [slice(*each[axis][i]) for axis, i in enumerate(at)]
        windows.append(
            ((..., *at), (..., *inside), int(np.prod([part.stop - part.start for part in inside])))
        )
    return counts, windows


def _means(image: Array, ndim: int, size: tuple[int, ...], windows: Windows) -> Array:
    output = np.empty((*image.shape[:-ndim], *size))
    for at, window, divisor in windows:
        output[at] = image[window].sum(tuple(range(-ndim, 0))) / divisor
    return output


def _shares(grad_output: ArrayLike, shape: tuple[int, ...], windows: Windows) -> Array:
    grad, grad_input = np.asarray(grad_output, float), np.zeros(shape)
    for at, window, divisor in windows:
        part = grad_input[window]
        part += (grad[at] / divisor).reshape(*grad[at].shape, *(1,) * (part.ndim - grad[at].ndim))
    return grad_input
