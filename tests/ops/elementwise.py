"""Cases of functions of each element, and of arithmetic."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def unary(positive: bool = False, **options: Any) -> list[Case]:
    """Few: the same loop runs all kernels, and `relu` has it tested in full."""
    return [
        Case("4-axes", {"input": (2, 3, 5, 7)}, options, positive=positive),
        Case("tail-of-a-vector", {"input": (3, 67)}, options, positive=positive),
        Case("empty", {"input": (0, 4)}, options, positive=positive),
    ]


def with_options(name: str, **options: Any) -> Case:
    return Case(name, {"input": (3, 67)}, options)


def ties(**options: Any) -> Case:
    """Where a function has no derivative."""
    return Case("zeros", {"input": (40,)}, options, ties=True)


RELU = [
    *unary(),
    ties(),
    Case("scalar", {"input": ()}),
    Case("one", {"input": (1,)}),
    Case("two-threads-of-work", {"input": (1000, 301)}),
]
UNARY = {
    "abs": [*unary(), ties()],
    "clamp": [
        *unary(min=-0.5, max=1.0),
        ties(min=-1, max=1),
        with_options("min-alone", min=0.25),
        with_options("max-alone", max=0.25),
        with_options("crossed", min=1.0, max=-1.0),
    ],
    "elu": [*unary(), ties(), with_options("alpha", alpha=0.3)],
    "exp": unary(),
    "gelu": [*unary(), with_options("tanh", approximate="tanh")],
    "hardsigmoid": [*unary(), ties()],
    "hardswish": [*unary(), ties()],
    "leaky_relu": [*unary(), ties(), with_options("slope", negative_slope=-0.3)],
    "log": unary(positive=True),
    "neg": unary(),
    "relu": RELU,
    "relu6": [*unary(), ties()],
    "sigmoid": [*unary(), Case("two-threads-of-work", {"input": (1000, 101)})],
    "silu": unary(),
    "softplus": [*unary(), with_options("threshold", beta=2.0, threshold=1.0)],
    "sqrt": unary(positive=True),
    "tanh": unary(),
}


def pair(name: str, input: Shape, other: Shape, positive: bool = False) -> Case:
    return Case(name, {"input": input, "other": other}, positive=positive)


FEW = [
    pair("same", (2, 3, 5, 7), (2, 3, 5, 7)),
    pair("number", (3, 67), ()),
    pair("channels", (2, 5, 4, 9), (5, 1, 1)),
]
ADD = [
    *FEW,
    pair("numbers", (), ()),
    pair("left-number", (1,), (3, 67)),
    pair("last-axis", (3, 4, 67), (67,)),
    pair("columns", (30, 67), (30, 1)),
    pair("outer", (30, 1), (1, 67)),
    pair("middle", (3, 4, 5), (3, 1, 5)),
    pair("both", (3, 1, 5, 1), (4, 1, 6)),
    pair("more-axes", (2, 1, 3, 1, 2, 1), (4, 1, 3, 1, 2)),
    pair("threads-rows", (500, 301), (500, 1)),
    pair("threads-long", (2, 70000), (70000,)),
    pair("threads-places", (40, 7, 30, 20), (7, 1, 20)),
    pair("empty", (0, 4), (4,)),
    pair("empty-by-one", (1, 4), (0, 4)),
]
DIV = [pair(case.name, *case.arrays.values(), positive=True) for case in FEW]

POW = [*unary(exponent=2), *[with_options(f"to-{n}", exponent=n) for n in (2.0, 3, 1)]]

SUM = [
    Case("all", {"input": (3, 67)}),
    Case("number", {"input": ()}),
    Case("rows", {"input": (3, 67)}, {"dim": 1}),
    Case("columns", {"input": (67, 70)}, {"dim": 0}),
    Case("few-columns", {"input": (200, 3)}, {"dim": -2}),
    Case("middle", {"input": (3, 20, 9)}, {"dim": 1, "keepdim": True}),
    Case("channels", {"input": (4, 5, 6, 7)}, {"dim": (0, 2, 3)}),
    Case("threads-all", {"input": (3, 40001)}),
    Case("threads-channels", {"input": (7, 5, 60, 61)}, {"dim": (0, 2, 3)}),
    Case("threads-columns", {"input": (3000, 33)}, {"dim": 0}),
    Case("threads-wide", {"input": (3, 30000)}, {"dim": 0}),
    Case("nothing", {"input": (0, 4)}, {"dim": 0}),
]
VAR = [
    Case("all", {"input": (3, 67)}),
    Case("biased", {"input": (4, 5, 6)}, {"dim": 1, "unbiased": False, "keepdim": True}),
    Case("channels", {"input": (4, 5, 6, 7)}, {"dim": (0, 2, 3), "correction": 2}),
]
MEAN = [SUM[0], SUM[2], SUM[6]]
