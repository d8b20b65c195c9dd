"""Cases of the matrix product."""

from __future__ import annotations

from ops.case import Case

Shape = tuple[int, ...]


def matmul(name: str, input: Shape, other: Shape) -> Case:
    return Case(name, {"input": input, "other": other})


MATMUL = [
    matmul("square", (16, 16), (16, 16)),
    matmul("one", (1, 1), (1, 1)),
    matmul("row-by-matrix", (1, 65), (65, 33)),
    matmul("matrix-by-column", (33, 65), (65, 1)),
    matmul("outer", (37, 1), (1, 41)),
    matmul("inner", (1, 500), (500, 1)),
    matmul("odd", (13, 29), (29, 51)),
    matmul("edges-of-tiles", (31, 257), (257, 97)),
    matmul("long-sum", (5, 4000), (4000, 7)),
    matmul("two-threads-of-work", (200, 150), (150, 300)),
    matmul("no-rows", (0, 5), (5, 3)),
    matmul("no-columns", (4, 5), (5, 0)),
    matmul("no-terms", (4, 0), (0, 3)),
]
