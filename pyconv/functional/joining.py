"""Joining tensors, and cutting them into parts: cat, stack, split, chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from .._core import cat as joined
from .._core import view_of
from ..arguments import FLOATING, KERNELS, integer, promoted
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Array, Tensor
from .casting import cast
from .shape import dim_of, squeeze


class Cat(Function):
    """Tensors one after the other along a dimension."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, dim: int, *tensors: Tensor) -> Tensor:
        arrays = [t._array for t in tensors]
        ctx.dim, ctx.sizes = dim, [a.shape[dim] for a in arrays]
        return _join(arrays, dim)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return None, *Split.apply(grad_output, ctx.sizes, ctx.dim)


class Stack(Function):
    """Tensors one after the other along a new dimension."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, dim: int, *tensors: Tensor) -> Tensor:
        ctx.dim, ctx.count = dim, len(tensors)
        key = (*(slice(None),) * dim, None)
        return _join([t._array[key] for t in tensors], dim)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        parts = Split.apply(grad_output, [1] * ctx.count, ctx.dim)
        return None, *(squeeze(part, ctx.dim) for part in parts)


def _join(arrays: list[Array], dim: int) -> Tensor:
    if arrays[0].dtype.num in KERNELS:  # the others have the same
        return Tensor(joined(arrays, dim))  # keeps the layout of the first
    return Tensor(np.concatenate(arrays, dim))


class Split(Function):
    """Parts of some sizes along a dimension, as views."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
        ctx.dim = dim
        lead = (slice(None),) * dim
        parts = zip(sizes, accumulate(sizes))
        return tuple([view_of(x, x._array[(*lead, slice(end - n, end))]) for n, end in parts])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return Cat.apply(ctx.dim, *grads), None, None


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Join tensors along an existing dimension.

    Raises
    ------
    ValueError
        If there are none, or their shapes differ elsewhere than in `dim`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.cat([[1, 2], [3]])
    tensor([1, 2, 3])
    """
    parts = _tensors("cat", tensors)
    shapes = [part._array.shape for part in parts]
    first = shapes[0]
    if not first:
        raise ValueError("cat: tensors[0] has shape (), expected at least one dimension")
    dim = dim_of(dim, len(first), "cat: dim")
    before, behind = first[:dim], first[dim + 1 :]
    for i, shape in enumerate(shapes):
        if len(shape) != len(first) or shape[:dim] != before or shape[dim + 1 :] != behind:
            raise ValueError(
                f"cat: tensors[{i}] has shape {shape} and tensors[0] {first}, "
                f"expected the same sizes but for dimension {dim}"
            )
    return Cat.apply(dim, *parts)


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Raises
    ------
    ValueError
        If there are none, or their shapes differ.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.stack([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    parts = _tensors("stack", tensors)
    first = parts[0]._array.shape
    for i, part in enumerate(parts):
        if part._array.shape != first:
            raise ValueError(
                f"stack: tensors[{i}] has shape {part.shape} and tensors[0] {parts[0].shape}, "
                "expected the same dimensions"
            )
    dim = dim_of(dim, len(first) + 1, "stack: dim")
    return Stack.apply(dim, *parts)


def _tensors(op: str, tensors: Any) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)):
        shown = "a Tensor" if isinstance(tensors, Tensor) else repr(tensors)
        raise TypeError(f"{op}: tensors is {shown}, expected a tuple or list of tensors")
    parts = [
        t if isinstance(t, Tensor) else as_tensor(t, f"{op}: tensors[{i}]")
        for i, t in enumerate(tensors)
    ]
    if not parts:
        raise ValueError(f"{op}: tensors is empty")
    dtypes = {part._array.dtype for part in parts}
    if len(dtypes) > 1:  # floats win over integers, as between two operands
        floats = [dtype for dtype in dtypes if dtype.kind in FLOATING]
        parts = [cast(part, promoted(*(floats or dtypes))) for part in parts]
    return parts


def split(
    input: Any, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Cut into parts along a dimension; they share memory with `input`.

    Parameters
    ----------
    input : array_like
        At least one dimension.
    split_size_or_sections : int or sequence of int
        The size of each part but perhaps the last; or the sizes of all.
    dim : int

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        If a size is negative, the size of all parts is 0, or sizes do not add up to the dimension.
    TypeError
        If a size is no integer.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.split([1, 2, 3], 2)
    (tensor([1, 2]), tensor([3]))
    """
    x = as_tensor(input, "split: input")
    dim = _dim_to_cut("split", x, dim)
    total, split_size = x.shape[dim], split_size_or_sections
    if isinstance(split_size, (tuple, list)):
        sizes = [integer("split: an entry of split_size", n) for n in split_size]
    else:
        step = integer("split: split_size", split_size)
        if step < 1:
            raise ValueError(f"split: split_size is {step}, expected 1 or more")
        sizes = [min(step, total - at) for at in range(0, total, step)] or [0]
    if sum(sizes) != total or min(sizes, default=0) < 0:
        raise ValueError(f"split: split_size is {split_size}, expected sizes of sum {total}")
    return Split.apply(x, sizes, dim)  # type: ignore[return-value]


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut into `chunks` parts of one size, the last perhaps smaller; fewer if there are too many.

    Raises
    ------
    ValueError
        If `chunks` is below 1, or above 2**20 where there is nothing to cut.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.chunk([1, 2, 3], 2)
    (tensor([1, 2]), tensor([3]))
    """
    x = as_tensor(input, "chunk: input")
    dim = _dim_to_cut("chunk", x, dim)
    count = integer("chunk: chunks", chunks)
    if count < 1:
        raise ValueError(f"chunk: chunks is {chunks}, expected 1 or more")
    if not x.shape[dim]:  # as many as are asked for
        return split(x, [0] * integer("chunk: chunks", count, 1, 2**20), dim)
    return split(x, -(-x.shape[dim] // count), dim)


def _dim_to_cut(op: str, x: Tensor, dim: int) -> int:
    if not x.ndim:
        raise ValueError(f"{op}: input has shape (), expected at least one dimension")
    return dim_of(dim, x.ndim, f"{op}: dim")
