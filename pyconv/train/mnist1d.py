"""MNIST-1D: the table of its paper, in order and shuffled, mean and deviation over some seeds."""

from __future__ import annotations

import argparse
import csv
import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import data, nn, optim
from ..creation import from_numpy
from ..random import manual_seed
from ..terminal import Progress, above
from .classify import cross_entropy_of, deviation, held_out_accuracy
from .loop import Training, append_row, read_rows

# Per cent in order and shuffled: Greydanus and Kobak, arXiv:2011.14439, the first table.
PUBLISHED = {"logistic": (32, 32), "mlp": (68, 68), "cnn": (94, 56), "gru": (91, 57)}
ORDERS = "ordered", "shuffled"
STEPS_PER_EPOCH = 40  # batches of 100
KEYS = "model", "order", "seed", "epochs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    add = parser.add_argument
    add("--models", nargs="+", choices=PUBLISHED, default=list(PUBLISHED), help="default: all")
    add("--orders", nargs="+", choices=ORDERS, default=ORDERS, help="default: both")
    add("--seeds", type=above(0, int), default=5, metavar="N", help="runs of each; default 5")
    add("--epochs", type=above(0, int), default=200, metavar="N", help="of 40 steps; default 200")
    add("--resume", action="store_true", help="leave out the runs that the file of --log has")


def run(args: argparse.Namespace) -> None:
    """Train all, and print the table."""
    run_by(train, args)


def run_by(train: Callable[..., float], args: argparse.Namespace) -> None:
    """Do the same with another function in place of `train`."""
    if args.resume and not args.log:
        raise ValueError("--resume needs --log, the file that has the runs")
    sets = {order: data_set(order) for order in args.orders}
    done = finished(args.log) if args.resume and os.path.exists(args.log) else {}
    seeds = range(args.seed, args.seed + args.seeds)
    runs = list(itertools.product(args.models, args.orders, seeds))
    results: dict[tuple[str, str], list[float]] = {}
    with Progress(len(runs) * args.epochs, args.task) as progress:
        for model, order, seed in runs:
            key = model, order, str(seed), str(args.epochs)
            if key not in done:
                done[key] = train(model, sets[order], seed, args.epochs, progress)
                if args.log:
                    append_row(args.log, {**dict(zip(KEYS, key)), "accuracy": done[key]})
            else:
                progress.advance(args.epochs)
            results.setdefault((model, order), []).append(done[key])
    print_table(results)
    if args.plot:
        plot(args.plot, results)


def finished(path: str) -> dict[tuple[str, ...], float]:
    """Return the accuracies that a log has; ValueError if it is none."""
    try:
        rows = read_rows(path)
        return {tuple(row[key] for key in KEYS): float(row["accuracy"]) for row in rows}
    except (KeyError, TypeError, ValueError, csv.Error):
        raise ValueError(f"{path} is no log of pyconv train mnist1d") from None


def data_set(order: str) -> Any:
    """Return the parts for training and tests; the same places are exchanged in all signals."""
    parts = data.mnist1d()
    if order == "ordered":
        return parts
    places = np.random.RandomState(0).permutation(parts[0].tensors[0].shape[2])
    return tuple(
        data.TensorDataset(from_numpy(part.tensors[0].numpy()[:, :, places]), part.tensors[1])
        for part in parts
    )


def train(model: str, sets: Any, seed: int, epochs: int, progress: Progress) -> float:
    """Train one model as the paper's code does, and return its accuracy on the test set."""
    manual_seed(seed)
    net = network(model)
    loader = data.DataLoader(sets[0], len(sets[0]) // STEPS_PER_EPOCH)  # never shuffled
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    training = Training(net, optimizer, loader, cross_entropy_of(net))
    for epoch in range(epochs):
        for _ in training.rest_of_epoch():
            pass
        training.end_epoch()
        progress.advance(text=f"{model}, seed {seed}, epoch {epoch + 1}")
    return held_out_accuracy(net, sets[1])


def network(model: str, nn: Any = nn) -> Any:
    """Return one of the paper's networks, for signals (N, 1, 40); `nn` may be PyTorch's."""

    class MLP(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.linear1 = nn.Linear(40, width)
            self.linear2 = nn.Linear(width, width)
            self.linear3 = nn.Linear(width, 10)

        def forward(self, x: Any) -> Any:
            h = self.linear1(x.reshape(-1, 40)).relu()
            return self.linear3(h + self.linear2(h).relu())

    class GRU(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(1, 6, batch_first=True, bidirectional=True)
            self.linear = nn.Linear(2 * 6 * 40, 10)

        def forward(self, x: Any) -> Any:
            states, _ = self.gru(x.reshape(-1, 40, 1))
            return self.linear(states.reshape(-1, 2 * 6 * 40))

    def cnn() -> Any:
        return nn.Sequential(
            nn.Conv1d(1, 25, 5, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(25, 25, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(25, 25, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(125, 10),
        )

    def logistic() -> Any:
        return nn.Sequential(nn.Flatten(), nn.Linear(40, 10))

    return {"logistic": logistic, "mlp": MLP, "cnn": cnn, "gru": GRU}[model]()


def print_table(results: dict[tuple[str, str], list[float]]) -> None:
    """Print mean and standard deviation beside what was published."""
    print("| model | order | accuracy | published |\n| --- | --- | ---: | ---: |")
    for (model, order), accuracies in results.items():
        percent = 100 * np.array(accuracies)
        ours = f"{percent.mean():.1f} ± {deviation(percent):.1f}"
        print(f"| {model} | {order} | {ours} | {PUBLISHED[model][ORDERS.index(order)]} |")


def plot(path: str, results: dict[tuple[str, str], list[float]]) -> None:
    """Draw a bar for each row of the table, a dash where the paper's number is."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for i, ((model, order), accuracies) in enumerate(results.items()):
        percent = 100 * np.array(accuracies)
        color = f"C{ORDERS.index(order)}"
        axes.bar(i, percent.mean(), yerr=deviation(percent), color=color)
        published = PUBLISHED[model][ORDERS.index(order)]
        axes.hlines(published, i - 0.4, i + 0.4, "black", "dashed")
    axes.set_xticks(range(len(results)), [f"{model}\n{order}" for model, order in results])
    axes.set_ylabel("accuracy, %; dashed: published")
    figure.savefig(path, dpi=150)
