"""Residual networks for images of 224x224 pixels, ResNeXt and wide ResNets among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..arguments import flag, integer
from ..tensor import Tensor
from .parts import checked_layer, norm_relu
from .sequences import MOST_LAYERS, integers


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size at stride 1."""
    window = 3, stride, dilation, dilation
    return nn.Conv2d(in_planes, out_planes, *window, groups=groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions of 3x3, and a way around them.

    Parameters
    ----------
    inplanes, planes : int
        Channels that come in and go out.
    stride : int
        Of the first convolution.
    downsample : Module, optional
        What brings the input to the size of the output.
    groups, base_width, dilation : int
        As in `Bottleneck`; a basic block has 1, 64 and 1 only.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.BasicBlock(8, 8)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 8, 6, 6)
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        options = ("groups", groups, 1), ("base_width", base_width, 64), ("dilation", dilation, 1)
        for name, value, only in options:
            if integer(f"BasicBlock: {name}", value) != only:
                raise ValueError(f"BasicBlock: {name} is {value}, expected {only}")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = checked_layer("BasicBlock: downsample", downsample, optional=True)
        self.stride = stride

    def forward(self, x: Any) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.conv1(x), self.relu)
        out = self.bn2(self.conv2(out))
        result: Tensor = self.relu(out + identity)
        return result


class Bottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 with few channels in the middle, and a way around them.

    Parameters
    ----------
    inplanes, planes : int
        Channels that come in, and a quarter of those that go out.
    stride : int
        Of the convolution in the middle.
    downsample : Module, optional
        What brings the input to the size of the output.
    groups, base_width, dilation : int
        Of the convolution in the middle: its groups, channels of a group per 64 `planes`, and
        dilation.
    stride_in_1x1 : bool
        Give the stride to the first convolution, as the paper does.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.Bottleneck(8, 2)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 8, 6, 6)
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        *,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        planes = integer("Bottleneck: planes", planes, 1)
        base_width = integer("Bottleneck: base_width", base_width, 1)
        groups = integer("Bottleneck: groups", groups, 1)
        width = int(planes * (base_width / 64)) * groups
        early = flag("Bottleneck: stride_in_1x1", stride_in_1x1)
        first, second = (stride, 1) if early else (1, stride)
        self.conv1 = conv1x1(inplanes, width, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, second, groups, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = checked_layer("Bottleneck: downsample", downsample, optional=True)
        self.stride = stride

    def forward(self, x: Any) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.conv1(x), self.relu)
        out = norm_relu(self.bn2, self.conv2(out), self.relu)
        out = self.bn3(self.conv3(out))
        result: Tensor = self.relu(out + identity)
        return result


class ResNet(nn.Module):
    """Four stages of residual blocks; each but the first halves the size.

    Parameters
    ----------
    block : type
        `BasicBlock` or `Bottleneck`.
    layers : sequence of four int
        Blocks in each stage.
    num_classes : int
        Length of the output.
    zero_init_residual : bool
        Let each block be the identity at first.
    groups, width_per_group : int
        Of the 3x3 convolutions in bottlenecks.
    replace_stride_with_dilation : sequence of three bool, optional
        For each stage but the first, whether it keeps the size and dilates its windows instead.
    stride_in_1x1 : bool
        Let bottlenecks have their stride in the first convolution, as the paper does: fewer
        multiply-adds, a larger receptive field, less accuracy. Weights are of the same shapes.

    References
    ----------
    He, Zhang, Ren and Sun, *Deep residual learning for image recognition*, arXiv:1512.03385, table
    1. The initial weights are those of *Delving deep into rectifiers*, arXiv:1502.01852, for the
    backward pass.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.resnet50()
    >>> sum(p.numel() for p in model.parameters())
    25557032
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        *,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        dilate = _three_flags(replace_stride_with_dilation)
        zero_init_residual = flag("ResNet: zero_init_residual", zero_init_residual)
        if not isinstance(block, type) or not hasattr(block, "expansion"):
            raise TypeError(f"ResNet: block is {block!r}, expected BasicBlock or Bottleneck")
        layers = integers("ResNet: layers", layers, MOST_LAYERS)
        if len(layers) != 4:
            raise ValueError(f"ResNet: layers is {layers}, expected four integers")
        self.groups = integer("ResNet: groups", groups, 1)
        self.base_width = integer("ResNet: width_per_group", width_per_group, 1)
        options: dict[str, Any] = {"groups": self.groups, "base_width": self.base_width}
        if flag("ResNet: stride_in_1x1", stride_in_1x1):
            if issubclass(block, BasicBlock):
                raise ValueError("ResNet: stride_in_1x1 is True, expected False for a BasicBlock")
            options["stride_in_1x1"] = True
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inplanes, dilation = 64, 1
        for i, count in enumerate(layers):
            planes, stride, before = 64 * 2**i, min(1 + i, 2), dilation
            if i and dilate[i - 1]:
                stride, dilation = 1, dilation * 2
            blocks = []
            for j in range(count):
                options["dilation"] = dilation if j else before
                blocks.append(_block(block, inplanes, planes, 1 if j else stride, options))
                inplanes = planes * block.expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.inplanes, self.dilation = inplanes, dilation  # as after the last stage
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(layer, (BasicBlock, Bottleneck)):
                last: Any = layer.bn3 if isinstance(layer, Bottleneck) else layer.bn2
                nn.init.zeros_(last.weight)

    def forward(self, x: Any) -> Tensor:
        x = self.maxpool(norm_relu(self.bn1, self.conv1(x), self.relu))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        result: Tensor = self.fc(self.avgpool(x).flatten(1))
        return result


def _three_flags(dilate: Sequence[bool] | None) -> list[bool]:
    what = "ResNet: replace_stride_with_dilation"
    if dilate is None:
        return [False] * 3
    if not isinstance(dilate, Sequence) or len(dilate) != 3:
        raise ValueError(f"{what} is {dilate!r}, expected three bool")
    return [flag(what, value) for value in dilate]


def _block(
    block: type[BasicBlock] | type[Bottleneck],
    inplanes: int,
    planes: int,
    stride: int,
    options: dict[str, Any],
) -> nn.Module:
    """Return a block, with a projection around it if the size changes."""
    outplanes, downsample = planes * block.expansion, None
    if stride != 1 or inplanes != outplanes:
        projection = conv1x1(inplanes, outplanes, stride)
        downsample = nn.Sequential(projection, nn.BatchNorm2d(outplanes))
    return block(inplanes, planes, stride, downsample, **options)


def resnet18(**options: Any) -> ResNet:
    """18 layers; see `ResNet` for the options."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options: Any) -> ResNet:
    """34 layers; see `ResNet` for the options."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options: Any) -> ResNet:
    """50 layers; see `ResNet` for the options."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


def resnet101(**options: Any) -> ResNet:
    """101 layers; see `ResNet` for the options."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


def resnet152(**options: Any) -> ResNet:
    """152 layers; see `ResNet` for the options."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)


def resnext50_32x4d(**options: Any) -> ResNet:
    """50 layers with 32 groups of 4 channels: Xie et al., arXiv:1611.05431; see `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"groups": 32, "width_per_group": 4} | options)


def resnext101_32x8d(**options: Any) -> ResNet:
    """101 layers with 32 groups of 8 channels: Xie et al., arXiv:1611.05431; see `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"groups": 32, "width_per_group": 8} | options)


def wide_resnet50_2(**options: Any) -> ResNet:
    """50 layers of double width: Zagoruyko and Komodakis, arXiv:1605.07146; see `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"width_per_group": 128} | options)


def wide_resnet101_2(**options: Any) -> ResNet:
    """101 layers of double width: Zagoruyko and Komodakis, arXiv:1605.07146; see `ResNet`."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **{"width_per_group": 128} | options)
