"""Pooling layers."""

from __future__ import annotations

from typing import Any

from ..functional import max_pool2d
from .conv import ints_at_least
from .module import Module


class MaxPool2d(Module):
    """The largest element of each window; see `pyconv.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `pyconv.functional.max_pool2d`; `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.MaxPool2d(2)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = _checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else _checked("stride", stride, 1)
        self.padding = _checked("padding", padding, 0)
        self.dilation = _checked("dilation", dilation, 1)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Pool images (N, C, H, W) or one image (C, H, W)."""
        return max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


def _checked(name: str, value: Any, least: int) -> Any:
    """Check an integer or a pair, and keep which it was."""
    ints_at_least(f"MaxPool2d: {name}", value, 2, least)
    return value
