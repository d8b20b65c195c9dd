"""Gradients of plain and of residual networks by depth; 1001 layers in a given memory."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, nn, optim
from .. import functional as F
from ..autograd.checkpoint import checkpoint_sequential
from ..config import memory_stats
from ..data import digits
from ..models.preact_resnet import PreActResNet
from ..random import manual_seed
from ..rehearsal import peak_bytes
from ..tensor import Tensor
from ..terminal import above
from .experiment import write_csv

DEPTHS = 20, 164, 1001


def network(depth: int, skip: bool) -> PreActResNet:
    """Return a pre-activation network of three stages for grey images; 9 n + 2 layers."""
    stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
    return PreActResNet([depth // 9] * 3, 16, stem, 16, 10, skip)


def gradient_norms(model: nn.Module, images: Any, classes: Any) -> list[float]:
    """Return the norm of the gradient of each convolution's weight but those on ways around."""
    F.cross_entropy(model(images), classes).backward()
    gradients = [
        np.asarray(module.weight.grad)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and not name.endswith("downsample")
    ]
    return [float(np.linalg.norm(gradient)) for gradient in gradients]


def decades(norms: list[float]) -> float:
    """Return how many powers of ten the norm grows from the last layer to the first."""
    return math.log10(norms[0] / norms[-1]) if norms[0] and norms[-1] else -math.inf


def segments(model: PreActResNet) -> list[Callable[[Any], Any]]:
    """Split a network into parts of about the square root of its blocks, to be computed again."""
    blocks = [block for i in range(model.depth) for block in getattr(model, f"layer{i + 1}")]
    size = max(1, math.isqrt(len(blocks)))
    parts = [nn.Sequential(*blocks[i : i + size]) for i in range(0, len(blocks), size)]
    return [model.stem, *parts, lambda x: model.avgpool(model.bn(x, relu=True)).flatten(1)]


def loss_of(model: PreActResNet, images: Any, classes: Any, budget_mb: float) -> Tensor:
    """Compute the loss, and keep no more within the segments than the budget allows."""
    x = checkpoint_sequential(segments(model), images, budget_mb)
    return F.cross_entropy(model.fc(x), classes)


def budget_for(model: PreActResNet, images: Any, classes: Any, memory_mb: float) -> float:
    """Return how much of a memory is left for what segments keep, all in MB.

    Raises
    ------
    ValueError
        If the network does not fit although every segment is computed again.
    """

    def step() -> None:
        loss_of(model, images, classes, 0).backward()

    least = (peak_bytes(model, step) or math.inf) / 1e6
    if least > memory_mb:
        raise ValueError(f"depth: --memory is {memory_mb:g} MB, the network needs {least:.0f} MB")
    return memory_mb - least


def overfit(
    model: PreActResNet, images: Any, classes: Any, budget_mb: float, steps: int, lr: float
) -> list[float]:
    """Train on one batch until all of it is known; return the losses."""
    optimizer = optim.SGD(model.parameters(), lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, images, classes, budget_mb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < 0.1:
            break
    return losses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    add = parser.add_argument
    layers, help = above(10, int), "9 n + 2 layers; default " + " ".join(map(str, DEPTHS))
    add("--depths", type=layers, nargs="+", default=DEPTHS, metavar="N", help=help)
    add("--batch-size", type=above(0, int), default=16, metavar="N", help="default %(default)s")
    add("--steps", type=above(0, int), default=100, metavar="N", help="to overfit; default 100")
    add("--lr", type=above(0, float), default=0.05, metavar="RATE", help="default %(default)s")
    add("--memory", type=above(0, float), metavar="MB", help="for the last network's training")


def run(args: argparse.Namespace) -> None:
    """Measure gradients of each depth, then overfit a batch of digits with the last one."""
    images, classes = (tensor[: args.batch_size] for tensor in digits()[0].tensors)
    curves = {
        f"{name} {depth}": _described(name, depth, images, classes, args)
        for depth in args.depths
        for name in ("plain", "residual")
    }
    rows = [(name, i, norm) for name, norms in curves.items() for i, norm in enumerate(norms)]
    write_csv(args.log, ("network", "layer", "gradient_norm"), rows)
    if args.plot:
        plot(args.plot, curves)
    manual_seed(args.seed)
    _overfit(network(args.depths[-1], skip=True), images, classes, args)


def _described(
    name: str, depth: int, images: Any, classes: Any, args: argparse.Namespace
) -> list[float]:
    """Return the norms of a network, and print how much they grow."""
    manual_seed(args.seed)
    model = network(depth, skip=name == "residual").double()  # float32 ends at 1e38
    norms = gradient_norms(model, images.to(np.float64), classes)
    first, last, ratio = norms[0], norms[-1], decades(norms)
    print(f"{name:>8} {depth:>4}: gradient of the first layer {first:.2e}, ", end="")
    print(f"of the last {last:.2e}, {ratio:+.1f} powers of ten", flush=True)
    return norms


def _overfit(model: PreActResNet, images: Any, classes: Any, args: argparse.Namespace) -> None:
    budget = math.inf
    if args.memory:
        budget = budget_for(model, images, classes, args.memory)
        print(f"memory {args.memory:g} MB: {budget:.1f} MB are left for what segments keep")
    _core.reset_peak_memory_stats()
    begin = time.perf_counter()
    losses = overfit(model, images, classes, budget, args.steps, args.lr)
    peak = memory_stats()["peak_bytes"] / 1e6
    seconds = (time.perf_counter() - begin) / len(losses)
    print(f"{args.depths[-1]} layers, one batch of {len(images)}: loss {losses[0]:.3f} to ", end="")
    print(f"{losses[-1]:.3f} in {len(losses)} steps of {seconds:.2f} s, peak {peak:.1f} MB")


def plot(path: str, curves: dict[str, list[float]]) -> None:
    """Draw the norms, each network's layers from the first to the last."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for i, (name, norms) in enumerate(curves.items()):
        place = [layer / (len(norms) - 1) for layer in range(len(norms))]
        axes.semilogy(place, norms, color=f"C{i // 2}", ls=":-"[i % 2], label=name)
    axes.set_xlabel("depth, from the first layer to the last")
    axes.set_ylabel("norm of the weights' gradient")
    axes.legend()
    figure.savefig(path, dpi=150)
