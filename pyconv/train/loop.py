"""A training, and the loop around it: progress, measures, checkpoints, and going on from them."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from .. import nn
from ..arguments import integer, number
from ..optim import Optimizer
from ..random import default_generator
from ..serialization import load, save
from ..tensor import Tensor
from ..terminal import Progress, above, writing

# Arguments that may differ where a run goes on, since they do not change its numbers.
MAY_DIFFER = {"run", "epochs", "threads", "save", "resume", "plot", "log", "folder", "file"}
STATE = "history", "step", "sums", "order"  # plain attributes of a Training


def training_arguments(
    parser: argparse.ArgumentParser,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
) -> None:
    """Add what `fit` needs, with a task's defaults; None if those depend on other arguments."""

    def add(name: str, type: Any, default: Any, metavar: str) -> None:
        help = "default: that of the model" if default is None else "default: %(default)s"
        parser.add_argument(name, type=type, default=default, metavar=metavar, help=help)

    add("--epochs", above(-1, int), epochs, "N")
    add("--batch-size", above(0, int), batch_size, "N")
    add("--lr", above(0, float), lr, "RATE")
    saving_arguments(parser)


def saving_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to keep what a run has reached."""
    add = parser.add_argument
    help = f"checkpoint; default: {parser.prog.split()[-1]}.safetensors"
    add("--save", metavar="FILE", help=help)
    add("--resume", metavar="FILE", help="go on from this checkpoint to the end of epoch --epochs")


def saved_as(args: argparse.Namespace) -> str:
    """Return the name of the checkpoint; ImportError if one is wanted that cannot be written."""
    if args.save is None:
        return f"{args.task}.safetensors"
    if find_spec("safetensors") is None:
        raise ImportError("--save needs safetensors: pip install 'pyconv[weights]'")
    return str(args.save)


@dataclass
class Training:
    """A model, and all else that changes while it is trained.

    Attributes
    ----------
    model : Module
    optimizer : Optimizer
    batches : DataLoader
        Or what else has a length, and is iterated over in each epoch.
    loss : callable
        Gets what a batch holds; returns the loss, and other measures by name.
    evaluate : callable
        Returns measures by name, after each epoch.
    scheduler : LRScheduler, optional
        Steps after each batch.
    clip : float, optional
        The largest norm of all gradients together.
    comment : callable
        Returns lines to be shown after each epoch.
    unit, per_sample : str, int
        What the speed is counted in: one sample, the length of the first part of a batch, is so
        many of it.
    carried : dict of str to Tensor
        What `loss` keeps from one batch to the next, such as a recurrent state.
    history : list of dict
        The measures of each epoch.

    Examples
    --------
    >>> import pyconv
    >>> model = pyconv.nn.Linear(1, 1)
    >>> line = pyconv.data.TensorDataset([[1.0], [2.0]], [[3.0], [5.0]])
    >>> batches = pyconv.data.DataLoader(line, batch_size=2, shuffle=True)
    >>> def loss(x, y):
    ...     return pyconv.functional.mse_loss(model(x), y), {}
    >>> training = Training(model, pyconv.optim.SGD(model.parameters(), lr=0.1), batches, loss)
    >>> for epoch in range(100):
    ...     for means in training.rest_of_epoch():
    ...         pass
    ...     measures = training.end_epoch()
    >>> measures["loss"] < 0.01
    True
    """

    model: nn.Module
    optimizer: Optimizer
    batches: Any
    loss: Callable[..., tuple[Tensor, dict[str, float]]]
    evaluate: Callable[[], dict[str, float]] = dict
    scheduler: Any = None
    clip: float | None = None
    comment: Callable[[], str] = str
    unit: str = "samples"
    per_sample: int = 1
    carried: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    step: int = 0  # within the epoch
    sums: dict[str, float] = field(default_factory=dict)  # over the samples of the epoch
    order: Any = None  # the state of the random numbers from which the epoch's order was drawn

    def rest_of_epoch(self) -> Iterator[dict[str, float]]:
        """Train to the end of an epoch, and yield the means of its measures after each step."""
        self.model.train()
        random = default_generator().bit_generator
        now = random.state
        if not self.step:
            self.order = now
        random.state = self.order
        batches = iter(self.batches)  # draws the order
        for _ in range(self.step):
            next(batches)
        if self.step:  # what these steps drew besides is drawn already
            random.state = now
        for batch in batches:
            yield self._train(batch)

    def _train(self, batch: Any) -> dict[str, float]:
        loss, measures = self.loss(*batch)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        self.step += 1
        for name, value in {"samples": 1.0, "loss": loss.item(), **measures}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * len(batch[0])
        return self._means()

    def _means(self) -> dict[str, float]:
        count = self.sums.get("samples", 1.0)
        return {name: total / count for name, total in self.sums.items() if name != "samples"}

    def end_epoch(self) -> dict[str, float]:
        """Evaluate, and return the measures of the epoch."""
        self.history.append({**self._means(), **self.evaluate()})
        self.step, self.sums = 0, {}
        return self.history[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return all that a run needs to go on as if it had not stopped."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler and self.scheduler.state_dict(),
            "carried": self.carried,
            "random": default_generator().bit_generator.state,
            **{name: getattr(self, name) for name in STATE},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned for a training of the same kind."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.carried.clear()
        self.carried.update(state["carried"])
        random = default_generator().bit_generator
        if state["order"] is not None:
            random.state = state["order"]  # only to see that it is such a state
        random.state = state["random"]
        integer("step", state["step"], 0, len(self.batches))
        if not isinstance(state["history"], list):
            raise TypeError("load_state_dict: history is no list")
        for measures in (state["sums"], *state["history"]):
            for name, value in measures.items():
                number(name, value, nan=True)
        for name in STATE:
            setattr(self, name, state[name])


def fit(
    training: Training,
    args: argparse.Namespace,
    draw: Callable[[str, Training], None] | None = None,
) -> float:
    """Train as the arguments say: go on from a checkpoint, show progress, log, save, plot.

    Ctrl-C ends the step that is being computed, saves, and raises KeyboardInterrupt; a second one
    does not wait.

    Parameters
    ----------
    training : Training
    args : argparse.Namespace
        With what `training_arguments` and `pyconv.train.add_commands` add.
    draw : callable, optional
        Makes the picture of ``--plot``, instead of the curves of all measures.

    Returns
    -------
    float
        Seconds.
    """
    options = {name: value for name, value in vars(args).items() if name not in MAY_DIFFER}
    if args.resume is not None:
        _resume(training, args, options)
    begin, first, steps = time.perf_counter(), len(training.history), len(training.batches)
    saved = ""
    with Progress(args.epochs * steps, args.task) as progress, interrupts() as interrupted:
        progress.advance(first * steps + training.step)
        while len(training.history) < args.epochs and not interrupted.is_set():
            since, done = time.perf_counter(), training.sums.get("samples", 0.0)
            for means in training.rest_of_epoch():
                progress.advance(text=describe(means))
                if interrupted.is_set():
                    break
            else:
                done = (training.sums["samples"] - done) * training.per_sample
                lr = training.optimizer.param_groups[0]["lr"]
                speed = done / (time.perf_counter() - since)
                measures = training.end_epoch()
                epoch, seconds = len(training.history), time.perf_counter() - since
                rate = f"{seconds:.1f} s, {speed:,.0f} {training.unit}/s"
                progress.write(f"epoch {epoch:3}  {describe(measures)}  {rate}")
                if args.log:
                    row = {"epoch": epoch, "lr": lr, **measures, "seconds": seconds}
                    append_row(args.log, row, new=epoch == 1)
            saved = _save(training, args, options)
            if not training.step and (comment := training.comment()):
                progress.write(comment)
    if args.plot and training.history:
        (draw or plot_history)(args.plot, training)
    if interrupted.is_set():
        print(f"interrupted after epoch {len(training.history)}, step {training.step}; {saved}")
        raise KeyboardInterrupt
    if saved:
        print(saved)
    return time.perf_counter() - begin


def _resume(training: Training, args: argparse.Namespace, options: Mapping[str, Any]) -> None:
    state = load(args.resume)
    try:
        was, done = {**state["options"], "epochs": state["epochs"]}, len(state["history"])
    except (KeyError, TypeError):
        raise ValueError(f"{args.resume} is no checkpoint of pyconv train") from None
    # A schedule of the learning rate was made for a number of epochs.
    fixed = {"epochs": args.epochs} if training.scheduler and args.epochs > done else {}
    for name, value in {**options, **fixed}.items():
        if was.get(name) != value:
            option = name.replace("_", "-")
            raise ValueError(
                f"--{option} is {value}, but {args.resume} was made with {was.get(name)}"
            )
    try:
        training.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{args.resume} is no checkpoint of this training: {error}") from None
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError):
        raise ValueError(f"{args.resume} is no checkpoint of pyconv train") from None
    print(f"{args.resume}: after epoch {done}, step {training.step}")


def _save(training: Training, args: argparse.Namespace, options: Mapping[str, Any]) -> str:
    if find_spec("safetensors") is None:
        return "not saved: that needs pip install 'pyconv[weights]'"
    path = saved_as(args)
    save({**training.state_dict(), "options": options, "epochs": args.epochs}, path)
    return f"saved as {path}"


def append_row(path: str, row: Mapping[str, Any], new: bool = False) -> None:
    """Add a row to a CSV file, which is begun if it is empty, not there yet, or to be `new`."""
    empty = os.path.isfile(path) and not os.path.getsize(path)
    new = new or empty or not os.path.exists(path)
    with writing(path, "w" if new else "a") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def read_rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, by the names of its columns."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Let the first Ctrl-C only set an event; the second one is as ever.

    Examples
    --------
    >>> with interrupts() as interrupted:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupted.is_set()
    True
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield event
        return

    def handle(*_: Any) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def describe(measures: Mapping[str, float]) -> str:
    """Write measures on one line: shares as per cent.

    Examples
    --------
    >>> describe({"loss": 0.25, "held-out accuracy": 0.5})
    'loss 0.2500  held-out accuracy 50.00%'
    """
    return "  ".join(
        f"{name} {value:.2%}" if is_share(name) else f"{name} {value:.4f}"
        for name, value in measures.items()
    )


def is_share(name: str) -> bool:
    """Tell whether a measure lies between 0 and 1, by its name.

    Examples
    --------
    >>> is_share("loss"), is_share("held-out accuracy"), is_share("mean IoU")
    (False, True, True)
    """
    return name.endswith(("accuracy", "IoU"))


def plot_history(path: str, training: Training) -> None:
    """Draw the curves of all measures into a file."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    plot_curves(figure, training)
    figure.savefig(path, dpi=150)


def plot_curves(figure: Any, training: Training) -> None:
    """Draw every measure over the epochs: shares on the right, others on the left."""
    left = figure.subplots()
    right = left.twinx()
    epochs = range(1, len(training.history) + 1)
    for i, name in enumerate(training.history[0]):
        values = [measures[name] for measures in training.history]
        axes = right if is_share(name) else left
        axes.plot(epochs, values, f"C{i}", label=name)
    left.set(xlabel="epoch", yscale="log")
    figure.legend(loc="outside upper center", ncols=len(training.history[0]))
