"""Cases of the largest and smallest elements along a dimension. The checks: test_extreme.py."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def case(name: str, input: Shape, dim: int | None, **options: Any) -> Case:
    return Case(name, {"input": input}, {"dim": dim, **options}, ties=True)


ALONG = [
    case("number", (), 0),
    case("one", (1,), 0),
    case("vector", (7,), 0),
    case("one-column", (3, 1), 1),
    case("rows-of-a-vector", (3, 16), 1),
    case("tail-of-a-vector", (5, 17), 1),
    case("last", (4, 33), -1),
    case("long-rows", (40, 1000), 1),
    case("columns", (9, 5), 0),
    case("middle", (2, 3, 31), 1),
    case("classes", (2, 21, 9, 7), 1),
    case("one-of-many", (3, 4, 1, 5), 2),
    case("two-threads-of-work", (300, 2, 65), 1),
    case("empty", (0, 4), 1),
    case("empty-columns", (4, 0, 3), 0),
]
ALL = [
    *ALONG,
    case("kept", (4, 5, 6), 1, keepdim=True),
    case("all", (3, 67), None),
    case("all-of-a-number", (), None),
]
EXTREMES = dict.fromkeys(("max", "min", "argmax"), ALL)
