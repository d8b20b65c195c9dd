"""The partial inverse of max pooling."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .max_pool import Take


class MaxUnpool(Function):
    """Zeros, and the elements at their places."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, ndim: int, args: Any) -> Tensor:
        output, ctx.shape = _core.max_unpool(ndim, x._array, indices._array, *args)
        ctx.save_for_backward(indices)
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return Take.apply(g, indices, ctx.shape), None, None, None


def _unpool(ndim: int, input: Any, indices: Any, *args: Any) -> Tensor:
    return MaxUnpool.apply(as_tensor(input, "input"), as_tensor(indices, "indices"), ndim, args)


def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Put elements where `max_pool1d` found them, and zeros elsewhere.

    Parameters
    ----------
    input : array_like of shape (N, C, Q) or (C, Q)
        float32 or float64.
    indices : array_like of int64
        Of the same shape: places in the flattened sequence of the output, as `max_pool1d`
        returns them. Of elements with the same place the last stays.
    kernel_size, stride, padding
        Those of the pooling.
    output_size : tuple, optional
        The size that was pooled, with or without batch and channels; within a stride of the
        smallest one, ``(P - 1) * stride - 2 * padding + kernel_size``, which is taken if left out.

    Returns
    -------
    Tensor of shape (N, C, W) or (C, W)

    Raises
    ------
    ValueError, TypeError
        As `max_pool1d`; also if an index is outside the output.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.max_unpool1d(*F.max_pool1d([[1.0, 5.0, 2.0, 3.0]], 2, return_indices=True), 2)
    tensor([[0., 5., 0., 3.]])
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Put elements where `max_pool2d` found them, and zeros elsewhere.

    Parameters
    ----------
    input : array_like of shape (N, C, P, Q) or (C, P, Q)
        float32 or float64.
    indices : array_like of int64
        Of the same shape: places in the flattened image of the output, as `max_pool2d`
        returns them. Of elements with the same place the last stays.
    kernel_size, stride, padding
        Those of the pooling.
    output_size : tuple, optional
        The size that was pooled, with or without batch and channels; within a stride of the
        smallest one, ``(P - 1) * stride - 2 * padding + kernel_size``, which is taken if left out.

    Returns
    -------
    Tensor of shape (N, C, H, W) or (C, H, W)

    Raises
    ------
    ValueError, TypeError
        As `max_pool2d`; also if an index is outside the output.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.max_unpool2d([[[3.0]]], pyconv.tensor([[[1]]]), 2)
    tensor([[[0., 3.],
             [0., 0.]]])
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Put elements where `max_pool3d` found them, and zeros elsewhere.

    Parameters
    ----------
    input : array_like of shape (N, C, O, P, Q) or (C, O, P, Q)
        float32 or float64.
    indices : array_like of int64
        Of the same shape: places in the flattened volume of the output, as `max_pool3d`
        returns them. Of elements with the same place the last stays.
    kernel_size, stride, padding
        Those of the pooling.
    output_size : tuple, optional
        The size that was pooled, with or without batch and channels; within a stride of the
        smallest one, ``(P - 1) * stride - 2 * padding + kernel_size``, which is taken if left out.

    Returns
    -------
    Tensor of shape (N, C, D, H, W) or (C, D, H, W)

    Raises
    ------
    ValueError, TypeError
        As `max_pool3d`; also if an index is outside the output.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.max_unpool3d([[[[3.0]]]], pyconv.tensor([[[[1]]]]), (1, 2, 2))
    tensor([[[[0., 3.],
              [0., 0.]]]])
    """
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)
