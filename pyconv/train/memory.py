"""What the adding problem and the copy task share: three cells, trained on what is drawn anew."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import nn, optim
from ..autograd import no_grad
from ..creation import from_numpy
from ..random import default_generator, manual_seed
from ..tensor import Array, Tensor
from ..terminal import Progress, above
from .loop import Training, append_row

CELLS = "RNN", "GRU", "LSTM"
STEPS_PER_EPOCH = 50
HELD_OUT = 1000  # sequences


class Problem(NamedTuple):
    """A task: sequences that are drawn, and how well they were answered."""

    draw: Callable[[np.random.Generator, int, int], tuple[Array, Array]]  # count, length
    loss: Callable[[Tensor, Tensor], Tensor]
    trivial: Callable[[int], float]  # the loss of what remembers nothing
    features: int
    outputs: int


class Drawn:
    """An endless set of sequences, some batches of it at a time."""

    def __init__(self, problem: Problem, count: int, length: int, seed: int) -> None:
        self.problem, self.sizes = problem, (count, length)
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return STEPS_PER_EPOCH

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(len(self)):
            x, target = self.problem.draw(self.random, *self.sizes)
            yield from_numpy(x), from_numpy(target)


class Reader(nn.Module):
    """A recurrent layer, and a linear one on its states; batch first.

    At the start, gates keep a value for 1 to `length` steps, as Tallec and Ollivier set them,
    *Can recurrent neural networks warp time?*, arXiv:1804.11188, section 3.
    """

    def __init__(self, cell: str, problem: Problem, hidden: int, length: int) -> None:
        super().__init__()
        self.cell = getattr(nn, cell)(problem.features, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, problem.outputs)
        if cell == "RNN":
            return
        keep = np.log(default_generator().uniform(1, max(2, length - 1), hidden))
        with no_grad():  # the gates that let in and keep; the GRU's second does both
            self.cell.bias_hh_l0[: 2 * hidden] = 0
            self.cell.bias_ih_l0[:hidden] = -keep if cell == "LSTM" else 0
            self.cell.bias_ih_l0[hidden : 2 * hidden] = keep

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all steps."""
        outputs: Tensor = self.linear(self.cell(x)[0])
        return outputs


def add_arguments(parser: argparse.ArgumentParser, length: int, epochs: int, hidden: int) -> None:
    """Describe the arguments, with a task's defaults."""
    add = parser.add_argument
    add("--cells", nargs="+", choices=CELLS, default=CELLS, help="default: all")
    size = above(0, int, most=2**31 - 1)
    add("--length", type=size, default=length, metavar="N", help="default %(default)s")
    add("--hidden", type=size, default=hidden, metavar="N", help="default %(default)s")
    help = f"of {STEPS_PER_EPOCH} steps each; default %(default)s"
    add("--epochs", type=above(0, int), default=epochs, metavar="N", help=help)
    add("--batch-size", type=size, default=32, metavar="N", help="default 32")
    add("--lr", type=above(0, float), default=2e-3, metavar="RATE", help="default 0.002")


def run(args: argparse.Namespace, problem: Problem) -> None:
    """Train each cell, and print what it reached."""
    trivial = problem.trivial(args.length)
    curves: dict[str, list[float]] = {}
    print(f"| cell | held-out loss | of the trivial {trivial:.4f} |\n| --- | ---: | ---: |")
    with Progress(len(args.cells) * args.epochs, args.task) as progress:
        for cell in args.cells:
            curves[cell] = train(cell, problem, args, progress)
            last = curves[cell][-1]
            progress.write(f"| {cell} | {last:.5f} | {last / trivial:.1%} |")
    if args.plot:
        plot(args.plot, curves, trivial)


def train(cell: str, problem: Problem, args: argparse.Namespace, progress: Progress) -> list[float]:
    """Train one cell, and return its loss on held-out sequences after each epoch."""
    manual_seed(args.seed)
    model = Reader(cell, problem, args.hidden, args.length)
    batches = Drawn(problem, args.batch_size, args.length, args.seed)
    held_out = problem.draw(np.random.default_rng(args.seed + 10**6), HELD_OUT, args.length)
    x, target = (from_numpy(array) for array in held_out)

    def evaluate() -> dict[str, float]:
        with no_grad():
            return {"held-out loss": problem.loss(model(x), target).item()}

    training = Training(
        model,
        optim.Adam(model.parameters(), args.lr),
        batches,
        lambda x, target: (problem.loss(model(x), target), {}),
        evaluate,
        clip=1.0,
    )
    for epoch in range(1, args.epochs + 1):
        for _ in training.rest_of_epoch():
            pass
        measures: dict[str, Any] = training.end_epoch()
        if args.log:
            append_row(args.log, {"cell": cell, "epoch": epoch, **measures})
        progress.advance(text=f"{cell} {measures['held-out loss']:.4f}")
    return [measures["held-out loss"] for measures in training.history]


def plot(path: str, curves: dict[str, list[float]], trivial: float) -> None:
    """Draw the loss of each cell over the steps; dashed: the trivial one."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for cell, losses in curves.items():
        axes.plot(STEPS_PER_EPOCH * np.arange(1, len(losses) + 1), losses, label=cell)
    axes.axhline(trivial, color="black", linestyle="dashed", label="trivial")
    axes.set(xlabel="steps", ylabel="held-out loss", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=150)
