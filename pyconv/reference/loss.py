"""Softmax and cross entropy.

With logits ``x[0..C-1]``,

    log_softmax(x)[c] = x[c] - log(sum_j exp(x[j]))

where the maximum is taken off all logits before the exponential, so that nothing overflows. Cross
entropy compares a distribution ``q`` with it: ``loss = -sum_c q[c] * log_softmax(x)[c]``, and the
gradient is ``softmax(x) * sum(q) - q``. For a target class ``y``, ``q`` is one at ``y`` and zero
elsewhere; class weights and label smoothing (Szegedy et al., *Rethinking the Inception
architecture for computer vision*, arXiv:1512.00567) only change ``q``. See also Prince,
*Understanding Deep Learning*, section 5.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def log_softmax(input: ArrayLike, dim: int) -> Array:
    """Logarithm of `softmax` along the axis ``dim``, exact also where softmax is 0.

    Examples
    --------
    >>> log_softmax([0, 1000], dim=0)
    array([-1000.,     0.])
    """
    x = np.asarray(input, float)
    if not x.size:
        return x
    shifted = x - x.max(axis=dim, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
    return log_p


def log_softmax_backward(grad_output: ArrayLike, input: ArrayLike, dim: int) -> Array:
    """Gradient of `log_softmax`: ``grad - softmax(input) * sum(grad)``.

    Examples
    --------
    >>> log_softmax_backward([1, 0], [0, 0], dim=0)
    array([ 0.5, -0.5])
    """
    grad = np.asarray(grad_output, float)
    grad_input: Array = grad - softmax(input, dim) * grad.sum(axis=dim, keepdims=True)
    return grad_input


def softmax(input: ArrayLike, dim: int) -> Array:
    """Positive numbers that add up to one along the axis ``dim``: ``exp(x) / sum(exp(x))``.

    Examples
    --------
    >>> softmax([0, 0], dim=0)
    array([0.5, 0.5])
    """
    return np.exp(log_softmax(input, dim))


def softmax_backward(grad_output: ArrayLike, input: ArrayLike, dim: int) -> Array:
    """Gradient of `softmax`: ``p * (grad - sum(p * grad))`` with ``p = softmax(input)``.

    Examples
    --------
    >>> softmax_backward([1, 0], [0, 0], dim=0)
    array([ 0.25, -0.25])
    """
    grad, p = np.asarray(grad_output, float), softmax(input, dim)
    grad_input: Array = p * (grad - (p * grad).sum(axis=dim, keepdims=True))
    return grad_input


def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Cross entropy between logits and target classes.

    Parameters
    ----------
    input : array of shape (N, C), (C,) or (N, C, d1, ...)
        Logits.
    target : array of int, of shape (N,), () or (N, d1, ...)
        The class of each sample. Or an array of float of the shape of input: probabilities.
    weight : array of shape (C,), optional
        What each class counts.
    ignore_index : int
        Samples with this target count nothing.
    reduction : "mean", "sum" or "none"
        The mean over classes is weighted: the sum divided by the weights of the targets.
    label_smoothing : float
        This share of the target is spread evenly over all classes.

    Returns
    -------
    array of shape () or, for "none", of the shape of input without its classes

    Examples
    --------
    >>> print(cross_entropy([[0, 0]], [1]).round(4))
    0.6931
    """
    logits = _classes_last(input)
    q, counts = _distribution(logits.shape[-1], target, weight, ignore_index, label_smoothing)
    # A class that is not wanted costs nothing, even where its probability is 0: no 0 * -inf.
    costs = np.multiply(q, -log_softmax(logits, -1), where=q != 0, out=np.zeros(q.shape))
    losses: Array = costs.sum(axis=-1)
    if reduction == "none":
        return losses
    with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
        return np.asarray(losses.sum() / (counts.sum() if reduction == "mean" else 1))


def cross_entropy_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Gradient of `cross_entropy` with respect to its input: ``softmax(input) * sum(q) - q``.

    Examples
    --------
    >>> cross_entropy_backward(1, [[0, 0]], [1])
    array([[ 0.5, -0.5]])
    """
    logits = _classes_last(input)
    q, counts = _distribution(logits.shape[-1], target, weight, ignore_index, label_smoothing)
    grad_losses = np.asarray(grad_output, float)
    if reduction == "mean":  # a mean of nothing passes no gradient
        total = counts.sum()
        grad_losses = grad_losses / total if total else np.zeros(())
    grad = grad_losses[..., None] * (softmax(logits, -1) * q.sum(axis=-1, keepdims=True) - q)
    return np.moveaxis(grad, -1, 1) if grad.ndim > 1 else grad


def _classes_last(input: ArrayLike) -> Array:
    """Move the classes of (N, C, d1, ...) to the end."""
    logits = np.asarray(input, float)
    return np.moveaxis(logits, 1, -1) if logits.ndim > 1 else logits


def _distribution(
    classes: int,
    target: ArrayLike,
    weight: ArrayLike | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Array]:
    """Return ``q``, of shape (..., C), and what each sample counts in the mean, of shape (...)."""
    class_weight = np.ones(classes) if weight is None else np.asarray(weight, float)
    if np.asarray(target).dtype.kind == "f":
        chosen, kept = _classes_last(target), np.ones(1)
        counts = np.ones(chosen.shape[:-1])
    else:
        labels = np.asarray(target)[..., None]
        kept = (labels != ignore_index).astype(float)
        chosen = (labels == np.arange(classes)) * kept
        counts = (class_weight * chosen).sum(axis=-1)
    smooth = (1 - label_smoothing) * chosen + label_smoothing / classes * kept
    return class_weight * smooth, counts
