"""Cases of pooling."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def pool(name: str, input: Shape, *, ties: bool = False, **options: Any) -> Case:
    return Case(name, {"input": input}, options, ties)


MAX_POOL2D = [
    pool("2x2", (2, 5, 8, 10), kernel_size=2),
    pool("3x3-stem", (2, 16, 15, 15), kernel_size=3, stride=2, padding=1),
    pool("ties", (2, 3, 9, 9), kernel_size=3, stride=1, padding=1, ties=True),
    pool("leftover-rows", (1, 3, 7, 9), kernel_size=(2, 4)),
    pool("overlapping", (1, 3, 9, 9), kernel_size=4, stride=1),
    pool("stride-over-kernel", (1, 3, 11, 11), kernel_size=2, stride=5),
    pool("asymmetric", (1, 4, 9, 14), kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)),
    pool("dilation", (2, 3, 11, 12), kernel_size=3, stride=2, dilation=2, padding=1),
    pool(
        "dilation-asymmetric",
        (1, 2, 9, 13),
        kernel_size=(2, 3),
        stride=1,
        dilation=(3, 2),
    ),
    pool("ceil", (1, 3, 8, 9), kernel_size=3, stride=2, ceil_mode=True),
    pool("ceil-padding", (1, 3, 7, 6), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    pool(
        "ceil-drops-last",
        (1, 2, 4, 4),
        kernel_size=2,
        stride=3,
        padding=1,
        ceil_mode=True,
    ),
    pool(
        "ceil-dilation",
        (1, 2, 10, 11),
        kernel_size=3,
        stride=3,
        dilation=2,
        ceil_mode=True,
    ),
    pool("global", (2, 7, 5, 6), kernel_size=(5, 6)),
    pool("kernel-1", (1, 3, 4, 4), kernel_size=1),
    pool("kernel-beyond-input", (1, 3, 2, 2), kernel_size=4, padding=2, stride=1),
    pool("image-1xN", (1, 3, 1, 40), kernel_size=(1, 3), stride=(1, 2)),
    pool("image-1x1", (1, 3, 1, 1), kernel_size=1),
    pool("two-threads-of-work", (4, 32, 28, 28), kernel_size=2),
    pool("unbatched", (5, 8, 10), kernel_size=2),
    pool("batch-0", (0, 5, 8, 10), kernel_size=2),
]
