"""Comparison, with broadcasting; no gradient passes through it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import broadcast
from ..creation import as_tensor
from ..tensor import Tensor
from .arithmetic import tensors_of
from .casting import in_float32


def _compare(function: np.ufunc, op: str, input: Any, other: Any) -> Tensor:
    try:
        a, b = tensors_of(input, other)
    except ValueError as beyond:  # the dtype of the other: an integer that can be compared still
        try:
            a, b = as_tensor(input, "input"), as_tensor(other, "other")
        except ValueError:
            raise beyond from None
    if a._array.dtype.kind == "V":  # NumPy would warn of NaN
        return in_float32(_compare, function, op, a, b)
    return Tensor(np.asarray(broadcast(op, function, input=a._array, other=b._array)))


def lt(input: Any, other: Any) -> Tensor:
    """Return where ``input < other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.lt([1, 2], 2)
    tensor([ True, False])
    """
    return _compare(np.less, "lt", input, other)


def le(input: Any, other: Any) -> Tensor:
    """Return where ``input <= other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.le([1, 2], 1)
    tensor([ True, False])
    """
    return _compare(np.less_equal, "le", input, other)


def gt(input: Any, other: Any) -> Tensor:
    """Return where ``input > other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.gt([1, 2], 1)
    tensor([False,  True])
    """
    return _compare(np.greater, "gt", input, other)


def ge(input: Any, other: Any) -> Tensor:
    """Return where ``input >= other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.ge([1, 2], 2)
    tensor([False,  True])
    """
    return _compare(np.greater_equal, "ge", input, other)


def eq(input: Any, other: Any) -> Tensor:
    """Return where ``input == other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.eq([1, 2], 2)
    tensor([False,  True])
    """
    return _compare(np.equal, "eq", input, other)


def ne(input: Any, other: Any) -> Tensor:
    """Return where ``input != other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.ne([1, 2], 2)
    tensor([ True, False])
    """
    return _compare(np.not_equal, "ne", input, other)
