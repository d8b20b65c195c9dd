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
    matmul("rows-a-page-apart", (3, 700), (700, 1024)),
    matmul("sixteen-rows-a-page-apart", (16, 30), (30, 2048)),
    matmul("two-threads-of-work", (200, 150), (150, 300)),
    matmul("no-rows", (0, 5), (5, 3)),
    matmul("no-columns", (4, 5), (5, 0)),
    matmul("no-terms", (4, 0), (0, 3)),
    matmul("stack", (5, 3, 7), (5, 7, 4)),
    matmul("stacks-that-broadcast", (2, 1, 3, 5), (4, 5, 2)),
    matmul("matrix-by-stack", (6, 5), (3, 5, 9)),
    matmul("stack-of-rows", (70, 1, 9), (70, 9, 33)),
    matmul("stack-two-threads-of-work", (900, 8, 9), (900, 9, 7)),
    matmul("stack-of-two-large", (2, 120, 130), (2, 130, 90)),
    matmul("empty-stack", (0, 2, 3), (0, 3, 4)),
    matmul("stack-no-columns", (3, 2, 3), (3, 3, 0)),
    matmul("stack-no-terms", (3, 2, 0), (3, 0, 4)),
]
