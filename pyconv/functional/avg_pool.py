"""Average pooling, with windows of one size or adaptive, and the powers built on it."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..arguments import flag, number
from ..creation import as_tensor, kernel_float
from ..tensor import Tensor
from .activation import relu
from .arithmetic import mul, neg, pow, where
from .casting import in_float32
from .comparison import eq
from .elementwise import abs
from .max_pool import max_pool1d, max_pool2d, max_pool3d
from .separable import Separable


def _mean(compute: Any, ndim: int, input: Any, *args: Any) -> Tensor:
    x = as_tensor(input, "input")
    return Separable.apply(x, compute, ndim, x._array, *args)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of each window of a sequence; see `avg_pool2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, W) or (C, W)
        float32 or float64.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `avg_pool2d`, for 1 dimension.

    Returns
    -------
    Tensor of shape (N, C, Q) or (C, Q)

    Raises
    ------
    ValueError, TypeError
        As `avg_pool2d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.avg_pool1d([[1.0, 5.0, 2.0, 4.0]], 2)
    tensor([[3., 3.]])
    """
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _mean(_core.avg_pool, 1, input, *args)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of each window of an image.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size, stride, ceil_mode
        As in `max_pool2d`.
    padding : int or tuple of two
        Rows and columns of zeros on each side; at most half the window.
    count_include_pad : bool
        Divide by the elements of the window with those in the padding, but for what reaches beyond
        that; else by those in the image.
    divisor_override : int, optional
        Divide by this instead.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)
        With ``P = (H + 2 * padding - R) // stride + 1`` for a window of R rows, and Q likewise.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.avg_pool2d(pyconv.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[1.5]]]])
    """
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _mean(_core.avg_pool, 2, input, *args)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of each window of a volume; see `avg_pool2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `avg_pool2d`, for 3 dimensions.

    Returns
    -------
    Tensor of shape (N, C, O, P, Q) or (C, O, P, Q)

    Raises
    ------
    ValueError, TypeError
        As `avg_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.avg_pool3d(pyconv.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5]]]])
    """
    args = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    return _mean(_core.avg_pool, 3, input, *args)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """Take the mean of each of as many bins as asked for.

    Parameters
    ----------
    input : array_like of shape (N, C, W) or (C, W)
        float32 or float64.
    output_size : int
        Bins along each dimension; None keeps the size. Bin i of n covers an axis of w elements
        from ``floor(i * w / n)`` to ``ceil((i + 1) * w / n)``, so that neighbours may overlap.

    Returns
    -------
    Tensor of shape (N, C, Q) or (C, Q)

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.adaptive_avg_pool1d([[1.0, 5.0, 2.0]], 2)
    tensor([[3. , 3.5]])
    """
    return _mean(_core.adaptive_avg_pool, 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """Take the mean of each of as many bins as asked for.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    output_size : int or tuple of two
        Bins along each dimension; None keeps the size. Bin i of n covers an axis of w elements
        from ``floor(i * w / n)`` to ``ceil((i + 1) * w / n)``, so that neighbours may overlap.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.adaptive_avg_pool2d(pyconv.arange(6.0).reshape(1, 2, 3), 1)
    tensor([[[2.5]]])
    """
    return _mean(_core.adaptive_avg_pool, 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """Take the mean of each of as many bins as asked for.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    output_size : int or tuple of three
        Bins along each dimension; None keeps the size. Bin i of n covers an axis of w elements
        from ``floor(i * w / n)`` to ``ceil((i + 1) * w / n)``, so that neighbours may overlap.

    Returns
    -------
    Tensor of shape (N, C, O, P, Q) or (C, O, P, Q)

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.adaptive_avg_pool3d(pyconv.arange(8.0).reshape(1, 2, 2, 2), (1, None, 1))
    tensor([[[[2.5],
              [4.5]]]])
    """
    return _mean(_core.adaptive_avg_pool, 3, input, output_size)


def _norm(
    ndim: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    """Take the root of the sum of powers."""
    op = f"lp_pool{ndim}d"
    if number(f"{op}: norm_type", norm_type) == 0:
        raise ValueError(f"{op}: norm_type is {norm_type!r}, expected a number other than 0")
    x = kernel_float(op, input)
    if x.dtype.kind == "V":
        return in_float32(_norm, ndim, x, norm_type, kernel_size, stride, ceil_mode)
    if math.isinf(norm_type):
        largest = (max_pool1d, max_pool2d, max_pool3d)[ndim - 1]
        args = kernel_size, stride, 0, 1, ceil_mode
        return largest(abs(x), *args) if norm_type > 0 else neg(largest(neg(abs(x)), *args))
    ceil_mode = flag(f"lp_pool{ndim}d: ceil_mode", ceil_mode)
    divisor = None if ceil_mode else 1  # a window beyond the end: its mean, times a whole window
    powers = pow(x, norm_type)
    sums = _mean(_core.avg_pool, ndim, powers, kernel_size, stride, 0, ceil_mode, True, divisor)
    if ceil_mode:
        sizes = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size,)
        count = math.prod(sizes) if len(sizes) == ndim else math.prod(sizes) ** ndim
        sums = mul(sums, float(count))
    # Where all is zero the root has no derivative; for a norm_type from 1 on the gradient is 0.
    sums = relu(sums) if norm_type % 2 == 0 else where(eq(sums, 0), 0.0, sums)
    return pow(sums, 1 / norm_type)


def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """Take the p-norm of each window, ``sum(x ** p) ** (1 / p)``, without the absolute value.

    Parameters
    ----------
    input : array_like of shape (N, C, W) or (C, W)
        float32 or float64.
    norm_type : float
        p, not 0; infinity takes the largest absolute value.
    kernel_size, stride, ceil_mode
        As in `max_pool1d`. A window that reaches beyond the end counts as if its mean were that
        of a whole one.

    Returns
    -------
    Tensor of shape (N, C, Q) or (C, Q)
        NaN where an odd p gives a negative sum.

    Raises
    ------
    ValueError, TypeError
        As `avg_pool1d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.lp_pool1d([[3.0, 4.0, 0.0, 2.0]], 2, 2)
    tensor([[5., 2.]])
    """
    return _norm(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """Take the p-norm of each window, ``sum(x ** p) ** (1 / p)``, without the absolute value.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    norm_type : float
        p, not 0; infinity takes the largest absolute value.
    kernel_size, stride, ceil_mode
        As in `max_pool2d`. A window that reaches beyond the end counts as if its mean were that
        of a whole one.

    Returns
    -------
    Tensor of shape (N, C, P, Q) or (C, P, Q)
        NaN where an odd p gives a negative sum.

    Raises
    ------
    ValueError, TypeError
        As `avg_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.lp_pool2d(pyconv.ones(1, 2, 2), 2, 2)
    tensor([[[2.]]])
    """
    return _norm(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """Take the p-norm of each window, ``sum(x ** p) ** (1 / p)``, without the absolute value.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    norm_type : float
        p, not 0; infinity takes the largest absolute value.
    kernel_size, stride, ceil_mode
        As in `max_pool3d`. A window that reaches beyond the end counts as if its mean were that
        of a whole one.

    Returns
    -------
    Tensor of shape (N, C, O, P, Q) or (C, O, P, Q)
        NaN where an odd p gives a negative sum.

    Raises
    ------
    ValueError, TypeError
        As `avg_pool3d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.lp_pool3d(pyconv.ones(1, 2, 2, 1), 2, (2, 2, 1))
    tensor([[[[2.]]]])
    """
    return _norm(3, input, norm_type, kernel_size, stride, ceil_mode)
