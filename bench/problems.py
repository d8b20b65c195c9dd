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
_WINDOW = {"kernel_size", "stride", "padding", "dilation"}
_CONV = {"stride", "padding", "dilation", "groups", "bias"}
OPS: dict[str, tuple[dict[str, int], set[str]]] = {
    **{f"conv{n}d": ({"input": n + 2, "weight": n + 2}, _CONV) for n in (1, 2, 3)},
    **{
        f"conv_transpose{n}d": ({"input": n + 2, "weight": n + 2}, _CONV | {"output_padding"})
        for n in (1, 2, 3)
    },
    "unfold": ({"input": 4}, _WINDOW),
    "fold": ({"input": 3}, _WINDOW | {"output_size"}),
    "pad": ({"input": 4}, {"pad", "mode"}),
    "linear": ({"input": 2, "weight": 2}, {"bias"}),
    "matmul": ({"input": 2, "other": 2}, {"trans"}),
    "relu": ({"input": 4}, set()),
    "max_pool2d": ({"input": 4}, _WINDOW),
    "cross_entropy": ({"input": 2}, set()),
    "sgd": ({"param": 1}, {"momentum", "weight_decay"}),
}
REQUIRED = {
    "max_pool2d": ("kernel_size",),
    "unfold": ("kernel_size",),
    "fold": ("output_size", "kernel_size"),
    "pad": ("pad",),
}
BATCHED = set(OPS) - {"matmul", "sgd"}
PRODUCTS = {op for op in OPS if op.startswith("conv")} | {"linear", "matmul"}


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
            arrays["bias"] = rng.standard_normal(self.output_shape[1], np.float32)
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
        first, option = self.shapes[0], self.options.get
        if self.op.startswith("conv_transpose"):
            weight = self.shapes[1]
            return (first[0], weight[1] * option("groups", 1), *self._enlarged(first[2:]))
        if self.op.startswith("conv"):
            weight = self.shapes[1]
            return (first[0], weight[0], *self.positions(first[2:], weight[2:]))
        if self.op == "max_pool2d":
            return (*first[:2], *self.positions(first[2:], pair(option("kernel_size"))))
        if self.op == "unfold":
            kernel = pair(option("kernel_size"))
            return (first[0], first[1] * prod(kernel), prod(self.positions(first[2:], kernel)))
        if self.op == "fold":
            return (first[0], first[1] // self._taps(), *pair(option("output_size")))
        if self.op == "pad":
            widths = option("pad")
            before, after = widths[-2::-2], widths[::-2]
            kept = 4 - len(before)
            sizes = zip(first[kept:], before, after)
            return (*first[:kept], *(n + low + high for n, low, high in sizes))
        if self.op == "matmul" and not option("trans"):
            return (first[0], self.shapes[1][1])
        if self.op in ("linear", "matmul"):
            return (first[0], self.shapes[1][0])
        return () if self.op == "cross_entropy" else first

    def positions(self, image: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
        """Count the places of the kernel along each axis of the image."""
        option, rank = self.options.get, len(image)
        if option("padding") == "same":
            return list(image)
        padding = ints(0 if option("padding") == "valid" else option("padding", 0), rank)
        step = option("stride", kernel if self.op == "max_pool2d" else 1)
        sizes = zip(image, kernel, ints(step, rank), padding, ints(option("dilation", 1), rank))
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]

    def _enlarged(self, image: tuple[int, ...]) -> list[int]:
        """Count the positions along each axis of a transposed convolution's output."""
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
        options = (ints(self.options.get(k, v), len(image)) for k, v in defaults.items())
        sizes = zip(image, self.shapes[1][2:], *options)
        return [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, d, extra in sizes]

    # ---- what it costs at least ----------------------------------------------------------------

    def flops(self, direction: str = "forward") -> int:
        """Count the floating-point operations of the textbook algorithm."""
        size = prod(self.output_shape)
        if self.op in PRODUCTS:
            if self.op.startswith("conv_transpose"):  # each input is multiplied by its filters
                size = prod(self.shapes[0])
            gradients = 2 if direction == "backward" else 0
            return 2 * size * self._products() * (1 + gradients)
        if self.op == "max_pool2d":
            return size * self._taps()
        moved = max(size, prod(self.shapes[0]))
        return moved * {"cross_entropy": 4, "sgd": 4}.get(self.op, 1)

    def bytes(self, direction: str = "forward") -> int:
        """Count the bytes to move if each array is read or written once."""
        read, written = sum(map(prod, self.shapes)), prod(self.output_shape)
        if self.op == "sgd":  # param, gradient and momentum are read, two of them written
            return 4 * (5 if self.options.get("momentum") else 3) * read
        if direction == "backward":  # the inputs once more, their gradients, that of the output
            # What only picks, moves or adds elements does not need the inputs again.
            again = 0 if self.op in ("max_pool2d", "unfold", "fold", "pad") else read
            return 4 * (read + written + again + read + written)
        return 4 * (read + written)

    def terms(self, result: int = 0) -> int:
        """Count the terms of the sums in a result: 0 is the output, then come the gradients."""
        output = self.output_shape
        if self.op not in PRODUCTS or result == 0:
            if self.op.startswith("conv_transpose"):
                return self.shapes[1][0] * prod(self.shapes[1][2:])
            return self._products()
        if result == 1 and self.op.startswith("conv_transpose"):
            return self._products()
        if result == 1:  # each input meets every output channel, at every offset
            return output[1] * prod(self.shapes[1][2:])
        return prod(output) // output[1]

    def _products(self) -> int:
        """Count the products, or other terms, that make one output; or go out from one input."""
        if self.op in PRODUCTS:
            return self.shapes[0][-1] if self.op == "matmul" else prod(self.shapes[1][1:])
        if "kernel_size" in self.options:
            return self._taps()
        return self.shapes[0][-1] if self.op == "cross_entropy" else 3

    def _taps(self) -> int:
        return prod(pair(self.options["kernel_size"]))


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
    for name_of_option in REQUIRED.get(op, ()):
        if name_of_option not in options:
            raise ValueError(f"{op} needs {name_of_option}=..., got {line!r}")
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


def ints(value: Any, count: int) -> tuple[int, ...]:
    """Repeat one int for each axis."""
    return (value,) * count if isinstance(value, int) else tuple(value)


def pair(value: Any) -> tuple[int, ...]:
    """Repeat one int for both axes of an image."""
    return ints(value, 2)
