"""DenseNets: every layer sees the outputs of all before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import functional as F
from .. import nn
from ..arguments import flag, integer, probability
from ..autograd.checkpoint import checkpoint
from ..tensor import Tensor
from .parts import norm_relu
from .sequences import MOST_LAYERS, integers


class DenseLayer(nn.Module):
    """Batch norm, ReLU and a 1x1 convolution, then the same with 3x3.

    Parameters
    ----------
    num_input_features : int
        Channels of all inputs together.
    growth_rate : int
        Channels of the output.
    bn_size : int
        Channels in the middle, as a multiple of `growth_rate`.
    drop_rate : float
        Share of the output that is dropped in training.
    memory_efficient : bool
        Compute the first half again in backward instead of keeping it.

    Examples
    --------
    >>> import pyconv
    >>> layer = pyconv.models.DenseLayer(8, 4, bn_size=4, drop_rate=0.0)
    >>> layer([pyconv.zeros(1, 5, 6, 6), pyconv.zeros(1, 3, 6, 6)]).shape
    (1, 4, 6, 6)
    """

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        growth_rate = integer("DenseNet: growth_rate", growth_rate, 1)
        width = integer("DenseNet: bn_size", bn_size, 1) * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(num_input_features, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = probability("DenseNet: drop_rate", drop_rate)
        self.memory_efficient = flag("DenseNet: memory_efficient", memory_efficient)

    def bottleneck(self, *features: Tensor) -> Tensor:
        """Return the first half's output."""
        result: Tensor = self.conv1(norm_relu(self.norm1, F.cat(features, 1), self.relu1))
        return result

    def forward(self, features: Any) -> Tensor:
        """Compute the output for a tensor, or a list of tensors side by side."""
        features = _listed(features)
        if self.memory_efficient:
            x = checkpoint(self.bottleneck, *features)
        else:
            x = self.bottleneck(*features)
        x = self.conv2(norm_relu(self.norm2, x, self.relu2))
        return F.dropout(x, self.drop_rate, self.training)


def _listed(features: Any) -> Sequence[Any]:
    return features if isinstance(features, (list, tuple)) else [features]


class CifarDenseLayer(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution, without a bottleneck."""

    def __init__(self, num_input_features: int, growth_rate: int, drop_rate: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(num_input_features, growth_rate, 3, padding=1, bias=False)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, features: Any) -> Tensor:
        x = norm_relu(self.norm, F.cat(_listed(features), 1), self.relu)
        result: Tensor = self.drop(self.conv(x))
        return result


class DenseBlock(nn.Module):
    """Layers that each get all outputs so far; the block's output is all of them.

    Parameters
    ----------
    layers : sequence of Module
        Each takes a list of tensors.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        if not isinstance(layers, Iterable):
            raise TypeError(f"DenseBlock: layers is {layers!r}, expected a sequence of Modules")
        for i, layer in enumerate(layers):
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: Any) -> Tensor:
        features = [x]
        for layer in self.children():
            features.append(layer(features))
        return F.cat(features, 1)


class Transition(nn.Sequential):
    """Between blocks: a 1x1 convolution, and average pooling to half the size."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Any) -> Tensor:
        result: Tensor = self.pool(self.conv(norm_relu(self.norm, x, self.relu)))
        return result


class DenseNet(nn.Module):
    """Blocks of layers that see all before them, with compression between, for 224x224 pixels.

    Parameters
    ----------
    growth_rate : int
        Channels that each layer adds; k in the paper.
    block_config : sequence of int
        Layers in each block.
    num_init_features : int
        Channels of the first convolution.
    bn_size : int
        Channels inside a layer, as a multiple of `growth_rate`.
    drop_rate : float
        Share of a layer's output that is dropped in training.
    num_classes : int
        Length of the output.
    memory_efficient : bool
        Compute again in backward what needs much memory to keep: arXiv:1707.06990.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, *Densely connected convolutional networks*,
    arXiv:1608.06993, table 1 (DenseNet-BC).

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.densenet121()
    >>> sum(p.numel() for p in model.parameters())
    7978856
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        add = self.features.add_module
        add("conv0", nn.Conv2d(3, num_init_features, 7, stride=2, padding=3, bias=False))
        add("norm0", nn.BatchNorm2d(num_init_features))
        add("relu0", nn.ReLU())
        add("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        width = num_init_features
        growth_rate = integer("DenseNet: growth_rate", growth_rate, 1)
        block_config = integers("DenseNet: block_config", block_config, MOST_LAYERS)
        for i, count in enumerate(block_config):
            if i:
                add(f"transition{i}", Transition(width, width // 2))
                width //= 2
            widths = [width + j * growth_rate for j in range(count + 1)]
            options = growth_rate, bn_size, drop_rate, memory_efficient
            add(f"denseblock{i + 1}", DenseBlock([DenseLayer(w, *options) for w in widths[:-1]]))
            width = widths[-1]
        add("norm5", nn.BatchNorm2d(width))  # torchvision's name, however many blocks there are
        self.classifier = nn.Linear(width, num_classes)
        _draw(self)

    def forward(self, x: Any) -> Tensor:
        x = F.adaptive_avg_pool2d(F.relu(self.features(x)), (1, 1))
        result: Tensor = self.classifier(x.flatten(1))
        return result


def _draw(model: nn.Module) -> None:
    """Draw the initial weights: He's, arXiv:1502.01852."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def densenet121(**options: Any) -> DenseNet:
    """121 layers; see `DenseNet` for the options."""
    return DenseNet(32, (6, 12, 24, 16), 64, **options)


def densenet161(**options: Any) -> DenseNet:
    """161 layers, with a growth rate of 48; see `DenseNet` for the options."""
    return DenseNet(48, (6, 12, 36, 24), 96, **options)


def densenet169(**options: Any) -> DenseNet:
    """169 layers; see `DenseNet` for the options."""
    return DenseNet(32, (6, 12, 32, 32), 64, **options)


def densenet201(**options: Any) -> DenseNet:
    """201 layers; see `DenseNet` for the options."""
    return DenseNet(32, (6, 12, 48, 32), 64, **options)


def densenet_cifar(
    L: int = 40, k: int = 12, num_classes: int = 10, drop_rate: float = 0
) -> nn.Sequential:
    """Return the DenseNet for images of 32x32 pixels: no bottlenecks, no compression.

    Parameters
    ----------
    L : int
        Layers with weights, 3 n + 4, at most 10,000.
    k : int
        Channels that each layer adds.
    num_classes : int
        Length of the output.
    drop_rate : float
        Share of a layer's output that is dropped in training; 0.2 in the paper if the data are not
        augmented.

    References
    ----------
    Huang et al., arXiv:1608.06993, table 2, and section 3 for its three blocks.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.models.densenet_cifar(40, 12)
    >>> sum(p.numel() for p in model.parameters())
    1019722
    """
    L = integer("densenet_cifar: L", L, 1, MOST_LAYERS)
    k = integer("densenet_cifar: k", k, 1)
    if L < 7 or L % 3 != 1:
        raise ValueError(f"densenet_cifar: L is {L}, expected 3 n + 4 with n >= 1")
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False))
    width = 16
    for i in range(3):
        if i:
            net.append(Transition(width, width))
        widths = [width + j * k for j in range((L - 4) // 3 + 1)]
        net.append(DenseBlock([CifarDenseLayer(w, k, drop_rate) for w in widths[:-1]]))
        width = widths[-1]
    head = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(width, num_classes)
    net.extend([nn.BatchNorm2d(width), nn.ReLU(), *head])
    _draw(net)
    return net
