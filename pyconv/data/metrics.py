"""Measures of how good predictions are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import integer
from ..creation import as_tensor
from ..functional import cross_entropy
from ..tensor import Array, Tensor


def accuracy(input: Any, target: Any) -> float:
    """Return the share of right predictions.

    Parameters
    ----------
    input : array_like of shape (N, C, ...) or (N, ...)
        Scores, the largest of which along dimension 1 is the prediction; or predicted classes.
    target : array_like of int, shape (N, ...)
        The true classes.

    Raises
    ------
    ValueError
        If shapes do not fit together, or there are no targets.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.data.accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    predicted, truth, _ = _classes("accuracy", input, target)
    return float((predicted == truth).mean())


def mean_iou(input: Any, target: Any, num_classes: int | None = None) -> float:
    """Return the mean over classes of intersection over union.

    Parameters
    ----------
    input : array_like of shape (N, C, ...) or (N, ...)
        Scores or predicted classes, as for `accuracy`.
    target : array_like of int, shape (N, ...)
        The true classes.
    num_classes : int, optional
        How many classes there are; found from scores or the largest number if left out. Classes
        that neither appear nor are predicted do not count.

    Raises
    ------
    ValueError
        If shapes do not fit together, or a class is negative or not below `num_classes`.

    References
    ----------
    Long, Shelhamer and Darrell, *Fully convolutional networks for semantic segmentation*,
    arXiv:1411.4038, section 5.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.data.mean_iou([0, 0, 1, 1], [0, 1, 1, 1])  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    predicted, truth, count = _classes("mean_iou", input, target)
    lowest = min(predicted.min(), truth.min())
    largest = int(max(predicted.max(), truth.max()))
    if num_classes is None:
        count = count or largest + 1
    else:
        count = integer("mean_iou: num_classes", num_classes, 1)
    if lowest < 0 or largest >= count:
        raise ValueError(f"mean_iou: classes from {lowest} to {largest}, expected 0 to {count - 1}")
    classes, places = np.unique(np.concatenate([predicted.ravel(), truth.ravel()]), False, True)
    first, second = places.reshape(2, -1)
    both = np.bincount(first[first == second], minlength=len(classes))
    return float((both / (np.bincount(places.ravel()) - both)).mean())


def perplexity(input: Any, target: Any, ignore_index: int = -100) -> float:
    """Return the exponential of the mean cross entropy: how many choices were as good as open.

    Parameters
    ----------
    input : array_like of shape (N, C, ...)
        Logits.
    target : array_like of int, shape (N, ...)
        The true classes; those that are `ignore_index` do not count.

    Examples
    --------
    >>> import pyconv
    >>> round(pyconv.data.perplexity(pyconv.zeros(3, 8), [0, 1, 2]), 5)
    8.0
    """
    logits = Tensor(as_tensor(input, "input")._array)
    with np.errstate(over="ignore"):
        return float(np.exp(cross_entropy(logits, target, ignore_index=ignore_index).item()))


def _classes(name: str, input: Any, target: Any) -> tuple[Array, Array, int | None]:
    """Return predicted and true classes, and how many there are if scores tell it."""
    scores, truth = as_tensor(input, "input")._array, as_tensor(target, "target")._array
    if truth.dtype.kind not in "iu":
        raise TypeError(f"{name}: target.dtype is {truth.dtype}, expected integers")
    without = (*scores.shape[:1], *scores.shape[2:])
    if scores.shape == truth.shape and scores.dtype.kind in "iu":
        predicted, count = scores, None
    elif scores.ndim >= 2 and without == truth.shape and scores.shape[1]:
        predicted, count = scores.argmax(1), scores.shape[1]
    else:
        raise ValueError(f"{name}: input has shape {scores.shape}, target {truth.shape}")
    if not truth.size:
        raise ValueError(f"{name}: there are no targets")
    return predicted, truth, count
