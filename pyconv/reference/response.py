"""Local response normalisation (Krizhevsky, Sutskever and Hinton, 2012, section 3.3).

With d = k + alpha / size * (sum of x**2 over the window of the channel),

    output = x * d ** -beta,
    grad_x = grad * d ** -beta - 2 alpha beta / size * x * (sum of grad * x * d ** (-beta - 1)),

the last sum over the channels whose windows hold this one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def local_response_norm(
    input: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide (N, C, ...) by a power of the mean square of ``size`` neighbouring channels.

    Examples
    --------
    >>> local_response_norm([[[3], [4]]], size=3, alpha=3, beta=1, k=0)
    array([[[0.12],
            [0.16]]])
    """
    x = np.asarray(input, float)
    d = k + alpha / size * _window_sum(x * x, size // 2, (size - 1) // 2)
    return np.asarray(x * d**-beta)


def local_response_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Array:
    """Gradient of `local_response_norm` with respect to its input.

    Examples
    --------
    >>> local_response_norm_backward([[[1]]], [[[2]]], size=1, alpha=1, beta=1, k=0)
    array([[[-0.25]]])
    """
    x, g = np.asarray(input, float), np.asarray(grad_output, float)
    d = k + alpha / size * _window_sum(x * x, size // 2, (size - 1) // 2)
    shared = _window_sum(g * x * d ** (-beta - 1), (size - 1) // 2, size // 2)
    return np.asarray(g * d**-beta - 2 * alpha * beta / size * x * shared)


def _window_sum(x: Array, before: int, after: int) -> Array:
    channels = x.shape[1]
    parts = [
        x[:, max(0, c - before) : c + after + 1].sum(axis=1, keepdims=True) for c in range(channels)
    ]
    return np.concatenate(parts, axis=1) if parts else x
