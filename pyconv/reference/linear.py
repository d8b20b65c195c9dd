"""Matrix products: ``y = x @ W.T + b`` and the plain product."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Apply ``input @ weight.T + bias`` to the last axis.

    Parameters
    ----------
    input : array of shape (..., in_features)
    weight : array of shape (out_features, in_features)
    bias : array of shape (out_features,), optional

    Returns
    -------
    array of shape (..., out_features)

    Examples
    --------
    >>> linear([1, 2], [[1, 0], [0, 1], [1, 1]], bias=[0, 0, 10])
    array([ 1.,  2., 13.])
    """
    output: Array = np.asarray(input, float) @ np.asarray(weight, float).T
    return output if bias is None else np.add(output, bias)


def linear_backward(
    grad_output: ArrayLike, input: ArrayLike, weight: ArrayLike
) -> tuple[Array, Array, Array]:
    """Gradients of `linear` with respect to input, weight and bias, in this order.

    ``grad_input = grad_output @ weight``; with all leading axes seen as one batch, ``grad_weight =
    grad_output.T @ input``, and ``grad_bias`` is the sum over the batch.

    Examples
    --------
    >>> grad_input, grad_weight, grad_bias = linear_backward([1, 2], [3, 4], [[1, 0], [0, 1]])
    >>> grad_weight
    array([[3., 4.],
           [6., 8.]])
    """
    x, w, grad = (np.asarray(a, float) for a in (input, weight, grad_output))
    batch = tuple(range(x.ndim - 1))
    return grad @ w, np.tensordot(grad, x, (batch, batch)), grad.sum(axis=batch)


def matmul(input: ArrayLike, other: ArrayLike) -> Array:
    """Multiply matrices ``(..., M, K) @ (..., K, N)``; leading axes broadcast as in NumPy.

    Examples
    --------
    >>> matmul([[1, 2]], [[3], [4]])
    array([[11.]])
    """
    output: Array = np.asarray(input, float) @ np.asarray(other, float)
    return output


def matmul_backward(
    grad_output: ArrayLike, input: ArrayLike, other: ArrayLike
) -> tuple[Array, Array]:
    """Gradients of `matmul` of matrices: ``grad @ other.T`` and ``input.T @ grad``.

    Where an argument was broadcast, its gradient is the sum over the copies.

    Examples
    --------
    >>> matmul_backward([[1]], [[1, 2]], [[3], [4]])
    (array([[3., 4.]]), array([[1.],
           [2.]]))
    """
    a, b, grad = (np.asarray(array, float) for array in (input, other, grad_output))
    grad_a, grad_b = grad @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ grad
    return _sum_to(grad_a, a.shape), _sum_to(grad_b, b.shape)


def _sum_to(array: Array, shape: tuple[int, ...]) -> Array:
    """Undo a broadcast from ``shape``: add up the copies."""
    added = array.ndim - len(shape)
    repeated = [added + i for i, n in enumerate(shape) if n == 1]
    summed: Array = array.sum(axis=(*range(added), *repeated))
    return summed.reshape(shape)
