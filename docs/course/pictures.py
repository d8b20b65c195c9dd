"""Draw the pictures of the course: `python docs/course/pictures.py [FOLDER]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import pyconv
import pyconv.functional as F
from pyconv import nn

matplotlib.use("agg")
from matplotlib import pyplot as plt

GREY = {"cmap": "gray", "interpolation": "nearest"}


def equivariance() -> Any:
    """Draw where the output does not move along: black."""
    layers = {
        "circular padding": nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"),
        "zero padding": nn.Conv2d(1, 4, 3, padding=1),
        "and a second layer": nn.Sequential(*[nn.Conv2d(c, 4, 3, padding=1) for c in (1, 4)]),
        "stride 3": nn.Conv2d(1, 4, 3, stride=3, padding=1, padding_mode="circular"),
    }
    figure, axes = plt.subplots(1, len(layers), figsize=(8, 2.3))
    for axis, (title, layer) in zip(axes, layers.items()):
        found = pyconv.check.equivariance(nn.Sequential(layer), (0, 2), (1, 1, 18, 18))[-1]
        axis.imshow(~found.wrong, **GREY, vmin=0, vmax=1)
        axis.set(title=title, xticks=[], yticks=[])
    return figure


def matrix() -> Any:
    """Draw matrices of layers from 12 numbers; colours are the weights."""
    layers = {
        "fully connected": nn.Linear(12, 12),
        "kernel 3": nn.Conv1d(1, 1, 3, padding=1),
        "stride 2": nn.Conv1d(1, 1, 3, padding=1, stride=2),
        "dilation 2": nn.Conv1d(1, 1, 3, padding=2, dilation=2),
        "2 channels to 2": nn.Conv1d(2, 2, 3, padding=1),
    }
    figure, axes = plt.subplots(1, len(layers), figsize=(9, 2.2))
    for axis, (title, layer) in zip(axes, layers.items()):
        shape = (12,) if title == "fully connected" else (layer.in_channels, 12)
        found = pyconv.as_matrix(layer, shape)
        most = np.abs(found).max()
        axis.imshow(found, cmap="RdBu", interpolation="nearest", vmin=-most, vmax=most)
        axis.set(title=title, xticks=[], yticks=[])
    return figure


def checkerboard() -> Any:
    """Draw what enlarging by 2 makes of an even grey."""
    grey = np.ones((1, 1, 8, 8))
    larger = F.interpolate(grey, scale_factor=2.0)
    results = {
        "kernel 3, stride 2": F.conv_transpose2d(grey, np.ones((1, 1, 3, 3)), stride=2),
        "kernel 4, stride 2": F.conv_transpose2d(grey, np.ones((1, 1, 4, 4)), stride=2),
        "repetition, then kernel 3": F.conv2d(larger, np.ones((1, 1, 3, 3)) / 4),
    }
    figure, axes = plt.subplots(1, len(results), figsize=(7.5, 2.5))
    for axis, (title, result) in zip(axes, results.items()):
        axis.imshow(result.numpy()[0, 0], **GREY, vmin=0, vmax=4)
        axis.set(title=title, xticks=[], yticks=[])
    return figure


def shattered() -> Any:
    """Draw how alike the gradients of networks from one number to one are, by distance."""

    def layer(inputs: int, outputs: int, spread: float = 0.5) -> nn.Linear:
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight)
        nn.init.normal_(linear.bias, std=spread)
        return linear

    def gradient(blocks: list[nn.Module]) -> Any:
        x = pyconv.linspace(-2, 2, 256).reshape(-1, 1).detach()
        x.requires_grad = True
        nn.Sequential(layer(1, 100, 2.0), *blocks, nn.ReLU(), layer(100, 1))(x).sum().backward()
        return x.grad.numpy()[:, 0]

    def block() -> nn.Sequential:
        return nn.Sequential(nn.ReLU(), layer(100, 100))

    kinds: dict[str, Callable[[], list[nn.Module]]] = {
        "1 layer": list,
        "50 layers, residual": lambda: [nn.Residual(block()) for _ in range(49)],
        "50 layers": lambda: [block() for _ in range(49)],
    }
    figure, axis = plt.subplots(figsize=(4.5, 3))
    steps = range(1, 65, 3)
    for name, blocks in kinds.items():
        gradients = [gradient(blocks()) for _ in range(16)]
        alike = [np.mean([np.corrcoef(g[:-s], g[s:])[0, 1] for g in gradients]) for s in steps]
        axis.plot(np.array(steps) * 4 / 255, alike, label=name)
    axis.set(xlabel="distance of inputs", ylabel="correlation of gradients")
    axis.legend()
    return figure


def variance() -> Any:
    """Draw the variance by depth, at the beginning of training."""

    def he() -> nn.Linear:
        linear = nn.Linear(500, 500, bias=False)
        nn.init.kaiming_normal_(linear.weight)
        return linear

    blocks: dict[str, Callable[[], nn.Module]] = {
        "plain": lambda: nn.Sequential(nn.ReLU(), he()),
        "residual": lambda: nn.Residual(nn.Sequential(nn.ReLU(), he())),
        "residual, batch norm": lambda: nn.Residual(
            nn.Sequential(nn.BatchNorm1d(500), nn.ReLU(), he())
        ),
    }
    figure, axis = plt.subplots(figsize=(4.5, 3))
    for name, block in blocks.items():
        h, found = pyconv.randn(200, 500), []
        with pyconv.no_grad():
            for _ in range(16):
                found.append(float(h.var()))
                h = block()(h)
        axis.plot(found, marker=".", label=name)
    axis.set(yscale="log", xlabel="blocks", ylabel="variance")
    axis.legend()
    return figure


def lag() -> Any:
    """Draw the gradient's norm by lag: a recurrent layer at rest, its matrix rho times Q."""
    figure, axis = plt.subplots(figsize=(4.5, 3))
    for rho in (1.1, 1.0, 0.9):
        layer = nn.RNN(16, 16, bias=False).double()
        nn.init.orthogonal_(layer.weight_ih_l0)
        nn.init.orthogonal_(layer.weight_hh_l0, gain=rho)
        x = pyconv.zeros(51, 1, 16, dtype="float64", requires_grad=True)
        layer(x)[0][-1].backward(np.full((1, 16), 0.25))
        axis.plot(np.linalg.norm(x.grad.numpy()[::-1, 0], axis=1), label=f"rho = {rho}")
    axis.set(yscale="log", xlabel="lag", ylabel="norm of the gradient")
    axis.legend()
    return figure


def gates() -> Any:
    """Draw what the GRU made by hand does: it holds the number that was last marked."""
    layer = nn.GRU(2, 1)
    with pyconv.no_grad():
        for p in layer.parameters():
            p[...] = 0.0
        layer.weight_ih_l0[1, 1], layer.bias_ih_l0[1] = -20.0, 10.0
        layer.weight_ih_l0[2, 0] = 1.0
    random = np.random.default_rng(1)
    numbers, marks = random.uniform(-1, 1, 40), random.random(40) < 0.1
    x = np.stack([numbers, marks], 1)[:, None].astype(np.float32)
    output, _, (found,) = layer(x, return_gates=True)
    rows = {
        "number": numbers,
        "mark": marks,
        "update gate": found.detach().numpy()[:, 0, 1, 0],
        "state": output.detach().numpy()[:, 0, 0],
    }
    figure, axes = plt.subplots(len(rows), 1, figsize=(6, 3.2), sharex=True)
    for axis, (name, values) in zip(axes, rows.items()):
        axis.step(range(40), values, where="mid")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set_yticks([])
    axes[-1].set_xlabel("step")
    return figure


PICTURES = [equivariance, matrix, checkerboard, shattered, variance, lag, gates]


def main(folder: Path) -> None:
    """Write all pictures."""
    for draw in PICTURES:
        pyconv.manual_seed(0)
        figure = draw()
        path = folder / f"{draw.__name__}.png"
        figure.savefig(path, dpi=80, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
