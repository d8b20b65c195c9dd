"""Network in network."""

from __future__ import annotations

from .. import nn


def mlpconv(
    in_channels: int, channels: tuple[int, int, int], kernel_size: int, padding: int
) -> list[nn.Module]:
    """Return a convolution followed by two of 1x1: a small perceptron that slides."""
    first, second, third = channels
    return [
        nn.Conv2d(in_channels, first, kernel_size, padding=padding),
        nn.ReLU(),
        nn.Conv2d(first, second, 1),
        nn.ReLU(),
        nn.Conv2d(second, third, 1),
        nn.ReLU(),
    ]


def nin(num_classes: int = 10, dropout: float = 0.5) -> nn.Sequential:
    """Network in network for images of 32x32 pixels: the mean of a feature map is a class's score.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    dropout : float
        Share of the elements that is dropped in training, twice.

    References
    ----------
    Lin, Chen and Yan, *Network in network*, arXiv:1312.4400, figure 2; sizes and initial weights
    (normal, 0.05, of the first layer 0.01) are those of the authors' network for CIFAR-10.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.nin().eval()(pyconv.zeros(1, 3, 32, 32)).shape
    (1, 10)
    """
    net = nn.Sequential(
        *mlpconv(3, (192, 160, 96), 5, padding=2),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(dropout),
        *mlpconv(96, (192, 192, 192), 5, padding=2),
        nn.AvgPool2d(3, stride=2, ceil_mode=True),
        nn.Dropout(dropout),
        *mlpconv(192, (192, 192, num_classes), 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for number, layer in enumerate(net):
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.05 if number else 0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
