"""Functions of one number, applied to each element."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def relu(input: ArrayLike) -> Array:
    """Rectified linear unit: ``max(x, 0)``. NaN stays NaN.

    Examples
    --------
    >>> relu([-1, 0, 2])
    array([0., 0., 2.])
    """
    output: Array = np.maximum(np.asarray(input, float), 0)
    return output


def relu_backward(grad_output: ArrayLike, input: ArrayLike) -> Array:
    """Gradient of `relu`: passes where the input is above zero, and where it is NaN.

    At zero, where `relu` has no derivative, the gradient is 0, as in PyTorch.

    Examples
    --------
    >>> relu_backward([10, 20, 30], [-1, 0, 2])
    array([ 0.,  0., 30.])
    """
    return np.where(np.asarray(input, float) <= 0, 0, np.asarray(grad_output, float))
