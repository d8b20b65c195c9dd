"""Shapes of what is dropped. The checks, with a seed and probabilities: test_dropout.py."""

from __future__ import annotations

from ops.case import Case


def case(name: str, *input: int) -> Case:
    return Case(name, {"input": input})


DROPOUT = {
    "dropout": [
        case("matrix", 3, 5),
        case("scalar"),
        case("one", 1),
        case("images", 2, 3, 50, 61),
        case("two-threads-of-work", 40000),
        case("empty", 0, 4),
    ],
    "dropout1d": [
        case("sequences", 4, 50, 3),
        case("unbatched", 21, 5),
        case("empty", 0, 4, 3),
    ],
    "dropout2d": [
        case("images", 4, 50, 3, 2),
        case("unbatched", 21, 3, 2),
        case("two-threads-of-work", 2, 33, 30, 41),
        case("empty", 2, 4, 0, 3),
    ],
    "dropout3d": [
        case("volumes", 4, 50, 3, 2, 2),
        case("unbatched", 21, 3, 2, 2),
        case("empty", 2, 0, 3, 2, 2),
    ],
}
