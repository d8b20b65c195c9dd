"""The loss around a trained network, with and without ways around, in two directions."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..nn.utils import parameters_to_vector, vector_to_parameters
from ..random import manual_seed
from ..tensor import Array
from ..terminal import Progress, above
from .classify import held_out_accuracy
from .depth import network
from .experiment import data_arguments, fit_briefly, small_images, steps_of, write_csv


def direction(model: nn.Module, rng: np.random.Generator) -> Array:
    """Draw a direction in which each filter changes by a vector as long as the filter is.

    Numbers that belong to no filter, biases and those of norms, stay as they are.

    References
    ----------
    Li, Xu, Taylor, Studer and Goldstein, *Visualizing the loss landscape of neural nets*,
    arXiv:1712.09913, section 4.
    """
    parts = []
    for param in model.parameters():
        filters = param.detach().numpy().reshape(len(param), -1)
        drawn = rng.standard_normal(filters.shape).astype(filters.dtype)
        lengths = np.linalg.norm(filters, axis=1) / np.linalg.norm(drawn, axis=1)
        parts.append((drawn * lengths[:, None] * (param.ndim > 1)).ravel())
    return np.concatenate(parts)


def surface(
    model: nn.Module, images: Any, classes: Any, points: int, reach: float, seed: int
) -> Array:
    """Return the loss at points**2 places, from -reach to reach times each of two directions.

    Batch norm takes the statistics of these images: running ones belong to the centre alone.
    """
    parameters = list(model.parameters())
    centre = parameters_to_vector(parameters).detach().numpy().copy()
    rng = np.random.default_rng(seed)
    across, along = direction(model, rng), direction(model, rng)
    steps = np.linspace(-reach, reach, points, dtype=np.float32)
    losses = np.empty((points, points))
    buffers = {name: buffer.detach().numpy().copy() for name, buffer in model.named_buffers()}
    model.train()
    with no_grad():
        for i, j in np.ndindex(points, points):
            vector_to_parameters(centre + steps[i] * across + steps[j] * along, parameters)
            losses[i, j] = F.cross_entropy(model(images), classes).item()
        vector_to_parameters(centre, parameters)
    model.load_state_dict(buffers, strict=False)
    return losses


def roughness(losses: Array) -> float:
    """Return how much more a line across the surface goes up and down than a valley does.

    The way down to the lowest point of a line and up again is what a valley has. The rest is summed
    over all lines in both directions, as a share of that: 0 for any convex function.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 9)
    >>> roughness(x**2 + x[:, None] ** 2)
    0.0
    """
    lines = np.concatenate([losses, losses.T])
    ways = np.abs(np.diff(lines)).sum()
    valleys = (lines[:, 0] + lines[:, -1] - 2 * lines.min(axis=1)).sum()
    return float(ways / valleys - 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    data_arguments(parser, epochs=5)
    add = parser.add_argument
    add("--depth", type=above(10, int), default=20, metavar="N", help="9 n + 2 layers; default 20")
    add("--points", type=above(1, int), default=21, metavar="N", help="on a side; default 21")
    add("--images", type=above(0, int), default=256, metavar="N", help="of a loss; default 256")
    add("--reach", type=above(0, float), default=1.0, metavar="X", help="default %(default)s")


def run(args: argparse.Namespace) -> None:
    """Train both networks, and say how rough the loss around them is."""
    train, test = small_images(args)
    images, classes = (tensor[: args.images] for tensor in train.tensors)
    found = {}
    for name, skip in (("with skips", True), ("without skips", False)):
        manual_seed(args.seed)
        model = network(args.depth, skip)
        with Progress(steps_of(train, args.epochs), name) as progress:
            fit_briefly(model, train, args, progress)
        losses = surface(model, images, classes, args.points, args.reach, args.seed)
        found[name] = losses
        rough, accuracy = roughness(np.log(losses)), held_out_accuracy(model, test)
        print(f"{args.depth} layers {name}: held-out accuracy {accuracy:.2%}, loss ", end="")
        print(f"{losses.min():.3f} to {losses.max():.3g}, roughness {rough:.4f}", flush=True)
    rows = [(name, *place, x) for name, grid in found.items() for place, x in np.ndenumerate(grid)]
    write_csv(args.log, ("network", "row", "column", "loss"), rows)
    if args.plot:
        plot(args.plot, found, args.reach)


def plot(path: str, surfaces: dict[str, Array], reach: float) -> None:
    """Draw contours of the logarithm of the losses, with one scale for all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(surfaces), 4), layout="constrained")
    logs = {name: np.log10(losses) for name, losses in surfaces.items()}
    low, high = min(map(np.min, logs.values())), max(map(np.max, logs.values()))
    row = figure.subplots(1, len(surfaces), squeeze=False)[0]
    for axes, (name, values) in zip(row, logs.items()):
        steps = np.linspace(-reach, reach, len(values))
        drawn = axes.contourf(steps, steps, values, np.linspace(low, high, 30))
        axes.set_title(f"{name}: roughness {roughness(values):.4f}")
    figure.colorbar(drawn, ax=row, label="log10 of the loss")
    figure.savefig(path, dpi=150)
