"""Operations that move elements and compute none: reshape, permute, expand, indexing, joining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import in_c_order
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor


def dim_of(dim: int, ndim: int, name: str = "dim") -> int:
    """Return `dim` counted from the front; ValueError if there is no such dimension."""
    if not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{name} is {dim!r}, expected an integer")
    if not -ndim <= dim < ndim:
        raise ValueError(f"{name} is {dim}, must be within [{-ndim}, {ndim - 1}]")
    return dim % ndim


class Reshape(Function):
    """The elements in another shape."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        ctx.shape = x._array.shape
        return Tensor(in_c_order(x._array).reshape(shape))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return Reshape.apply(grad_output, ctx.shape), None


class Permute(Function):
    """The dimensions in another order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        ctx.dims = dims
        return Tensor(x._array.transpose(dims))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return Permute.apply(grad_output, tuple(int(i) for i in np.argsort(ctx.dims))), None


class Expand(Function):
    """Dimensions of size 1 repeated, without a copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        ctx.shape = x._array.shape
        return Tensor(np.broadcast_to(x._array, shape))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        extra = grad_output.ndim - len(ctx.shape)
        repeated = [
            i for i, n in enumerate(grad_output.shape) if i < extra or ctx.shape[i - extra] != n
        ]
        summed = grad_output.sum(repeated) if repeated else grad_output
        return Reshape.apply(summed, ctx.shape), None


class Index(Function):
    """x[key]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, key: Any) -> Tensor:
        ctx.shape, ctx.key = x._array.shape, key
        return Tensor(np.asarray(x._array[key]))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return IndexBackward.apply(grad_output, ctx.shape, ctx.key), None


class IndexBackward(Function):
    """Zeros to which the gradient is added at key."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, shape: tuple[int, ...], key: Any) -> Tensor:
        ctx.key = key
        result = np.zeros(shape, grad_output.dtype)
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, (np.ndarray, list)) for part in parts):
            np.add.at(result, key, grad_output._array)  # an index array may repeat an element
        else:
            result[key] = grad_output._array
        return Tensor(result)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Index.apply(g, ctx.key), None, None


def reshape(input: Any, shape: Sequence[int]) -> Tensor:
    """Return the elements in another shape; one entry may be -1 and is then inferred.

    Raises
    ------
    ValueError
        If the number of elements differs.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.reshape([1, 2, 3, 4], (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    return Reshape.apply(as_tensor(input, "input"), tuple(shape))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join neighbouring dimensions into one.

    Parameters
    ----------
    input : array_like
        Any shape; a number becomes one element.
    start_dim, end_dim : int
        The first and the last dimension to join; negative ones count from the end.

    Returns
    -------
    Tensor
        Shares memory with `input` where its strides allow.

    Raises
    ------
    ValueError
        If a dimension does not exist, or `end_dim` comes before `start_dim`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.flatten(pyconv.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    x = as_tensor(input, "input")
    shape = x._array.shape or (1,)
    first = dim_of(start_dim, len(shape), "flatten: start_dim")
    last = dim_of(end_dim, len(shape), "flatten: end_dim")
    if last < first:
        raise ValueError(f"flatten: end_dim is {end_dim}, before start_dim, which is {start_dim}")
    joined = (math.prod(shape[first : last + 1]),)
    return Reshape.apply(x, shape[:first] + joined + shape[last + 1 :])


def permute(input: Any, dims: Sequence[int]) -> Tensor:
    """Reorder the dimensions, without a copy.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.permute(pyconv.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = as_tensor(input, "input")
    order = tuple(dim_of(dim, x.ndim, "permute: an entry of dims") for dim in dims)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims is {tuple(dims)}, must name each of {x.ndim} dims once")
    return Permute.apply(x, order)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions, without a copy.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.transpose([[1, 2]], 0, 1)
    tensor([[1],
            [2]])
    """
    x = as_tensor(input, "input")
    dim0 = dim_of(dim0, x.ndim, "transpose: dim0")
    dim1 = dim_of(dim1, x.ndim, "transpose: dim1")
    order = list(range(x.ndim))
    order[dim0], order[dim1] = dim1, dim0
    return Permute.apply(x, tuple(order))


def expand(input: Any, shape: Sequence[int]) -> Tensor:
    """Repeat dimensions of size 1, without a copy; -1 keeps a dimension.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.expand([[1], [2]], (-1, 2))
    tensor([[1, 1],
            [2, 2]])
    """
    x = as_tensor(input, "input")
    extra = len(shape) - x.ndim
    full = tuple(x.shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(shape))
    return Expand.apply(x, full)


def squeeze(input: Any, dim: int | None = None) -> Tensor:
    """Drop dimension `dim` if its size is 1, or all dimensions of size 1.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.squeeze([[1, 2]])
    tensor([1, 2])
    """
    x = as_tensor(input, "input")
    if dim is None:
        return Reshape.apply(x, tuple(n for n in x.shape if n != 1))
    dim = dim_of(dim, x.ndim, "squeeze: dim")
    return Reshape.apply(x, x.shape[:dim] + x.shape[dim + 1 :]) if x.shape[dim] == 1 else x


def unsqueeze(input: Any, dim: int) -> Tensor:
    """Insert a dimension of size 1 at `dim`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.unsqueeze([1, 2], 0)
    tensor([[1, 2]])
    """
    x = as_tensor(input, "input")
    dim = dim_of(dim, x.ndim + 1, "unsqueeze: dim")
    return Reshape.apply(x, (*x.shape[:dim], 1, *x.shape[dim:]))


def index(input: Any, key: Any) -> Tensor:
    """Return ``input[key]`` with NumPy's rules; slices and integers share memory.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.index([[1, 2], [3, 4]], (slice(None), 0))
    tensor([1, 3])
    """
    return Index.apply(as_tensor(input, "input"), array_key(key))


def array_key(key: Any) -> Any:
    """Return an index with the Tensors in it replaced by arrays."""
    if isinstance(key, tuple):
        return tuple(array_key(part) for part in key)
    return key._array if isinstance(key, Tensor) else key
