"""Networks that differ in one thing, trained alike: dense, strides, small kernels."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import nn
from ..models import CifarResNet, densenet_cifar
from ..random import manual_seed
from ..summary import summary
from ..terminal import Progress, above
from .classify import deviation, held_out_accuracy
from .experiment import data_arguments, fit_briefly, small_images, steps_of, write_csv

Maker = Callable[[], nn.Module]
WIDTHS = 3, 16, 32, 64


def stages(layers: Callable[[int, int], list[nn.Module]]) -> nn.Sequential:
    """Return three stages and a classifier."""
    body = [layer for before, after in pairwise(WIDTHS) for layer in layers(before, after)]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10)
    return nn.Sequential(*body, *head)


def conv(before: int, after: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps the size but for the stride, batch norm and ReLU."""
    layer = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return [layer, nn.BatchNorm2d(after), nn.ReLU()]


# What is compared, and the networks by name. The DenseNet has 0.4 % more parameters.
COMPARISONS: dict[str, dict[str, Maker]] = {
    "connections": {
        "ResNet-20": lambda: CifarResNet(20),
        "DenseNet": lambda: densenet_cifar(22, 12),
    },
    "stride": {
        "max pooling": lambda: stages(lambda b, a: [*conv(b, a), nn.MaxPool2d(2)]),
        "mean pooling": lambda: stages(lambda b, a: [*conv(b, a), nn.AvgPool2d(2)]),
        "stride 2": lambda: stages(lambda b, a: conv(b, a, stride=2)),
    },
    "kernels": {
        "3x3 twice": lambda: stages(lambda b, a: [*conv(b, a), *conv(a, a), nn.MaxPool2d(2)]),
        "5x5": lambda: stages(lambda b, a: [*conv(b, a, size=5), nn.MaxPool2d(2)]),
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    data_arguments(parser, epochs=5)
    add = parser.add_argument
    add("--what", choices=COMPARISONS, nargs="+", default=list(COMPARISONS), help="default: all")
    add("--seeds", type=above(0, int), default=3, metavar="N", help="trainings; default 3")


HEAD = "comparison", "network", "parameters", "multiply-adds", "error", "deviation", "seconds"


def run(args: argparse.Namespace) -> None:
    """Train each network of each comparison, and print what it costs and its error."""
    train, test = small_images(args, channels=3)
    rows: list[tuple[Any, ...]] = []
    trainings = args.seeds * sum(len(COMPARISONS[what]) for what in args.what)
    with Progress(trainings * steps_of(train, args.epochs), args.task) as progress:
        for what in args.what:
            for name, make in COMPARISONS[what].items():
                row = measure(make, train, test, args, progress)
                rows.append((what, name, *row))
                parameters, work, error, deviation, seconds = row
                progress.write(
                    f"{what:<12} {name:<13} {parameters:>9,} parameters {work:>11,} multiply-adds  "
                    f"error {error:.2%} ± {deviation:.2%}  {seconds:.1f} s"
                )
                write_csv(args.log, HEAD, rows)
    if args.plot:
        plot(args.plot, rows)


def measure(
    make: Maker, train: Any, test: Any, args: argparse.Namespace, progress: Progress
) -> tuple[int, int, float, float, float]:
    """Train with each seed; return what a network costs, mean and deviation of errors, seconds."""
    errors = []
    begin = time.perf_counter()
    for seed in range(args.seed, args.seed + args.seeds):
        manual_seed(seed)
        model = make()
        fit_briefly(model, train, args, progress)
        errors.append(1 - held_out_accuracy(model, test))
    seconds = (time.perf_counter() - begin) / args.seeds
    counted = summary(model, (1, *train.tensors[0].shape[1:]))
    costs = counted.parameters, counted.multiply_adds
    return *costs, float(np.mean(errors)), deviation(errors), seconds


def plot(path: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Draw the errors with their deviations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names = [f"{what}: {name}" for what, name, *_ in rows]
    axes.errorbar([r[4] for r in rows], names, xerr=[r[5] for r in rows], fmt="o", capsize=3)
    axes.set_xlabel("error")
    figure.savefig(path, dpi=150)
