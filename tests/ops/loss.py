"""Cases of the losses and of the softmax inside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ops.case import Case

Shape = tuple[int, ...]

CLASS_WEIGHT = np.array([0.5, 2.0, 1.0, 0.25, 3.0])
LABELS = np.array([0, 4, 2, 2, 1, 3, 0])
SOME_IGNORED = np.array([0, -100, 2, -100, 1, 3, 0])


def cross_entropy(name: str, input: Shape, target: Any, **options: Any) -> Case:
    return Case(name, {"input": input}, {"target": np.asarray(target), **options})


CROSS_ENTROPY = [
    cross_entropy("plain", (7, 5), LABELS),
    cross_entropy("sum", (7, 5), LABELS, reduction="sum"),
    cross_entropy("none", (7, 5), LABELS, reduction="none"),
    cross_entropy("weight", (7, 5), LABELS, weight=CLASS_WEIGHT),
    cross_entropy("weight-sum", (7, 5), LABELS, weight=CLASS_WEIGHT, reduction="sum"),
    cross_entropy("ignored", (7, 5), SOME_IGNORED),
    cross_entropy("ignored-none", (7, 5), SOME_IGNORED, reduction="none"),
    cross_entropy("ignore-index", (7, 5), LABELS, ignore_index=2, weight=CLASS_WEIGHT),
    cross_entropy("smoothing", (7, 5), LABELS, label_smoothing=0.1),
    cross_entropy("smoothing-1", (7, 5), LABELS, label_smoothing=1.0, reduction="sum"),
    cross_entropy(
        "everything", (7, 5), SOME_IGNORED, weight=CLASS_WEIGHT, label_smoothing=0.3
    ),
    cross_entropy("int32-target", (7, 5), LABELS.astype(np.int32)),
    cross_entropy("probabilities", (3, 4), np.eye(3, 4) * 0.6 + 0.1),
    cross_entropy(
        "probabilities-everything", (2, 5, 3), np.arange(30.0).reshape(2, 5, 3) / 40,
        weight=CLASS_WEIGHT, label_smoothing=0.2, reduction="none",
    ),
    cross_entropy("one-class", (4, 1), [0, 0, 0, 0]),
    cross_entropy("1000-classes", (3, 1000), [999, 0, 500]),
    cross_entropy("image", (2, 5, 3, 4), np.arange(24).reshape(2, 3, 4) % 5),
    cross_entropy(
        "image-everything", (2, 5, 3, 4), np.arange(24).reshape(2, 3, 4) % 5,
        weight=CLASS_WEIGHT, ignore_index=3, label_smoothing=0.2, reduction="none",
    ),
    cross_entropy("sequence", (3, 5, 6), np.arange(18).reshape(3, 6) % 5),
    cross_entropy("few-classes", (2, 2, 37, 5), np.arange(370).reshape(2, 37, 5) % 2),
    cross_entropy(
        "map-everything", (3, 5, 37), np.where(np.arange(111) % 7 < 2, -100, 3).reshape(3, 37),
        weight=CLASS_WEIGHT, label_smoothing=0.3,
    ),
    cross_entropy("map-sum", (2, 40, 70), np.arange(140).reshape(2, 70) % 40, reduction="sum"),
    cross_entropy("large-map", (2, 2, 97, 101), np.arange(19594).reshape(2, 97, 101) % 2),
    cross_entropy("empty-map-sum", (2, 5, 0), np.zeros((2, 0), np.int64), reduction="sum"),
    cross_entropy("two-threads-of-work", (2000, 40), np.arange(2000) % 40),
    cross_entropy("unbatched", (5,), 3),
    cross_entropy("batch-0-sum", (0, 5), np.zeros(0, np.int64), reduction="sum"),
    cross_entropy("batch-0-none", (0, 5), np.zeros(0, np.int64), reduction="none"),
]  # fmt: skip

SOFTMAX = [
    Case("rows", {"input": (4, 9)}, {"dim": 1}),
    Case("columns", {"input": (4, 9)}, {"dim": 0}),
    Case("last-of-3", {"input": (2, 3, 5)}, {"dim": -1}),
    Case("middle-of-3", {"input": (2, 3, 5)}, {"dim": 1}),
    Case("one", {"input": (3, 1)}, {"dim": 1}),
    Case("one-of-many", {"input": (5, 1, 67)}, {"dim": 1}),
    Case("one-of-none", {"input": (0, 1)}, {"dim": 1}),
    Case("long-rows", {"input": (30, 1001)}, {"dim": -1}),
    Case("channels", {"input": (2, 19, 23, 30)}, {"dim": 1}),
    Case("first", {"input": (5, 3, 67)}, {"dim": 0}),
    Case("batch-0", {"input": (0, 4)}, {"dim": 1}),
]
LOG_SOFTMAX = SOFTMAX


def two(name: str, shape: Shape, **options: Any) -> Case:
    """Gradients reach the target too."""
    return Case(name, {"input": shape, "target": shape}, options)


DIFFERENCES = [
    two("mean", (4, 9)),
    two("sum", (4, 9), reduction="sum"),
    two("none", (2, 3, 5, 7), reduction="none"),
    two("scalar", ()),
    two("two-threads-of-work", (2, 5, 80, 81)),
    two("two-threads-of-work-none", (300, 301), reduction="none"),
    two("empty-sum", (0, 3), reduction="sum"),
]
SMOOTH = [*DIFFERENCES, two("beta", (5, 8), beta=0.25), two("beta-0", (5, 8), beta=0)]

NLL_LOSS = [
    case
    for case in CROSS_ENTROPY
    if "label_smoothing" not in case.options and "probabilities" not in case.name
]

MASK = np.arange(20.0).reshape(4, 5) / 10
BINARY = [
    two("mean", (4, 5)),
    two("sum", (4, 5), reduction="sum"),
    two("none", (2, 3, 5), reduction="none"),
    two("weight", (4, 5), weight=MASK),
    two("weight-broadcast", (4, 5), weight=CLASS_WEIGHT, reduction="none"),
    two("empty-sum", (0, 5), reduction="sum"),
]
BINARY_CROSS_ENTROPY = [replace(case, probabilities=True) for case in BINARY]
BINARY_CROSS_ENTROPY_WITH_LOGITS = [
    *BINARY,
    two("pos-weight", (4, 5), pos_weight=CLASS_WEIGHT, weight=MASK),
]
