"""Losses: cross entropy of classes or probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..arguments import FLOATING, integer, one_of, probability
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Array, Tensor
from .casting import in_float32
from .reduce import log_softmax, softmax
from .shape import Permute, Reshape

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropy(Function):
    """The loss of logits (N, C, ...) with class indices (N, ...): of each sample, or reduced."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        ignore_index: int,
        label_smoothing: float,
        reduction: str,
    ) -> Tensor:
        class_weight = None if weight is None else weight._array
        loss, log_p, ctx.scale = _core.cross_entropy_forward(
            input._array, target._array, class_weight, ignore_index, label_smoothing, reduction
        )
        ctx.save_for_backward(input, Tensor(log_p), target, weight)
        ctx.options = ignore_index, label_smoothing
        return Tensor(loss)

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> Any:
        input, log_p, target, weight = ctx.saved_tensors
        class_weight = None if weight is None else weight._array
        if is_grad_enabled():  # for second derivatives: the same in recorded operations
            wanted = Tensor(_wanted(log_p._array, target._array, class_weight, *ctx.options))
            error = softmax(input, 1) * wanted.sum(1, keepdim=True) - wanted
            grad = grad_loss.unsqueeze(1) if grad_loss.ndim else grad_loss * ctx.scale
            return grad * error, None, None, None, None, None
        index, smoothing = ctx.options
        grad_input = _core.cross_entropy_backward(
            grad_loss._array, log_p._array, target._array, class_weight, index, smoothing, ctx.scale
        )
        return Tensor(grad_input), None, None, None, None, None


def _wanted(
    log_p: Array, target: Array, weight: Array | None, ignore_index: int, smoothing: float
) -> Array:
    """Return the distribution (N, C, ...) that class indices, weights and smoothing ask for."""
    classes = log_p.shape[1]
    target = target.reshape(log_p.shape[0], 1, *log_p.shape[2:])
    kept = target != ignore_index
    each = np.array(smoothing / classes, log_p.dtype)
    result: Array = np.broadcast_to(each, log_p.shape) * kept
    np.put_along_axis(result, np.where(kept, target, 0), (1 - smoothing + each) * kept, 1)
    if weight is not None:
        result *= weight.reshape(-1, *(1 for _ in log_p.shape[2:]))
    return result


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
        Samples of this class count nothing; not for probabilities, with which it must be negative.
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
    x, t = as_tensor(input, "cross_entropy: input"), as_tensor(target, "cross_entropy: target")
    w = None if weight is None else as_tensor(weight, "cross_entropy: weight")
    shape_of_samples = _samples(x, w)
    check_reduction("cross_entropy", reduction)
    smoothing = probability("cross_entropy: label_smoothing", label_smoothing)
    index = integer("cross_entropy: ignore_index", ignore_index)
    if t._array.dtype.kind not in FLOATING:
        _check_classes(x, t, shape_of_samples)
        logits = x if x.ndim > 1 else x.unsqueeze(0)
        loss = CrossEntropy.apply(logits, t, w, index, smoothing, reduction)
        return Reshape.apply(loss, ()) if x.ndim == 1 and loss.ndim else loss
    if index >= 0:
        raise ValueError(
            f"cross_entropy: ignore_index is {index}, expected none with targets of probabilities"
        )
    if x.dtype.kind == "V":
        given = x, t, w, index, reduction, smoothing
        return in_float32(cross_entropy, *given)
    logits = _rows(x)
    losses = _of_probabilities(logits, x, t, w, smoothing)
    if reduction == "none":
        return Reshape.apply(losses, shape_of_samples)
    loss = losses.sum() + 0.0  # no loss is -0.0
    if reduction == "sum":
        return loss
    # The mean of nothing is NaN and passes no gradient.
    return loss / len(logits) if len(logits) else loss * 0 + math.nan


def check_reduction(op: str, reduction: Any) -> None:
    """Raise a ValueError unless the reduction is known."""
    one_of(f"{op}: reduction", reduction, REDUCTIONS)


def _samples(x: Tensor, w: Tensor | None) -> tuple[int, ...]:
    """Return the shape of the losses of logits; ValueError if there is none."""
    shape = x._array.shape
    if not shape:
        raise ValueError("cross_entropy: input has shape (), expected (C,), (N, C) or (N, C, ...)")
    classes = shape[1] if len(shape) > 1 else shape[0]
    if not classes:
        raise ValueError(f"cross_entropy: input has shape {shape}, expected at least one class")
    if w is not None and w.shape != (classes,):
        raise ValueError(f"cross_entropy: weight has shape {w.shape}, expected ({classes},)")
    if w is not None and w.dtype.num != x.dtype.num:
        raise TypeError(f"cross_entropy: weight.dtype is {w.dtype} and input.dtype is {x.dtype}")
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def _rows(x: Tensor) -> Tensor:
    """Turn (C,) or (N, C, d1, ...) into one row of C per sample."""
    if x.ndim == 2:
        return x
    if x.ndim == 1:
        return x.unsqueeze(0)
    last = Permute.apply(x, (0, *range(2, x.ndim), 1))
    return Reshape.apply(last, (x.numel() // x.shape[1], x.shape[1]))


def _check_classes(x: Tensor, t: Tensor, expected: tuple[int, ...]) -> None:
    """Raise an error unless there is an integer for each sample."""
    if t._array.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: target.dtype is {t.dtype}, expected integers")
    if t._array.shape != expected:
        raise ValueError(
            f"cross_entropy: target has shape {t.shape}, expected {expected} "
            f"for an input of shape {x.shape}"
        )


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
