"""What the experiments on networks share: small images, and a short training."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import functional as F
from .. import nn, optim
from ..data import DataLoader, TensorDataset, digits, fashion_mnist
from ..terminal import Progress, above, writing
from .loop import Training, describe

BATCH = 64


def data_arguments(parser: argparse.ArgumentParser, epochs: int) -> None:
    """Add what `small_images` and `fit_briefly` need."""
    add = parser.add_argument
    add("--folder", metavar="FOLDER", help="of Fashion-MNIST, seen at 14x14; default: digits, 8x8")
    add("--train-images", type=above(0, int), default=6000, metavar="N", help="default 6000")
    add("--test-images", type=above(0, int), default=2000, metavar="N", help="default 2000")
    add("--epochs", type=above(0, int), default=epochs, metavar="N", help="default %(default)s")
    add("--lr", type=above(0, float), default=0.05, metavar="RATE", help="default %(default)s")


def small_images(
    args: argparse.Namespace, channels: int = 1
) -> tuple[TensorDataset, TensorDataset]:
    """Load at most as many images as asked for, with the grey value in each channel."""
    folder = args.folder
    train, test = [fashion_mnist(folder, part) for part in (True, False)] if folder else digits()
    return (
        _prepared(train, args.train_images, channels, halved=bool(folder)),
        _prepared(test, args.test_images, channels, halved=bool(folder)),
    )


def _prepared(part: TensorDataset, count: int, channels: int, halved: bool) -> TensorDataset:
    images, classes = (tensor[:count] for tensor in part.tensors)
    if halved:
        images = F.avg_pool2d(images, 2)
    return TensorDataset(np.repeat(images.numpy(), channels, axis=1), classes)


def steps_of(data: TensorDataset, epochs: int) -> int:
    """Return how many steps `fit_briefly` takes."""
    return epochs * -(-len(data) // BATCH)


def fit_briefly(
    model: nn.Module, data: TensorDataset, args: argparse.Namespace, progress: Progress
) -> None:
    """Train by SGD with momentum, the learning rate going down along half a cosine."""

    def loss(images: Any, classes: Any) -> Any:
        return F.cross_entropy(model(images), classes), {}

    optimizer = optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=5e-4)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps_of(data, args.epochs))
    batches = DataLoader(data, BATCH, shuffle=True)
    training = Training(model, optimizer, batches, loss, scheduler=schedule)
    for _ in range(args.epochs):
        for means in training.rest_of_epoch():
            progress.advance(text=describe(means))
        training.end_epoch()


def write_csv(path: str | None, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table, if a path is given."""
    if path:
        with writing(path) as file:
            csv.writer(file).writerows([head, *rows])
