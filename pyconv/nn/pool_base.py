"""What pooling layers of one, two and three dimensions share."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .conv import ints_at_least
from .module import Module


class PoolBase(Module):
    """Arguments kept as they are, passed on, and shown."""

    _ndim: int
    _function: str  # of pyconv.functional, but for the number of dimensions
    _passed: tuple[str, ...]  # to it, in its order
    _shown: tuple[str, ...]
    _tuples = False  # whether sizes are kept as tuples, which shows

    def forward(self, input: Any) -> Any:
        """Pool a batch, or one image without it."""
        return self._call(input, *[getattr(self, name) for name in self._passed])

    def _call(self, *args: Any) -> Any:
        return getattr(F, f"{self._function}{self._ndim}d")(*args)

    def _checked(self, name: str, value: Any, least: int) -> Any:
        """Check an integer or a tuple of them, and keep which it was; one alone counts for all."""
        if isinstance(value, (tuple, list)) and len(value) == 1:
            value = value[0]
        values = ints_at_least(f"{type(self).__name__}: {name}", value, self._ndim, least)
        return values if self._tuples else value

    def extra_repr(self) -> str:
        """Return the arguments."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)


class MaxPoolBase(PoolBase):
    """The largest element of each window."""

    _function = "max_pool"
    _passed = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
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


class MaxUnpoolBase(PoolBase):
    """Elements put where max pooling found them."""

    _function = "max_unpool"
    _shown = ("kernel_size", "stride", "padding")
    _tuples = True

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._checked("stride", stride, 1)
        self.padding = self._checked("padding", padding, 0)

    def forward(  # type: ignore[override]
        self, input: Any, indices: Any, output_size: Any = None
    ) -> Any:
        """Put elements at their places."""
        window = self.kernel_size, self.stride, self.padding
        return self._call(input, indices, *window, output_size)


class AvgPoolBase(PoolBase):
    """The mean of each window."""

    _function = "avg_pool"
    _shown = ("kernel_size", "stride", "padding")
    _passed = (*_shown, "ceil_mode", "count_include_pad", "divisor_override")

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


class AdaptivePoolBase(PoolBase):
    """As many windows as asked for."""

    _passed: tuple[str, ...] = ("output_size",)
    _shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        known = [size for size in sizes if size is not None]
        ints_at_least(f"{type(self).__name__}: output_size", known, len(known), 0)
        self.output_size = output_size


class AdaptiveAvgPoolBase(AdaptivePoolBase):
    """Their means."""

    _function = "adaptive_avg_pool"


class AdaptiveMaxPoolBase(AdaptivePoolBase):
    """Their largest elements."""

    _function = "adaptive_max_pool"
    _passed = ("output_size", "return_indices")

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class LPPoolBase(PoolBase):
    """The p-norm of each window."""

    _function = "lp_pool"
    _passed = _shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = self._checked("kernel_size", kernel_size, 1)
        self.stride = stride if stride is None else self._checked("stride", stride, 1)
        self.ceil_mode = ceil_mode
