"""Layers that resize images."""

from __future__ import annotations

from typing import Any

from ..arguments import number
from ..functional import interpolate, pixel_shuffle, pixel_unshuffle
from .module import Module


class Upsample(Module):
    """Images resized by interpolation; see `pyconv.functional.interpolate`.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As in `pyconv.functional.interpolate`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Upsample(scale_factor=2, mode="bilinear")(pyconv.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        what = f"{type(self).__name__}: scale_factor"
        self.scale_factor: Any = None
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor = tuple(number(what, factor) for factor in scale_factor)
        elif scale_factor is not None:
            self.scale_factor = number(what, scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """Resize a batch."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Return the size or the factor, and the mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images resized by taking the nearest pixel.

    Parameters
    ----------
    size, scale_factor
        As in `pyconv.functional.interpolate`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.UpsamplingNearest2d(scale_factor=2)(pyconv.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """Images resized by bilinear interpolation with aligned corners.

    Parameters
    ----------
    size, scale_factor
        As in `pyconv.functional.interpolate`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.UpsamplingBilinear2d(scale_factor=2)(pyconv.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Groups of r * r channels as r x r pixels; see `pyconv.functional.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.PixelShuffle(2)(pyconv.zeros(1, 12, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """Shuffle a batch, or one image without it."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """r x r pixels as groups of r * r channels; see `pyconv.functional.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.PixelUnshuffle(2)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 12, 4, 4)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """Shuffle a batch, or one image without it."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"downscale_factor={self.downscale_factor}"
