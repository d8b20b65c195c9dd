"""AlexNet, in its form for one processor."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers, for images of 224x224 pixels.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    dropout : float
        Share of the hidden units that is dropped in training.

    References
    ----------
    Krizhevsky, *One weird trick for parallelizing convolutional neural networks*, arXiv:1404.5997.
    The initial weights are those of Krizhevsky, Sutskever and Hinton, *ImageNet classification with
    deep convolutional neural networks*, 2012, section 5.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.AlexNet()
    >>> sum(p.numel() for p in model.parameters())
    61100840
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        for layer in (self.features[3], self.features[8], self.features[10]):
            nn.init.ones_(layer.bias)
        for layer in (self.classifier[1], self.classifier[4]):
            nn.init.ones_(layer.bias)

    def forward(self, x: Any) -> Tensor:
        x = self.avgpool(self.features(x))
        result: Tensor = self.classifier(x.flatten(1))
        return result


def alexnet(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """See `AlexNet`."""
    return AlexNet(num_classes, dropout)
