"""The command `pyconv`: info, bench, explain, train, summary, models."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

import pyconv
import pyconv.functional as F
from pyconv import nn
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
    try:
        args = _parser().parse_args(argv)
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `pyconv bench | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (ValueError, TypeError, RuntimeError, ImportError, MemoryError, OSError) as error:
        print(f"pyconv: error: {error}", file=sys.stderr)
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
    explain.add_argument("op", metavar="OP", help=", ".join(_bench("problems").OPS))
    explain.add_argument("shape", metavar="SHAPE", nargs="+", help="sizes, then option=value")
    train = command("train", _train, "train a small network", "")
    _train_arguments(train)
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
    problem = _bench("problems").parse(" ".join([args.op, "-", *args.shape]))
    if problem.op == "sgd":
        raise ValueError("explain: sgd is a step of an optimiser, not a function")
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
    try:
        return tuple(map(int, args.input.split(","))) if args.input else None
    except ValueError:
        raise ValueError(f"{command}: --input is {args.input!r}, expected as 1,3,224,224") from None


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


def above(bound: int, kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a reader of numbers above a bound, for argparse.

    Examples
    --------
    >>> above(0, int)("3")
    3
    """

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = bound
        if not value > bound:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above {bound}")
        return value

    return read


def check_outputs(*paths: str | None, plot: str | None) -> None:
    """Refuse, before a long run, what could not be saved after it.

    Raises
    ------
    ValueError
        If the folder of a file does not exist.
    ImportError
        If a plot is asked for without matplotlib.

    Examples
    --------
    >>> check_outputs("result.json", None, plot=None)
    """
    for path in filter(None, (*paths, plot)):
        if not Path(path).resolve().parent.is_dir():
            raise ValueError(f"cannot write {path}: there is no such folder")
    if plot and not find_spec("matplotlib"):
        raise ImportError("--plot needs matplotlib: pip install 'pyconv[plot]'")


class Progress:
    """A bar on stderr if that is a terminal: tqdm's if it is installed, else one line.

    Examples
    --------
    >>> with Progress(2, "work") as progress:
    ...     for step in range(2):
    ...         progress.advance(text=f"step {step}")
    ...     progress.write("done")
    done
    """

    def __init__(self, total: int, label: str) -> None:
        self._total, self._label = total, label
        self._done = 0
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._terminal:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            self._bar = tqdm(total=self._total, desc=self._label, leave=False)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        self._clear()

    def advance(self, steps: int = 1, text: str = "") -> None:
        """Count steps, and say what is being done."""
        self._done += steps
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(steps)
        elif self._terminal:
            line = f"\r{self._label} {self._done}/{self._total} {text}\x1b[K"
            print(line, end="", file=sys.stderr, flush=True)

    def write(self, line: str) -> None:
        """Print a line to stdout without disturbing the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stdout)
        else:
            self._clear()
            print(line)
        sys.stdout.flush()

    def _clear(self) -> None:
        if self._terminal and self._bar is None:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# ---- train digits ------------------------------------------------------------------------------


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", choices=["digits"], help="digits: scikit-learn's, needs pyconv[digits]")
    add("--epochs", type=above(-1, int), default=40, metavar="N", help="0 with --resume: only test")
    add("--batch-size", type=above(0, int), default=32, metavar="N")
    add("--lr", type=above(0, float), default=0.05, metavar="RATE", help="learning rate at first")
    add("--seed", type=int, default=0, metavar="N", help="of weights and order; default 0")
    add("--threads", type=above(0, int), metavar="N", help="default: all cores of the process")
    add("--save", default="digits.safetensors", metavar="FILE", help="default: %(default)s")
    add("--resume", metavar="FILE", help="begin with these weights")
    add("--plot", metavar="FILE", help="save the curves of loss and accuracy (needs matplotlib)")


def _train(args: argparse.Namespace) -> int:
    check_outputs(args.save, plot=args.plot)
    if args.threads:
        pyconv.set_num_threads(args.threads)
    pyconv.manual_seed(args.seed)
    train, test = pyconv.data.digits()
    model = digits_model()
    if args.resume:
        model.load_state_dict(pyconv.load(args.resume))
        print(f"{args.resume}: accuracy {accuracy(model, test):.2%}")
    begin = time.perf_counter()
    history = _fit(model, train, test, args)
    seconds = time.perf_counter() - begin
    print(f"held-out accuracy {accuracy(model, test):.2%} on {len(test)} digits, {seconds:.1f} s")
    if history and args.plot:
        _plot_history(args.plot, history)
    if history and find_spec("safetensors"):
        pyconv.save(model.state_dict(), args.save)
        print(f"weights saved as {args.save}")
    elif history:
        print("weights not saved: that needs pip install 'pyconv[digits]'")
    return 0


def digits_model() -> nn.Sequential:
    """Return a convolutional network for images of 8x8 pixels: two blocks and a classifier."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 2 * 2, 10),
    )


def accuracy(model: nn.Module, dataset: Any) -> float:
    """Return the share of the images of a dataset that the model classifies rightly."""
    images, classes = dataset.tensors
    model.eval()
    with pyconv.no_grad():
        right = model(images).argmax(1).numpy() == classes.numpy()
    model.train()
    return float(right.mean())


def _fit(
    model: nn.Module, train: Any, test: Any, args: argparse.Namespace
) -> list[tuple[float, float]]:
    """Train; return the loss and the held-out accuracy of each epoch."""
    rng = np.random.default_rng(args.seed)
    loader = pyconv.data.DataLoader(train, args.batch_size, shuffle=True, generator=rng)
    optimizer = pyconv.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=5e-4)
    steps = args.epochs * len(loader)
    history = []
    with Progress(steps, "train") as progress:
        for epoch in range(args.epochs):
            losses = []
            for batch, (images, classes) in enumerate(loader):
                done = (epoch * len(loader) + batch) / steps
                optimizer.param_groups[0]["lr"] = args.lr * (1 + np.cos(np.pi * done)) / 2
                loss = F.cross_entropy(model(shifted(images, rng)), classes, label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                progress.advance(text=f"loss {losses[-1]:.3f}")
            history.append((float(np.mean(losses)), accuracy(model, test)))
            loss_text, accuracy_text = f"loss {history[-1][0]:.4f}", f"{history[-1][1]:.2%}"
            progress.write(f"epoch {epoch + 1:3}  {loss_text}  held-out accuracy {accuracy_text}")
    return history


def shifted(images: pyconv.Tensor, rng: np.random.Generator) -> pyconv.Tensor:
    """Move each image by up to a pixel in both directions; zeros come in."""
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, images.shape[2:], (2, 3))
    rows, columns = rng.integers(0, 3, (2, len(images)))
    return pyconv.from_numpy(views[np.arange(len(images)), :, rows, columns])


def _plot_history(path: str, history: list[tuple[float, float]]) -> None:
    from matplotlib.figure import Figure

    losses, accuracies = zip(*history)
    figure = Figure(layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    epochs = range(1, len(history) + 1)
    left.semilogy(epochs, losses, color="C0")
    right.plot(epochs, accuracies, color="C1")
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="C0")
    right.set_ylabel("held-out accuracy", color="C1")
    figure.savefig(path, dpi=150)
