"""VGG: 3x3 convolutions all the way down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .. import nn
from ..arguments import flag, integer
from ..tensor import Tensor
from .parts import checked_layer
from .sequences import sequence

# Table 1 of the paper: the channels of each convolution, M for a max pool.
CONFIGURATIONS = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def make_layers(cfg: Sequence[int | str], batch_norm: bool = False) -> nn.Sequential:
    """Return the convolutions and pools that `cfg` lists; "M" is a max pool.

    Examples
    --------
    >>> import pyconv
    >>> len(pyconv.models.vgg.make_layers([8, "M"], batch_norm=True))
    4
    """
    layers: list[nn.Module] = []
    batch_norm = flag("make_layers: batch_norm", batch_norm)
    before = 3
    for entry in sequence("make_layers: cfg", cfg, "integers and 'M'"):
        if isinstance(entry, str) and entry == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        word = isinstance(entry, str) and re.fullmatch("[0-9]{1,10}", entry)  # as above
        channels = integer("make_layers: cfg", int(entry) if word else entry, 1)
        layers.append(nn.Conv2d(before, channels, 3, padding=1))
        before = channels
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """Convolutions of 3x3 pixels with max pools between, and three fully connected layers.

    Parameters
    ----------
    features : Module
        The convolutions, see `make_layers`; 512 channels come out.
    num_classes : int
        Length of the output.
    init_weights : bool
        Draw the initial weights of the paper, else keep those of `features`.
    dropout : float
        Share of the hidden units that is dropped in training.

    References
    ----------
    Simonyan and Zisserman, *Very deep convolutional networks for large-scale image recognition*,
    arXiv:1409.1556. The initial weights are Glorot's, section 3.1: no smaller network has to be
    trained first.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.vgg16()
    >>> sum(p.numel() for p in model.parameters())
    138357544
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = checked_layer("VGG: features", features)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for layer in self.modules() if flag("VGG: init_weights", init_weights) else ():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Tensor:
        x = self.avgpool(self.features(x))
        result: Tensor = self.classifier(x.flatten(1))
        return result


def _vgg(cfg: str, batch_norm: bool, options: dict[str, Any]) -> VGG:
    return VGG(make_layers(CONFIGURATIONS[cfg].split(), batch_norm), **options)


def vgg11(**options: Any) -> VGG:
    """Return configuration A; see `VGG` for the options."""
    return _vgg("A", False, options)


def vgg11_bn(**options: Any) -> VGG:
    """Return configuration A with batch norm; see `VGG` for the options."""
    return _vgg("A", True, options)


def vgg13(**options: Any) -> VGG:
    """Return configuration B; see `VGG` for the options."""
    return _vgg("B", False, options)


def vgg13_bn(**options: Any) -> VGG:
    """Return configuration B with batch norm; see `VGG` for the options."""
    return _vgg("B", True, options)


def vgg16(**options: Any) -> VGG:
    """Return configuration D; see `VGG` for the options."""
    return _vgg("D", False, options)


def vgg16_bn(**options: Any) -> VGG:
    """Return configuration D with batch norm; see `VGG` for the options."""
    return _vgg("D", True, options)


def vgg19(**options: Any) -> VGG:
    """Return configuration E; see `VGG` for the options."""
    return _vgg("E", False, options)


def vgg19_bn(**options: Any) -> VGG:
    """Return configuration E with batch norm; see `VGG` for the options."""
    return _vgg("E", True, options)
