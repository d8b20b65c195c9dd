"""The command `pyconv train`: real networks on real data, a file a task."""

from __future__ import annotations

import argparse
import math
from typing import Any

from ..config import set_num_threads
from ..files import regular_file
from ..random import manual_seed
from ..terminal import above, add_threads, check_outputs
from . import (
    adding,
    chars,
    compare,
    copy,
    depth,
    design,
    digits,
    fashion_mnist,
    mnist1d,
    segmentation,
    surface,
)
from .loop import Training, fit, saved_as

__all__ = ["TASKS", "Training", "add_commands", "fit"]

# By name: a module with a docstring, add_arguments(parser) and run(args).
TASKS = {
    "adding": adding,
    "chars": chars,
    "compare": compare,
    "copy": copy,
    "depth": depth,
    "design": design,
    "digits": digits,
    "fashion-mnist": fashion_mnist,
    "mnist1d": mnist1d,
    "segmentation": segmentation,
    "surface": surface,
}


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add a command for each task."""
    commands = parser.add_subparsers(metavar="TASK", dest="task", required=True)
    for name, task in TASKS.items():
        help = str(task.__doc__).strip()
        command = commands.add_parser(name, help=help, description=help)
        task.add_arguments(command)
        add = command.add_argument
        add("--seed", type=above(-1, int), default=0, metavar="N", help="random seed; default 0")
        add_threads(command)
        add("--log", metavar="FILE", help="write the results as CSV")
        add("--plot", metavar="FILE", help="draw a picture of the results (needs matplotlib)")


def run(args: argparse.Namespace) -> int:
    """Do what the command `pyconv train` was given."""
    options: dict[str, Any] = vars(args)
    for name, value in options.items():
        if value == math.inf:
            raise ValueError(f"train: --{name.replace('_', '-')} is inf, expected a finite number")
    checkpoint = saved_as(args) if "save" in options else None
    if checkpoint:
        regular_file("train", checkpoint)
    check_outputs(checkpoint, args.log, plot=args.plot)
    if args.threads:
        set_num_threads(args.threads)
    manual_seed(args.seed)
    TASKS[args.task].run(args)
    return 0
