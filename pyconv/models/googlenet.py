"""GoogLeNet, with batch norm as torchvision has it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import functional as F
from .. import nn
from ..arguments import flag
from ..tensor import Tensor
from .parts import images, norm_relu


class BasicConv2d(nn.Module):
    """Convolution without bias, batch norm, ReLU.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.BasicConv2d(3, 8, kernel_size=1)(pyconv.zeros(1, 3, 2, 2)).shape
    (1, 8, 2, 2)
    """

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Any) -> Tensor:
        return norm_relu(self.bn, self.conv(x))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, a larger window, and a pool (figure 2b).

    The third branch has windows of 3x3, where the paper has 5x5: torchvision's weights are such.

    Parameters
    ----------
    in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj : int
        The columns of table 1; "red" reduces channels before a larger window.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.Inception(8, 1, 2, 3, 2, 4, 5)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 13, 6, 6)
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1),
            BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Any) -> Tensor:
        return F.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier on the way, whose loss helps to train the layers below it."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Any) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        result: Tensor = self.fc2(self.dropout(F.relu(self.fc1(x))))
        return result


class GoogLeNetOutputs(NamedTuple):
    """What a GoogLeNet with auxiliary heads returns in training."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class GoogLeNet(nn.Module):
    """Nine inception modules, for images of 224x224 pixels.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    aux_logits : bool
        Have two classifiers more, whose outputs come with the main one in training.
    transform_input : bool
        Bring images normalised as for other networks to what torchvision's weights want.
    dropout, dropout_aux : float
        Shares that are dropped in training before the last layer of each classifier.

    References
    ----------
    Szegedy et al., *Going deeper with convolutions*, arXiv:1409.4842, table 1. Batch norm, and
    weights that are normal with 0.01 at first, are torchvision's; the paper does not give any.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.GoogLeNet(aux_logits=False)
    >>> sum(p.numel() for p in model.parameters())
    6624904
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        *,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.aux_logits = flag("GoogLeNet: aux_logits", aux_logits)
        self.transform_input = flag("GoogLeNet: transform_input", transform_input)
        self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = InceptionAux(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = InceptionAux(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, std=0.01)

    def forward(self, x: Any) -> Any:
        if self.transform_input:
            x = _normalised_to_a_half(x)
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = middle1 = self.inception4a(x)
        x = middle2 = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(x, self.aux2(middle2), self.aux1(middle1))
        return x


def _normalised_to_a_half(x: Any) -> Tensor:
    """Change from the means and deviations of ImageNet's channels to 0.5 and 0.5."""
    x = images("GoogLeNet: input", x)
    if x.shape[1] != 3:
        raise ValueError(f"GoogLeNet: input has shape {x.shape}, expected (N, 3, H, W)")
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = zip(F.split(x, 1, 1), means, deviations)
    return F.cat([c * (std / 0.5) + (mean - 0.5) / 0.5 for c, mean, std in channels], 1)


def googlenet(**options: Any) -> GoogLeNet:
    """See `GoogLeNet` for the options."""
    return GoogLeNet(**options)
