"""Resizing by interpolation, and by moving elements between channels and pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..arguments import flag, integer, number
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .avg_pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .separable import Separable

# The modes, and for how many spatial dimensions.
MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
SMOOTH = ("linear", "bilinear", "bicubic", "trilinear")


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images to `size`, or by `scale_factor`.

    Parameters
    ----------
    input : array_like of shape (N, C, W), (N, C, H, W) or (N, C, D, H, W)
        float32 or float64.
    size : int or tuple, optional
        The spatial size of the result; one number for all dimensions, or one for each.
    scale_factor : float or tuple, optional
        Instead of `size`, which is then ``floor(size * scale_factor)``.
    mode : str
        "nearest"; "nearest-exact", which rounds as other libraries do; "linear", "bilinear" or
        "trilinear" for one, two or three spatial dimensions; "bicubic" for two; "area", which is
        `adaptive_avg_pool2d`.
    align_corners : bool, optional
        For linear and cubic modes: whether the centres of the first and last elements keep their
        places, rather than the edges.
    recompute_scale_factor : bool, optional
        Whether elements lie as the sizes say, even if `scale_factor` is given and says otherwise.
    antialias : bool
        Only False is supported.

    Returns
    -------
    Tensor of shape (N, C, ...)

    Raises
    ------
    ValueError
        If sizes, factors and mode do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.interpolate([[[1.0, 2.0]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> F.interpolate([[[1.0, 2.0]]], size=3, mode="linear", align_corners=True)
    tensor([[[1. , 1.5, 2. ]]])
    """
    if flag("interpolate: antialias", antialias):
        raise ValueError("interpolate: antialias is True, which is not supported, expected False")
    x = as_tensor(input, "input")
    ndim = x.ndim - 2
    if not isinstance(mode, str) or ndim not in MODES.get(mode, ()):
        known = [name for name, dims in MODES.items() if ndim in dims]
        raise ValueError(
            f"interpolate: mode is {mode!r} and input has shape {x.shape}, expected for three to "
            f"five dimensions one of {', '.join(known or MODES)}"
        )
    corners = align_corners is not None and flag("interpolate: align_corners", align_corners)
    if align_corners is not None and mode not in SMOOTH:
        raise ValueError(
            f"interpolate: align_corners is {align_corners!r}, expected None with mode {mode!r}"
        )
    again = recompute_scale_factor is not None and flag(
        "interpolate: recompute_scale_factor", recompute_scale_factor
    )
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: size is {size!r} and scale_factor is {scale_factor!r}, expected one of "
            "the two"
        )
    scale = (0.0,) * ndim
    if size is None:
        scale = _scale(scale_factor, ndim)
        size = tuple(math.floor(n * factor) for n, factor in zip(x.shape[2:], scale))
    elif again:
        raise ValueError("interpolate: recompute_scale_factor is True, expected scale_factor")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[ndim - 1](x, size)
    if again:
        scale = (0.0,) * ndim
    return Separable.apply(x, _core.resize, x._array, size, scale, mode, corners)


def _scale(scale_factor: Any, ndim: int) -> tuple[float, ...]:
    """Check the factors."""
    several = isinstance(scale_factor, (tuple, list))
    given = tuple(scale_factor) if several else (scale_factor,) * ndim
    if len(given) != ndim:
        raise TypeError(
            f"interpolate: scale_factor is {scale_factor!r}, expected a number or a tuple of {ndim}"
        )
    factors = tuple(number("interpolate: scale_factor", factor) for factor in given)
    if not all(0 < n <= 2**31 for n in factors):
        raise ValueError(
            f"interpolate: scale_factor is {scale_factor!r}, expected numbers above 0, at most "
            f"{2**31}"
        )
    return factors


class Rearrange(Function):
    """Dimensions split, reordered and joined again."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, split: Any, order: Any, shape: Any) -> Tensor:
        turned = x._array.reshape(split).transpose(order)
        ctx.back = turned.shape, tuple(int(i) for i in np.argsort(order)), x.shape
        copy = _core.c_ordered if x.dtype.char in "fd" else np.ascontiguousarray
        if x.shape[-3] == 1 or x._array.strides[-3] != x._array.itemsize:
            return Tensor(copy(turned).reshape(shape))
        n = len(shape) - 3  # channels last: the result's are neighbours too
        channels = range(n, n + 1 if turned.shape[n] == shape[n] else n + 3)
        last = copy(np.moveaxis(turned, channels, range(-len(channels), 0)))
        return Tensor(np.moveaxis(last.reshape(*shape[:n], *shape[n + 1 :], shape[n]), -1, n))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Rearrange.apply(g, *ctx.back), None, None, None


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Turn groups of r * r channels into r x r pixels.

    Parameters
    ----------
    input : array_like of shape (..., C * r * r, H, W)
        Numbers of any dtype.
    upscale_factor : int
        r.

    Returns
    -------
    Tensor of shape (..., C, H * r, W * r)
        Channel ``c * r * r + i * r + j`` has become the pixels (i, j) of each r x r block of
        channel c: Shi et al., "Real-time single image and video super-resolution using an
        efficient sub-pixel convolutional neural network", arXiv:1609.05158.

    Raises
    ------
    ValueError, TypeError
        If the factor does not fit the shape, or is no integer.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.pixel_shuffle(pyconv.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    x = as_tensor(input, "input")
    r = integer("pixel_shuffle: upscale_factor", upscale_factor, 1, 2**31 - 1)
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: input has shape {x.shape} and upscale_factor is {r}, expected at "
            f"least three dimensions, and a multiple of {r * r} channels"
        )
    *lead, channels, height, width = x.shape
    n = len(lead)
    split = *lead, channels // (r * r), r, r, height, width
    order = *range(n + 1), n + 3, n + 1, n + 4, n + 2
    return Rearrange.apply(x, split, order, (*split[: n + 1], height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Turn r x r pixels into groups of r * r channels: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    input : array_like of shape (..., C, H * r, W * r)
        Numbers of any dtype.
    downscale_factor : int
        r.

    Returns
    -------
    Tensor of shape (..., C * r * r, H, W)

    Raises
    ------
    ValueError, TypeError
        If the factor does not fit the shape, or is no integer.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.pixel_unshuffle(pyconv.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    x = as_tensor(input, "input")
    r = integer("pixel_unshuffle: downscale_factor", downscale_factor, 1, 2**31 - 1)
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"pixel_unshuffle: input has shape {x.shape} and downscale_factor is {r}, expected at "
            f"least three dimensions, and multiples of {r} for height and width"
        )
    *lead, channels, height, width = x.shape
    n = len(lead)
    split = *lead, channels, height // r, r, width // r, r
    order = *range(n + 1), n + 2, n + 4, n + 1, n + 3
    return Rearrange.apply(x, split, order, (*lead, channels * r * r, height // r, width // r))
