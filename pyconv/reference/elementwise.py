"""Functions of one number, applied to each element.

Where a function has no derivative, the gradient is the one that PyTorch gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def _of(value: ArrayLike) -> Array:
    return np.asarray(value, float)


def abs(input: ArrayLike) -> Array:
    """Absolute value."""
    return np.abs(_of(input))


def abs_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `abs`: the sign of the input, 0 at 0."""
    return _of(grad_output) * np.sign(_of(input))


def clamp(input: ArrayLike, min: float | None = None, max: float | None = None) -> Array:
    """Take the nearest number in [min, max].

    Examples
    --------
    >>> clamp([-2, 0.5, 3], 0, 1)
    array([0. , 0.5, 1. ])
    """
    low, high = _bounds(min, max)
    return np.minimum(np.maximum(_of(input), low), high)


def clamp_backward(
    grad_output: ArrayLike, input: ArrayLike, min: float | None = None, max: float | None = None
) -> Array:
    """Gradient of `clamp`: passes within the bounds, and on them."""
    x, (low, high) = _of(input), _bounds(min, max)
    return np.where((x >= low) & (x <= high), _of(grad_output), 0)


def _bounds(min: float | None, max: float | None) -> tuple[float, float]:
    return -np.inf if min is None else min, np.inf if max is None else max


def elu(input: ArrayLike, alpha: float = 1.0) -> Array:
    """Exponential linear unit (Clevert et al., arXiv:1511.07289).

    Examples
    --------
    >>> elu([0, 2])
    array([0., 2.])
    """
    x = _of(input)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(grad_output: ArrayLike, input: ArrayLike, alpha: float = 1.0) -> Array:
    """Gradient of `elu`."""
    x = _of(input)
    return _of(grad_output) * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def erf(input: ArrayLike) -> Array:
    """Error function: the share of a normal distribution within input * sqrt(2) deviations.

    By the series exp(-x^2) (2 / sqrt(pi)) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), whose terms all have
    one sign (Abramowitz and Stegun, *Handbook of mathematical functions*, 7.1.6). Beyond 6 the
    result is 1 within the precision of float64.

    Examples
    --------
    >>> erf([0, 9])
    array([0., 1.])
    """
    x = np.clip(_of(input), -6, 6)
    term, total = x, x
    for n in range(1, 150):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    return np.where(np.abs(x) < 6, np.exp(-x * x) * 2 / np.sqrt(np.pi) * total, np.sign(x))


def erf_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `erf`."""
    grad: Array = _of(grad_output) * 2 / np.sqrt(np.pi) * np.exp(-(_of(input) ** 2))
    return grad


def exp(input: ArrayLike) -> Array:
    """Exponential function."""
    return np.exp(_of(input))


def exp_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `exp`, which is its own derivative."""
    return _of(grad_output) * np.exp(_of(input))


def gelu(input: ArrayLike, approximate: str = "none") -> Array:
    """Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415).

    Examples
    --------
    >>> gelu([0, 9])
    array([0., 9.])
    """
    x = _of(input)
    return x * _gelu_factor(x, approximate)


def gelu_backward(grad_output: ArrayLike, input: ArrayLike, approximate: str = "none") -> Array:
    """Gradient of `gelu`, by the product rule."""
    x = _of(input)
    factor = _gelu_factor(x, approximate)
    if approximate == "tanh":
        inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        slope = 2 * factor * (1 - factor) * inner
    else:
        slope = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    grad: Array = _of(grad_output) * (factor + x * slope)
    return grad


def _gelu_factor(x: Array, approximate: str) -> Array:
    """Compute the normal distribution function, or its approximation."""
    if approximate == "tanh":
        return sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))  # (1 + tanh(u)) / 2
    return 0.5 * (1 + erf(x / np.sqrt(2)))


def hardsigmoid(input: ArrayLike) -> Array:
    """Straight line from 0 at -3 to 1 at 3 (Howard et al., arXiv:1905.02244)."""
    return np.clip(_of(input) + 3, 0, 6) / 6


def hardsigmoid_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `hardsigmoid`: 0 at -3 and 3."""
    return np.where(np.abs(_of(input)) < 3, _of(grad_output) / 6, 0)


def hardswish(input: ArrayLike) -> Array:
    """Input times `hardsigmoid` (Howard et al., arXiv:1905.02244)."""
    return _of(input) * hardsigmoid(input)


def hardswish_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `hardswish`: 0 at -3, 1 at 3."""
    x = _of(input)
    return _of(grad_output) * np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))


def leaky_relu(input: ArrayLike, negative_slope: float = 0.01) -> Array:
    """Input, times the slope where it is negative (Maas et al., 2013)."""
    x = _of(input)
    return np.where(x > 0, x, x * negative_slope)


def leaky_relu_backward(
    grad_output: ArrayLike, input: ArrayLike, negative_slope: float = 0.01
) -> Array:
    """Gradient of `leaky_relu`: the slope at 0."""
    return _of(grad_output) * np.where(_of(input) > 0, 1, negative_slope)


def log(input: ArrayLike) -> Array:
    """Natural logarithm."""
    return np.log(_of(input))


def log_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `log`."""
    return _of(grad_output) / _of(input)


def neg(input: ArrayLike) -> Array:
    """Input with the other sign."""
    return -_of(input)


def neg_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `neg`."""
    return -_of(grad_output)


def relu(input: ArrayLike) -> Array:
    """Rectified linear unit: ``max(x, 0)``. NaN stays NaN.

    Examples
    --------
    >>> relu([-1, 0, 2])
    array([0., 0., 2.])
    """
    output: Array = np.maximum(_of(input), 0)
    return output


def relu_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `relu`: passes where the input is above zero, and where it is NaN.

    At zero, where `relu` has no derivative, the gradient is 0, as in PyTorch.

    Examples
    --------
    >>> relu_backward([10, 20, 30], [-1, 0, 2])
    array([ 0.,  0., 30.])
    """
    return np.where(_of(input) <= 0, 0, _of(grad_output))


def relu6(input: ArrayLike) -> Array:
    """Rectified linear unit that ends at 6 (Krizhevsky, 2010; Sandler et al., arXiv:1801.04381)."""
    return clamp(input, 0, 6)


def relu6_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `relu6`: 0 at 0 and at 6, and passes where the input is NaN."""
    x = _of(input)
    return np.where((x <= 0) | (x >= 6), 0, _of(grad_output))


def sigmoid(input: ArrayLike) -> Array:
    """Logistic function, of exp(-|x|), which does not overflow.

    Examples
    --------
    >>> sigmoid([-1000, 0, 1000])
    array([0. , 0.5, 1. ])
    """
    x = _of(input)
    e = np.exp(-np.abs(x))
    output: Array = np.where(x < 0, e, 1) / (1 + e)
    return output


def sigmoid_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `sigmoid`: ``y (1 - y)``."""
    return _of(grad_output) * sigmoid(input) * sigmoid(-_of(input))


def silu(input: ArrayLike) -> Array:
    """Input times its sigmoid (Elfwing et al., arXiv:1702.03118)."""
    return _of(input) * sigmoid(input)


def silu_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `silu`, by the product rule."""
    x, s = _of(input), sigmoid(input)
    return _of(grad_output) * (s + x * s * (1 - s))


def softplus(input: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Smooth form of `relu`: ``log(1 + exp(beta x)) / beta`` (Dugas et al., 2001).

    Examples
    --------
    >>> softplus([-1000, 1000])
    array([   0., 1000.])
    """
    x = _of(input)
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def softplus_backward(
    grad_output: ArrayLike, input: ArrayLike, beta: float = 1.0, threshold: float = 20.0
) -> Array:
    """Gradient of `softplus`: the sigmoid of beta x."""
    x = _of(input)
    return _of(grad_output) * np.where(x * beta > threshold, 1, sigmoid(x * beta))


def sqrt(input: ArrayLike) -> Array:
    """Square root."""
    return np.sqrt(_of(input))


def sqrt_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `sqrt`."""
    grad: Array = _of(grad_output) / (2 * np.sqrt(_of(input)))
    return grad


def tanh(input: ArrayLike) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(_of(input))


def tanh_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `tanh`: ``1 - tanh(x)^2``."""
    t = tanh(input)
    return _of(grad_output) * (1 - t) * (1 + t)
