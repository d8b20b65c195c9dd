"""Every model with the input that its paper has, for counting and listing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .. import nn


class Entry(NamedTuple):
    """A model that can be made by its name.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.models.CATALOGUE["lenet"].input
    (1, 1, 28, 28)
    """

    family: str  # the file
    constructor: str
    input: tuple[int, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    dtype: Any = np.float32

    def make(self) -> nn.Module:
        """Return the model."""
        module = importlib.import_module(f"pyconv.models.{self.family}")
        model: nn.Module = getattr(module, self.constructor)(**self.options)
        return model


_PHOTO, _CIFAR = (1, 3, 224, 224), (1, 3, 32, 32)


def _entries() -> dict[str, Entry]:
    plain = {
        "lenet": ("lenet", (1, 1, 28, 28)),
        "nin": ("nin", _CIFAR),
        "alexnet": ("alexnet", _PHOTO),
    }
    for depth in (11, 13, 16, 19):
        plain |= {f"vgg{depth}{bn}": ("vgg", _PHOTO) for bn in ("", "_bn")}
    names = "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d "
    names += "resnext101_32x8d wide_resnet50_2 wide_resnet101_2"
    plain |= dict.fromkeys(names.split(), ("resnet", _PHOTO))
    names = "resnet20 resnet32 resnet44 resnet56 resnet110 resnet1202"
    plain |= dict.fromkeys(names.split(), ("resnet_cifar", _CIFAR))
    plain["resnet200"] = ("preact_resnet", _PHOTO)
    plain |= {f"preact_resnet{depth}": ("preact_resnet", _CIFAR) for depth in (164, 1001)}
    plain |= {f"densenet{depth}": ("densenet", _PHOTO) for depth in (121, 161, 169, 201)}
    sizes = ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")
    plain |= {f"regnet_x_{size}": ("regnet", _PHOTO) for size in sizes[:-1]}
    plain |= {f"regnet_y_{size}": ("regnet", _PHOTO) for size in sizes}
    plain |= {f"fcn{stride}s": ("fcn", (1, 3, 500, 500)) for stride in (32, 16, 8)}
    plain["deconvnet"] = ("deconvnet", _PHOTO)
    plain["unet"] = ("unet", (1, 1, 512, 512))
    entries = {name: Entry(file, name, input) for name, (file, input) in plain.items()}
    entries["googlenet"] = Entry("googlenet", "googlenet", _PHOTO, {"aux_logits": False})
    entries["densenet_cifar"] = Entry("densenet", "densenet_cifar", _CIFAR, {"L": 40, "k": 12})
    tokens = (1, 35)
    options = {"vocabulary": 65, "hidden_size": 512, "num_layers": 2}
    entries["char_rnn"] = Entry("char_rnn", "char_rnn", tokens, options, np.int64)
    entries["tcn"] = Entry(
        "tcn", "tcn", (1, 1, 784), {"in_channels": 1, "channels": [25] * 8, "kernel_size": 7}
    )
    return entries


CATALOGUE: Mapping[str, Entry] = MappingProxyType(_entries())
