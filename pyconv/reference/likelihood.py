"""Losses of probabilities.

``nll_loss`` is minus the logarithm of the probability of the right class, of which the input is
made; ``cross_entropy`` is that of ``log_softmax``. With two classes, of probabilities x and 1 - x,

    binary_cross_entropy = -(t log x + (1 - t) log(1 - x))

and with logits, x = sigmoid(z) = 1 / (1 + exp(-z)), so log x = -log(1 + exp(-z)), and

    binary_cross_entropy_with_logits = (1 - t) z + (1 + (pos_weight - 1) t) log(1 + exp(-z)).

See Prince, *Understanding Deep Learning*, section 5.4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Negative log likelihood of the target classes; the mean is weighted.

    Examples
    --------
    >>> print(nll_loss([[-0.5, -1]], [1]))
    1.0
    """
    log_p = _classes_last(input)
    wanted = _wanted(log_p.shape[-1], target, weight, ignore_index)
    losses = -np.where(wanted != 0, wanted * log_p, 0).sum(axis=-1)
    if reduction == "none":
        return np.asarray(losses)
    with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
        return np.asarray(losses.sum() / (wanted.sum() if reduction == "mean" else 1))


def nll_loss_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Gradient of `nll_loss` with respect to its input.

    Examples
    --------
    >>> nll_loss_backward(1, [[-0.5, -1]], [1])
    array([[ 0., -1.]])
    """
    log_p = _classes_last(input)
    wanted = _wanted(log_p.shape[-1], target, weight, ignore_index)
    grad = -np.asarray(grad_output, float)[..., None] * wanted
    if reduction == "mean" and wanted.sum():
        grad = grad / wanted.sum()
    return (np.moveaxis(grad, -1, 1) if grad.ndim > 1 else grad) + 0.0


def binary_cross_entropy(
    input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> Array:
    """Cross entropy of probabilities, with logarithms of at least -100.

    Examples
    --------
    >>> print(binary_cross_entropy([0.5], [1]).round(4))
    0.6931
    """
    x, t = np.asarray(input, float), np.asarray(target, float)
    right, wrong = _logarithms(x)
    return _reduce(-(t * right + (1 - t) * wrong), weight, reduction)


def binary_cross_entropy_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> tuple[Array, Array]:
    """Gradients of `binary_cross_entropy`: ``(x - t) / (x (1 - x))``, and that of the target.

    Examples
    --------
    >>> binary_cross_entropy_backward(1, [0.5], [1])[0]
    array([-2.])
    """
    x, t = np.asarray(input, float), np.asarray(target, float)
    right, wrong = _logarithms(x)
    g = _spread(grad_output, x, weight, reduction)
    return g * (x - t) / np.maximum(x * (1 - x), 1e-12), g * (wrong - right)


def binary_cross_entropy_with_logits(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> Array:
    """Cross entropy of logits.

    Examples
    --------
    >>> print(binary_cross_entropy_with_logits([0], [1]).round(4))
    0.6931
    """
    z, t = np.asarray(input, float), np.asarray(target, float)
    factor = 1 if pos_weight is None else 1 + (np.asarray(pos_weight, float) - 1) * t
    return _reduce((1 - t) * z + factor * np.logaddexp(0, -z), weight, reduction)


def binary_cross_entropy_with_logits_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Gradients; with respect to the logits, and without `pos_weight`, ``sigmoid(z) - t``.

    Examples
    --------
    >>> binary_cross_entropy_with_logits_backward(1, [0], [1])[0]
    array([-0.5])
    """
    z, t = np.asarray(input, float), np.asarray(target, float)
    extra = 0 if pos_weight is None else np.asarray(pos_weight, float) - 1
    g = _spread(grad_output, z, weight, reduction)
    softplus = np.logaddexp(0, -z)
    small = np.exp(-np.logaddexp(0, np.abs(z)))  # of sigmoid(z) and sigmoid(-z)
    factor = 1 + extra * t
    grad_input = np.where(z < 0, factor * small - (1 + extra) * t, 1 - t - factor * small)
    return g * grad_input, g * (extra * softplus - z)


def _classes_last(input: ArrayLike) -> Array:
    x = np.asarray(input, float)
    return np.moveaxis(x, 1, -1) if x.ndim > 1 else x


def _wanted(classes: int, target: ArrayLike, weight: ArrayLike | None, ignore_index: int) -> Array:
    """Return the weight of the target at its class, 0 elsewhere and where it is ignored."""
    labels = np.asarray(target)[..., None]
    class_weight = np.ones(classes) if weight is None else np.asarray(weight, float)
    chosen = (labels == np.arange(classes)) & (labels != ignore_index)
    return np.asarray(class_weight * chosen, float)


def _logarithms(x: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)


def _reduce(losses: Array, weight: ArrayLike | None, reduction: str) -> Array:
    weighted = losses if weight is None else losses * np.asarray(weight, float)
    if reduction == "none":
        return weighted
    with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
        return np.asarray(weighted.sum() / (weighted.size if reduction == "mean" else 1))


def _spread(grad_output: ArrayLike, x: Array, weight: ArrayLike | None, reduction: str) -> Array:
    """Return the gradient of each element's loss before it is weighted."""
    g = np.broadcast_to(np.asarray(grad_output, float), x.shape)
    g = g if weight is None else g * np.asarray(weight, float)
    return g / x.size if reduction == "mean" else g
