"""The copy task: symbols come out again after a pause; RNN, GRU and LSTM in comparison."""

from __future__ import annotations

import argparse
import math

import numpy as np

from .. import functional as F
from ..tensor import Array, Tensor
from . import memory

SYMBOLS, COUNT = 8, 5  # kinds, and how many are to be kept
BLANK, GO = SYMBOLS, SYMBOLS + 1


def draw(random: np.random.Generator, count: int, length: int) -> tuple[Array, Array]:
    """Return sequences (one-hot), and the symbols to give at each step.

    Symbols, `length` blanks of which the last is the sign to begin, and as many blanks as there
    were symbols, during which they are to be given. Arjovsky et al., arXiv:1511.06464, 5.1.

    Examples
    --------
    >>> x, target = draw(np.random.default_rng(0), count=1, length=3)
    >>> x.argmax(2)[0].tolist(), target[0].tolist()
    ([6, 5, 4, 2, 2, 8, 8, 9, 8, 8, 8, 8, 8], [8, 8, 8, 8, 8, 8, 8, 8, 6, 5, 4, 2, 2])
    """
    symbols = random.integers(0, SYMBOLS, (count, COUNT))
    given = np.full((count, COUNT + length + COUNT), BLANK)
    target = given.copy()
    given[:, :COUNT] = target[:, COUNT + length :] = symbols
    given[:, COUNT + length - 1] = GO
    return np.eye(SYMBOLS + 2, dtype=np.float32)[given], target


def loss(outputs: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy of all steps."""
    return F.cross_entropy(outputs.reshape(-1, SYMBOLS + 1), target.reshape(-1))


def trivial(length: int) -> float:
    """Return the loss of blanks where they belong, and of all symbols alike at the end."""
    return COUNT * math.log(SYMBOLS) / (length + 2 * COUNT)


PROBLEM = memory.Problem(draw, loss, trivial, features=SYMBOLS + 2, outputs=SYMBOLS + 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    memory.add_arguments(parser, length=50, epochs=200, hidden=128)


def run(args: argparse.Namespace) -> None:
    """Train, and print the table."""
    memory.run(args, PROBLEM)
