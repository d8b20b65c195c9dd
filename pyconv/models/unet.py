"""U-Net: a way down, a way up, and bridges between them."""

from __future__ import annotations

import math
from typing import Any

from .. import functional as F
from .. import nn
from ..arguments import flag, integer
from ..tensor import Tensor
from .parts import images


class DoubleConv(nn.Sequential):
    """Two convolutions of 3x3 with ReLU, and batch norm between them if asked for."""

    def __init__(
        self, in_channels: int, out_channels: int, padding: int, batch_norm: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers.append(
                nn.Conv2d(channels, out_channels, 3, padding=padding, bias=not batch_norm)
            )
            if batch_norm:
                layers.append(nn.BatchNorm2d(out_channels))
            layers.append(nn.ReLU())
        super().__init__(*layers)


class UNet(nn.Module):
    """Segmentation: convolutions and pools down four times, and up again beside what was kept.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the image and of the result, which has one for each class.
    width : int
        Channels of the first convolution; each step down doubles them.
    padded : bool
        Pad, so that the result has the size of the image, whose sides 16 has to divide. Else no
        convolution pads, as in the paper: 572x572 pixels give 388x388.
    batch_norm : bool
        Normalise after each convolution of 3x3. The paper does not; small networks learn much
        sooner with it.

    References
    ----------
    Ronneberger, Fischer and Brox, *U-Net: convolutional networks for biomedical image
    segmentation*, arXiv:1505.04597, figure 1; initial weights as in section 3.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.models.unet(width=4)
    >>> model(pyconv.zeros(1, 1, 32, 48)).shape
    (1, 2, 32, 48)
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        width: int = 64,
        padded: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.padded = flag("UNet: padded", padded)
        batch_norm = flag("UNet: batch_norm", batch_norm)
        width = integer("UNet: width", width, 1)
        widths = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList(
            DoubleConv(before, after, int(self.padded), batch_norm)
            for before, after in zip([in_channels, *widths], widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * after, after, 2, stride=2) for after in widths[-2::-1]
        )
        self.merge = nn.ModuleList(
            DoubleConv(2 * after, after, int(self.padded), batch_norm) for after in widths[-2::-1]
        )
        self.head = nn.Conv2d(width, out_channels, 1)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                # An output pixel of the up-convolutions sees one pixel, of a convolution a window.
                transposed = isinstance(layer, nn.ConvTranspose2d)
                window = 1 if transposed else math.prod(layer.kernel_size)
                nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * window)))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Tensor:
        x = images("UNet: input", x)
        if self.padded and any(side % 16 for side in x.shape[2:]):
            raise ValueError(f"UNet: input has shape {x.shape}, expected sides that 16 divides")
        kept: list[Tensor] = []
        for down in self.down:
            x = down(self.pool(x) if kept else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge):
            x = up(x)
            x = merge(F.cat([_cropped(kept.pop(), x), x], 1))
        result: Tensor = self.head(x)
        return result


def _cropped(x: Tensor, like: Tensor) -> Tensor:
    """Return the middle of `x`, as large as `like`."""
    (high, wide), (h, w) = x.shape[2:], like.shape[2:]
    top, left = (high - h) // 2, (wide - w) // 2
    return x if (high, wide) == (h, w) else x[:, :, top : top + h, left : left + w]


def unet(
    in_channels: int = 1,
    out_channels: int = 2,
    width: int = 64,
    padded: bool = True,
    batch_norm: bool = False,
) -> UNet:
    """See `UNet`."""
    return UNet(in_channels, out_channels, width, padded, batch_norm)
