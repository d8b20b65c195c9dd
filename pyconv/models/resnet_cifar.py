"""Residual networks for images of 32x32 pixels, up to 1202 layers deep."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .. import nn
from ..arguments import integer
from ..tensor import Tensor
from .parts import images, norm_relu
from .sequences import MOST_LAYERS


def _conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(in_planes, out_planes, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class CifarBlock(nn.Module):
    """Two convolutions of 3x3; the way around them has no parameters (option A of the paper).

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.CifarBlock(8, 16, stride=2)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 16, 3, 3)
    """

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride, self.more = integer("CifarBlock: stride", stride, 1), planes - inplanes

    def forward(self, x: Any) -> Tensor:
        x = images("CifarBlock: input", x)
        out = norm_relu(self.bn1, self.conv1(x), self.relu)
        out = self.bn2(self.conv2(out))
        if self.stride > 1 or self.more:
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        result: Tensor = self.relu(out + x)
        return result


class CifarResNet(nn.Module):
    """Three stages of `CifarBlock` with 16, 32 and 64 channels.

    Parameters
    ----------
    depth : int
        Layers with weights, 6 n + 2, at most 10,000.
    num_classes : int
        Length of the output.

    References
    ----------
    He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, arXiv:1512.03385,
    section 4.2.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.models.resnet20()
    >>> sum(p.numel() for p in model.parameters())
    269722
    """

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        depth = integer("CifarResNet: depth", depth, 1, MOST_LAYERS)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth is {depth}, expected 6 n + 2 with n >= 1")
        self.conv1 = _conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        inplanes = 16
        for i, planes in enumerate((16, 32, 64)):
            blocks = []
            for j in range(depth // 6):
                blocks.append(CifarBlock(inplanes, planes, stride=2 if i and not j else 1))
                inplanes = planes
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Any) -> Tensor:
        x = norm_relu(self.bn1, self.conv1(x), self.relu)
        x = self.layer3(self.layer2(self.layer1(x)))
        result: Tensor = self.fc(self.avgpool(x).flatten(1))
        return result


def resnet20(num_classes: int = 10) -> CifarResNet:
    """20 layers; see `CifarResNet`."""
    return CifarResNet(20, num_classes)


def resnet32(num_classes: int = 10) -> CifarResNet:
    """32 layers; see `CifarResNet`."""
    return CifarResNet(32, num_classes)


def resnet44(num_classes: int = 10) -> CifarResNet:
    """44 layers; see `CifarResNet`."""
    return CifarResNet(44, num_classes)


def resnet56(num_classes: int = 10) -> CifarResNet:
    """56 layers; see `CifarResNet`."""
    return CifarResNet(56, num_classes)


def resnet110(num_classes: int = 10) -> CifarResNet:
    """110 layers; see `CifarResNet`."""
    return CifarResNet(110, num_classes)


def resnet1202(num_classes: int = 10) -> CifarResNet:
    """1202 layers; see `CifarResNet`."""
    return CifarResNet(1202, num_classes)
