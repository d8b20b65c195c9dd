"""Convolution layers."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..creation import empty
from ..functional import conv2d
from ..tensor import Tensor
from . import init
from .module import Module, Parameter


class Conv2d(Module):
    """Convolution of images with learned filters; see `pyconv.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or tuple of two
        Size of the filters.
    stride : int or tuple of two
        Step of the window.
    padding : int, tuple of two, "same" or "valid"
        Zeros around the image.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    groups : int
        Groups of channels that do not mix; divides both numbers of channels.
    bias : bool
        Whether to add a learned number to each output channel.
    padding_mode : str
        ``"zeros"``.

    Attributes
    ----------
    weight : Parameter of shape (out_channels, in_channels / groups, *kernel_size)
        Initially uniform within ``1 / sqrt(fan_in)``.
    bias : Parameter of shape (out_channels,) or None
        Initially uniform within the same bound.

    Raises
    ------
    ValueError
        If a number is out of range, or `groups` does not divide the channels.
    NotImplementedError
        For another `padding_mode`.

    Examples
    --------
    >>> import pyconv
    >>> layer = pyconv.nn.Conv2d(3, 8, 3, padding=1)
    >>> layer(pyconv.zeros(2, 3, 5, 5)).shape
    (2, 8, 5, 5)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise NotImplementedError(
                f"Conv2d: padding_mode is {padding_mode!r}, only 'zeros' is supported"
            )
        self.in_channels = int_at_least("Conv2d: in_channels", in_channels, 1)
        self.out_channels = int_at_least("Conv2d: out_channels", out_channels, 1)
        self.groups = int_at_least("Conv2d: groups", groups, 1)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"Conv2d: groups is {groups}, does not divide {name} {channels}")
        self.kernel_size = ints_at_least("Conv2d: kernel_size", kernel_size, 2, 1)
        self.stride = ints_at_least("Conv2d: stride", stride, 2, 1)
        self.padding = _padding(padding, self.stride)
        self.dilation = ints_at_least("Conv2d: dilation", dilation, 2, 1)
        self.weight = Parameter(empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = Parameter(empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again."""
        reset_uniform(self.weight, self.bias)

    def forward(self, input: Any) -> Tensor:
        """Convolve images (N, C, H, W) or one image (C, H, W)."""
        return conv2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def extra_repr(self) -> str:
        """Return the arguments that are not the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        defaults = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        return text if self.bias is not None else text + ", bias=False"


def reset_uniform(weight: Parameter, bias: Parameter | None) -> None:
    """Fill weight and bias with numbers uniform within ``1 / sqrt(fan_in)``."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(init.fan_of(weight)) if init.fan_of(weight) else 0
        init.uniform_(bias, -bound, bound)


def int_at_least(name: str, value: Any, least: int) -> int:
    """Check an integer argument."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected an integer") from None
    if isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected an integer")
    if number < least:
        raise ValueError(f"{name} is {number}, must be at least {least}")
    return number


def ints_at_least(name: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """Check an argument that is an integer or a sequence of `count` integers."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(values) != count:
        raise ValueError(f"{name} is {value!r}, expected an integer or {count} of them")
    return tuple(int_at_least(name, v, least) for v in values)


def _padding(padding: Any, stride: tuple[int, ...]) -> Any:
    if not isinstance(padding, str):
        return ints_at_least("Conv2d: padding", padding, 2, 0)
    if padding not in ("same", "valid"):
        raise ValueError(f"Conv2d: padding is {padding!r}, expected numbers, 'same' or 'valid'")
    if padding == "same" and stride != (1, 1):
        raise ValueError(f"Conv2d: padding 'same' needs stride 1, got {stride}")
    return padding
