"""Rows of test_bad_input.py: convolution, transposed convolution, unfold and fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from bad_values import Bad, bad_numbers, ones, too_large

GOOD: dict[str, dict[str, Any]] = {}
for ndim in (1, 2, 3):
    image, window = (8,) * ndim, (3,) * ndim
    GOOD[f"conv{ndim}d"] = {"input": ones(2, 4, *image), "weight": ones(6, 4, *window)}
    GOOD[f"conv_transpose{ndim}d"] = {"input": ones(2, 4, *image), "weight": ones(4, 6, *window)}


def numbers(op: str, ndim: int) -> list[Bad]:
    """What both have: stride, padding, dilation, groups."""
    return [
        *bad_numbers(op, "stride", 1, ndim),
        *bad_numbers(op, "padding", 0, ndim),
        *bad_numbers(op, "dilation", 1, ndim),
        *too_large(op, "padding", "dilation"),
        *[(op, {"groups": n}, "groups", str(n)) for n in (0, -1, 3, 8, 1.5, 2**63, -(2**63))],
        *[(op, {"groups": n}, "groups", "") for n in (None, "2", (1,), (2, 2), float("nan"))],
    ]


def arrays(op: str, ndim: int) -> list[Bad]:
    """What both have: arrays of wrong rank, dtype or number of channels."""
    image, window = (8,) * ndim, (3,) * ndim
    weight = GOOD[op]["weight"].shape
    few, many = (2, *image[1:]), (1, 1, 2, *image)
    return [
        (op, {"input": ones(*few)}, "input", str(few)),
        (op, {"input": ones(*many)}, "input", str(many)),
        (op, {"input": np.float32(3)}, "input", "()"),
        (op, {"input": ones(2, 5, *image)}, "input", "5"),
        (op, {"input": ones(5, *image)}, "input", "5"),
        (op, {"input": ones(2, 4, *image, dtype=np.float64)}, "input", "float64"),
        (op, {"weight": ones(*weight[1:])}, "weight", str(weight[1:])),
        (op, {"weight": ones(*weight, 3)}, "weight", str((*weight, 3))),
        (op, {"weight": ones(*weight[:-1], 0)}, "weight", "0"),
        (op, {"weight": ones(0, 4, *window)}, "weight", "0"),
        (op, {"input": ones(2, 4, *image[1:], 0), "padding": 0}, "input", "0"),
        (op, {"weight": ones(*weight, dtype=np.float64)}, "weight", "float64"),
        (op, {"weight": None}, "weight", "None"),
        (op, {"bias": ones(5)}, "bias", "5"),
        (op, {"bias": ones(6, 1)}, "bias", "(6, 1)"),
        (op, {"bias": ones(6, dtype=np.float64)}, "bias", "float64"),
    ]


def conv(op: str, ndim: int) -> list[Bad]:
    image, window = (8,) * ndim, (3,) * ndim
    return [
        *numbers(op, ndim),
        *arrays(op, ndim),
        *too_large(op, "stride", least=2**63),
        (op, {"padding": "Same"}, "padding", "Same"),
        (op, {"padding": "full"}, "padding", "full"),
        (op, {"padding": ""}, "padding", "''"),
        (op, {"padding": "same", "stride": 2}, "stride", "2"),
        (op, {"padding": "same", "stride": (1,) * (ndim - 1) + (2,)}, "stride", "2"),
        (op, {"weight": ones(6, 3, *window)}, "weight", "3"),
        (op, {"weight": ones(5, 2, *window), "groups": 2}, "weight", "5"),
        (op, {"weight": ones(6, 4, *window[1:], 9)}, "weight", "9"),
        (op, {"weight": ones(6, 4, *window), "dilation": 4}, "dilation", "4"),
        (op, {"input": ones(2, 0, *image), "weight": ones(6, 0, *window)}, "weight", "0"),
    ]


def conv_transpose(op: str, ndim: int) -> list[Bad]:
    window = (3,) * ndim
    return [
        *numbers(op, ndim),
        *arrays(op, ndim),
        *bad_numbers(op, "output_padding", 0, ndim),
        *too_large(op, "stride", "output_padding"),
        *[(op, {"padding": word}, "padding", word) for word in ("same", "valid")],
        *[(op, {"output_padding": n}, "output_padding", str(n)) for n in (1, 2)],
        (op, {"output_padding": 3, "stride": 2, "dilation": 3}, "output_padding", "3"),
        (op, {"output_padding": 3, "stride": 2, "dilation": 3}, "stride", "2"),
        (op, {"padding": 5}, "padding", "5"),
        (op, {"stride": 2**30}, "stride", str(2**30)),
        (op, {"weight": ones(3, 6, *window)}, "weight", "3"),
        (op, {"weight": ones(5, 6, *window), "input": ones(5, *(8,) * ndim), "groups": 2},
         "weight", "5"),
        (op, {"weight": ones(4, 0, *window)}, "weight", "0"),
        (op, {"weight": ones(4, 3, *window), "groups": 2, "bias": ones(3)}, "bias", "(3,)"),
    ]  # fmt: skip


def windows(op: str) -> list[Bad]:
    """What unfold and fold have."""
    return [
        *[
            row
            for name in ("kernel_size", "stride", "dilation")
            for row in bad_numbers(op, name, 1)
        ],
        *bad_numbers(op, "padding", 0),
        *too_large(op, "kernel_size", "padding", "dilation"),
        *too_large(op, "stride", least=2**63),
        (op, {"padding": "same"}, "padding", "same"),
        (op, {"kernel_size": 9}, "kernel_size", "9"),
        (op, {"dilation": 8}, "dilation", "8"),
        (op, {"input": np.float32(3)}, "input", "()"),
    ]


UNFOLD: list[Bad] = [
    *windows("unfold"),
    ("unfold", {"input": ones(8, 8)}, "input", "(8, 8)"),
    ("unfold", {"input": ones(1, 2, 4, 8, 8)}, "input", "(1, 2, 4, 8, 8)"),
    ("unfold", {"input": ones(2, 0, 8, 8)}, "input", "0"),
    ("unfold", {"input": ones(2, 4, 0, 8), "padding": 2}, "input", "0"),
]
FOLD: list[Bad] = [
    *windows("fold"),
    *bad_numbers("fold", "output_size", 1),
    *too_large("fold", "output_size", least=2**40),
    ("fold", {"output_size": 2**31 - 1}, "output_size", str(2**31 - 1)),
    ("fold", {"output_size": 7}, "output_size", "7"),
    ("fold", {"output_size": (8, 9)}, "output_size", "9"),
    ("fold", {"stride": 2}, "stride", "2"),
    ("fold", {"padding": 1}, "padding", "1"),
    ("fold", {"input": ones(36)}, "input", "(36,)"),
    ("fold", {"input": ones(1, 2, 36, 36)}, "input", "(1, 2, 36, 36)"),
    ("fold", {"input": ones(2, 35, 36)}, "input", "35"),
    ("fold", {"input": ones(2, 36, 35)}, "input", "35"),
    ("fold", {"input": ones(2, 0, 36)}, "input", "0"),
    ("fold", {"input": ones(2, 36, 0)}, "input", "0"),
]
GOOD["unfold"] = {"input": ones(2, 4, 8, 8), "kernel_size": 3}
GOOD["fold"] = {"input": ones(2, 36, 36), "output_size": 8, "kernel_size": 3}

CONV = [row for n in (1, 2, 3) for row in conv(f"conv{n}d", n)]
CONV += [row for n in (1, 2, 3) for row in conv_transpose(f"conv_transpose{n}d", n)]
CONV += UNFOLD + FOLD
