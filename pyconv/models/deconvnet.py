"""DeconvNet: VGG-16 down, and its mirror image up."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .vgg import CONFIGURATIONS, make_layers


class DeconvNet(nn.Module):
    """Classes of pixels: max pools remember where, and unpooling puts elements back there.

    The sides of an image have to be multiples of 32, and at least 224. The convolutions down are
    those of ``vgg16_bn().features``, and weights of that load under their names.

    Parameters
    ----------
    num_classes : int
        Channels of the result.
    width : int
        Channels in the middle.

    References
    ----------
    Noh, Hong and Han, *Learning deconvolution network for semantic segmentation*,
    arXiv:1505.04366, figure 2 and table 3; initial weights normal with 0.01, section 4.2.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.deconvnet()
    >>> len(model.unpools)
    5
    """

    def __init__(self, num_classes: int = 21, width: int = 4096) -> None:
        super().__init__()
        self.features = make_layers(CONFIGURATIONS["D"].split(), batch_norm=True)
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.return_indices = True
        self.middle = nn.Sequential(
            *_with_norm(nn.Conv2d(512, width, 7), width),
            *_with_norm(nn.Conv2d(width, width, 1), width),
            *_with_norm(nn.ConvTranspose2d(width, 512, 7), 512),
        )
        channels = [int(entry) for entry in CONFIGURATIONS["D"].replace("M", "0").split()]
        self.unpools = nn.ModuleList()
        self.deconvs = nn.ModuleList()
        # Upwards each stage has the convolutions of the one downwards, and the last of them leads
        # to the channels of the stage before.
        for last in [i for i, n in enumerate(channels) if not n][::-1]:
            first = max([i + 1 for i in range(last) if not channels[i]], default=0)
            stage: list[nn.Module] = []
            for i in reversed(range(first, last)):
                wide = channels[i]
                narrow = wide if i > first else (channels[first - 2] if first else wide)
                stage += _with_norm(nn.ConvTranspose2d(wide, narrow, 3, padding=1), narrow)
            self.unpools.append(nn.MaxUnpool2d(2))
            self.deconvs.append(nn.Sequential(*stage))
        self.score = nn.Conv2d(64, num_classes, 1)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Tensor:
        places = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                x, indices = layer(x)
                places.append(indices)
            else:
                x = layer(x)
        x = self.middle(x)
        for unpool, deconv in zip(self.unpools, self.deconvs):
            x = deconv(unpool(x, places.pop()))
        result: Tensor = self.score(x)
        return result


def _with_norm(conv: nn.Module, channels: int) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(channels), nn.ReLU()]


def deconvnet(num_classes: int = 21, width: int = 4096) -> DeconvNet:
    """See `DeconvNet`."""
    return DeconvNet(num_classes, width)
