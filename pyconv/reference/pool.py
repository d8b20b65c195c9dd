"""Max pooling, as a running maximum over the offsets of the kernel.

Like a convolution (`pyconv.reference.conv`), with the maximum in place of the sum and a padding of
minus infinity, so that padding never wins:

    output[n, c, p, q] = max_{r, t} padded[n, c, p*s + r*d, q*s + t*d]

The gradient goes, whole, to the input that won. The first of equal values wins; a NaN wins over
every number, and the last NaN over the others, as in PyTorch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconv.reference.conv import _offsets, _tuple

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Ints = int | tuple[int, ...]


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
    output, places = _largest(input, kernel_size, stride, padding, dilation, ceil_mode)
    return (output, places) if return_indices else output


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
    image, grad = np.asarray(input, float), np.asarray(grad_output, float)
    _, indices = _largest(image, kernel_size, stride, padding, dilation, ceil_mode)
    grad_input = np.zeros(image.shape)
    for plane in np.ndindex(*image.shape[:-2]):
        for place, value in zip(indices[plane].flat, grad[plane].flat):
            if place >= 0:
                grad_input[plane].flat[place] += value
    return grad_input


def _largest(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[Array, Indices]:
    """Return the maximum of each window and its place in the plane."""
    image = np.asarray(input, float)
    plane = image.shape[-2:]
    kernel, steps = _tuple(kernel_size, 2), _tuple(stride or kernel_size, 2)
    before, spread = _tuple(padding, 2), _tuple(dilation, 2)
    size = _output_size(plane, kernel, steps, before, spread, ceil_mode)

    reach = [s * (p - 1) + d * (k - 1) + 1 for s, p, d, k in zip(steps, size, spread, kernel)]
    widths = [(b, max(0, r - b - n)) for b, r, n in zip(before, reach, plane)]
    padded = np.pad(image, [(0, 0)] * (image.ndim - 2) + widths, constant_values=-np.inf)
    places = np.pad(np.arange(plane[0] * plane[1]).reshape(plane), widths, constant_values=-1)

    output = np.full((*image.shape[:-2], *size), -np.inf)
    indices = np.full(output.shape, -1)
    for _, window in _offsets(kernel, size, steps, spread):
        value = padded[window]
        wins = (value > output) | np.isnan(value) | (indices < 0)
        output = np.where(wins, value, output)
        indices = np.where(wins, places[window], indices)
    return output, indices


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
