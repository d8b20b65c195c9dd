"""Train the networks of `pyconv train mnist1d` by PyTorch, on the same signals in the same way.

    python bench/mnist1d.py [--seeds 5] [--epochs 200] [--models gru] [--log runs.csv]

Prints the table of that command. With --log the runs are kept, and done ones are left out.
"""

from __future__ import annotations

import argparse
import itertools
import os
from typing import Any

import torch

from pyconv.train import mnist1d
from pyconv.train.loop import append_row, read_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(mnist1d.PUBLISHED))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = read_rows(args.log) if args.log and os.path.exists(args.log) else []
    done = {tuple(row[key] for key in mnist1d.KEYS): float(row["accuracy"]) for row in rows}
    sets = {order: tensors(order) for order in mnist1d.ORDERS}
    results: dict[tuple[str, str], list[float]] = {}
    for model, order, seed in itertools.product(args.models, mnist1d.ORDERS, range(args.seeds)):
        key = model, order, str(seed), str(args.epochs)
        if key not in done:
            done[key] = train(model, sets[order], seed, args.epochs)
            if args.log:
                append_row(args.log, {**dict(zip(mnist1d.KEYS, key)), "accuracy": done[key]})
        results.setdefault((model, order), []).append(done[key])
    mnist1d.print_table(results)


def tensors(order: str) -> Any:
    return [
        tuple(torch.from_numpy(tensor.numpy()) for tensor in part.tensors)
        for part in mnist1d.data_set(order)
    ]


def train(model: str, sets: Any, seed: int, epochs: int) -> float:
    (signals, classes), (held_out, truth) = sets
    torch.manual_seed(seed)
    net = mnist1d.network(model, torch.nn)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    size = len(signals) // mnist1d.STEPS_PER_EPOCH
    for _ in range(epochs):
        for x, y in zip(signals.split(size), classes.split(size)):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
    with torch.no_grad():
        return float((net(held_out).argmax(1) == truth).double().mean())


if __name__ == "__main__":
    main()
