"""Cases of the linear layer."""

from __future__ import annotations

from ops.case import Case

Shape = tuple[int, ...]


def linear(name: str, input: Shape, weight: Shape, bias: bool = True) -> Case:
    arrays = {"input": input, "weight": weight}
    return Case(name, arrays | ({"bias": weight[:1]} if bias else {}))


LINEAR = [
    linear("plain", (6, 10), (4, 10)),
    linear("no-bias", (6, 10), (4, 10), bias=False),
    linear("batch-1", (1, 300), (20, 300)),
    linear("one-in-one-out", (3, 1), (1, 1)),
    linear("one-out", (9, 33), (1, 33)),
    linear("odd", (13, 17), (19, 17)),
    linear("three-axes", (3, 5, 8), (6, 8)),
    linear("four-axes", (2, 3, 2, 8), (6, 8)),
    linear("vector", (10,), (4, 10)),
    linear("long-sum", (4, 3000), (5, 3000)),
    linear("two-threads-of-work", (128, 128), (256, 128)),
    linear("no-inputs", (3, 0), (4, 0)),
    linear("no-outputs", (3, 4), (0, 4)),
    linear("batch-0", (0, 10), (4, 10)),
]
