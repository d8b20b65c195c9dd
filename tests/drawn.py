"""Cases drawn at random, far from the usual shapes."""

from __future__ import annotations

import numpy as np
from ops.case import Case

Rng = np.random.Generator


def drawn(op: str, seed: int) -> Case:
    """Draw the case of this number: the same one each time."""
    rng = np.random.default_rng([seed, *op.encode()])
    case = {"conv2d": _conv, "max_pool2d": _pool, "linear": _linear, "matmul": _matmul}[op](rng)
    return Case(f"drawn-{seed}", case.arrays, case.options, case.ties)


OPS = ("conv2d", "max_pool2d", "linear", "matmul")


def _ints(rng: Rng, low: int, high: int, count: int = 2) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(low, high + 1, count))


def _conv(rng: Rng) -> Case:
    groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
    in_channels, out_channels = (groups * n for n in _ints(rng, 1, 9))
    if rng.random() < 0.2:  # depthwise
        groups = in_channels
        out_channels = groups * int(rng.integers(1, 3))
    elif rng.random() < 0.2:  # small groups, together a vector or more
        size = int(rng.choice([1, 2, 4, 8]))
        groups = int(rng.integers(1, 40 // size + 1))
        in_channels = out_channels = size * groups
    kernel, stride, dilation = _ints(rng, 1, 6), _ints(rng, 1, 4), _ints(rng, 1, 3)
    padding: tuple[int, ...] | str = _ints(rng, 0, 4)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    smallest = [max(1, r - 2 * p) for r, p in zip(reach, padding)]
    if rng.random() < 0.2:
        padding, stride, smallest = "same", (1, 1), [1, 1]
    image = tuple(n + int(rng.integers(0, 12)) for n in smallest)
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 4, 1)
    arrays = {
        "input": (*batch, in_channels, *image),
        "weight": (out_channels, in_channels // groups, *kernel),
    }
    if rng.random() < 0.5:
        arrays["bias"] = (out_channels,)
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    return Case("", arrays, options)


def _pool(rng: Rng) -> Case:
    kernel, stride = _ints(rng, 1, 5), _ints(rng, 1, 6)
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    # Dilated and padded windows may see no input at all: they have their own test.
    dilation = (1, 1) if any(padding) else _ints(rng, 1, 3)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    image = [max(1, r - 2 * p) + int(rng.integers(0, 15)) for r, p in zip(reach, padding)]
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 4, 1)
    options = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }
    options["ceil_mode"] = bool(rng.random() < 0.5)
    arrays = {"input": (*batch, int(rng.integers(1, 20)), *image)}
    return Case("", arrays, options, ties=bool(rng.random() < 0.3))


def _linear(rng: Rng) -> Case:
    batch = _ints(rng, 0, 9, int(rng.integers(0, 4)))
    wide, narrow = _ints(rng, 1, 90)
    return Case("", {"input": (*batch, wide), "weight": (narrow, wide), "bias": (narrow,)})


def _matmul(rng: Rng) -> Case:
    rows, terms, columns = (int(n) for n in rng.geometric(1 / 60, 3))
    return Case("", {"input": (rows, terms), "other": (terms, columns)})
