"""Temporal convolutional network: causal, dilated convolutions of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional as F
from .. import nn
from ..arguments import integer
from ..tensor import Tensor
from .sequences import integers


class CausalConv1d(nn.Conv1d):
    """A convolution whose output at a time sees that time and earlier ones.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.CausalConv1d(3, 8, 3, dilation=2)(pyconv.zeros(1, 3, 5)).shape
    (1, 8, 5)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)

    def forward(self, input: Any) -> Tensor:
        return super().forward(F.pad(input, self.borders()[0]))

    def borders(self) -> list[tuple[int, int]]:
        """Return the widths before and after the sequence."""
        return [((self.kernel_size[0] - 1) * self.dilation[0], 0)]


class TemporalBlock(nn.Module):
    """Two causal convolutions, each with ReLU and dropout, and a way around them.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.TemporalBlock(3, 8, 3, dilation=2)(pyconv.zeros(1, 3, 5)).shape
    (1, 8, 5)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.conv1 = CausalConv1d(in_channels, out_channels, kernel_size, dilation)
        self.conv2 = CausalConv1d(out_channels, out_channels, kernel_size, dilation)
        changes = in_channels != out_channels
        self.downsample = nn.Conv1d(in_channels, out_channels, 1) if changes else None
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        for conv in filter(None, (self.conv1, self.conv2, self.downsample)):
            nn.init.normal_(conv.weight, std=0.01)

    def forward(self, x: Any) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.dropout(self.relu(self.conv1(x)))
        x = self.dropout(self.relu(self.conv2(x)))
        result: Tensor = self.relu(x + identity)
        return result


def tcn(
    in_channels: int,
    channels: Sequence[int],
    kernel_size: int = 2,
    dropout: float = 0.2,
) -> nn.Sequential:
    """Temporal convolutional network for sequences (N, in_channels, length).

    Block i has dilation ``2**i``. The result has shape (N, channels[-1], length). There is no
    weight normalisation, which the paper has.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    channels : sequence of int
        Channels of each block.
    kernel_size : int
        Length of the windows.
    dropout : float
        Share that is dropped in training after each convolution.

    References
    ----------
    Bai, Kolter and Koltun, *An empirical evaluation of generic convolutional and recurrent networks
    for sequence modeling*, arXiv:1803.01271, figure 1; initial weights normal with 0.01.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.tcn(1, [25] * 8, kernel_size=7)(pyconv.zeros(2, 1, 30)).shape
    (2, 25, 30)
    """
    in_channels = integer("tcn: in_channels", in_channels, 1)
    channels = integers("tcn: channels", channels)
    if not channels:
        raise ValueError("tcn: channels is empty, expected one size or more")
    widths = [in_channels, *channels]
    return nn.Sequential(
        *(
            TemporalBlock(before, after, kernel_size, 2**i, dropout)
            for i, (before, after) in enumerate(zip(widths, channels))
        )
    )
