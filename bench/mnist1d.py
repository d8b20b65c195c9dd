"""Train the networks of `pyconv train mnist1d` by PyTorch, on the same signals in the same way.

    python bench/mnist1d.py [--models gru] [--seeds 5] [--epochs 200] [--log runs.csv [--resume]]

Prints the table of that command.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch

from pyconv.terminal import Progress
from pyconv.train import mnist1d


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mnist1d.add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log")
    parser.set_defaults(task="mnist1d by PyTorch", plot=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    mnist1d.run_by(train, args)


def train(model: str, sets: Any, seed: int, epochs: int, progress: Progress) -> float:
    (signals, classes), (held_out, truth) = (
        [torch.from_numpy(tensor.numpy()) for tensor in part.tensors] for part in sets
    )
    torch.manual_seed(seed)
    net = mnist1d.network(model, torch.nn)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    size = len(signals) // mnist1d.STEPS_PER_EPOCH
    for epoch in range(epochs):
        for x, y in zip(signals.split(size), classes.split(size)):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        progress.advance(text=f"{model}, seed {seed}, epoch {epoch + 1}")
    with torch.no_grad():
        return float((net(held_out).argmax(1) == truth).double().mean())


if __name__ == "__main__":
    main()
