"""Embedding: rows of a table; its gradient adds each row's gradient where the row came from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def embedding(input: ArrayLike, weight: ArrayLike, padding_idx: int | None = None) -> Array:
    """Look the rows up; `padding_idx` matters to the gradient only.

    Examples
    --------
    >>> embedding([1, 0], [[1, 2], [3, 4]])
    array([[3., 4.],
           [1., 2.]])
    """
    rows: Array = np.asarray(weight, float)[np.asarray(input, int)]
    return rows


def embedding_backward(
    grad_output: ArrayLike, input: ArrayLike, weight: ArrayLike, padding_idx: int | None = None
) -> Array:
    """Gradient of `embedding` with respect to the weight: 0 in the row `padding_idx`.

    Examples
    --------
    >>> embedding_backward([[1, 1], [2, 2]], [1, 1], [[1, 2], [3, 4]])
    array([[0., 0.],
           [3., 3.]])
    """
    grad_weight = np.zeros(np.shape(weight))
    np.add.at(grad_weight, np.asarray(input, int), np.asarray(grad_output, float))
    if padding_idx is not None:
        grad_weight[padding_idx] = 0
    return grad_weight
