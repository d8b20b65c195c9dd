"""Train LeNet by pyconv and by PyTorch in turn, step after step, from the same weights.

    python bench/training.py FOLDER [--model lenet_bn] [--steps 235] [--threads 1]

FOLDER holds Fashion-MNIST. Prints the median time of a step of each, and the losses.
"""

from __future__ import annotations

import argparse
import time
from statistics import mean, median
from typing import Any

import numpy as np
import torch

import pyconv
from pyconv.train.fashion_mnist import RECIPES, lenet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--model", choices=["lenet", "lenet_bn"], default="lenet")
    parser.add_argument("--steps", type=int, default=235, help="default: one epoch")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    pyconv.set_num_threads(args.threads)
    torch.set_num_threads(args.threads)
    pyconv.manual_seed(0)
    recipe = RECIPES[args.model]
    models: dict[str, tuple[Any, Any, Any]] = {}
    for name, library in (("pyconv", pyconv), ("torch", torch)):
        model = lenet(library.nn, args.model == "lenet_bn")
        optimizer = library.optim.SGD(model.parameters(), recipe.lr)
        models[name] = model, optimizer, library.nn.CrossEntropyLoss()
    state = models["pyconv"][0].state_dict()
    state = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    models["torch"][0].load_state_dict(state)
    losses: dict[str, list[float]] = {name: [] for name in models}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    loader = pyconv.data.DataLoader(
        pyconv.data.fashion_mnist(args.folder), recipe.batch_size, shuffle=True
    )
    for number, (images, classes) in enumerate(loader):
        if number == args.steps:
            break
        batches = {"pyconv": (images, classes)}
        batches["torch"] = tuple(torch.from_numpy(t.numpy()) for t in (images, classes))
        for name, (model, optimizer, criterion) in models.items():
            begin = time.perf_counter()
            loss = criterion(model(batches[name][0]), batches[name][1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[name].append(loss.item())
            seconds[name].append(time.perf_counter() - begin)
    for name in models:
        print(
            f"{name:6} {1e3 * median(seconds[name]):.2f} ms a step, loss {mean(losses[name]):.4f}"
        )
    print(f"PyTorch / pyconv: {median(seconds['torch']) / median(seconds['pyconv']):.2f}")


if __name__ == "__main__":
    main()
