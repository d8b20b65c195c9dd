"""Fully convolutional networks on VGG-16: FCN-32s, FCN-16s, FCN-8s."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..arguments import integer
from ..tensor import Tensor
from .parts import images
from .vgg import CONFIGURATIONS, make_layers


class FCN(nn.Module):
    """Classes of pixels: VGG-16 without its head, scores of 1x1, and learned upsampling.

    Weights of ``vgg16().features`` load under their names: ``strict=False`` leaves the others.

    Parameters
    ----------
    stride : {32, 16, 8}
        How finely the scores lie before they are enlarged to the size of the image.
    num_classes : int
        Channels of the result.
    dropout : float
        Share that is dropped in training after each of the two large convolutions.

    References
    ----------
    Long, Shelhamer and Darrell, *Fully convolutional networks for semantic segmentation*,
    arXiv:1411.4038, figure 3. As in the authors' network the first convolution pads by 100, and
    crops put every output pixel over its own; scores start from 0, upsampling from bilinear.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.fcn8s()
    >>> model.features[0].padding
    (100, 100)
    """

    def __init__(self, stride: int, num_classes: int = 21, dropout: float = 0.5) -> None:
        super().__init__()
        stride = integer("FCN: stride", stride)
        if stride not in (8, 16, 32):
            raise ValueError(f"FCN: stride is {stride}, expected 8, 16 or 32")
        self.stride = stride
        self.features = make_layers(CONFIGURATIONS["D"].split())
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        self.features[0].padding = (100, 100)
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        nn.init.xavier_normal_(self.fc6.weight)
        nn.init.xavier_normal_(self.fc7.weight)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.score = _score(4096, num_classes)
        if stride <= 16:
            self.up2 = _upsampling(num_classes, 2)
            self.score4 = _score(512, num_classes)
        if stride == 8:
            self.up4 = _upsampling(num_classes, 2)
            self.score3 = _score(256, num_classes)
        self.up = _upsampling(num_classes, stride)
        self.up.weight.requires_grad = False  # only the inner ones are learned

    def forward(self, image: Any) -> Tensor:
        x = image = images("FCN: image", image)
        pools = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pools.append(x)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        x = self.score(x)
        # The crops: 100 pixels of padding, less what windows took away, in pixels of that layer.
        if self.stride <= 16:
            x = self.up2(x)
            x = x + _crop(self.score4(pools[3]), 5, x)
        if self.stride == 8:
            x = self.up4(x)
            x = x + _crop(self.score3(pools[2]), 9, x)
        return _crop(self.up(x), {32: 19, 16: 27, 8: 31}[self.stride], image)


def _score(channels: int, num_classes: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, num_classes, 1)
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that interpolates each channel bilinearly at first."""
    size = 2 * factor
    conv = nn.ConvTranspose2d(channels, channels, size, stride=factor, bias=False)
    line = 1 - abs((np.arange(size) - (size - 1) / 2) / factor)
    nn.init.zeros_(conv.weight)
    weight = conv.weight.detach().numpy()
    if weight.flags.writeable:  # not in `pyconv.shapes_only`
        weight[range(channels), range(channels)] = np.outer(line, line)
    return conv


def _crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
    height, width = like.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


def fcn32s(num_classes: int = 21, dropout: float = 0.5) -> FCN:
    """Scores every 32 pixels; see `FCN`."""
    return FCN(32, num_classes, dropout)


def fcn16s(num_classes: int = 21, dropout: float = 0.5) -> FCN:
    """Scores every 16 pixels, from two layers; see `FCN`."""
    return FCN(16, num_classes, dropout)


def fcn8s(num_classes: int = 21, dropout: float = 0.5) -> FCN:
    """Scores every 8 pixels, from three layers; see `FCN`."""
    return FCN(8, num_classes, dropout)
