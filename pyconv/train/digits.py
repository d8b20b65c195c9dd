"""Scikit-learn's handwritten digits, 8x8 pixels, in seconds; needs pyconv[digits]."""

from __future__ import annotations

import argparse

import numpy as np

from .. import data, nn, optim
from ..creation import from_numpy
from ..random import default_generator
from ..tensor import Tensor
from .classify import cross_entropy_of, held_out_accuracy
from .loop import Training, fit, training_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    training_arguments(parser, epochs=40, batch_size=32, lr=0.05)


def run(args: argparse.Namespace) -> None:
    """Train, and print the held-out accuracy."""
    train, test = data.digits()
    model = digits_model()
    loader = data.DataLoader(train, args.batch_size, shuffle=True)
    optimizer = optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=5e-4)
    steps = max(1, args.epochs * len(loader))
    training = Training(
        model,
        optimizer,
        loader,
        cross_entropy_of(model, shifted, label_smoothing=0.1),
        lambda: {"held-out accuracy": held_out_accuracy(model, test)},
        optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    )
    seconds = fit(training, args)
    accuracy = held_out_accuracy(model, test)
    print(f"held-out accuracy {accuracy:.2%} on {len(test)} digits, {seconds:.1f} s")


def digits_model() -> nn.Sequential:
    """Return a convolutional network for images of 8x8 pixels: two blocks and a classifier."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 2 * 2, 10),
    )


def shifted(images: Tensor) -> Tensor:
    """Move each image by up to a pixel in both directions; zeros come in."""
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, images.shape[2:], (2, 3))
    rows, columns = default_generator().integers(0, 3, (2, len(images)))
    return from_numpy(views[np.arange(len(images)), :, rows, columns])
