"""Residual networks with batch norm and ReLU before each convolution, up to 1001 layers deep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..arguments import flag, integer
from ..tensor import Tensor
from .parts import checked_layer, norm_relu
from .sequences import MOST_LAYERS, integers


class PreActBottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 after batch norm and ReLU; nothing stands on the way around.

    Parameters
    ----------
    inplanes, planes : int
        Channels that come in, and a quarter of those that go out.
    stride : int
        Of the convolution in the middle.
    skip : bool
        Whether there is a way around: a plain block, of the same layers, has none.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.PreActBottleneck(8, 2)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 8, 6, 6)
    """

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, skip: bool = True) -> None:
        super().__init__()
        planes = integer("PreActBottleneck: planes", planes, 1)
        outplanes = planes * self.expansion
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outplanes, 1, bias=False)
        self.skip = flag("PreActBottleneck: skip", skip)
        changes = self.skip and (stride != 1 or inplanes != outplanes)
        self.downsample = nn.Conv2d(inplanes, outplanes, 1, stride, bias=False) if changes else None

    def forward(self, x: Any) -> Tensor:
        out = norm_relu(self.bn1, x, self.relu)
        identity = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(norm_relu(self.bn2, out, self.relu))
        out = self.conv3(norm_relu(self.bn3, out, self.relu))
        result: Tensor = out + identity if self.skip else out
        return result


class PreActResNet(nn.Module):
    """Stages of `PreActBottleneck`; each but the first halves the size.

    Parameters
    ----------
    layers : sequence of int
        Blocks in each stage.
    planes : int
        A quarter of the channels of the first stage; each further one has twice as many.
    stem : Module
        What comes first.
    inplanes : int
        Channels of its output.
    num_classes : int
        Length of the output.
    skip : bool
        Whether blocks have ways around; see `PreActBottleneck`.

    References
    ----------
    He, Zhang, Ren and Sun, *Identity mappings in deep residual networks*, arXiv:1603.05027,
    figure 1b and appendix; initial weights as in arXiv:1502.01852.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.models.preact_resnet164()
    >>> sum(p.numel() for p in model.parameters())
    1703258
    """

    def __init__(
        self,
        layers: Sequence[int],
        planes: int,
        stem: nn.Module,
        inplanes: int,
        num_classes: int,
        skip: bool = True,
    ) -> None:
        super().__init__()
        layers = integers("PreActResNet: layers", layers, MOST_LAYERS)
        self.stem = checked_layer("PreActResNet: stem", stem)
        for i, count in enumerate(layers):
            blocks = []
            for j in range(count):
                blocks.append(PreActBottleneck(inplanes, planes, 2 if i and not j else 1, skip))
                inplanes = planes * PreActBottleneck.expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            planes *= 2
        self.bn = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, num_classes)
        self.depth = len(layers)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Tensor:
        x = self.stem(x)
        for i in range(self.depth):
            x = getattr(self, f"layer{i + 1}")(x)
        x = self.avgpool(norm_relu(self.bn, x, self.relu))
        result: Tensor = self.fc(x.flatten(1))
        return result


def resnet200(num_classes: int = 1000) -> PreActResNet:
    """200 layers for images of 224x224 pixels; see `PreActResNet`.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.resnet200()
    >>> sum(p.numel() for p in model.parameters())
    64666280
    """
    stem = nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    return PreActResNet([3, 24, 36, 3], 64, stem, 64, num_classes)


def _cifar(depth: int, num_classes: int) -> PreActResNet:
    stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    return PreActResNet([depth // 9] * 3, 16, stem, 16, num_classes)


def preact_resnet164(num_classes: int = 10) -> PreActResNet:
    """164 layers for images of 32x32 pixels; see `PreActResNet`."""
    return _cifar(164, num_classes)


def preact_resnet1001(num_classes: int = 10) -> PreActResNet:
    """1001 layers for images of 32x32 pixels; see `PreActResNet`."""
    return _cifar(1001, num_classes)
