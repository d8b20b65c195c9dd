"""Cases of average pooling, and of the norms built on it."""

from __future__ import annotations

from ops.pool import pool

AVG_POOL1D = [
    pool("3", (2, 5, 40), kernel_size=3, stride=2, padding=1),
    pool("ceil", (2, 3, 8), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    pool("long-kernel", (1, 2, 90), kernel_size=50, stride=1),
    pool("ceil-beyond-input", (2, 6, 2), kernel_size=5, padding=1, ceil_mode=True),
    pool("unbatched", (3, 20), kernel_size=2),
    pool("batch-0", (0, 3, 20), kernel_size=2),
]
AVG_POOL2D = [
    pool("2x2", (2, 5, 8, 10), kernel_size=2),
    pool("2x2-wide", (1, 21, 6, 70), kernel_size=2),
    pool("3x3-stem", (2, 17, 15, 15), kernel_size=3, stride=2, padding=1),
    pool("3x3-same", (1, 3, 9, 40), kernel_size=3, stride=1, padding=1),
    pool(
        "3x3-without-padding",
        (2, 3, 15, 14),
        kernel_size=3,
        stride=2,
        padding=1,
        count_include_pad=False,
    ),
    pool("divisor", (1, 3, 7, 9), kernel_size=(2, 4), divisor_override=3),
    pool("negative-divisor", (1, 3, 5, 5), kernel_size=5, divisor_override=-2),
    pool("stride-over-kernel", (1, 3, 11, 11), kernel_size=2, stride=5),
    pool("asymmetric", (1, 4, 9, 14), kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)),
    pool("ceil", (1, 3, 8, 9), kernel_size=3, stride=2, ceil_mode=True),
    pool("ceil-padding", (1, 3, 7, 6), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    pool(
        "ceil-without-padding",
        (1, 3, 7, 6),
        kernel_size=3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
    ),
    pool("ceil-drops-last", (1, 2, 4, 4), kernel_size=2, stride=3, padding=1, ceil_mode=True),
    pool("ceil-beyond-input", (1, 17, 2, 5), kernel_size=3, ceil_mode=True),
    pool("global", (2, 70, 5, 6), kernel_size=(5, 6)),
    pool("all-rows", (2, 3, 5, 60), kernel_size=(5, 2)),
    pool("kernel-1", (1, 3, 4, 4), kernel_size=1),
    pool("kernel-beyond-input", (1, 3, 2, 2), kernel_size=4, padding=2, stride=1),
    pool("two-threads-of-work", (2, 32, 40, 40), kernel_size=8),
    pool("unbatched", (5, 8, 10), kernel_size=2),
    pool("batch-0", (0, 5, 8, 10), kernel_size=2),
]
AVG_POOL3D = [
    pool("2x2x2", (2, 5, 4, 6, 8), kernel_size=2),
    pool("3x3x3", (1, 17, 5, 7, 9), kernel_size=3, stride=2, padding=1),
    pool("film", (1, 3, 4, 9, 20), kernel_size=(1, 2, 2), stride=(1, 2, 2)),
    pool("global", (2, 3, 2, 4, 3), kernel_size=(2, 4, 3)),
    pool(
        "ceil-without-padding",
        (1, 2, 6, 5, 8),
        kernel_size=3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
    ),
    pool("unbatched", (3, 4, 4, 4), kernel_size=2),
]

ADAPTIVE_AVG_POOL1D = [
    pool("bins", (2, 3, 13), output_size=5),
    pool("one", (2, 3, 130), output_size=1),
    pool("unbatched", (3, 12), output_size=4),
]
ADAPTIVE_AVG_POOL2D = [
    pool("bins", (2, 5, 13, 11), output_size=(5, 7)),
    pool("even", (2, 20, 14, 21), output_size=7),
    pool("larger", (1, 3, 4, 5), output_size=(6, 11)),
    pool("one", (2, 70, 7, 7), output_size=1),
    pool("kept", (1, 3, 6, 8), output_size=(None, 4)),
    pool("unbatched", (3, 9, 9), output_size=2),
    pool("batch-0", (0, 3, 9, 9), output_size=2),
]
ADAPTIVE_AVG_POOL3D = [
    pool("bins", (1, 3, 5, 7, 6), output_size=(2, 3, 4)),
    pool("kept", (1, 17, 4, 5, 6), output_size=(None, 1, 3)),
    pool("unbatched", (3, 4, 4, 4), output_size=2),
]

LP_POOL1D = [
    pool("2", (2, 3, 20), norm_type=2, kernel_size=3, stride=2),
    pool("ceil", (2, 3, 20), norm_type=4, kernel_size=3, ceil_mode=True),
    pool("unbatched", (3, 20), norm_type=2.0, kernel_size=2),
]
LP_POOL2D = [
    pool("2", (2, 3, 8, 10), norm_type=2, kernel_size=2),
    pool("ceil-beyond-input", (2, 3, 1, 4), norm_type=2, kernel_size=3, ceil_mode=True),
    pool("4", (2, 3, 8, 10), norm_type=4.0, kernel_size=(2, 3), stride=2, ceil_mode=True),
    pool("infinity", (2, 3, 8, 10), norm_type=float("inf"), kernel_size=3, stride=2),
    pool("minus-infinity", (2, 3, 8, 10), norm_type=-float("inf"), kernel_size=3, stride=2),
    pool("zeros", (1, 2, 6, 6), norm_type=2, kernel_size=2, ties=True),
]
LP_POOL3D = [
    pool("2", (2, 3, 4, 4, 5), norm_type=2, kernel_size=2),
    pool("unbatched", (3, 4, 4, 5), norm_type=2, kernel_size=(1, 2, 3), stride=2),
]
