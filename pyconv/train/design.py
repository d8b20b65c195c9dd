"""Networks drawn from design spaces, trained briefly: how their errors are distributed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..design import SPACES, sample
from ..models import anynet
from ..random import manual_seed
from ..tensor import Array
from ..terminal import Progress, above
from .classify import held_out_accuracy
from .experiment import data_arguments, fit_briefly, small_images, steps_of, write_csv

STRIDES = 1, 2, 2, 1  # of the stages, behind a stem of stride 2: for small images


def multiply_adds(network: Mapping[str, Any], size: int, stem_width: int = 32) -> int:
    """Count those of an AnyNet of the strides above, as `pyconv.summary` does."""
    size = math.ceil(size / 2)
    total, width_in = size**2 * stem_width * 27, stem_width
    stages = zip(
        network["depths"],
        network["widths"],
        network["group_widths"],
        network.get("bottleneck_multipliers", [1.0] * 4),
        STRIDES,
    )
    for depth, width, group, multiplier, stride in stages:
        inside = round(width * multiplier)
        for i in range(depth):
            before, size = size, math.ceil(size / stride) if i == 0 else size
            changes = i == 0 and (stride != 1 or width_in != width)
            total += before**2 * width_in * inside
            total += size**2 * (9 * group * inside + inside * width + changes * width_in * width)
            width_in = width
    return total + width_in * 10 + 10


def draw(space: str, count: int, target: float, size: int, seed: int) -> list[dict[str, Any]]:
    """Draw networks within a tenth of as many multiply-adds as asked for."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    while len(found) < count:
        (network,) = sample(space, 1, rng)
        if abs(multiply_adds(network, size) / target - 1) < 0.1:
            found.append(network)
    return found


def distribution(errors: Array, at: Array) -> Array:
    """Return the share of networks with an error below each of some values.

    Examples
    --------
    >>> distribution(np.array([0.2, 0.4]), np.array([0.1, 0.3, 0.5]))
    array([0. , 0.5, 1. ])
    """
    return np.searchsorted(np.sort(errors), at) / len(errors)


def bands(errors: Array, at: Array, seed: int = 0, draws: int = 1000) -> tuple[Array, Array]:
    """Return what 95 % of the distributions of as many networks, drawn again, lie between.

    References
    ----------
    Efron, *Bootstrap methods: another look at the jackknife*, Annals of Statistics 7, 1979.
    """
    again = np.random.default_rng(seed).choice(errors, (draws, len(errors)))
    low, high = np.quantile([distribution(row, at) for row in again], [0.025, 0.975], axis=0)
    return low, high


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    data_arguments(parser, epochs=2)
    add = parser.add_argument
    spaces = list(SPACES)
    add("--spaces", nargs="+", choices=SPACES, default=spaces, metavar="SPACE", help="default: all")
    add("--networks", type=above(0, int), default=30, metavar="N", help="of each; default 30")
    add("--multiply-adds", type=above(0, float), default=1e6, metavar="N", help="default 1e6")


def run(args: argparse.Namespace) -> None:
    """Train the networks of each space, and say how their errors are distributed."""
    train, test = small_images(args, channels=3)
    size = train.tensors[0].shape[-1]
    found: dict[str, Array] = {}
    rows = []
    steps = len(args.spaces) * args.networks * steps_of(train, args.epochs)
    with Progress(steps, args.task) as progress:
        for space in args.spaces:
            errors = []
            for network in draw(space, args.networks, args.multiply_adds, size, args.seed):
                manual_seed(args.seed)
                model = anynet(**network, strides=STRIDES, num_classes=10)
                fit_briefly(model, train, args, progress)
                errors.append(1 - held_out_accuracy(model, test))
                rows.append([space, sum(network["depths"]), network["widths"], errors[-1]])
            found[space] = np.array(errors)
            progress.write(described(space, found[space]))
            write_csv(args.log, ("space", "blocks", "widths", "error"), rows)
    if args.plot:
        plot(args.plot, found)


def described(space: str, errors: Array) -> str:
    """Return the quartiles of the errors, and what 95 % of means of as many lie between."""
    again = np.random.default_rng(0).choice(errors, (1000, len(errors))).mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    best, first, median, third = np.quantile(errors, [0, 0.25, 0.5, 0.75])
    return (
        f"{space:<9} error: mean {errors.mean():.1%} ({low:.1%} to {high:.1%}), "
        f"best {best:.1%}, quartiles {first:.1%} {median:.1%} {third:.1%}"
    )


def plot(path: str, found: Mapping[str, Array]) -> None:
    """Draw the distributions with their bands."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    at = np.linspace(0, max(map(np.max, found.values())), 400)
    for space, errors in found.items():
        (line,) = axes.plot(at, distribution(errors, at), label=space)
        axes.fill_between(at, *bands(errors, at), color=line.get_color(), alpha=0.15)
    axes.set_xlabel("error")
    axes.set_ylabel("share of networks below")
    axes.legend()
    figure.savefig(path, dpi=150)
