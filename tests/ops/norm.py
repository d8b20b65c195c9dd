"""Cases of normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.case import Case

Shape = tuple[int, ...]


def norm(name: str, input: Shape, weight: Shape | None = None, **options: Any) -> Case:
    """Without `weight` there are no parameters; its shape is that of the bias too."""
    arrays = {"input": input}
    if weight is not None:
        arrays |= {"weight": weight, "bias": weight}
    return Case(name, arrays, options)


def batch(name: str, input: Shape, affine: bool = True, **options: Any) -> Case:
    statistics: dict[str, Any] = {"running_mean": None, "running_var": None, "training": True}
    return norm(name, input, input[1:2] if affine else None, **(statistics | options))


def frozen(name: str, input: Shape, affine: bool = True, **options: Any) -> Case:
    """By given statistics, outside training."""
    channels = np.arange(float(input[1]))
    statistics = {"running_mean": channels / 8 - 0.5, "running_var": channels / 4 + 0.5}
    return norm(name, input, input[1:2] if affine else None, **(statistics | options))


BATCH_NORM = [
    batch("image", (4, 6, 5, 7)),
    batch("vectors-of-channels", (3, 32, 4, 4)),
    batch("odd-channels", (3, 37, 3, 5)),
    batch("many-channels", (2, 530, 2, 3)),
    batch("2-axes", (9, 5)),
    batch("2-axes-64", (40, 64)),
    batch("sequence", (3, 4, 11)),
    batch("volume", (2, 3, 3, 4, 5)),
    batch("one-channel", (3, 1, 6, 6)),
    batch("no-parameters", (4, 3, 5, 5), affine=False),
    batch("eps", (4, 3, 2, 2), eps=0.5),
    batch("running", (4, 3, 2, 2), running_mean=np.zeros(3), running_var=np.ones(3)),
    batch("few-channels-of-much", (4, 3, 90, 91)),
    batch("two-threads-of-work", (5, 17, 30, 31)),
    batch("batch-0", (0, 3, 4, 4)),
    frozen("frozen", (4, 6, 5, 7)),
    frozen("frozen-larger-image", (5, 70, 12, 13)),
    frozen("frozen-2-axes", (1, 5)),
    frozen("frozen-no-parameters", (3, 17, 3, 3), affine=False),
    frozen("frozen-batch-0", (0, 3, 4, 4)),
]
BATCH_NORM_RELU = [
    batch("image", (4, 6, 5, 7)),
    batch("odd-channels", (3, 37, 3, 5)),
    batch("2-axes", (9, 5)),
    batch("no-parameters", (4, 3, 5, 5), affine=False),
    frozen("frozen", (4, 6, 5, 7)),
]
INSTANCE_NORM = [
    norm("image", (4, 6, 5, 7), (6,)),
    norm("vectors-of-channels", (2, 32, 4, 4), (32,)),
    norm("sequence", (3, 5, 11), (5,)),
    norm("volume", (2, 3, 3, 4, 5), (3,)),
    norm("no-parameters", (4, 3, 5, 5)),
    norm("two-threads-of-work", (9, 8, 30, 31), (8,)),
    frozen("frozen", (4, 6, 5, 7), use_input_stats=False),
]
GROUP_NORM = [
    norm("image", (4, 6, 5, 7), (6,), num_groups=3),
    norm("one-group", (3, 5, 3, 4), (5,), num_groups=1),
    norm("each-channel", (3, 5, 3, 4), (5,), num_groups=5),
    norm("vectors-of-channels", (2, 64, 3, 3), (64,), num_groups=4),
    norm("2-axes", (5, 12), (12,), num_groups=4),
    norm("volume", (2, 4, 3, 4, 5), (4,), num_groups=2),
    norm("no-parameters", (2, 6, 3, 4), num_groups=2),
    norm("many-small", (800, 6, 1), (6,), num_groups=2),
    norm("many-small-images", (90, 6, 3, 2), (6,), num_groups=3),
    norm("two-threads-of-work", (9, 8, 30, 31), (8,), num_groups=2),
    norm("batch-0", (0, 4, 3), (4,), num_groups=2),
]
LAYER_NORM = [
    norm("rows", (7, 12), (12,), normalized_shape=(12,)),
    norm("rows-of-67", (5, 3, 67), (67,), normalized_shape=(67,)),
    norm("image", (3, 4, 5, 6), (4, 5, 6), normalized_shape=(4, 5, 6)),
    norm("everything", (4, 5), (4, 5), normalized_shape=(4, 5)),
    norm("no-parameters", (3, 9), normalized_shape=(9,)),
    norm("one", (3, 1), (1,), normalized_shape=(1,), eps=1.0),
    norm("two-threads-of-work", (900, 80), (80,), normalized_shape=(80,)),
    norm("batch-0", (0, 9), (9,), normalized_shape=(9,)),
]
LOCAL_RESPONSE_NORM = [
    norm("alexnet", (2, 9, 3, 4), size=5, k=2.0),
    norm("even-size", (2, 7, 3), size=4, alpha=0.5, beta=0.6),
    norm("one", (2, 7, 3), size=1, alpha=0.1, beta=1),
    norm("wider-than-the-channels", (2, 3, 2, 2, 2), size=20, alpha=1.0),
    norm("one-channel", (2, 1, 5), size=3),
    norm("batch-0", (0, 3, 2), size=3),
]


def terms(op: str, arrays: dict[str, Any], options: dict[str, Any]) -> int:
    """Count the elements that share a statistic; of all that sums run over, the most."""
    shape = arrays["input"].shape
    if op == "local_response_norm":
        return 2 * min(shape[1], options["size"])
    if op == "layer_norm":
        length = int(np.prod(options["normalized_shape"]))
        return max(length, arrays["input"].size // max(1, length))
    most = shape[0] * int(np.prod(shape[2:]))
    if op == "group_norm":
        most = max(most, arrays["input"].size // max(1, shape[0]) // options["num_groups"])
    return most
