"""Comparison, with broadcasting; no gradient passes through it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .arithmetic import tensors_of


def lt(input: Any, other: Any) -> Tensor:
    """Return where ``input < other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.lt([1, 2], 2)
    tensor([ True, False])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array < b._array))


def le(input: Any, other: Any) -> Tensor:
    """Return where ``input <= other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.le([1, 2], 1)
    tensor([ True, False])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array <= b._array))


def gt(input: Any, other: Any) -> Tensor:
    """Return where ``input > other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.gt([1, 2], 1)
    tensor([False,  True])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array > b._array))


def ge(input: Any, other: Any) -> Tensor:
    """Return where ``input >= other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.ge([1, 2], 2)
    tensor([False,  True])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array >= b._array))


def eq(input: Any, other: Any) -> Tensor:
    """Return where ``input == other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.eq([1, 2], 2)
    tensor([False,  True])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array == b._array))


def ne(input: Any, other: Any) -> Tensor:
    """Return where ``input != other``.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.ne([1, 2], 2)
    tensor([ True, False])
    """
    a, b = tensors_of(input, other)
    return Tensor(np.asarray(a._array != b._array))
