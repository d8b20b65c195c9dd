"""Losses: cross entropy of classes or probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..arguments import integer, one_of, probability
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Array, Tensor
from .reduce import log_softmax, softmax
from .shape import Permute, Reshape

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropy(Function):
    """The loss of each sample of logits (N, C) with class indices (N,)."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        ignore_index: int,
        label_smoothing: float,
    ) -> Tensor:
        losses, log_p = _core.cross_entropy_forward(
            input._array,
            target._array,
            None if weight is None else weight._array,
            ignore_index,
            label_smoothing,
        )
        ctx.save_for_backward(input, Tensor(log_p), target, weight)
        ctx.options = ignore_index, label_smoothing
        return Tensor(losses)

    @staticmethod
    def backward(ctx: Any, grad_losses: Tensor) -> Any:
        input, log_p, target, weight = ctx.saved_tensors
        class_weight = None if weight is None else weight._array
        if is_grad_enabled():  # for second derivatives: the same in recorded operations
            wanted = Tensor(_wanted(log_p._array, target._array, class_weight, *ctx.options))
            error = softmax(input, 1) * wanted.sum(1, keepdim=True) - wanted
            return grad_losses.unsqueeze(1) * error, None, None, None, None
        grad_input = _core.cross_entropy_backward(
            grad_losses._array, log_p._array, target._array, class_weight, *ctx.options
        )
        return Tensor(grad_input), None, None, None, None


def _wanted(
    log_p: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> Array:
    """Return the distribution (N, C) that class indices, weights and smoothing ask for."""
    count, classes = log_p.shape
    kept = np.flatnonzero(target != ignore_index)
    result = np.zeros((count, classes), log_p.dtype)
    result[kept] = smoothing / classes
    result[kept, target[kept]] += 1 - smoothing
    return result if weight is None else result * weight


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Compare logits with the right classes: minus the logarithm of the softmax at the class.

    Parameters
    ----------
    input : array_like of shape (C,), (N, C) or (N, C, d1, ...)
        Logits of C classes; float32 or float64.
    target : array_like of shape (), (N,) or (N, d1, ...)
        Class indices, integers in [0, C); or probabilities, of the shape and dtype of `input`.
    weight : array_like of shape (C,), optional
        What each class counts.
    ignore_index : int
        Samples of this class count nothing; not for probabilities.
    reduction : {"mean", "sum", "none"}
        The mean of class indices divides by the sum of the weights of the targets, that of
        probabilities by the number of samples.
    label_smoothing : float
        This share of the target, in [0, 1], is spread evenly over all classes.

    Returns
    -------
    Tensor
        Of shape (), or without reduction of the shape of `target` as class indices.

    Raises
    ------
    ValueError
        If shapes do not fit together, or a class or an option is out of range.
    TypeError
        If dtypes differ or are not supported.

    References
    ----------
    Szegedy et al., *Rethinking the Inception architecture for computer vision*,
    arXiv:1512.00567 (label smoothing).

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.cross_entropy([[0.0, 0.0]], [1])
    tensor(0.6931)
    """
    x, t = as_tensor(input, "input"), as_tensor(target, "target")
    w = None if weight is None else as_tensor(weight, "weight")
    _check_options(x, w, reduction, label_smoothing)
    logits = _rows(x)
    if t.dtype.kind == "f":
        losses = _of_probabilities(logits, x, t, w, label_smoothing)
        total: Any = len(logits)
    else:
        classes = _classes(x, t)
        index = integer("cross_entropy: ignore_index", ignore_index)
        losses = CrossEntropy.apply(logits, classes, w, index, float(label_smoothing))
        total = None
        if reduction == "mean":
            total = _total(classes._array, w, index)
    if reduction == "none":
        return Reshape.apply(losses, x.shape[:1] * (x.ndim > 1) + x.shape[2:])
    loss = losses.sum()
    if reduction == "sum":
        return loss
    # The mean of nothing is NaN and passes no gradient.
    return loss / total if total else loss * 0 + math.nan


def check_reduction(op: str, reduction: Any) -> None:
    """Raise a ValueError unless the reduction is known."""
    one_of(f"{op}: reduction", reduction, REDUCTIONS)


def _check_options(x: Tensor, w: Tensor | None, reduction: Any, label_smoothing: Any) -> None:
    check_reduction("cross_entropy", reduction)
    probability("cross_entropy: label_smoothing", label_smoothing)
    if not x.ndim:
        raise ValueError("cross_entropy: input has shape (), expected (C,), (N, C) or (N, C, ...)")
    classes = x.shape[1 if x.ndim > 1 else 0]
    if not classes:
        raise ValueError(f"cross_entropy: input has shape {x.shape}, expected at least one class")
    if w is not None and w.shape != (classes,):
        raise ValueError(f"cross_entropy: weight has shape {w.shape}, expected ({classes},)")
    if w is not None and w.dtype.num != x.dtype.num:
        raise TypeError(f"cross_entropy: weight.dtype is {w.dtype} and input.dtype is {x.dtype}")


def _rows(x: Tensor) -> Tensor:
    """Turn (C,) or (N, C, d1, ...) into one row of C per sample."""
    if x.ndim == 2:
        return x
    if x.ndim == 1:
        return x.unsqueeze(0)
    last = Permute.apply(x, (0, *range(2, x.ndim), 1))
    return Reshape.apply(last, (x.numel() // x.shape[1], x.shape[1]))


def _classes(x: Tensor, t: Tensor) -> Tensor:
    """Check class indices and return them as one int64 vector."""
    if t.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: target.dtype is {t.dtype}, expected integers")
    expected = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    if t.shape != expected:
        raise ValueError(
            f"cross_entropy: target has shape {t.shape}, expected {expected} "
            f"for an input of shape {x.shape}"
        )
    return Tensor(t._array.reshape(math.prod(expected)).astype(np.int64, copy=False))


def _total(classes: Array, weight: Tensor | None, ignore_index: int) -> float:
    """Return what the targets that are not ignored count together."""
    kept = classes != ignore_index
    if weight is None:
        return int(np.count_nonzero(kept))
    return float(weight._array[classes[kept]].sum())


def _of_probabilities(
    logits: Tensor, x: Tensor, t: Tensor, weight: Tensor | None, smoothing: float
) -> Tensor:
    """Return the loss of each sample whose target is a distribution."""
    if t.shape != x.shape or t.dtype.num != x.dtype.num:
        raise ValueError(
            f"cross_entropy: target has shape {t.shape} and dtype {t.dtype}; expected integers, "
            f"or probabilities of shape {x.shape} and dtype {x.dtype}"
        )
    wanted = _rows(t)
    if smoothing:
        wanted = wanted * (1 - smoothing) + smoothing / wanted.shape[1]
    if weight is not None:
        wanted = wanted * weight
    return -(wanted * log_softmax(logits, 1)).sum(1)
