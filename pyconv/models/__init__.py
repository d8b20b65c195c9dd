"""Published networks, one file a family."""

import sys

from .alexnet import AlexNet, alexnet
from .catalogue import CATALOGUE, Entry
from .char_rnn import CharRNN, char_rnn
from .deconvnet import DeconvNet, deconvnet
from .densenet import (
    DenseBlock,
    DenseLayer,
    DenseNet,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet_cifar,
)
from .fcn import FCN, fcn8s, fcn16s, fcn32s
from .googlenet import BasicConv2d, GoogLeNet, GoogLeNetOutputs, Inception, googlenet
from .lenet import lenet
from .nin import nin
from .parts import as_torchvisions
from .preact_resnet import (
    PreActBottleneck,
    PreActResNet,
    preact_resnet164,
    preact_resnet1001,
    resnet200,
)
from .regnet import (
    AnyNet,
    ResBottleneckBlock,
    anynet,
    regnet_x_1_6gf,
    regnet_x_3_2gf,
    regnet_x_8gf,
    regnet_x_16gf,
    regnet_x_32gf,
    regnet_x_400mf,
    regnet_x_800mf,
    regnet_y_1_6gf,
    regnet_y_3_2gf,
    regnet_y_8gf,
    regnet_y_16gf,
    regnet_y_32gf,
    regnet_y_128gf,
    regnet_y_400mf,
    regnet_y_800mf,
)
from .resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from .resnet_cifar import (
    CifarBlock,
    CifarResNet,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
    resnet1202,
)
from .tcn import CausalConv1d, TemporalBlock, tcn
from .unet import UNet, unet
from .vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)

__all__ = [
    "CATALOGUE",
    "FCN",
    "VGG",
    "AlexNet",
    "AnyNet",
    "BasicBlock",
    "BasicConv2d",
    "Bottleneck",
    "CausalConv1d",
    "CharRNN",
    "CifarBlock",
    "CifarResNet",
    "DeconvNet",
    "DenseBlock",
    "DenseLayer",
    "DenseNet",
    "Entry",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception",
    "PreActBottleneck",
    "PreActResNet",
    "ResBottleneckBlock",
    "ResNet",
    "TemporalBlock",
    "UNet",
    "alexnet",
    "anynet",
    "char_rnn",
    "deconvnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet_cifar",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "googlenet",
    "lenet",
    "nin",
    "preact_resnet164",
    "preact_resnet1001",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnet200",
    "resnet1202",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "tcn",
    "unet",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

for _name in __all__:
    if _name.islower():  # a constructor
        _make = as_torchvisions(globals()[_name])
        globals()[_name] = _make
        setattr(sys.modules[_make.__module__], _name, _make)  # where pickle looks for it
