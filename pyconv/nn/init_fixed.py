"""Initial values that are not drawn, and what all of `init` checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import integer, number, quiet, value_of, wide
from ..creation import makes_only_shapes
from ..tensor import Array, Tensor, changed


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value; ValueError for one that the dtype of `tensor` cannot hold.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.constant_(pyconv.empty(2), 3)
    tensor([3., 3.])
    """
    number("constant_: val", val, nan=True)
    check_tensor(tensor)
    plain = val.item() if isinstance(val, np.generic) else val
    value = value_of(plain, tensor.dtype, "constant_: val")
    return fill(tensor, lambda: value)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.zeros_(pyconv.empty(2))
    tensor([0., 0.])
    """
    return fill(tensor, lambda: 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.ones_(pyconv.empty(2))
    tensor([1., 1.])
    """
    return fill(tensor, lambda: 1)


def eye_(tensor: Tensor) -> Tensor:
    """Fill with ones on the diagonal, zeros elsewhere; ValueError if it is no matrix.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.eye_(pyconv.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    check_tensor(tensor)
    if tensor.ndim != 2:
        raise ValueError(f"eye_: tensor has shape {tensor.shape}, expected 2 dimensions")
    rows, columns = tensor.shape
    return fill(tensor, lambda: np.eye(rows, columns))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill with filters that hand on channel i as output i, as far as there are both.

    Parameters
    ----------
    tensor : Tensor of shape (outputs, inputs, ...)
        The weight of a convolution in one to three dimensions; changed in place.
    groups : int
        In how many parts the outputs are divided, each of which hands on the channels of its own.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ValueError
        If `tensor` has fewer than three dimensions, more than five, or outputs that `groups` does
        not divide.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.dirac_(pyconv.empty(2, 2, 3))
    tensor([[[0., 1., 0.],
             [0., 0., 0.]],
    <BLANKLINE>
            [[0., 0., 0.],
             [0., 1., 0.]]])
    """
    check_tensor(tensor)
    shape, count = tensor.shape, integer("dirac_: groups", groups, 1)
    if not 3 <= len(shape) <= 5 or shape[0] % count:
        raise ValueError(
            f"dirac_: tensor has shape {shape} and groups is {count}, expected 3 to 5 dimensions, "
            "and a multiple of groups as the first"
        )

    def values() -> Array:
        result = np.zeros((count, shape[0] // count, *shape[1:]))
        if result.size:
            n = range(min(result.shape[1:3]))
            middle: Any = [size // 2 for size in shape[2:]]
            result[(slice(None), n, n, *middle)] = 1
        return result.reshape(shape)

    return fill(tensor, values)


def check_tensor(tensor: Any) -> None:
    """Raise TypeError unless it is a Tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor is a {type(tensor).__name__}, expected a Tensor")


def check_dtype(tensor: Any) -> None:
    """Raise TypeError unless it is a Tensor for which numbers can be drawn."""
    check_tensor(tensor)
    if wide(tensor.dtype) not in (np.float32, np.float64):
        raise TypeError(f"tensor has dtype {tensor.dtype}, expected float32, float64 or bfloat16")


def check_writable(what: str, tensor: Tensor) -> None:
    """Raise ValueError if the elements cannot be changed."""
    if not tensor._array.flags.writeable:
        raise ValueError(f"{what} is read-only, expected an array that can be changed")


def fill(tensor: Tensor, values: Callable[[], Array | float]) -> Tensor:
    """Write what a function returns, unless only shapes are made."""
    check_tensor(tensor)
    if not makes_only_shapes():
        check_writable("tensor", tensor)
        with quiet():
            tensor._array[...] = values()
        changed(tensor)
    return tensor
