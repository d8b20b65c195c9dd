"""The adding problem: a sum of two marked numbers, 200 steps; RNN, GRU and LSTM in comparison."""

from __future__ import annotations

import argparse

import numpy as np

from .. import functional as F
from ..tensor import Array, Tensor
from . import memory


def draw(random: np.random.Generator, count: int, length: int) -> tuple[Array, Array]:
    """Return sequences of (number, mark), and the sum of the two numbers that are marked.

    One mark is in either half. Hochreiter and Schmidhuber, Neural Computation 9, 1997, 5.4, with
    numbers from 0 to 1 as in Le et al., arXiv:1504.00941.

    Examples
    --------
    >>> x, target = draw(np.random.default_rng(0), count=3, length=10)
    >>> x.shape, bool(np.allclose((x[..., 0] * x[..., 1]).sum(1), target))
    ((3, 10, 2), True)
    """
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = random.random((count, length))
    half = length // 2
    rows = np.arange(count)
    x[rows, random.integers(0, half, count), 1] = 1
    x[rows, random.integers(half, length, count), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(1)


def loss(outputs: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of the last step's output."""
    return F.mse_loss(outputs[:, -1, 0], target)


# Always 1 is wrong by the variance of two uniform numbers.
PROBLEM = memory.Problem(draw, loss, lambda length: 1 / 6, features=2, outputs=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    memory.add_arguments(parser, length=200, epochs=60, hidden=64)


def run(args: argparse.Namespace) -> None:
    """Train, and print the table."""
    if args.length < 2:
        raise ValueError(f"--length is {args.length}, expected 2 or more: one for each mark")
    memory.run(args, PROBLEM)
