"""Layers that take windows of images apart, and put them together again."""

from __future__ import annotations

from typing import Any

from ..functional import fold, unfold
from ..tensor import Tensor
from .conv import ints_at_least
from .module import Module


class _Windows(Module):
    def __init__(
        self, kernel_size: Any, dilation: Any, padding: Any, stride: Any, **others: Any
    ) -> None:
        super().__init__()
        window = {"kernel_size": kernel_size, "dilation": dilation}
        for name, value in (others | window | {"padding": padding, "stride": stride}).items():
            least = 0 if name == "padding" else 1
            ints_at_least(f"{type(self).__name__}: {name}", value, 2, least)
            setattr(self, name, value)
        self._names = [*others, *window, "padding", "stride"]

    def extra_repr(self) -> str:
        """Return the arguments."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._names)


class Unfold(_Windows):
    """Every window of images as a column; see `pyconv.functional.unfold`.

    Parameters
    ----------
    kernel_size, dilation, padding, stride : int or tuple of two
        As in `pyconv.functional.unfold`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Unfold(3, padding=1)(pyconv.zeros(2, 4, 5, 6)).shape
    (2, 36, 30)
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, input: Any) -> Tensor:
        """Unfold images (N, C, H, W) or one image (C, H, W)."""
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Windows):
    """Columns added up in images; see `pyconv.functional.fold`.

    Parameters
    ----------
    output_size, kernel_size, dilation, padding, stride : int or tuple of two
        As in `pyconv.functional.fold`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Fold((5, 6), 3, padding=1)(pyconv.zeros(2, 36, 30)).shape
    (2, 4, 5, 6)
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride, output_size=output_size)

    def forward(self, input: Any) -> Tensor:
        """Fold columns (N, C * R * S, L) or (C * R * S, L)."""
        window = self.kernel_size, self.dilation, self.padding, self.stride
        return fold(input, self.output_size, *window)
