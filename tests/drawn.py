"""Cases drawn at random, far from the usual shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from ops.case import Case
from ops.fold import folded

Rng = np.random.Generator
LARGEST = {1: 40, 2: 12, 3: 6}  # per rank, of the sizes of an image


def drawn(op: str, seed: int) -> Case:
    """Draw the case of this number: the same one each time."""
    case = DRAW[op](np.random.default_rng([seed, *op.encode()]))
    return Case(f"drawn-{seed}", case.arrays, case.options, case.ties)


def _ints(rng: Rng, low: int, high: int, count: int = 2) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(low, high + 1, count))


def _channels(rng: Rng) -> tuple[int, int, int]:
    """Draw groups, and the channels before and after."""
    groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
    first, second = (groups * n for n in _ints(rng, 1, 9))
    if rng.random() < 0.2:  # depthwise
        groups = first
        second = groups * int(rng.integers(1, 3))
    elif rng.random() < 0.2:  # small groups, together a vector or more
        size = int(rng.choice([1, 2, 4, 8]))
        groups = int(rng.integers(1, 40 // size + 1))
        first = second = size * groups
    return groups, first, second


def _conv(rng: Rng, ndim: int) -> Case:
    groups, in_channels, out_channels = _channels(rng)
    kernel, dilation = _ints(rng, 1, 4 if ndim == 3 else 6, ndim), _ints(rng, 1, 3, ndim)
    stride = _ints(rng, 1, 4, ndim)
    padding: tuple[int, ...] | str = _ints(rng, 0, 4, ndim)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    smallest = [max(1, r - 2 * p) for r, p in zip(reach, padding)]
    if rng.random() < 0.2:
        padding, stride, smallest = "same", (1,) * ndim, [1] * ndim
    image = tuple(n + int(rng.integers(0, LARGEST[ndim])) for n in smallest)
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


def _conv_transpose(rng: Rng, ndim: int) -> Case:
    groups, out_channels, in_channels = _channels(rng)
    kernel, dilation = _ints(rng, 1, 3 if ndim == 3 else 5, ndim), _ints(rng, 1, 3, ndim)
    stride = _ints(rng, 1, 4, ndim)
    image = tuple(1 + int(n) // s for n, s in zip(rng.integers(0, 3 * LARGEST[ndim], ndim), stride))
    output_padding = tuple(int(rng.integers(0, max(pair))) for pair in zip(stride, dilation))
    sizes = zip(image, stride, dilation, kernel, output_padding)
    full = [(n - 1) * s + d * (k - 1) + 1 + p for n, s, d, k, p in sizes]
    padding = tuple(int(rng.integers(0, min(4, (n - 1) // 2) + 1)) for n in full)
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 3, 1)
    arrays = {
        "input": (*batch, in_channels, *image),
        "weight": (in_channels, out_channels // groups, *kernel),
    }
    if rng.random() < 0.5:
        arrays["bias"] = (out_channels,)
    options = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "groups": groups,
        "dilation": dilation,
    }
    return Case("", arrays, options)


def _pool(rng: Rng, ndim: int, average: bool) -> Case:
    kernel, stride = _ints(rng, 1, 5, ndim), _ints(rng, 1, 6, ndim)
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    # Dilated and padded windows may see no input at all: they have their own test.
    dilation = (1,) * ndim if any(padding) or average else _ints(rng, 1, 3, ndim)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    room = LARGEST[ndim] + 3
    image = [max(1, r - 2 * p) + int(rng.integers(0, room)) for r, p in zip(reach, padding)]
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 4, 1)
    options: dict[str, object] = {"kernel_size": kernel, "stride": stride, "padding": padding}
    options["ceil_mode"] = bool(rng.random() < 0.5)
    if average:
        options["count_include_pad"] = bool(rng.random() < 0.5)
    else:
        options["dilation"] = dilation
    arrays = {"input": (*batch, int(rng.integers(1, 20)), *image)}
    return Case("", arrays, options, ties=not average and bool(rng.random() < 0.3))


def _adaptive(rng: Rng, ndim: int) -> Case:
    sizes: list[int | None] = [int(n) for n in rng.integers(1, LARGEST[ndim] + 4, ndim)]
    if rng.random() < 0.2:
        sizes[0] = None
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 3, 1)
    image = (*batch, int(rng.integers(1, 20)), *_ints(rng, 1, LARGEST[ndim], ndim))
    return Case("", {"input": image}, {"output_size": tuple(sizes)})


def _interpolate(rng: Rng) -> Case:
    ndim = int(rng.integers(1, 4))
    smooth = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}[ndim]
    mode = str(rng.choice(["nearest", "nearest-exact", "area", *smooth]))
    image = _ints(rng, 1, LARGEST[ndim], ndim)
    options: dict[str, object] = {"mode": mode}
    if rng.random() < 0.5:
        options["size"] = _ints(rng, 1, 2 * LARGEST[ndim], ndim)
    else:
        halves = rng.integers(1, 7, ndim) / 2 if rng.random() < 0.5 else rng.uniform(0.3, 3, ndim)
        options["scale_factor"] = tuple(max(float(f), 1 / n) for f, n in zip(halves, image))
    if mode in smooth:
        options["align_corners"] = bool(rng.random() < 0.5)
    return Case("", {"input": (*_ints(rng, 1, 20), *image)}, options)


def _linear(rng: Rng) -> Case:
    batch = _ints(rng, 0, 9, int(rng.integers(0, 4)))
    wide, narrow = _ints(rng, 1, 90)
    return Case("", {"input": (*batch, wide), "weight": (narrow, wide), "bias": (narrow,)})


def _matmul(rng: Rng) -> Case:
    rows, terms, columns = (int(n) for n in rng.geometric(1 / 60, 3))
    return Case("", {"input": (rows, terms), "other": (terms, columns)})


def _pad(rng: Rng) -> Case:
    mode = str(rng.choice(["constant", "reflect", "replicate", "circular"]))
    padded = int(rng.integers(1, 4))
    image = _ints(rng, 1, 9, padded)
    low = -(min(image) // 2) if rng.random() < 0.3 else 0
    most = {"reflect": 1, "circular": 0, "constant": -3, "replicate": -3}
    cropped = [n + low for n in image]  # what one negative width leaves at least
    pad: list[int] = []
    for n in reversed(cropped):
        before, after = _ints(rng, 0, max(0, n - most[mode]))
        pad += [low, after] if rng.random() < 0.5 else [before, after]
    options: dict[str, object] = {"pad": tuple(pad), "mode": mode}
    if mode == "constant":
        options["value"] = 1.5
    return Case("", {"input": (*_ints(rng, 1, 3, int(rng.integers(1, 3))), *image)}, options)


def _unfold(rng: Rng) -> Case:
    kernel, stride, dilation = _ints(rng, 1, 5), _ints(rng, 1, 4), _ints(rng, 1, 3)
    padding = _ints(rng, 0, 4)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    image = [max(1, r - 2 * p) + int(rng.integers(0, 12)) for r, p in zip(reach, padding)]
    batch = () if rng.random() < 0.2 else _ints(rng, 0, 4, 1)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return Case("", {"input": (*batch, int(rng.integers(1, 8)), *image)}, options)


def _fold(rng: Rng) -> Case:
    case = _unfold(rng)
    return folded("", case.arrays["input"], case.options)


DRAW: dict[str, Callable[[Rng], Case]] = {
    **{f"conv{n}d": partial(_conv, ndim=n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": partial(_conv_transpose, ndim=n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": partial(_pool, ndim=n, average=False) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": partial(_pool, ndim=n, average=True) for n in (2, 3)},
    "adaptive_avg_pool2d": partial(_adaptive, ndim=2),
    "adaptive_max_pool2d": partial(_adaptive, ndim=2),
    "interpolate": _interpolate,
    "pad": _pad,
    "unfold": _unfold,
    "fold": _fold,
    "linear": _linear,
    "matmul": _matmul,
}
