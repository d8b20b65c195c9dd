"""Cases of unfold and fold."""

from __future__ import annotations

from math import prod
from typing import Any

from ops.case import Case

Shape = tuple[int, ...]
WINDOWS: list[tuple[str, Shape, dict[str, Any]]] = [
    ("3x3", (2, 4, 6, 7), {"kernel_size": 3, "padding": 1}),
    ("1x1", (2, 5, 4, 3), {"kernel_size": 1}),
    ("patches", (1, 3, 16, 16), {"kernel_size": 4, "stride": 4}),
    ("patches-left-over", (1, 3, 11, 10), {"kernel_size": (3, 4), "stride": (3, 4)}),
    ("stride-over-kernel", (1, 3, 9, 8), {"kernel_size": 2, "stride": (5, 3)}),
    ("asymmetric", (2, 3, 8, 9), {"kernel_size": (5, 2), "stride": (1, 3), "padding": (2, 0)}),
    ("dilation", (1, 3, 9, 11), {"kernel_size": (2, 3), "dilation": (3, 2), "padding": (1, 2)}),
    ("kernel-is-image", (2, 3, 4, 5), {"kernel_size": (4, 5)}),
    ("kernel-beyond-image", (1, 2, 2, 3), {"kernel_size": 5, "padding": 2}),
    ("padding-over-kernel", (1, 2, 3, 3), {"kernel_size": 2, "padding": 3}),
    ("image-1x1", (3, 7, 1, 1), {"kernel_size": 1}),
    ("two-threads-of-work", (2, 20, 30, 30), {"kernel_size": 3, "padding": 1}),
    ("unbatched", (4, 6, 7), {"kernel_size": 3, "stride": 2}),
    ("batch-0", (0, 4, 6, 7), {"kernel_size": 3}),
]


def places(image: Shape, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1):
    """Count the places of the window."""
    options = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    sizes = zip(image[-2:], kernel, *options)
    return kernel, prod((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)


def folded(name: str, image: Shape, options: dict[str, Any]) -> Case:
    """Turn a case of unfold around: its result is the input, its image the output."""
    kernel, columns = places(image, **options)
    rows = image[-3] * prod(kernel)
    input = {"input": (*image[:-3], rows, columns)}
    return Case(name, input, {"output_size": image[-2:], **options})


UNFOLD = [Case(name, {"input": image}, options) for name, image, options in WINDOWS]
FOLD = [folded(*window) for window in WINDOWS]
