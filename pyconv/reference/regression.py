"""Losses of the difference d = input - target: d^2, |d|, and a smooth mixture of them.

``smooth_l1_loss`` (Girshick, *Fast R-CNN*, arXiv:1504.08083) is d^2 / (2 beta) up to |d| = beta,
and |d| - beta / 2 from there on, where value and slope are equal. The gradient with respect to the
target is that of the input with the other sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def mse_loss(input: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Array:
    """Squares of the differences, as mean, sum or each.

    Examples
    --------
    >>> print(mse_loss([1, 2], [1, 4]))
    2.0
    """
    return _reduce(_difference(input, target) ** 2, reduction)


def mse_loss_backward(
    grad_output: ArrayLike, input: ArrayLike, target: ArrayLike, reduction: str = "mean"
) -> tuple[Array, Array]:
    """Gradients of `mse_loss`: 2 d and -2 d.

    Examples
    --------
    >>> mse_loss_backward(1, [1, 2], [1, 4], "sum")[0]
    array([ 0., -4.])
    """
    d = _difference(input, target)
    return _gradients(grad_output, 2 * d, reduction)


def l1_loss(input: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Array:
    """Sizes of the differences, as mean, sum or each.

    Examples
    --------
    >>> print(l1_loss([1, 2], [1, 4]))
    1.0
    """
    return _reduce(np.abs(_difference(input, target)), reduction)


def l1_loss_backward(
    grad_output: ArrayLike, input: ArrayLike, target: ArrayLike, reduction: str = "mean"
) -> tuple[Array, Array]:
    """Gradients of `l1_loss`: the sign of d, 0 at 0.

    Examples
    --------
    >>> l1_loss_backward(1, [1, 2], [1, 4], "sum")[0]
    array([ 0., -1.])
    """
    return _gradients(grad_output, np.sign(_difference(input, target)), reduction)


def smooth_l1_loss(
    input: ArrayLike, target: ArrayLike, reduction: str = "mean", beta: float = 1.0
) -> Array:
    """Squares of small differences, sizes of others, as mean, sum or each.

    Examples
    --------
    >>> smooth_l1_loss([1, 2], [1.5, 4], "none")
    array([0.125, 1.5  ])
    """
    d = _difference(input, target)
    small = np.abs(d) < beta
    return _reduce(np.where(small, d * d / (2 * beta or 1), np.abs(d) - beta / 2), reduction)


def smooth_l1_loss_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    target: ArrayLike,
    reduction: str = "mean",
    beta: float = 1.0,
) -> tuple[Array, Array]:
    """Gradients of `smooth_l1_loss`: d / beta, but never beyond 1 or -1.

    Examples
    --------
    >>> smooth_l1_loss_backward(1, [1, 2], [1.5, 4], "sum")[0]
    array([-0.5, -1. ])
    """
    d = _difference(input, target)
    return _gradients(grad_output, np.clip(d / beta, -1, 1) if beta else np.sign(d), reduction)


def _difference(input: ArrayLike, target: ArrayLike) -> Array:
    return np.asarray(np.asarray(input, float) - np.asarray(target, float))


def _reduce(losses: Array, reduction: str) -> Array:
    if reduction == "none":
        return losses
    with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
        return np.asarray(losses.sum() / (losses.size if reduction == "mean" else 1))


def _gradients(grad_output: ArrayLike, slope: Array, reduction: str) -> tuple[Array, Array]:
    grad = np.asarray(grad_output, float) * slope
    grad = grad / slope.size if reduction == "mean" else grad
    return grad, -grad
