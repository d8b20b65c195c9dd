"""Resizing: along each axis, a matrix.

An element of the result lies somewhere between elements of the input, and is a weighted sum of
those around it. The weights do not depend on the other axes, so each axis has a matrix of weights,
a row per element of the result:

    output[n, c, p, q] = sum_{h, w} A[p, h] B[q, w] input[n, c, h, w]

The gradient is the same with the matrices transposed. Cubic weights are those of Keys, "Cubic
convolution interpolation for digital image processing", 1981, with a = -0.75.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconv.reference.avg_pool import _bins
from pyconv.reference.conv import _tuple

Array = NDArray[np.float64]


def interpolate(
    input: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Array:
    """Resize images.

    Parameters
    ----------
    input : array of shape (N, C, ...)
    size : int or tuple of int
        The new spatial size; or
    scale_factor : float or tuple of float
        what to multiply it by. Elements then lie as the factor says, which, as sizes are whole, may
        not be quite the ratio of the sizes; unless `recompute_scale_factor`.
    mode : "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic" or "area"
    align_corners : bool
        Whether the first and the last elements keep their places, rather than the outer edges.

    Examples
    --------
    >>> interpolate([[[1, 2]]], size=4, mode="linear")
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    """
    image = np.asarray(input, float)
    matrices = _matrices(
        image.shape[2:], size, scale_factor, mode, align_corners, recompute_scale_factor
    )
    return _along_each_axis(image, matrices)


def interpolate_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Array:
    """Gradient of `interpolate`: the transposed matrices.

    Examples
    --------
    >>> interpolate_backward([[[1, 1, 1, 1]]], [[[1, 2]]], size=4, mode="linear")
    array([[[2., 2.]]])
    """
    shape = np.shape(input)[2:]
    matrices = _matrices(shape, size, scale_factor, mode, align_corners, recompute_scale_factor)
    return _along_each_axis(np.asarray(grad_output, float), [matrix.T for matrix in matrices])


def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> Array:
    """Turn channel c*r*r + i*r + j into the pixels (i, j) of the r x r blocks of channel c.

    Examples
    --------
    >>> pixel_shuffle([[[1]], [[2]], [[3]], [[4]]], 2)
    array([[[1., 2.],
            [3., 4.]]])
    """
    image, r = np.asarray(input, float), upscale_factor
    *lead, channels, height, width = image.shape
    output = np.empty((*lead, channels // (r * r), height * r, width * r))
    for i, j in np.ndindex(r, r):
        output[..., i::r, j::r] = image[..., i * r + j :: r * r, :, :]
    return output


def pixel_shuffle_backward(grad_output: ArrayLike, input: ArrayLike, upscale_factor: int) -> Array:
    """Gradient of `pixel_shuffle`: back to where the elements came from."""
    return pixel_unshuffle(grad_output, upscale_factor)


def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> Array:
    """Turn the pixels (i, j) of r x r blocks of channel c into channel c*r*r + i*r + j.

    Examples
    --------
    >>> pixel_unshuffle([[[1, 2], [3, 4]]], 2).ravel()
    array([1., 2., 3., 4.])
    """
    image, r = np.asarray(input, float), downscale_factor
    *lead, channels, height, width = image.shape
    output = np.empty((*lead, channels * r * r, height // r, width // r))
    for i, j in np.ndindex(r, r):
        output[..., i * r + j :: r * r, :, :] = image[..., i::r, j::r]
    return output


def pixel_unshuffle_backward(
    grad_output: ArrayLike, input: ArrayLike, downscale_factor: int
) -> Array:
    """Gradient of `pixel_unshuffle`: back to where the elements came from."""
    return pixel_shuffle(grad_output, downscale_factor)


def _along_each_axis(image: Array, matrices: list[Array]) -> Array:
    for axis, matrix in enumerate(matrices, start=2):
        image = np.moveaxis(np.tensordot(matrix, image, (1, axis)), 0, axis)
    return image


def _matrices(
    sizes: tuple[int, ...],
    size: Any,
    scale_factor: Any,
    mode: str,
    align_corners: bool | None,
    recompute: bool | None,
) -> list[Array]:
    """Make the matrix of each axis, of shape (new size, old size)."""
    if size is not None:
        new, scales = _tuple(size, len(sizes)), (0.0,) * len(sizes)
    else:
        each = _tuple(scale_factor, len(sizes))
        new = tuple(int(np.floor(n * s)) for n, s in zip(sizes, each))
        scales = (0.0,) * len(sizes) if recompute else each
    return [_matrix(mode, bool(align_corners), *row) for row in zip(sizes, new, scales)]


def _matrix(mode: str, align_corners: bool, old: int, new: int, scale: float) -> Array:
    matrix = np.zeros((new, old))
    if mode == "area":
        for row, (start, stop) in zip(matrix, _bins(old, new)):
            row[start:stop] = 1 / (stop - start)
        return matrix
    for o, row in enumerate(matrix):
        if mode.startswith("nearest"):
            terms = {_nearest(mode, old, new, scale, o): 1.0}
        else:
            terms = _around(_place(mode, align_corners, old, new, scale, o), mode)
        for element, weight in terms.items():  # those outside are the border's
            row[min(max(element, 0), old - 1)] += weight
    return matrix


def _nearest(mode: str, old: int, new: int, scale: float, o: int) -> int:
    """Count in float32, as PyTorch does: which element is nearest depends on it."""
    step = np.float32(1 / scale) if scale else np.float32(old) / np.float32(new)
    if mode == "nearest-exact":
        return int(np.floor(np.float32((o + 0.5) * float(step))))
    if new in (old, 2 * old):
        return o * old // new
    return int(np.floor(np.float32(o) * step))


def _place(mode: str, align_corners: bool, old: int, new: int, scale: float, o: int) -> float:
    """Return where element o of the result lies, counted in elements of the input."""
    if old == new and mode != "bicubic":
        return float(o)  # as PyTorch does, whatever the factor
    if align_corners:
        return o * ((old - 1) / (new - 1)) if new > 1 else 0.0
    step = 1 / scale if scale else old / new
    place = step * (o + 0.5) - 0.5
    return place if mode == "bicubic" else max(place, 0.0)


def _around(place: float, mode: str) -> dict[int, float]:
    """Return the elements around a place, and their weights."""
    low = int(np.floor(place))
    t = place - low
    if mode != "bicubic":
        return {low: 1 - t, low + 1: t}
    a = -0.75
    distances = {low - 1: 1 + t, low: t, low + 1: 1 - t, low + 2: 2 - t}
    return {
        element: (d - 1) * ((a + 2) * d**2 - d - 1) if d <= 1 else a * (d - 1) * (d - 2) ** 2
        for element, d in distances.items()
    }
