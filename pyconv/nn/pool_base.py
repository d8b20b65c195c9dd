"""What pooling layers of one, two and three dimensions share."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .conv import ints_at_least
from .module import Module


class PoolBase(Module):
    """Arguments kept as they are, passed on, and shown."""

    _ndim: int
    _shown: tuple[str, ...]

    def _checked(self, name: str, value: Any, least: int) -> Any:
        """Check an integer or a tuple of them, and keep which it was; one alone counts for all."""
        if isinstance(value, (tuple, list)) and len(value) == 1:
            value = value[0]
        ints_at_least(f"{type(self).__name__}: {name}", value, self._ndim, least)
        return value

    def _call(self, name: str, *args: Any) -> Any:
        return getattr(F, f"{name}{self._ndim}d")(*args)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)


class MaxPoolBase(PoolBase):
    """The largest element of each window."""

    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

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
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._checked("stride", stride, 1)
        self.padding = self._checked("padding", padding, 0)
        self.dilation = self._checked("dilation", dilation, 1)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        return self._call(
            "max_pool",
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxUnpoolBase(PoolBase):
    """Elements put where max pooling found them."""

    _shown = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._checked("stride", stride, 1)
        self.padding = self._checked("padding", padding, 0)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """Put elements at their places."""
        window = self.kernel_size, self.stride, self.padding
        return self._call("max_unpool", input, indices, *window, output_size)


class AvgPoolBase(PoolBase):
    """The mean of each window."""

    _shown = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._checked("stride", stride, 1)
        self.padding = self._checked("padding", padding, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        return self._call(
            "avg_pool",
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptivePoolBase(PoolBase):
    """As many windows as asked for."""

    _shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        known = [size for size in sizes if size is not None]
        ints_at_least(f"{type(self).__name__}: output_size", known, len(known), 0)
        self.output_size = output_size


class AdaptiveAvgPoolBase(AdaptivePoolBase):
    """Their means."""

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        return self._call("adaptive_avg_pool", input, self.output_size)


class AdaptiveMaxPoolBase(AdaptivePoolBase):
    """Their largest elements."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        return self._call("adaptive_max_pool", input, self.output_size, self.return_indices)


class LPPoolBase(PoolBase):
    """The p-norm of each window."""

    _shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = stride if stride is None else self._checked("stride", stride, 1)
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        window = self.kernel_size, self.stride, self.ceil_mode
        return self._call("lp_pool", input, self.norm_type, *window)
