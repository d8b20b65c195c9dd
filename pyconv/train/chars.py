"""A recurrent network that learns to write like a text file, character after character."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import data, models, nn, optim
from .. import functional as F
from ..autograd import no_grad
from ..creation import from_numpy
from ..tensor import Array, Tensor
from ..terminal import above
from .loop import Training, fit, training_arguments

HELD_OUT = 0.1, 50_000  # of the text, and at most so many characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the task's arguments."""
    add = parser.add_argument
    add("file", metavar="FILE", help="any text in UTF-8")
    add("--cell", choices=["LSTM", "GRU", "RNN"], default="LSTM", help="default: %(default)s")
    add("--hidden", type=above(0, int), default=256, metavar="N", help="units; default 256")
    add("--layers", type=above(0, int), default=2, metavar="N", help="default 2")
    help = "steps that a gradient goes; default 100"
    add("--length", type=above(0, int), default=100, metavar="N", help=help)
    add("--dropout", type=float, default=0.0, metavar="P", help="between layers; default 0")
    help = "of the samples; default 0.8"
    add("--temperature", type=above(0, float), default=0.8, metavar="T", help=help)
    help = "characters after an epoch; default 200"
    add("--sample", type=above(-1, int), default=200, metavar="N", help=help)
    training_arguments(parser, epochs=10, batch_size=32, lr=0.002)


def run(args: argparse.Namespace) -> None:
    """Train, write samples, and print the perplexity on the end of the text."""
    text = data.chars(args.file, 1)
    held_out = min(int(HELD_OUT[0] * len(text.text)), HELD_OUT[1])
    numbers = text.text.numpy()
    streams = Streams(numbers[: len(numbers) - held_out], args.batch_size, args.length)
    rest = numbers[len(numbers) - held_out - 1 :]
    options = {"num_layers": args.layers, "cell": args.cell, "dropout": args.dropout}
    model = models.char_rnn(len(text.vocabulary), args.hidden, **options)
    state: dict[str, Tensor] = {}

    def loss(x: Tensor, y: Tensor, first: bool) -> tuple[Tensor, dict[str, float]]:
        scores, last = model(x, None if first else _unpack(state))
        state.update(_pack(last))
        result = F.cross_entropy(scores.reshape(-1, scores.shape[2]), y.reshape(-1))
        return result, {"perplexity": math.exp(min(result.item(), 700))}

    training = Training(
        model,
        optim.Adam(model.parameters(), args.lr),
        streams,
        loss,
        lambda: {"held-out perplexity": perplexity(model, rest)} if held_out > 1 else {},
        clip=5.0,
        carried=state,
        unit="characters",
        per_sample=args.length,
        comment=lambda: text.decode(sample(model, args.sample, args.temperature)),
    )
    fit(training, args)
    last = training.history[-1] if training.history else {}
    for name in ("perplexity", "held-out perplexity"):
        if name in last:
            print(f"{name} {last[name]:.3f}")


class Streams:
    """A text cut into as many parts as a batch has rows, read beside each other.

    Each batch goes on where the one before ended, so a recurrent state can be carried on: truncated
    backpropagation through time, as `pyconv.nn.utils.rnn.tbptt` does with ``k1 = k2 = length``.

    Examples
    --------
    >>> import numpy as np
    >>> for x, y, first in Streams(np.arange(10), rows=2, length=2):
    ...     print(x.numpy().tolist(), y.numpy().tolist(), first)
    [[0, 1], [4, 5]] [[1, 2], [5, 6]] True
    [[2, 3], [6, 7]] [[3, 4], [7, 8]] False
    """

    def __init__(self, numbers: Array, rows: int, length: int) -> None:
        each = (len(numbers) - 1) // rows // length * length
        if not each:
            raise ValueError(
                f"chars: {len(numbers)} characters are too few for --batch-size {rows} and "
                f"--length {length}"
            )
        self.x = numbers[: rows * each].reshape(rows, each)
        self.y = numbers[1 : rows * each + 1].reshape(rows, each)
        self.length = length

    def __len__(self) -> int:
        return self.x.shape[1] // self.length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, bool]]:
        for i in range(len(self)):
            piece = slice(i * self.length, (i + 1) * self.length)
            yield from_numpy(self.x[:, piece].copy()), from_numpy(self.y[:, piece].copy()), i == 0


def _pack(state: Any) -> dict[str, Tensor]:
    parts = state if isinstance(state, tuple) else (state,)
    return {name: part.detach() for name, part in zip("hc", parts)}


def _unpack(state: dict[str, Tensor]) -> Any:
    return (state["h"], state["c"]) if "c" in state else state["h"]


def perplexity(model: nn.Module, numbers: Array) -> float:
    """Return the perplexity of a text, read from its beginning."""
    model.eval()
    with no_grad():
        scores, _ = model(numbers[None, :-1])
    return data.perplexity(scores[0], numbers[1:])


def sample(model: nn.Module, count: int, temperature: float) -> list[int]:
    """Let the model write; a low temperature lets it choose what it finds likely."""
    model.eval()
    random = np.random.default_rng(0)
    number, state, written = 0, None, []
    with no_grad():
        for _ in range(count):
            scores, state = model(np.array([[number]]), state)
            shares = F.softmax(scores[0, 0] / temperature, 0).numpy().astype(float)
            if np.isfinite(shares).all():
                number = int(random.choice(len(shares), p=shares / shares.sum()))
            else:  # next to no temperature, or no finite scores
                number = int(scores[0, 0].argmax().item())
            written.append(number)
    return written
