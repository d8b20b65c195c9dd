"""What is measured: one problem per line of shapes/*.txt.

A line is ``op name sizes... options...``, for example

    conv2d resnet50.layer1.3x3 8x64x56x56 64x64x3x3 padding=1 quick

with the size of each array of the op, and options named as in `pyconv.functional`. Three options
are not arguments: ``bias=1`` adds a bias, ``trans=1`` multiplies by the transpose of the second
matrix, ``quick`` marks a problem of the quick run.

A problem is measured in one of two modes, which differ in how images lie in memory. *plain*: in C
order (NCHW), and the result is wanted so too; what a library converts is its time. *carried*: as
inside a network, channels last, and the result may lie as the library likes.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pyconv.arguments import integer, shape_of
from pyconv.nn.conv import ints_at_least

FOLDER = Path(__file__).parent / "shapes"

MODES = ("plain", "carried")
IMAGES = ("input", "other", "indices", "grad_output")
CONVS = {f"conv{rank}d": rank for rank in (1, 2, 3)}
TRANSPOSED = {f"conv_transpose{rank}d": rank for rank in (1, 2, 3)}
CONV_OPTIONS = {"stride", "padding", "dilation", "groups", "bias"}
TRANSPOSED_OPTIONS = CONV_OPTIONS | {"output_padding"}
DIFFERENCES = ("mse_loss", "l1_loss", "smooth_l1_loss")
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
MEANS = (*DIFFERENCES, *BINARY)  # over two arrays of one shape
CLASSES = ("cross_entropy", "nll_loss")
WINDOWS = {"kernel_size", "stride", "padding", "dilation"}
LP_WINDOWS = {"norm_type", "kernel_size", "stride"}
POOL_OPTIONS = {"max": WINDOWS, "avg": WINDOWS - {"dilation"}, "lp": LP_WINDOWS}
RANKS = (1, 2, 3)
POOLS = {f"{kind}_pool{n}d": n for kind in ("max", "avg", "lp") for n in RANKS}
ADAPTIVE = {f"adaptive_{kind}_pool{n}d": n for kind in ("max", "avg") for n in RANKS}
UNPOOLS = {f"max_unpool{n}d": n for n in RANKS}
RESIZE = {"interpolate", *UNPOOLS}
MOVING = {"unfold", "fold", "pad", "pixel_shuffle", "pixel_unshuffle", "max", "min"}
REDUCED = ("sum", "mean", "var", "max", "min")
RECURRENT = ("rnn", "lstm", "gru")  # over (steps, batch, features), from zeros, without biases
ELEMENTS: dict[str, set[str]] = {
    **{op: set() for op in ("abs", "exp", "log", "neg", "sqrt", "sigmoid", "tanh")},
    **{op: set() for op in ("relu", "relu6", "silu", "hardsigmoid", "hardswish")},
    "clamp": {"min", "max"},
    "elu": {"alpha"},
    "gelu": {"approximate"},
    "leaky_relu": {"negative_slope"},
    "pow": {"exponent"},
    "softplus": {"beta"},
}
ARITHMETIC = {"add": 4, "sub": 4, "mul": 3, "div": 3}  # dimensions of the second operand

# The arrays whose sizes a line gives, how many dimensions each has, and the options it may have.
OPS: dict[str, tuple[dict[str, int], set[str]]] = {
    **{op: ({"input": n + 2, "weight": n + 2}, CONV_OPTIONS) for op, n in CONVS.items()},
    **{op: ({"input": n + 2, "weight": n + 2}, TRANSPOSED_OPTIONS) for op, n in TRANSPOSED.items()},
    "unfold": ({"input": 4}, WINDOWS),
    "fold": ({"input": 3}, WINDOWS | {"output_size"}),
    "pad": ({"input": 4}, {"pad", "mode"}),
    "linear": ({"input": 2, "weight": 2}, {"bias"}),
    "matmul": ({"input": 2, "other": 2}, {"trans"}),
    **{op: ({"input": 4}, options) for op, options in ELEMENTS.items()},
    **{op: ({"input": 4, "other": rank}, set()) for op, rank in ARITHMETIC.items()},
    **{op: ({"input": 4}, {"dim"}) for op in REDUCED},
    **{op: ({"input": 2}, {"dim"}) for op in ("softmax", "log_softmax")},
    **{op: ({"input": 4}, set()) for op in ("batch_norm", "batch_norm_relu", "instance_norm")},
    "group_norm": ({"input": 4}, {"num_groups"}),
    **{op: ({"input": 2}, set()) for op in ("layer_norm", *CLASSES)},
    "local_response_norm": ({"input": 4}, {"size"}),
    **{op: ({"input": 2, "target": 2}, set()) for op in MEANS},
    "embedding": ({"input": 1, "weight": 2}, set()),
    **{op: ({"input": n + 2}, POOL_OPTIONS[op.split("_")[0]]) for op, n in POOLS.items()},
    **{op: ({"input": n + 2}, {"output_size"}) for op, n in ADAPTIVE.items()},
    **{op: ({"input": n + 2}, {"kernel_size"}) for op, n in UNPOOLS.items()},
    "interpolate": ({"input": 4}, {"scale_factor", "mode"}),
    "pixel_shuffle": ({"input": 4}, {"upscale_factor"}),
    "pixel_unshuffle": ({"input": 4}, {"downscale_factor"}),
    **{op: ({"input": 3, "weight_ih": 2, "weight_hh": 2}, set()) for op in RECURRENT},
    **{op: ({"param": 1}, {"weight_decay"}) for op in ("adam", "adamw")},
    **{op: ({"param": 1}, {"momentum", "weight_decay"}) for op in ("rmsprop", "sgd")},
}
STEPS = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}  # optimisers
PRODUCTS = {*CONVS, *TRANSPOSED, "linear", "matmul"}
ROWS = {*CLASSES, "softmax", "log_softmax"}
BATCHED = set(OPS) - {"matmul", "embedding", *MEANS, *STEPS, *RECURRENT}
REQUIRED = {
    **dict.fromkeys((*POOLS, *UNPOOLS, "unfold"), ("kernel_size",)),
    **{f"lp_pool{n}d": ("norm_type", "kernel_size") for n in RANKS},
    **dict.fromkeys(ADAPTIVE, ("output_size",)),
    **dict.fromkeys(("softmax", "log_softmax", "max", "min"), ("dim",)),
    "pow": ("exponent",),
    "interpolate": ("scale_factor",),
    "pixel_shuffle": ("upscale_factor",),
    "pixel_unshuffle": ("downscale_factor",),
    "fold": ("output_size", "kernel_size"),
    "pad": ("pad",),
    "group_norm": ("num_groups",),
    "local_response_norm": ("size",),
}
TRAINING = {"running_mean": None, "running_var": None, "training": True}


@dataclass(frozen=True)
class Problem:
    """One line: an op, and the sizes of its arrays; and the mode to measure it in."""

    op: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    quick: bool = False
    mode: str = "plain"

    def __post_init__(self) -> None:
        for shape in self.shapes:
            shape_of(shape)  # raises if it is too large

    @property
    def rank(self) -> int:
        """How many dimensions an image has, besides the batch and the channels."""
        if self.op in RECURRENT:
            return 0
        return 2 if self.op == "fold" else len(self.shapes[0]) - 2

    @property
    def arguments(self) -> dict[str, Any]:
        """The options that are arguments of the function of that name."""
        given = {k: v for k, v in self.options.items() if k not in ("bias", "trans")}
        if self.op.startswith("batch_norm"):
            return TRAINING | given
        return {"normalized_shape": self.shapes[0][1:]} if self.op == "layer_norm" else given

    @property
    def constants(self) -> set[str]:
        """Name the arrays that have no gradient."""
        return {"target", "indices", "grad_output"} | (
            {"input"} if self.op == "embedding" else set()
        )

    def with_batch(self, batch: int) -> Problem:
        """Return the problem with another batch size, which its name tells, where it has one."""
        if self.op not in BATCHED:
            return self
        both = self.op in ARITHMETIC and len(self.shapes[1]) == len(self.shapes[0])
        first = (batch, *self.shapes[0][1:])
        shapes = (first, first) if both else (first, *self.shapes[1:])
        return replace(self, name=f"{self.name}@{batch}", shapes=shapes)

    def in_mode(self, mode: str) -> Problem:
        """Return the problem in another mode."""
        return replace(self, mode=mode)

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
        if self.op in ("log", "sqrt", "div"):
            arrays = {name: np.abs(array) + 0.5 for name, array in arrays.items()}
        if self.options.get("bias"):
            arrays["bias"] = rng.standard_normal(self._filters(), np.float32)
        if self.op in CLASSES:
            batch, classes = self.shapes[0]
            arrays["target"] = rng.integers(0, max(classes, 1), batch)
        elif self.op in BINARY:
            arrays = {name: 1 / (1 + np.exp(-array)) for name, array in arrays.items()}
        elif self.op in RECURRENT:  # gates that are neither open nor shut
            for name in ("weight_ih", "weight_hh"):
                arrays[name] /= np.float32(np.sqrt(arrays[name].shape[1]))
        elif self.op == "embedding":
            arrays["input"] = rng.integers(0, max(self.shapes[1][0], 1), self.shapes[0])
        elif self.op in UNPOOLS:  # the first element of each window
            arrays["indices"] = self._places()
        elif self.op in STEPS:
            arrays["grad"] = rng.standard_normal(self.shapes[0], np.float32)
        if direction != "forward":
            arrays["grad_output"] = rng.standard_normal(self.output_shape, np.float32)
        if self.mode == "carried":
            arrays |= {k: channels_last(v) for k, v in arrays.items() if k in IMAGES and v.ndim > 2}
        return arrays

    @property
    def output_shape(self) -> tuple[int, ...]:
        first = self.shapes[0]
        if self.op in TRANSPOSED:
            return (first[0], self._filters(), *self._transposed_positions())
        if self.op in CONVS:
            return (first[0], self._filters(), *self.positions(first[2:], self.shapes[1][2:]))
        if self.op in ADAPTIVE:
            return (*first[:2], *self.each("output_size"))
        if self.op == "pixel_shuffle":
            r = self.options["upscale_factor"]
            return (first[0], first[1] // r**2, first[2] * r, first[3] * r)
        if self.op == "pixel_unshuffle":
            r = self.options["downscale_factor"]
            return (first[0], first[1] * r**2, first[2] // r, first[3] // r)
        if self.op in RESIZE:
            factors = self.each("scale_factor" if self.op == "interpolate" else "kernel_size")
            return (*first[:2], *(n * factor for n, factor in zip(first[2:], factors)))
        if self.op in (*POOLS, "unfold", "fold"):
            return self._windowed_shape(self.each("kernel_size"))
        if self.op == "embedding":
            return (first[0], self.shapes[1][1])
        if self.op == "pad":
            widths = self.options["pad"]  # from the last axis on, before and after
            before, after = widths[-2::-2], widths[::-2]
            kept = 4 - len(before)
            sizes = zip(first[kept:], before, after)
            return (*first[:kept], *(n + low + high for n, low, high in sizes))
        if self.op in RECURRENT:
            return (*first[:2], self.shapes[2][1])
        if self.op == "matmul" and not self.options.get("trans"):
            return (first[0], self.shapes[1][1])
        if self.op in ("linear", "matmul"):
            return (first[0], self.shapes[1][0])
        if self.op in REDUCED:
            dims = self.each("dim")
            return tuple(n for i, n in enumerate(first) if i not in dims)
        return () if self.op in (*CLASSES, *MEANS) else first

    def each(self, option: str, default: Any = None) -> tuple[int, ...]:
        """Return an option as a number for each axis of the image; "valid" padding is 0."""
        value = self.options.get(option, default)
        value = 0 if value == "valid" else value
        return (value,) * self.rank if isinstance(value, int) else tuple(value)

    def _windowed_shape(self, kernel: tuple[int, ...]) -> tuple[int, ...]:
        batch, channels, *image = self.shapes[0]
        if self.op == "fold":
            return (batch, channels // prod(kernel), *self.each("output_size"))
        places = self.positions(image, kernel)
        if self.op == "unfold":
            return (batch, channels * prod(kernel), prod(places))
        return (batch, channels, *places)

    def positions(self, image: Sequence[int], kernel: tuple[int, ...]) -> list[int]:
        """Count the places of the kernel along each axis of the image."""
        if self.options.get("padding") == "same":
            return list(image)
        steps = self.each("stride", kernel if self.op in POOLS else 1)
        sizes = zip(image, kernel, steps, self.each("padding", 0), self.each("dilation", 1))
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]

    def _filters(self) -> int:
        weight, groups = self.shapes[1], self.options.get("groups", 1)
        count = integer(f"{self.op}: groups", groups, 1, max(1, self.shapes[0][1]))
        return weight[1] * count if self.op in TRANSPOSED else weight[0]

    def _places(self) -> Any:
        kernel = ints_at_least(f"{self.op}: kernel_size", self.options["kernel_size"], self.rank, 1)
        shape, sizes = self.shapes[0], shape_of(self.output_shape)[2:]
        axes = (np.arange(n) * k for n, k in zip(shape[2:], kernel))
        places = np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), sizes)
        return np.broadcast_to(places, shape).copy()

    def _transposed_positions(self) -> list[int]:
        """Return the size of which `positions` would be that of the image."""
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
        options = (self.each(option, default) for option, default in defaults.items())
        sizes = zip(self.shapes[0][2:], self.shapes[1][2:], *options)
        return [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, d, o in sizes]

    # ---- what it costs at least ----------------------------------------------------------------

    def flops(self, direction: str = "forward") -> int:
        """Count the floating-point operations of the textbook algorithm."""
        size = prod(self.shapes[0] if self.op in TRANSPOSED else self.output_shape)
        if self.op in PRODUCTS:
            gradients = 2 if direction == "backward" else 0
            depth = self.shapes[0][1] if self.op == "matmul" else prod(self.shapes[1][1:])
            return 2 * size * depth * (1 + gradients)
        if self.op in RECURRENT:
            weights, products = sum(map(prod, self.shapes[1:])), 3 if direction == "backward" else 1
            return 2 * prod(self.shapes[0][:2]) * weights * products
        if self.op in POOLS:
            return size * self.terms()
        per_element = {"cross_entropy": 4, "sgd": 4, "rmsprop": 8, "adam": 12, "adamw": 12}
        return max(size, prod(self.shapes[0])) * per_element.get(self.op, 1)

    def bytes(self, direction: str = "forward") -> int:
        """Count the bytes to move if each array is read or written once."""
        read, written = sum(map(prod, self.shapes)), prod(self.output_shape)
        if self.op in STEPS:  # all is read, and written but for the gradient
            kept = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}[self.op]
            return 4 * (3 + 2 * (kept + ("momentum" in self.options))) * read
        if self.op == "embedding":  # the rows that are looked up, not the table
            return 4 * written * (2 if direction == "forward" else 4)
        if direction == "backward":  # the inputs once more, their gradients, that of the output
            # What only picks, moves or adds elements does not need the inputs again.
            moving = {*POOLS, *ADAPTIVE, *RESIZE, *MOVING}
            again = 0 if self.op in moving else read
            return 4 * (read + written + again + read + written)
        return 4 * (read + written)

    def terms(self, result: int = 0) -> int:
        """Count the terms of the sums in a result: 0 is the output, then come the gradients."""
        if self.op in ADAPTIVE:
            return -(-prod(self.shapes[0][2:]) // prod(self.each("output_size")))
        if self.op == "interpolate":
            return 4
        if "kernel_size" in self.options:
            return int(prod(self.each("kernel_size")))
        if self.op in RECURRENT:  # an error passes through all steps behind it
            steps, batch, features = self.shapes[0]
            sums = steps * (features + sum(self.shapes[2]))
            return sums if result < 2 else sums * batch
        if self.op in ("sum", "mean", "var") or (self.op in ARITHMETIC and result == 2):
            return prod(self.shapes[0]) // prod(self.shapes[-1] if result else self.output_shape)
        if self.op not in PRODUCTS:
            means = ("batch_norm_relu", "embedding", *MEANS)
            if self.op.endswith("_norm") or self.op in means:
                return prod(self.shapes[0])  # of a mean: no more than that
            return self.shapes[0][-1] if self.op in ROWS else 3
        groups, output = self.options.get("groups", 1), self.output_shape
        kernel, transposed = self.shapes[1][2:], self.op in TRANSPOSED
        if result == 0:
            steps = self.each("stride", 1) if transposed else (1,) * len(kernel)
            return self.shapes[0][1] // groups * prod(-(-k // s) for k, s in zip(kernel, steps))
        if result == 1:  # each input meets every output channel of its group, at every offset
            return output[1] // groups * prod(kernel)
        places = self.shapes[0] if result == 2 and transposed else output
        return prod(places) // places[1]


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
    for required in REQUIRED.get(op, ()):
        if required not in options:
            raise ValueError(f"{op} needs {required}=..., got {line!r}")
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


def channels_last(array: Any) -> Any:
    """Return images, (N, C, ...), with their channels next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
