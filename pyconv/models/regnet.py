"""RegNets, and AnyNet, the space of networks from which they were taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..arguments import integer, number, one_of, probability
from ..tensor import Tensor
from .parts import ConvNorm
from .sequences import MOST_LAYERS, integers, sequence


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number from 0 to 1 that the means of all channels decide.

    Hu et al., *Squeeze-and-excitation networks*, arXiv:1709.01507.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.regnet.SqueezeExcitation(8, 2)(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 8, 6, 6)
    """

    def __init__(self, input_channels: int, squeeze_channels: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Any) -> Tensor:
        scale = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        result: Tensor = x * self.scale_activation(scale)
        return result


class BottleneckTransform(nn.Sequential):
    """Convolutions of 1x1, 3x3 in groups and 1x1, with squeeze and excitation if asked for."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        block = "ResBottleneckBlock"
        group_width = integer(f"{block}: group_width", group_width, 1)
        multiplier = number(f"{block}: bottleneck_multiplier", bottleneck_multiplier)
        if not 0 < multiplier < 2**31:
            what = f"{block}: bottleneck_multiplier"
            raise ValueError(f"{what} is {multiplier}, expected a number above 0 and below 2**31")
        width = round(width_out * multiplier)
        if width % group_width:
            raise ValueError(
                f"{block}: group_width is {group_width}, expected a divisor of the width inside "
                f"the bottleneck, which is {width}"
            )
        layers: dict[str, nn.Module] = {
            "a": ConvNorm(width_in, width, 1),
            "b": ConvNorm(width, width, 3, stride, width // group_width),
        }
        if se_ratio is not None and probability(f"{block}: se_ratio", se_ratio):
            layers["se"] = SqueezeExcitation(width, round(se_ratio * width_in))
        layers["c"] = ConvNorm(width, width_out, 1, relu=False)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """A bottleneck with groups and a way around it: the X block, or the Y block with `se_ratio`.

    Parameters
    ----------
    width_in, width_out : int
        Channels that come in and go out.
    stride : int
        Of the 3x3 convolution.
    group_width : int
        Channels of a group of it; divides its channels.
    bottleneck_multiplier : float
        Its channels, as a multiple of `width_out`.
    se_ratio : float, optional
        Channels in the squeeze and excitation, as a share of `width_in`.

    Examples
    --------
    >>> import pyconv
    >>> block = pyconv.models.ResBottleneckBlock(8, 16, stride=2, group_width=8)
    >>> block(pyconv.zeros(1, 8, 6, 6)).shape
    (1, 16, 3, 3)
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        width_in = integer("ResBottleneckBlock: width_in", width_in, 1)
        width_out = integer("ResBottleneckBlock: width_out", width_out, 1)
        changes = width_in != width_out or stride != 1
        self.proj = ConvNorm(width_in, width_out, 1, stride, relu=False) if changes else None
        options = group_width, bottleneck_multiplier, se_ratio
        self.f = BottleneckTransform(width_in, width_out, stride, *options)
        self.activation = nn.ReLU()

    def forward(self, x: Any) -> Tensor:
        identity = x if self.proj is None else self.proj(x)
        result: Tensor = self.activation(identity + self.f(x))
        return result


class AnyNet(nn.Module):
    """A stem, four or so stages of blocks, a linear classifier: everything else is free.

    Parameters
    ----------
    depths, widths : sequence of int
        Blocks of each stage, and their channels.
    group_widths : sequence of int
        Channels of a group, for each stage; they divide the channels inside its blocks.
    bottleneck_multipliers : sequence of float, optional
        Channels inside the blocks as a multiple of `widths`; 1 if left out.
    strides : sequence of int, optional
        Of the first block of each stage; 2 if left out.
    se_ratio : float, optional
        Channels in squeeze and excitation, as a share of those that come in.
    num_classes : int
        Length of the output.
    stem_width : int
        Channels of the first convolution.

    Raises
    ------
    ValueError
        If the sequences have unequal lengths, a number is not positive, a stage has more than
        10,000 blocks, or groups do not fit.
    TypeError
        If an argument is not what is said above.

    References
    ----------
    Radosavovic, Kosaraju, Girshick, He and Dollár, *Designing network design spaces*,
    arXiv:2003.13678, figure 3.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.models.anynet([1, 2], [16, 32], [8, 8])
    >>> model(pyconv.zeros(1, 3, 32, 32)).shape
    (1, 1000)
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        bottleneck_multipliers: Sequence[float] | None = None,
        strides: Sequence[int] | None = None,
        se_ratio: float | None = None,
        num_classes: int = 1000,
        stem_width: int = 32,
    ) -> None:
        super().__init__()
        depths = integers("AnyNet: depths", depths, MOST_LAYERS)
        widths = integers("AnyNet: widths", widths)
        group_widths = integers("AnyNet: group_widths", group_widths)
        strides = [2] * len(depths) if strides is None else integers("AnyNet: strides", strides)
        multipliers: Sequence[float] = [1.0] * len(depths)
        if bottleneck_multipliers is not None:
            what = "AnyNet: bottleneck_multipliers"
            multipliers = sequence(what, bottleneck_multipliers, "numbers")
        stages = [depths, widths, group_widths, multipliers, strides]
        if len({len(values) for values in stages}) != 1 or not depths:
            raise ValueError(f"AnyNet: got {stages}, expected as many of each, at least one")
        self.stem = ConvNorm(3, stem_width, 3, stride=2)
        self.trunk_output = nn.Sequential()
        width_in = stem_width
        for i, (depth, width, group_width, multiplier, stride) in enumerate(zip(*stages), 1):
            stage = nn.Sequential()
            for j in range(depth):
                options = group_width, multiplier, se_ratio
                block = ResBottleneckBlock(width_in, width, 1 if j else stride, *options)
                stage.add_module(f"block{i}-{j}", block)
                width_in = width
            self.trunk_output.add_module(f"block{i}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width_in, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                fan_out = math.prod(layer.kernel_size) * layer.out_channels
                nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
        nn.init.normal_(self.fc.weight, std=0.01)
        if self.fc.bias is not None:
            nn.init.zeros_(self.fc.bias)

    def forward(self, x: Any) -> Tensor:
        x = self.avgpool(self.trunk_output(self.stem(x)))
        result: Tensor = self.fc(x.flatten(1))
        return result


def anynet(
    depths: Sequence[int], widths: Sequence[int], group_widths: Sequence[int], **options: Any
) -> AnyNet:
    """See `AnyNet` for the options."""
    return AnyNet(depths, widths, group_widths, **options)


def regnet_stages(
    depth: int, w_0: float, w_a: float, w_m: float, group_width: int, rounding: str = "torchvision"
) -> dict[str, Any]:
    """Return depths, widths and group widths of the stages that a line of block widths makes.

    Block j wants ``w_0 + w_a * j`` channels; it gets the nearest ``w_0 * w_m**s`` with an integer
    s, rounded to a multiple of 8, and then one of the group width. Blocks of one width are a stage.

    Parameters
    ----------
    depth : int
        All blocks together.
    w_0, w_a, w_m : float
        Width of the first block, slope, and the factor between stages.
    group_width : int
        Channels of a group.
    rounding : {"torchvision", "paper"}
        How a width halfway between two multiples of the group width is rounded: up, or, as the
        authors' code does, to the even one. torchvision besides never takes more than a tenth away.

    References
    ----------
    Radosavovic et al., arXiv:2003.13678, equations 2 to 4.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.regnet.regnet_stages(22, 24, 24.48, 2.54, 16)["widths"]
    [32, 64, 160, 400]
    """
    depth = integer("regnet: depth", depth, 1, MOST_LAYERS)
    group_width = integer("regnet: group_width", group_width, 1)
    w_0, w_a = number("regnet: w_0", w_0), number("regnet: w_a", w_a)
    w_m, most = number("regnet: w_m", w_m), 2**31
    if not (0 < w_0 < most and 0 <= w_a < most and 1 < w_m < most) or w_0 % 8:
        raise ValueError(
            f"regnet: w_0, w_a, w_m are {w_0}, {w_a}, {w_m}, expected a positive multiple of 8, "
            "a number not below 0, and one above 1, all below 2**31"
        )
    rounding = one_of("regnet: rounding", rounding, ("torchvision", "paper"))
    wanted = w_0 + w_a * np.arange(depth)
    steps = np.round(np.log(wanted / w_0) / math.log(w_m))
    blocks = (np.round(w_0 * w_m**steps / 8) * 8).astype(int)
    widths, depths = np.unique(blocks, return_counts=True)
    groups = [min(group_width, int(width)) for width in widths]
    fit = _divisible if rounding == "torchvision" else _nearest_multiple
    return {
        "depths": depths.tolist(),
        "widths": [fit(int(width), group) for width, group in zip(widths, groups)],
        "group_widths": groups,
    }


def _divisible(width: int, divisor: int) -> int:
    multiple = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return multiple if multiple >= 0.9 * width else multiple + divisor


def _nearest_multiple(width: int, divisor: int) -> int:
    return max(divisor, round(width / divisor) * divisor)


# Depth, w_0, w_a, w_m, group width: appendix D of the paper.
_X = {
    "400mf": (22, 24, 24.48, 2.54, 16),
    "800mf": (16, 56, 35.73, 2.28, 16),
    "1_6gf": (18, 80, 34.01, 2.25, 24),
    "3_2gf": (25, 88, 26.31, 2.25, 48),
    "8gf": (23, 80, 49.56, 2.88, 120),
    "16gf": (22, 216, 55.59, 2.1, 128),
    "32gf": (23, 320, 69.86, 2.0, 168),
}
_Y = {
    "400mf": (16, 48, 27.89, 2.09, 8),
    "800mf": (14, 56, 38.84, 2.4, 16),
    "1_6gf": (27, 48, 20.71, 2.65, 24),
    "3_2gf": (21, 80, 42.63, 2.66, 24),
    "8gf": (17, 192, 76.82, 2.19, 56),
    "16gf": (18, 200, 106.23, 2.48, 112),
    "32gf": (20, 232, 115.89, 2.53, 232),
    "128gf": (27, 456, 160.83, 2.52, 264),
}


def _x(size: str, rounding: str, options: dict[str, Any]) -> AnyNet:
    return AnyNet(**regnet_stages(*_X[size], rounding), **options)


def _y(size: str, rounding: str, options: dict[str, Any]) -> AnyNet:
    return AnyNet(**regnet_stages(*_Y[size], rounding), **{"se_ratio": 0.25} | options)


def regnet_x_400mf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """400 million multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("400mf", rounding, options)


def regnet_x_800mf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """800 million multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("800mf", rounding, options)


def regnet_x_1_6gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """1.6 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("1_6gf", rounding, options)


def regnet_x_3_2gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """3.2 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("3_2gf", rounding, options)


def regnet_x_8gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """8 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("8gf", rounding, options)


def regnet_x_16gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """16 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("16gf", rounding, options)


def regnet_x_32gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """32 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _x("32gf", rounding, options)


def regnet_y_400mf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """400 million multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("400mf", rounding, options)


def regnet_y_800mf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """800 million multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("800mf", rounding, options)


def regnet_y_1_6gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """1.6 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("1_6gf", rounding, options)


def regnet_y_3_2gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """3.2 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("3_2gf", rounding, options)


def regnet_y_8gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """8 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("8gf", rounding, options)


def regnet_y_16gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """16 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("16gf", rounding, options)


def regnet_y_32gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """32 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("32gf", rounding, options)


def regnet_y_128gf(rounding: str = "torchvision", **options: Any) -> AnyNet:
    """128 billion multiply-adds; see `regnet_stages` for `rounding`, `AnyNet` for the options."""
    return _y("128gf", rounding, options)
