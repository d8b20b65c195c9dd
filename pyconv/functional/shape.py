"""Operations that move elements and compute none: reshape, permute, expand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .._core import copy, reshape_forward, view_of
from .._core import expand as repeated
from ..arguments import MOST_ELEMENTS, integer, size_of
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor


def dim_of(dim: int, ndim: int, name: str = "dim") -> int:
    """Return `dim` counted from the front; ValueError if there is no such dimension.

    A single number has none, but takes 0 and -1, as in PyTorch.
    """
    ndim = ndim or 1
    if type(dim) is not int:
        dim = integer(name, dim)
    if not -ndim <= dim < ndim:
        raise ValueError(f"{name} is {dim}, must be within [{-ndim}, {ndim - 1}]")
    return dim % ndim


class Reshape(Function):
    """The elements in another shape."""

    takes_any_dtype = True

    forward: Any = staticmethod(reshape_forward)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return Reshape.apply(grad_output, ctx.shape), None


class Permute(Function):
    """The dimensions in another order."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        ctx.dims = dims
        return view_of(x, x._array.transpose(dims))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        order = sorted(range(len(ctx.dims)), key=ctx.dims.__getitem__)
        return Permute.apply(grad_output, tuple(order)), None


class Expand(Function):
    """Dimensions of size 1 repeated, without a copy."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        array = x._array
        ctx.shape = array.shape
        same = math.prod(shape) == array.size  # and only ones in front: it can be written to
        return view_of(x, array.reshape(shape) if same else repeated(array, shape))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return sum_to(grad_output, ctx.shape), None


def sum_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum a gradient over the dimensions along which an operand of `shape` was repeated."""
    if gradient._array.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    repeated = [i for i, n in enumerate(gradient.shape) if i < extra or shape[i - extra] != n]
    return Reshape.apply(gradient.sum(repeated), shape)


class Clone(Function):
    """A copy."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return Tensor(copy(x._array))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return grad_output


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
    x = as_tensor(input, "input")
    sizes = size_of((shape,), "reshape: shape", -1)
    try:
        return Reshape.apply(x, sizes)
    except ValueError:
        raise ValueError(
            f"reshape: shape is {sizes} and input has shape {x.shape}, expected sizes of "
            f"{x._array.size} elements together, one of them perhaps -1"
        ) from None


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
    given = size_of((dims,), "permute: dims", -x.ndim)
    order = tuple([dim + x.ndim if dim < 0 else dim for dim in given])
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims is {given}, must name each of {x.ndim} dims once")
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
    if x.ndim:
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
    sizes = size_of((shape,), "expand: shape", -1)
    extra = len(sizes) - x.ndim
    full = tuple([n if n >= 0 or i < extra else x.shape[i - extra] for i, n in enumerate(sizes)])
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(x.shape, full[extra:]))
    if not fits or min(full, default=0) < 0 or math.prod(full) > MOST_ELEMENTS:
        raise ValueError(
            f"expand: shape is {sizes} and input has shape {x.shape}, expected its last sizes, or "
            "others where it has 1, and at most 2**40 elements"
        )
    return Expand.apply(x, full)


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop those dimensions of `dim` whose size is 1, or all dimensions of size 1.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.squeeze([[1, 2]])
    tensor([1, 2])
    """
    x = as_tensor(input, "input")
    shape = x._array.shape
    if dim is None:
        return Reshape.apply(x, tuple([n for n in shape if n != 1]))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = {dim_of(i, len(shape), "squeeze: dim") for i in given}
    return Reshape.apply(x, tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims]))


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
