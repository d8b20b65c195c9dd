"""Convolution layers, and what they share with the transposed ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arguments import flag, integer, one_of
from ..creation import empty
from ..functional import conv1d, conv2d, conv3d, pad
from ..tensor import Tensor
from . import init
from .module import Module, Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvBase(Module):
    """Parameters and settings of a convolution, transposed or not, in any number of dimensions."""

    _ndim: int
    _function: Callable[..., Tensor]
    _transposed: bool

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        output_padding: Any = 0,
    ) -> None:
        super().__init__()
        self.in_channels = int_at_least(self._what("in_channels"), in_channels, 1)
        self.out_channels = int_at_least(self._what("out_channels"), out_channels, 1)
        self.groups = int_at_least(self._what("groups"), groups, 1)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"{self._what('groups')} is {groups}, does not divide {name} "
                    f"{getattr(self, name)}"
                )
        self.kernel_size = self._ints("kernel_size", kernel_size, 1)
        self.stride = self._ints("stride", stride, 1)
        self.padding = self._checked_padding(padding)
        self.dilation = self._ints("dilation", dilation, 1)
        self.output_padding = self._ints("output_padding", output_padding, 0)
        self.padding_mode = self._one_of("padding_mode", padding_mode, PADDING_MODES)
        first, second = self.out_channels, self.in_channels
        if self._transposed:
            first, second = second, first
        self.weight = Parameter(empty(first, second // self.groups, *self.kernel_size))
        with_bias = flag(self._what("bias"), bias)
        self.bias = Parameter(empty(self.out_channels)) if with_bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again."""
        reset_uniform(self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments that are not the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        none, ones = (0,) * self._ndim, (1,) * self._ndim
        defaults = {"padding": none, "dilation": ones, "output_padding": none, "groups": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        text += "" if self.bias is not None else ", bias=False"
        return (
            text if self.padding_mode == "zeros" else text + f", padding_mode={self.padding_mode}"
        )

    # ---- the checks of arguments -------------------------------------------------------------

    def _what(self, argument: str) -> str:
        return f"{type(self).__name__}: {argument}"

    def _ints(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        return ints_at_least(self._what(name), value, self._ndim, least)

    def _one_of(self, name: str, value: Any, known: tuple[str, ...]) -> str:
        return one_of(self._what(name), value, known)

    def _checked_padding(self, padding: Any) -> Any:
        if self._transposed or not isinstance(padding, str):
            return self._ints("padding", padding, 0)
        if padding not in ("same", "valid"):
            raise ValueError(
                f"{self._what('padding')} is {padding!r}, expected numbers, 'same' or 'valid'"
            )
        if padding == "same" and any(step != 1 for step in self.stride):
            raise ValueError(f"{self._what('padding')} 'same' needs stride 1, got {self.stride}")
        return padding


class _Conv(ConvBase):
    _transposed = False

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
        channels = in_channels, out_channels
        window = kernel_size, stride, padding, dilation
        super().__init__(*channels, *window, groups, bias, padding_mode)

    def forward(self, input: Any) -> Tensor:
        """Convolve a batch (N, C, spatial...) or a single (C, spatial...)."""
        padding = self.padding
        if self.padding_mode != "zeros":
            widths = [width for pair in reversed(self.borders()) for width in pair]
            input, padding = pad(input, widths, self.padding_mode), 0
        options = self.stride, padding, self.dilation, self.groups
        return type(self)._function(input, self.weight, self.bias, *options)

    def borders(self) -> list[tuple[int, int]]:
        """Return the widths before and after each spatial dimension."""
        if self.padding == "same":  # the odd one goes to the end
            reach = [d * (n - 1) for d, n in zip(self.dilation, self.kernel_size)]
            return [(n // 2, n - n // 2) for n in reach]
        return [(n, n) for n in ((0,) * self._ndim if self.padding == "valid" else self.padding)]


class Conv1d(_Conv):
    """Convolution of sequences with learned filters; see `pyconv.functional.conv1d`.

    The arguments and attributes are those of `Conv2d`, for one dimension.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Conv1d(3, 8, 3, padding=1)(pyconv.zeros(2, 3, 5)).shape
    (2, 8, 5)
    """

    _ndim, _function = 1, staticmethod(conv1d)


class Conv2d(_Conv):
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
        Width of the border around the image.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    groups : int
        Groups of channels that do not mix; divides both numbers of channels.
    bias : bool
        Whether to add a learned number to each output channel.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What the border holds; see `pyconv.functional.pad`.

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

    Examples
    --------
    >>> import pyconv
    >>> layer = pyconv.nn.Conv2d(3, 8, 3, padding=1)
    >>> layer(pyconv.zeros(2, 3, 5, 5)).shape
    (2, 8, 5, 5)
    """

    _ndim, _function = 2, staticmethod(conv2d)


class Conv3d(_Conv):
    """Convolution of volumes with learned filters; see `pyconv.functional.conv3d`.

    The arguments and attributes are those of `Conv2d`, for three dimensions.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Conv3d(3, 8, 3, stride=2)(pyconv.zeros(2, 3, 5, 7, 9)).shape
    (2, 8, 2, 3, 4)
    """

    _ndim, _function = 3, staticmethod(conv3d)


def reset_uniform(weight: Parameter, bias: Parameter | None) -> None:
    """Fill weight and bias with numbers uniform within ``1 / sqrt(fan_in)``."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(init.fan_of(weight)) if init.fan_of(weight) else 0
        init.uniform_(bias, -bound, bound)


def int_at_least(name: str, value: Any, least: int) -> int:
    """Check a size or a count."""
    return integer(name, value, least, 2**31 - 1)


def ints_at_least(name: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """Check an argument that is an integer or a sequence of `count` integers."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(values) != count:
        raise ValueError(f"{name} is {value!r}, expected an integer or {count} of them")
    return tuple(int_at_least(name, v, least) for v in values)
