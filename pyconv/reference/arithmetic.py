"""Arithmetic with broadcasting, and sums over dimensions.

Broadcasting repeats an operand along the dimensions that it lacks or in which it has size 1; the
gradient of such an operand is summed over its repetitions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Dims = int | tuple[int, ...] | None


def _of(value: ArrayLike) -> Array:
    return np.asarray(value, float)


def _sum_to(grad: Array, operand: Array) -> Array:
    """Sum a gradient over the repetitions of an operand."""
    extra = grad.ndim - operand.ndim
    repeated = [i for i in range(grad.ndim) if i < extra or operand.shape[i - extra] == 1]
    summed: Array = np.asarray(grad.sum(tuple(repeated))).reshape(operand.shape)
    return summed


def add(input: ArrayLike, other: ArrayLike) -> Array:
    """Sum.

    Examples
    --------
    >>> add([1, 2], 1)
    array([2., 3.])
    """
    return _of(input) + _of(other)


def add_backward(grad_output: ArrayLike, input: ArrayLike, other: ArrayLike) -> tuple[Array, Array]:
    """Gradients of `add`.

    Examples
    --------
    >>> add_backward([1, 1], [1, 2], 1)
    (array([1., 1.]), array(2.))
    """
    grad = _of(grad_output)
    return _sum_to(grad, _of(input)), _sum_to(grad, _of(other))


def sub(input: ArrayLike, other: ArrayLike) -> Array:
    """Difference."""
    return _of(input) - _of(other)


def sub_backward(grad_output: ArrayLike, input: ArrayLike, other: ArrayLike) -> tuple[Array, Array]:
    """Gradients of `sub`."""
    grad = _of(grad_output)
    return _sum_to(grad, _of(input)), _sum_to(-grad, _of(other))


def mul(input: ArrayLike, other: ArrayLike) -> Array:
    """Product."""
    return _of(input) * _of(other)


def mul_backward(grad_output: ArrayLike, input: ArrayLike, other: ArrayLike) -> tuple[Array, Array]:
    """Gradients of `mul`."""
    grad, x, y = _of(grad_output), _of(input), _of(other)
    return _sum_to(grad * y, x), _sum_to(grad * x, y)


def div(input: ArrayLike, other: ArrayLike) -> Array:
    """Quotient."""
    return _of(input) / _of(other)


def div_backward(grad_output: ArrayLike, input: ArrayLike, other: ArrayLike) -> tuple[Array, Array]:
    """Gradients of `div`."""
    grad, x, y = _of(grad_output), _of(input), _of(other)
    return _sum_to(grad / y, x), _sum_to(-grad * x / y**2, y)


def sum(input: ArrayLike, dim: Dims = None, keepdim: bool = False) -> Array:
    """Sum over dimensions, or over all.

    Examples
    --------
    >>> sum([[1, 2], [3, 4]], dim=0)
    array([4., 6.])
    """
    output: Array = np.sum(_of(input), axis=dim, keepdims=keepdim)
    return output


def sum_backward(
    grad_output: ArrayLike, input: ArrayLike, dim: Dims = None, keepdim: bool = False
) -> Array:
    """Gradient of `sum`: each element gets that of its sum."""
    x, grad = _of(input), _of(grad_output)
    if not keepdim:
        grad = np.expand_dims(grad, tuple(range(x.ndim)) if dim is None else dim)
    return np.broadcast_to(grad, x.shape).copy()


def mean(input: ArrayLike, dim: Dims = None, keepdim: bool = False) -> Array:
    """Average over dimensions, or over all.

    Examples
    --------
    >>> mean([[1, 2], [3, 4]], dim=1)
    array([1.5, 3.5])
    """
    output: Array = np.mean(_of(input), axis=dim, keepdims=keepdim)
    return output


def mean_backward(
    grad_output: ArrayLike, input: ArrayLike, dim: Dims = None, keepdim: bool = False
) -> Array:
    """Gradient of `mean`: that of `sum` over the number of elements."""
    grad = sum_backward(grad_output, input, dim, keepdim)
    return grad * (np.size(mean(input, dim)) / max(1, grad.size))


def var(
    input: ArrayLike,
    dim: Dims = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Array:
    """Variance over dimensions: the sum of squared distances from the mean, over n - correction.

    Examples
    --------
    >>> var([[1, 2, 3]], dim=1)
    array([1.])
    """
    less = int(unbiased) if correction is None else correction
    output: Array = np.var(_of(input), axis=dim, ddof=less, keepdims=keepdim)
    return output


def var_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    dim: Dims = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Array:
    """Gradient of `var`: ``2 (x - mean) / (n - correction)``."""
    x = _of(input)
    less = int(unbiased) if correction is None else correction
    count = x.size / max(1, np.size(mean(x, dim)))
    grad = sum_backward(grad_output, x, dim, keepdim)
    return grad * 2 * (x - mean(x, dim, keepdim=True)) / (count - less)


def pow(input: ArrayLike, exponent: float) -> Array:
    """Power with one exponent for all elements."""
    output: Array = _of(input) ** exponent
    return output


def pow_backward(grad_output: ArrayLike, input: ArrayLike, exponent: float) -> Array:
    """Gradient of `pow`."""
    grad: Array = _of(grad_output) * exponent * _of(input) ** (exponent - 1)
    return grad
