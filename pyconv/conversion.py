"""Tensors made of data: copied, or sharing memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arguments import DType, array_of, new_dtype, parts_of
from .creation import make
from .tensor import Array, Tensor


def tensor(
    data: Any, dtype: DType = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Make a tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
        A number, a nested list of numbers or Tensors, a NumPy array or a Tensor.
    dtype : numpy.dtype, optional
        Type of the elements. Default: the type of `data` if it has one; else float32 for Python
        floats, int64 for Python integers, bool for booleans.
    requires_grad : bool
        Whether operations on the tensor are recorded for `backward`.
    device : str, optional
        ``"cpu"``, the only one.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `data` does not hold numbers.
    ValueError
        If nested lists have unequal lengths, or `requires_grad` is set for integers.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    dtype = new_dtype("tensor", dtype, device, None)
    array = data._array if isinstance(data, Tensor) else _array_of(data, dtype)
    return make(np.array(array, dtype), requires_grad)


def as_tensor(data: Any, dtype: DType = None, device: str | None = None) -> Tensor:
    """Return `data` itself if it is a Tensor of that dtype, else share its memory if possible.

    Parameters
    ----------
    data : array_like
        As for `tensor`.
    dtype : numpy.dtype, optional
        Type of the elements. Default: as for `tensor`.
    device : str, optional
        ``"cpu"``, the only one.

    Returns
    -------
    Tensor
        One that was converted is part of the graph of `data`.

    Raises
    ------
    TypeError, ValueError
        As `tensor`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.as_tensor([1, 2], dtype="float32")
    tensor([1., 2.])
    """
    kind = new_dtype("as_tensor", dtype, device, None)
    if isinstance(data, Tensor):
        return data if kind is None else data.to(kind)
    return Tensor(_array_of(data, kind))


def _array_of(data: Any, dtype: Any) -> Array:
    try:
        return array_of(data, dtype)
    except TypeError:
        if not any(isinstance(part, Tensor) for part in parts_of(data)):
            raise
    try:
        return array_of(_detached(data), dtype)
    except RecursionError:
        raise ValueError("data is a list that holds itself, or is nested too deep") from None


def _detached(data: Any) -> Any:
    """Cut off from the graph what lists hold."""
    if isinstance(data, (list, tuple)):
        return [_detached(part) for part in data]
    return data.detach() if isinstance(data, Tensor) else data


def from_dlpack(x: Any) -> Tensor:
    """Make a tensor that shares the memory of another library's, through the DLPack protocol.

    Parameters
    ----------
    x : object
        Anything with ``__dlpack__``, on the CPU.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `x` does not have the protocol, or does not hold numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import pyconv
    >>> pyconv.from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: x is a {type(x).__name__}, expected one with __dlpack__")
    try:
        array = np.from_dlpack(x)
    except NotImplementedError:  # of `compile`
        raise
    except (BufferError, RuntimeError) as error:  # another device; a dtype that NumPy lacks
        raise TypeError(f"from_dlpack: x cannot be shared: {error}") from None
    return Tensor(array_of(array, None, "x"))
