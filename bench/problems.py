"""What is measured: one problem per line of shapes/*.txt.

A line is ``op name sizes... options...``, for example

    conv2d resnet50.layer1.3x3 8x64x56x56 64x64x3x3 padding=1 quick

with the size of each array of the op, and options named as in `pyconv.functional`. Three options
are not arguments: ``bias=1`` adds a bias, ``trans=1`` multiplies by the transpose of the second
matrix, ``quick`` marks a problem of the quick run.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "shapes"

# The arrays whose sizes a line gives, how many dimensions each has, and the options it may have.
OPS: dict[str, tuple[dict[str, int], set[str]]] = {
    "conv2d": (
        {"input": 4, "weight": 4},
        {"stride", "padding", "dilation", "groups", "bias"},
    ),
    "linear": ({"input": 2, "weight": 2}, {"bias"}),
    "matmul": ({"input": 2, "other": 2}, {"trans"}),
    "relu": ({"input": 4}, set()),
    "max_pool2d": ({"input": 4}, {"kernel_size", "stride", "padding", "dilation"}),
    "cross_entropy": ({"input": 2}, set()),
    "sgd": ({"param": 1}, {"momentum", "weight_decay"}),
}
BATCHED = {"conv2d", "linear", "relu", "max_pool2d", "cross_entropy"}


@dataclass(frozen=True)
class Problem:
    """One line: an op, and the sizes of its arrays."""

    op: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    quick: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The options that are arguments of the function of that name."""
        return {k: v for k, v in self.options.items() if k not in ("bias", "trans")}

    def with_batch(self, batch: int) -> Problem:
        """Return the problem with another batch size, where it has a batch."""
        if self.op not in BATCHED:
            return self
        return replace(self, shapes=((batch, *self.shapes[0][1:]), *self.shapes[1:]))

    def __str__(self) -> str:
        sizes = ["x".join(map(str, shape)) for shape in self.shapes]
        options = [f"{k}={_text(v)}" for k, v in self.options.items()]
        return " ".join([self.op, self.name, *sizes, *options])

    # ---- numbers to compute with ---------------------------------------------------------------

    def make_arrays(self, direction: str = "forward") -> dict[str, Any]:
        """Draw the arrays, the same in every process; float32."""
        rng = np.random.default_rng(0)
        arrays: dict[str, Any] = {
            name: rng.standard_normal(shape, np.float32)
            for name, shape in zip(OPS[self.op][0], self.shapes)
        }
        if self.options.get("bias"):
            arrays["bias"] = rng.standard_normal(self.shapes[1][0], np.float32)
        if self.op == "cross_entropy":
            batch, classes = self.shapes[0]
            arrays["target"] = rng.integers(0, classes, batch)
        elif self.op == "sgd":
            arrays["grad"] = rng.standard_normal(self.shapes[0], np.float32)
        if direction == "backward":
            arrays["grad_output"] = rng.standard_normal(self.output_shape, np.float32)
        return arrays

    @property
    def output_shape(self) -> tuple[int, ...]:
        first = self.shapes[0]
        if self.op == "conv2d":
            weight = self.shapes[1]
            return (first[0], weight[0], *self._positions(first[2:], weight[2:]))
        if self.op == "max_pool2d":
            kernel = pair(self.options["kernel_size"])
            return (*first[:2], *self._positions(first[2:], kernel))
        if self.op == "matmul" and not self.options.get("trans"):
            return (first[0], self.shapes[1][1])
        if self.op in ("linear", "matmul"):
            return (first[0], self.shapes[1][0])
        return () if self.op == "cross_entropy" else first

    def _positions(self, image: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
        """Count the places of the kernel along each axis of the image."""
        option = self.options.get
        if option("padding") == "same":
            return list(image)
        padding = pair(0 if option("padding") == "valid" else option("padding", 0))
        step = option("stride", kernel if self.op == "max_pool2d" else 1)
        sizes = zip(image, kernel, pair(step), padding, pair(option("dilation", 1)))
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]

    # ---- what it costs at least ----------------------------------------------------------------

    def flops(self, direction: str = "forward") -> int:
        """Count the floating-point operations of the textbook algorithm."""
        size = prod(self.output_shape)
        if self.op in ("conv2d", "linear", "matmul"):
            gradients = 2 if direction == "backward" else 0
            return 2 * size * self._terms() * (1 + gradients)
        if self.op == "max_pool2d":
            return size * self._terms()
        return prod(self.shapes[0]) * {"relu": 1, "cross_entropy": 4, "sgd": 4}[self.op]

    def bytes(self, direction: str = "forward") -> int:
        """Count the bytes to move if each array is read or written once."""
        read, written = sum(map(prod, self.shapes)), prod(self.output_shape)
        if self.op == "sgd":  # param, gradient and momentum are read, two of them written
            return 4 * (5 if self.options.get("momentum") else 3) * read
        if direction == "backward":  # the inputs once more, their gradients, that of the output
            # The gradient of a maximum goes where it stood: the inputs are not needed again.
            again = 0 if self.op == "max_pool2d" else read
            return 4 * (read + written + again + read + written)
        return 4 * (read + written)

    def terms(self, result: int = 0) -> int:
        """Count the terms of the sums in a result: 0 is the output, then come the gradients."""
        if result == 0 or self.op not in ("conv2d", "linear", "matmul"):
            return self._terms()
        output = self.output_shape
        if result == 1:  # each input meets every output channel, at every offset
            return output[1] * prod(self.shapes[1][2:])
        return prod(output) // output[1]

    def _terms(self) -> int:
        if self.op in ("conv2d", "linear"):
            return prod(self.shapes[1][1:])
        if self.op == "max_pool2d":
            return prod(pair(self.options["kernel_size"]))
        return self.shapes[0][-1] if self.op in ("matmul", "cross_entropy") else 3


def parse(line: str) -> Problem:
    """Read one line.

    Raises
    ------
    ValueError
        If the op, the number of sizes or an option is not known.
    """
    op, name, *words = line.split() + [""] * (2 - len(line.split()))
    if op not in OPS:
        raise ValueError(f"unknown op {op!r} in {line!r}, expected one of {', '.join(OPS)}")
    dims, known = OPS[op]
    quick = "quick" in words
    plain = [word for word in words if "=" not in word and word != "quick"]
    shapes = tuple(_size(word, line) for word in plain)
    if [len(shape) for shape in shapes] != list(dims.values()):
        expected = ", ".join(f"{name} ({n} numbers)" for name, n in dims.items())
        raise ValueError(f"{op} needs the sizes of {expected}, got {line!r}")
    options = dict(word.split("=", 1) for word in words if "=" in word)
    if unknown := set(options) - known:
        raise ValueError(f"{op} has no option {min(unknown)!r}: it has {sorted(known)}")
    if op == "max_pool2d" and "kernel_size" not in options:
        raise ValueError(f"max_pool2d needs kernel_size=..., got {line!r}")
    return Problem(op, name, shapes, {k: _value(v) for k, v in options.items()}, quick)


def load() -> list[Problem]:
    """Read all problems, in the order of the files."""
    files = sorted(FOLDER.glob("*.txt"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [parse(line) for line in lines if line.strip() and not line.startswith("#")]


def _size(word: str, line: str) -> tuple[int, ...]:
    try:
        return tuple(int(n) for n in word.split("x"))
    except ValueError:
        raise ValueError(f"{word!r} is not a size like 8x64x56x56, in {line!r}") from None


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def pair(value: Any) -> tuple[int, ...]:
    """Repeat one int for both axes."""
    return (value, value) if isinstance(value, int) else tuple(value)
