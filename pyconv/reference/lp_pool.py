"""Power-average pooling: the p-norm of each window, without the absolute value.

    output = (sum over the window of input ** p) ** (1 / p)

A window that reaches over the end counts as if its mean were that of a whole one, as in PyTorch. An
infinite p takes the largest absolute value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconv.reference import avg_pool, pool
from pyconv.reference.avg_pool import Array, Ints
from pyconv.reference.conv import _tuple


def lp_pool1d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Take the norm of each window.

    Examples
    --------
    >>> lp_pool1d([[3, 4, 0, 2]], 2, 2)
    array([[5., 2.]])
    """
    return _norm(1, np.asarray(input, float), norm_type, kernel_size, stride, ceil_mode)


def lp_pool1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `lp_pool1d`: 0 where the norm is.

    Examples
    --------
    >>> lp_pool1d_backward([[1, 10]], [[3, 4, 0, 2]], 2, 2)
    array([[ 0.6,  0.8,  0. , 10. ]])
    """
    image, grad = np.asarray(input, float), np.asarray(grad_output, float)
    return _norm_backward(1, grad, image, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Take the norm of each window.

    Examples
    --------
    >>> lp_pool2d([[[3, 4, 0, 2]]], 2, (1, 2))
    array([[[5., 2.]]])
    """
    return _norm(2, np.asarray(input, float), norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `lp_pool2d`: 0 where the norm is.

    Examples
    --------
    >>> lp_pool2d_backward([[[1, 10]]], [[[3, 4, 0, 2]]], 2, (1, 2))
    array([[[ 0.6,  0.8,  0. , 10. ]]])
    """
    image, grad = np.asarray(input, float), np.asarray(grad_output, float)
    return _norm_backward(2, grad, image, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Take the norm of each window.

    Examples
    --------
    >>> lp_pool3d([[[[3, 4, 0, 2]]]], 2, (1, 1, 2))
    array([[[[5., 2.]]]])
    """
    return _norm(3, np.asarray(input, float), norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """Gradient of `lp_pool3d`: 0 where the norm is.

    Examples
    --------
    >>> lp_pool3d_backward([[[[1, 10]]]], [[[[3, 4, 0, 2]]]], 2, (1, 1, 2))
    array([[[[ 0.6,  0.8,  0. , 10. ]]]])
    """
    image, grad = np.asarray(input, float), np.asarray(grad_output, float)
    return _norm_backward(3, grad, image, norm_type, kernel_size, stride, ceil_mode)


def _norm(
    ndim: int, image: Array, p: float, kernel: Ints, stride: Ints | None, ceil_mode: bool
) -> Array:
    if np.isinf(p):
        largest: Callable[..., Any] = getattr(pool, f"max_pool{ndim}d")
        sign = np.sign(p)
        result: Array = sign * largest(sign * np.abs(image), kernel, stride, 0, 1, ceil_mode)
        return result
    means = getattr(avg_pool, f"avg_pool{ndim}d")(image**p, kernel, stride, 0, ceil_mode)
    with np.errstate(invalid="ignore"):
        norms: Array = (means * np.prod(_tuple(kernel, ndim))) ** (1 / p)
    return norms


def _norm_backward(
    ndim: int,
    grad: Array,
    image: Array,
    p: float,
    kernel: Ints,
    stride: Ints | None,
    ceil_mode: bool,
) -> Array:
    """By the chain rule: of the root, of the mean, of the power."""
    if np.isinf(p):
        back = getattr(pool, f"max_pool{ndim}d_backward")
        sizes = np.sign(p) * np.abs(image)
        largest: Array = back(grad, sizes, kernel, stride, 0, 1, ceil_mode)
        return largest * np.sign(image)
    norms = _norm(ndim, image, p, kernel, stride, ceil_mode)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_sum = np.where(norms == 0, 0, grad * norms ** (1 - p) / p)
    of_mean = of_sum * np.prod(_tuple(kernel, ndim))
    back = getattr(avg_pool, f"avg_pool{ndim}d_backward")
    of_power: Array = back(of_mean, image, kernel, stride, 0, ceil_mode)
    return of_power * p * image ** (p - 1)
