"""Transposed convolution layers."""

from __future__ import annotations

from typing import Any, TypeVar

from ..creation import as_tensor
from ..functional import conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..tensor import Tensor
from .conv import Conv1d, Conv2d, Conv3d, ConvBase, ints_at_least
from .module import Parameter

_T = TypeVar("_T", bound="_ConvTranspose")


class _ConvTranspose(ConvBase):
    _transposed = True
    _adjoint_of: type[Conv1d] | type[Conv2d] | type[Conv3d]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
    ) -> None:
        channels = in_channels, out_channels
        window = kernel_size, stride, padding, dilation
        super().__init__(*channels, *window, groups, bias, padding_mode, output_padding)
        self._one_of("padding_mode", padding_mode, ("zeros",))

    @classmethod
    def tied(cls: type[_T], conv: Any, bias: bool = False) -> _T:
        """Make the adjoint of a convolution layer: one that has the same Parameter as its weight.

        Parameters
        ----------
        conv : Conv1d, Conv2d or Conv3d, of the same number of dimensions
            Its padding must be as wide before as after, and of zeros.
        bias : bool
            Whether to add a learned number to each output channel: an own one.

        Raises
        ------
        TypeError
            If `conv` is another layer.
        ValueError
            If its padding has no adjoint of this kind.
        """
        if not isinstance(conv, cls._adjoint_of):
            kind, expected = type(conv).__name__, cls._adjoint_of.__name__
            raise TypeError(f"{cls.__name__}.tied: conv is a {kind}, expected a {expected}")
        borders = conv.borders()
        if conv.padding_mode != "zeros" or any(before != after for before, after in borders):
            raise ValueError(
                f"{cls.__name__}.tied: conv pads by {borders} with mode {conv.padding_mode!r}, "
                "expected zeros, as many before as after"
            )
        layer = cls(
            conv.out_channels,
            conv.in_channels,
            conv.kernel_size,
            conv.stride,
            tuple(before for before, _ in borders),
            groups=conv.groups,
            bias=bias,
            dilation=conv.dilation,
        )
        layer.weight = conv.weight
        if layer.bias is not None:
            layer.bias = Parameter(layer.bias.detach().to(conv.weight.dtype))
        return layer

    def forward(self, input: Any, output_size: Any = None) -> Tensor:
        """Enlarge a batch (N, C, spatial...) or a single (C, spatial...).

        With a stride several input sizes of the convolution have the same output size:
        `output_size`, the spatial sizes or a whole shape, chooses one, in place of the layer's
        `output_padding`.
        """
        x, more = as_tensor(input, "input"), self.output_padding
        if output_size is not None and x.ndim > self._ndim:
            more = self._output_padding(x.shape[x.ndim - self._ndim :], output_size, x.ndim)
        options = self.stride, self.padding, more, self.groups, self.dilation
        return type(self)._function(x, self.weight, self.bias, *options)

    def _output_padding(
        self, size: tuple[int, ...], output_size: Any, ndim: int
    ) -> tuple[int, ...]:
        whole = isinstance(output_size, (tuple, list)) and len(output_size) == ndim
        wanted = ints_at_least(
            self._what("output_size"),
            output_size[ndim - self._ndim :] if whole else output_size,
            self._ndim,
            0,
        )
        geometry = zip(size, self.stride, self.padding, self.dilation, self.kernel_size)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in geometry]
        more = tuple(n - m for n, m in zip(wanted, least))
        if any(not 0 <= n < step for n, step in zip(more, self.stride)):
            most = [n + step - 1 for n, step in zip(least, self.stride)]
            raise ValueError(
                f"{self._what('output_size')} is {output_size}, expected from {least} to {most} "
                f"for input of spatial size {size}"
            )
        return more


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of sequences; see `pyconv.functional.conv_transpose1d`.

    The arguments and attributes are those of `ConvTranspose2d`, for one dimension.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ConvTranspose1d(3, 8, 4, stride=2, padding=1)(pyconv.zeros(2, 3, 5)).shape
    (2, 8, 10)
    """

    _ndim, _function, _adjoint_of = 1, staticmethod(conv_transpose1d), Conv1d


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images with learned filters: it enlarges where `Conv2d` shrinks.

    See `pyconv.functional.conv_transpose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or tuple of two
        Size of the filters.
    stride : int or tuple of two
        Distance of the windows of neighbouring input pixels.
    padding : int or tuple of two
        Rows and columns taken away from each side of the output.
    output_padding : int or tuple of two
        Rows and columns more at the end of the output.
    groups : int
        Groups of channels that do not mix; divides both numbers of channels.
    bias : bool
        Whether to add a learned number to each output channel.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    padding_mode : str
        ``"zeros"``.

    Attributes
    ----------
    weight : Parameter of shape (in_channels, out_channels / groups, *kernel_size)
        Initially uniform within ``1 / sqrt(fan_in)``, where fan_in counts ``weight[0]``.
    bias : Parameter of shape (out_channels,) or None
        Initially uniform within the same bound.

    Raises
    ------
    ValueError
        If a number is out of range, or `groups` does not divide the channels.

    Examples
    --------
    >>> import pyconv
    >>> down = pyconv.nn.Conv2d(3, 8, 3, stride=2)
    >>> up = pyconv.nn.ConvTranspose2d.tied(down)
    >>> x = pyconv.zeros(1, 3, 6, 6)
    >>> up(down(x), output_size=x.shape).shape
    (1, 3, 6, 6)
    """

    _ndim, _function, _adjoint_of = 2, staticmethod(conv_transpose2d), Conv2d


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes; see `pyconv.functional.conv_transpose3d`.

    The arguments and attributes are those of `ConvTranspose2d`, for three dimensions.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ConvTranspose3d(3, 8, 2, stride=2)(pyconv.zeros(2, 3, 2, 3, 4)).shape
    (2, 8, 4, 6, 8)
    """

    _ndim, _function, _adjoint_of = 3, staticmethod(conv_transpose3d), Conv3d
