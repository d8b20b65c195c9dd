"""Fashion-MNIST, or MNIST, from a folder of IDX files: LeNet as in d2l, ResNet-20, a RegNet."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import data, models, nn, optim
from ..creation import from_numpy
from ..models.regnet import regnet_stages
from ..random import default_generator
from ..tensor import Tensor
from .classify import cross_entropy_of, held_out_accuracy
from .loop import Training, fit, training_arguments


class Recipe(NamedTuple):
    """How a model is trained."""

    make: Callable[[], nn.Module]
    epochs: int
    batch_size: int
    lr: float
    residual: bool = False  # momentum, decay, one cycle of the rate, mirrored images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="holds the four IDX files, also gzipped")
    parser.add_argument("--model", choices=RECIPES, default="lenet", help="default: %(default)s")
    training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Train, and print the held-out accuracy."""
    train, test = (data.fashion_mnist(args.folder, part) for part in (True, False))
    if not len(train) or not len(test):
        raise ValueError(f"{args.folder} holds {len(train)} images to learn, {len(test)} to test")
    recipe = RECIPES[args.model]
    for name in ("epochs", "batch_size", "lr"):
        if getattr(args, name) is None:
            setattr(args, name, getattr(recipe, name))
    model = recipe.make()
    loader = data.DataLoader(train, args.batch_size, shuffle=True)
    optimizer = optim.SGD(model.parameters(), args.lr)
    scheduler = None
    if recipe.residual:
        optimizer = optim.SGD(model.parameters(), args.lr, 0.9, weight_decay=5e-4, nesterov=True)
        steps = max(2, args.epochs * len(loader))
        scheduler = optim.lr_scheduler.OneCycleLR(
            optimizer, args.lr, steps, pct_start=0.2, cycle_momentum=False
        )
    training = Training(
        model,
        optimizer,
        loader,
        cross_entropy_of(model, mirrored if recipe.residual else None),
        lambda: {"held-out accuracy": held_out_accuracy(model, test)},
        scheduler,
    )
    seconds = fit(training, args)
    accuracy = held_out_accuracy(model, test)
    print(f"held-out accuracy {accuracy:.2%} on {len(test)} images, {seconds:.1f} s")


def mirrored(images: Tensor) -> Tensor:
    """Exchange left and right of every other image, at random."""
    array = images.numpy()
    mirror = default_generator().random(len(array)) < 0.5
    return from_numpy(np.where(mirror[:, None, None, None], array[..., ::-1], array))


def lenet(nn: Any = nn, batch_norm: bool = False) -> Any:
    """Return LeNet as in *Dive into deep learning*, sections 7.6 and 8.5; `nn` may be PyTorch's.

    Sigmoids, average pools, weights after Xavier. The book's network with batch norm, before each
    sigmoid, has no padding.
    """
    padding, pixels = (0, 4 * 4) if batch_norm else (2, 5 * 5)

    def norm(layer: Any, channels: int) -> list[Any]:
        return [layer(channels)] if batch_norm else []

    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=padding),
        *norm(nn.BatchNorm2d, 6),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        *norm(nn.BatchNorm2d, 16),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * pixels, 120),
        *norm(nn.BatchNorm1d, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        *norm(nn.BatchNorm1d, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return net


def resnet20() -> nn.Module:
    """Return the ResNet for CIFAR, with 20 layers, for grey images."""
    model = models.resnet20()
    model.conv1 = _grey(model.conv1)
    return model


def regnet() -> nn.Module:
    """Return a RegNetX for small grey images: 8 blocks of 24, 48 and 96 channels."""
    stages = regnet_stages(depth=8, w_0=24, w_a=12, w_m=2, group_width=8)
    strides = [1] + [2] * (len(stages["depths"]) - 1)
    model = models.anynet(**stages, strides=strides, num_classes=10, stem_width=24)
    model.stem[0] = _grey(model.stem[0])
    return model


def _grey(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the first convolution of a network for images of one channel."""
    result = nn.Conv2d(1, conv.out_channels, 3, conv.stride, padding=1, bias=False)
    nn.init.kaiming_normal_(result.weight, mode="fan_out", nonlinearity="relu")
    return result


RECIPES = {
    "lenet": Recipe(lenet, epochs=10, batch_size=256, lr=0.9),
    "lenet_bn": Recipe(lambda: lenet(batch_norm=True), epochs=10, batch_size=256, lr=1.0),
    "resnet20": Recipe(resnet20, epochs=5, batch_size=128, lr=0.2, residual=True),
    "regnet": Recipe(regnet, epochs=5, batch_size=128, lr=0.2, residual=True),
}
