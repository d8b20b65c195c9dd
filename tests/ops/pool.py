"""Cases of max pooling; of the other kinds in avg_pool.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.case import Case

Shape = tuple[int, ...]


def pool(name: str, input: Shape, *, ties: bool = False, **options: Any) -> Case:
    return Case(name, {"input": input}, options, ties)


MAX_POOL1D = [
    pool("3", (2, 5, 40), kernel_size=3, stride=2, padding=1),
    pool("dilation", (1, 3, 37), kernel_size=4, stride=1, dilation=3),
    pool("ceil", (2, 3, 8), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    pool("ceil-beyond-input", (2, 6, 1), kernel_size=3, ceil_mode=True),
    pool("ceil-dilation", (2, 3, 3), kernel_size=3, stride=5, dilation=3, ceil_mode=True),
    pool("ties", (1, 2, 50), kernel_size=5, stride=1, padding=2, ties=True),
    pool("long-kernel", (1, 2, 30), kernel_size=25, stride=1),
    pool("unbatched", (3, 20), kernel_size=2),
    pool("batch-0", (0, 3, 20), kernel_size=2),
]
MAX_POOL3D = [
    pool("2x2x2", (2, 5, 4, 6, 8), kernel_size=2),
    pool("3x3x3", (1, 17, 5, 7, 9), kernel_size=3, stride=2, padding=1),
    pool("film", (1, 3, 4, 9, 20), kernel_size=(1, 2, 2), stride=(1, 2, 2)),
    pool(
        "asymmetric",
        (1, 2, 7, 8, 9),
        kernel_size=(2, 3, 1),
        stride=(1, 2, 3),
        padding=(1, 0, 0),
    ),
    pool("dilation", (1, 2, 7, 9, 8), kernel_size=(2, 3, 2), stride=1, dilation=(3, 1, 2)),
    pool("ceil-beyond-input", (1, 2, 2, 5, 1), kernel_size=3, padding=1, ceil_mode=True),
    pool("ceil", (1, 2, 6, 5, 8), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    pool("unbatched", (3, 4, 4, 4), kernel_size=2),
    pool("batch-0", (0, 3, 4, 4, 4), kernel_size=2),
]


MAX_POOL2D = [
    pool("2x2", (2, 5, 8, 10), kernel_size=2),
    pool("3x3-stem", (2, 16, 15, 15), kernel_size=3, stride=2, padding=1),
    pool("short-rows", (3, 7, 6, 7), kernel_size=2),
    pool("short-rows-padding", (3, 7, 7, 5), kernel_size=3, stride=2, padding=1),
    pool("short-rows-ties", (3, 7, 5, 6), kernel_size=2, stride=2, padding=1, ties=True),
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
    pool("many-windows-meet", (1, 20, 7, 7), kernel_size=5, stride=1, padding=2),
    pool("unbatched", (5, 8, 10), kernel_size=2),
    pool("batch-0", (0, 5, 8, 10), kernel_size=2),
]

ADAPTIVE_MAX_POOL1D = [
    pool("bins", (2, 3, 13), output_size=5),
    pool("one", (2, 3, 13), output_size=1),
    pool("unbatched", (3, 12), output_size=4),
]
ADAPTIVE_MAX_POOL2D = [
    pool("bins", (2, 5, 13, 11), output_size=(5, 7)),
    pool("even", (2, 20, 14, 21), output_size=7),
    pool("larger", (1, 3, 4, 5), output_size=(6, 11)),
    pool("one", (2, 17, 7, 7), output_size=1),
    pool("kept", (1, 3, 6, 8), output_size=(None, 4)),
    pool("ties", (1, 20, 9, 10), output_size=4, ties=True),
    pool("unbatched", (3, 9, 9), output_size=2),
    pool("batch-0", (0, 3, 9, 9), output_size=2),
]
ADAPTIVE_MAX_POOL3D = [
    pool("bins", (1, 3, 5, 7, 6), output_size=(2, 3, 4)),
    pool("kept", (1, 17, 4, 5, 6), output_size=(None, 1, 3)),
    pool("unbatched", (3, 4, 4, 4), output_size=2),
]


def unpool(name: str, input: Shape, large: Shape, **options: Any) -> Case:
    """Places that are all different, drawn from the whole plane."""
    spatial = len(large)
    lead, pixels = input[:-spatial], math.prod(input[-spatial:])
    rng = np.random.default_rng(len(name))
    draw = [rng.choice(math.prod(large), pixels, replace=False) for _ in range(math.prod(lead))]
    indices = np.array(draw, np.int64).reshape(input)
    return Case(name, {"input": input}, {"indices": indices, **options})


MAX_UNPOOL1D = [
    unpool("2", (2, 3, 8), (16,), kernel_size=2),
    unpool("size", (2, 3, 8), (17,), kernel_size=2, output_size=(17,)),
    unpool("unbatched", (3, 5), (11,), kernel_size=3, stride=2),
]
MAX_UNPOOL2D = [
    unpool("2x2", (2, 20, 4, 5), (8, 10), kernel_size=2),
    unpool("3x3", (2, 3, 4, 4), (7, 7), kernel_size=3, stride=2, padding=1),
    unpool("size", (2, 3, 4, 4), (9, 8), kernel_size=2, output_size=(2, 3, 9, 8)),
    unpool("unbatched", (3, 4, 4), (8, 8), kernel_size=2),
    unpool("batch-0", (0, 3, 4, 4), (8, 8), kernel_size=2),
]
MAX_UNPOOL3D = [
    unpool("2x2x2", (2, 3, 2, 3, 2), (4, 6, 4), kernel_size=2),
    unpool("film", (1, 3, 2, 3, 2), (2, 6, 4), kernel_size=(1, 2, 2)),
]
