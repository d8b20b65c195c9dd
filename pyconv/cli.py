"""The command `pyconv`: info, bench, explain, train, summary, models."""

from __future__ import annotations

import argparse
import importlib
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

import pyconv
from pyconv import train
from pyconv.arguments import MOST_ELEMENTS
from pyconv.summary import count_layers

DESCRIPTION = "Convolutional and recurrent networks on a CPU: fast, small, readable."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``pyconv``; those of the process if left out.

    Returns
    -------
    int
        0, or 1 if a benchmark gave a wrong result, or 2 for a mistake in the command.

    Examples
    --------
    >>> main(["info"])  # doctest: +ELLIPSIS
    pyconv ...
    0
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # which may not know every character
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = _parser().parse_args(argv)
        status: int = args.run(args)
        if sys.stdout:  # there is none if it was closed
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # `pyconv bench | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (ValueError, TypeError, RuntimeError, ImportError, MemoryError, OSError) as error:
        text = str(error) or "not enough memory"  # a MemoryError often says nothing
        print(f"pyconv: error: {text}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")  # one line, without the usage


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pyconv", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"pyconv {pyconv.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Any], int], help: str, more: str = "") -> Any:
        description = f"{help[0].upper()}{help[1:]}. {more}"
        result = commands.add_parser(name, help=help, description=description)
        result.set_defaults(run=run)
        return result

    command("info", _info, "show the instruction set, threads, caches and build")
    bench = command(
        "bench",
        lambda args: int(_bench("command").run(args)),
        "measure every kernel on the layers of published networks",
        "Each result is checked against float64 before it is timed; other libraries run in turn "
        "with pyconv. Exit status 1: a result was wrong.",
    )
    _bench("command").add_arguments(bench)
    explain = command(
        "explain",
        _explain,
        "say which algorithm computes an op, which others could, and how fast it is",
        "For example: pyconv explain conv2d 8x64x56x56 64x64x3x3 padding=1",
    )
    problems = _bench("problems")
    functions = [op for op in problems.OPS if op not in problems.STEPS]
    explain.add_argument("op", metavar="OP", help=", ".join(functions))
    explain.add_argument("shape", metavar="SHAPE", nargs="+", help="sizes, then option=value")
    train.add_commands(
        command("train", train.run, "train a network", "Each task says more: pyconv train TASK -h")
    )
    for name, run, help in (
        ("summary", _summary, "count what a published network costs, layer by layer"),
        ("profile", _profile, "measure the layers of a published network, forward and backward"),
    ):
        of_model = command(
            name, run, help, f"For example: pyconv {name} resnet50 --input 1,3,64,64"
        )
        of_model.add_argument("model", metavar="MODEL", help="a name that `pyconv models` lists")
        of_model.add_argument("--input", metavar="SIZES", help="batch first; default: the paper's")
    command("models", _models, "list the published networks and what they cost")
    return parser


def _bench(module: str) -> ModuleType:
    """Import from the benchmarks: installed as pyconv.bench, in a checkout the folder beside."""
    try:
        return importlib.import_module(f"pyconv.bench.{module}")
    except ModuleNotFoundError as error:
        if error.name != "pyconv.bench":
            raise
    root = str(Path(__file__).parent.parent)
    if root not in sys.path:
        sys.path.append(root)
    return importlib.import_module(f"bench.{module}")


def _info(args: argparse.Namespace) -> int:
    print(pyconv.show_config())
    return 0


def _explain(args: argparse.Namespace) -> int:
    problems = _bench("problems")
    if args.op not in problems.OPS:
        known = ", ".join(op for op in problems.OPS if op not in problems.STEPS)
        raise ValueError(f"explain: OP is {args.op!r}, expected one of {known}")
    problem = problems.parse(" ".join([args.op, "-", *args.shape]))
    if problem.op in problems.STEPS:
        raise ValueError(f"explain: {problem.op} is a step of an optimiser, not a function")
    tensors = {name: pyconv.from_numpy(a) for name, a in problem.make_arrays().items()}
    function, arguments = _bench("peers.pyconv").call(problem, tensors)
    print(pyconv.explain(function, *arguments, **problem.arguments))
    return 0


def _summary(args: argparse.Namespace) -> int:
    print(pyconv.summary(*_counted(args.model, _sizes("summary", args))))
    return 0


def _profile(args: argparse.Namespace) -> int:
    sizes = _sizes("profile", args)
    entry = pyconv.models.CATALOGUE[args.model]
    print(pyconv.profile(entry.make(), np.zeros(sizes or entry.input, entry.dtype)))
    return 0


def _sizes(command: str, args: argparse.Namespace) -> tuple[int, ...] | None:
    """Read --input, after a look at the model's name."""
    catalogue = pyconv.models.CATALOGUE
    if args.model not in catalogue:
        raise ValueError(
            f"{command}: model is {args.model!r}, expected one of {', '.join(catalogue)}"
        )
    if args.input is None:
        return None
    try:
        sizes = tuple(map(int, args.input.split(",")))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1 or math.prod(sizes) > MOST_ELEMENTS:
        raise ValueError(
            f"{command}: --input is {args.input!r}, expected sizes as 1,3,224,224, of at most "
            "2**40 elements"
        )
    return sizes


def _counted(name: str, sizes: tuple[int, ...] | None = None) -> tuple[Any, Any]:
    """Return a published network and its input, both without memory."""
    entry = pyconv.models.CATALOGUE[name]
    zero = np.zeros((), entry.dtype)
    with pyconv.shapes_only():
        model = entry.make()
    return model, np.broadcast_to(zero, sizes or entry.input)


def _models(args: argparse.Namespace) -> int:
    columns = "model", "input", "parameters", "multiply-adds", "activations", "receptive field"
    rows = [list(columns), ["---", "---", "---:", "---:", "---:", "---:"]]
    for name, entry in pyconv.models.CATALOGUE.items():
        counted = count_layers(*_counted(name))
        # Of the last window: pools of a whole image, and what follows them, see all of it.
        windows = [x for x in counted.layers if "Conv" in x.kind or x.kind[:3] in ("Max", "Avg")]
        field = windows[-1].receptive_field if windows else ()
        seen = "x".join(f"{n:g}" for n in dict.fromkeys(field))
        numbers = counted.parameters, counted.multiply_adds, counted.activations
        shape = "x".join(map(str, entry.input))
        rows.append([name, shape, *(f"{number:,}" for number in numbers), seen])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        right = (text.rjust(width) for text, width in zip(row[2:], widths[2:]))
        left = (text.ljust(width) for text, width in zip(row[:2], widths[:2]))
        print("|", " | ".join([*left, *right]), "|")
    return 0
