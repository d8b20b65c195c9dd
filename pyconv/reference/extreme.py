"""The largest and the smallest elements: of all, or along a dimension with their places.

NaN counts as larger and smaller than any number. Of equal elements along a dimension, the first is
taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def argmax(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> NDArray[Any]:
    """Place of the largest element, along a dimension or in the flattened input.

    Examples
    --------
    >>> argmax([[1, 5], [7, 3]], dim=1)
    array([1, 0])
    """
    return np.asarray(np.argmax(np.asarray(input, float), dim, keepdims=keepdim))


def max(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> Any:
    """Largest element, or the largest elements along a dimension and their places.

    Examples
    --------
    >>> max([[1, 5], [7, 3]], dim=1)
    (array([5., 7.]), array([1, 0]))
    """
    x = np.asarray(input, float)
    if dim is None:
        return np.asarray(np.max(x))
    return np.asarray(np.max(x, dim, keepdims=keepdim)), argmax(x, dim, keepdim)


def max_backward(
    grad_output: ArrayLike, input: ArrayLike, dim: int | None = None, keepdim: bool = False
) -> Array:
    """Gradient of `max`: goes to the places, or is shared by all largest elements.

    Examples
    --------
    >>> max_backward([1, 2], [[1, 5], [7, 3]], dim=1)
    array([[0., 1.],
           [2., 0.]])
    >>> max_backward(1, [3, 2, 3])
    array([0.5, 0. , 0.5])
    """
    x, grad = np.asarray(input, float), np.asarray(grad_output, float)
    if dim is None or not x.ndim:
        largest = (x == np.max(x)) | np.isnan(x)
        return np.where(largest, grad / largest.sum(), 0.0)
    places = argmax(x, dim, keepdim=True)
    result = np.zeros(x.shape)
    np.put_along_axis(result, places, grad.reshape(places.shape), dim)
    return result


def min(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> Any:
    """Smallest element, or the smallest elements along a dimension and their places.

    Examples
    --------
    >>> min([[1, 5], [7, 3]], dim=1)
    (array([1., 3.]), array([0, 1]))
    """
    x = np.asarray(input, float)
    if dim is None:
        return np.asarray(np.min(x))
    places = np.argmin(x, dim, keepdims=keepdim)
    return np.asarray(np.min(x, dim, keepdims=keepdim)), np.asarray(places)


def min_backward(
    grad_output: ArrayLike, input: ArrayLike, dim: int | None = None, keepdim: bool = False
) -> Array:
    """Gradient of `min`: that of `max` for the negative.

    Examples
    --------
    >>> min_backward([1, 2], [[1, 5], [7, 3]], dim=1)
    array([[1., 0.],
           [0., 2.]])
    """
    return max_backward(grad_output, -np.asarray(input, float), dim, keepdim)
