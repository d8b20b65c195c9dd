"""Joining tensors, cutting them into parts, and sums of products by index: cat, split, einsum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from .._core import cat as joined
from .._core import view_of
from ..arguments import FLOATING, KERNELS, integer, promoted
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor
from .casting import cast, in_float32
from .indexing import index
from .linear import matmul
from .shape import dim_of, permute, reshape, squeeze, unsqueeze


class Cat(Function):
    """Tensors one after the other along a dimension."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, dim: int, *tensors: Tensor) -> Tensor:
        arrays = [t._array for t in tensors]
        ctx.dim, ctx.sizes = dim, [a.shape[dim] for a in arrays]
        kinds = {a.dtype.num for a in arrays}
        if len(kinds) == 1 and kinds.issubset(KERNELS):
            return Tensor(joined(arrays, dim))  # keeps the layout of the first
        return Tensor(np.concatenate(arrays, dim))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return None, *Split.apply(grad_output, ctx.sizes, ctx.dim)


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
    first = parts[0].shape
    if not first:
        raise ValueError("cat: tensors[0] has shape (), expected at least one dimension")
    dim = dim_of(dim, len(first), "cat: dim")
    for i, part in enumerate(parts):
        if (
            part.ndim != len(first)
            or part.shape[:dim] != first[:dim]
            or (part.shape[dim + 1 :] != first[dim + 1 :])
        ):
            raise ValueError(
                f"cat: tensors[{i}] has shape {part.shape} and tensors[0] {first}, "
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
    for i, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise ValueError(
                f"stack: tensors[{i}] has shape {part.shape} and tensors[0] {parts[0].shape}, "
                "expected the same dimensions"
            )
    dim = dim_of(dim, parts[0].ndim + 1, "stack: dim")
    return Cat.apply(dim, *(unsqueeze(part, dim) for part in parts))


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
    dtypes = {part.dtype for part in parts}
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


# ---- einsum ------------------------------------------------------------------------------------


def einsum(equation: str, *operands: Any) -> Tensor:
    """Multiply tensors and sum products, as named by letters: ``"ij,jk->ik"`` is a matrix product.

    Each operand has a letter per dimension. Letters that the result lacks are summed over. Without
    ``->``, the result has the letters that occur once, in alphabetical order. ``...`` stands for
    dimensions that broadcast.

    Parameters
    ----------
    equation : str
    operands : array_like
        Or one list of Tensors.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If the equation does not fit the operands.
    TypeError
        If dtypes differ.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    tensor([21., 43.])
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation is {equation!r}, expected a str")
    listed = operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else ()
    if listed and all(isinstance(x, Tensor) for x in listed):
        operands = tuple(listed)
    tensors = [as_tensor(x, f"einsum: operands[{i}]") for i, x in enumerate(operands)]
    terms, result = _letters(equation, tensors)
    if not any(x.dtype.kind in FLOATING for x in tensors):
        return _einsum_of_integers(equation, tensors, terms, result)
    kinds = sorted({str(x.dtype) for x in tensors})
    if len(kinds) > 1:
        raise TypeError(f"einsum: operands have dtypes {', '.join(kinds)}, expected one")
    if kinds == ["bfloat16"]:
        return in_float32(einsum, equation, *tensors)
    pairs = [_once(x, term, i) for i, (x, term) in enumerate(zip(tensors, terms))]
    x, letters = pairs[0]
    for i, (y, others) in enumerate(pairs[1:], 1):
        kept = set(result).union(*(term for _, term in pairs[i + 1 :]))
        x, letters = _product(x, letters, y, others, kept)
    x, letters = _sum_out(x, letters, set(result))
    return permute(x, [letters.index(c) for c in result])


def _einsum_of_integers(
    equation: str, tensors: Sequence[Tensor], terms: Sequence[str], result: str
) -> Tensor:
    arrays = [x._array for x in tensors]
    number = {c: i for i, c in enumerate(sorted(set("".join(terms))))}
    named: list[Any] = []
    for array, term in zip(arrays, terms):
        named += [array, [number[c] for c in term]]
    try:  # the result may be a view of an operand
        return Tensor(np.array(np.einsum(*named, [number[c] for c in result])))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(
            f"einsum: equation is {equation!r}, but operands have shapes {shapes}"
        ) from None


def _letters(equation: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, with capitals more for ``...``."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(tensors):
        raise ValueError(
            f"einsum: equation is {equation!r}, for {len(terms)} operands; got {len(tensors)}"
        )
    spare = [c for c in map(chr, range(0x3B1, 0x3B1 + 64)) if c not in equation]
    longest = 0
    for i, (term, x) in enumerate(zip(terms, tensors)):
        many = x.ndim - len(term.replace("...", ""))
        if many < 0 or (many and "..." not in term):
            raise ValueError(
                f"einsum: equation is {equation!r}, but operands[{i}] has shape {x.shape}"
            )
        longest = max(longest, many)
        terms[i] = term.replace("...", "".join(spare[:many][::-1]))
    dots = "".join(spare[:longest][::-1])
    if not arrow:
        every = "".join(terms)
        result = dots + "".join(c for c in sorted(set(every) - set(dots)) if every.count(c) == 1)
    result = result.replace("...", dots)
    wrong = [c for c in "".join(terms) + result if not c.isalpha()]
    if wrong or len(set(result)) != len(result) or set(result) - set("".join(terms)):
        raise ValueError(f"einsum: equation is {equation!r}, which names no result")
    return terms, result


def _once(x: Tensor, letters: str, number: int) -> tuple[Tensor, str]:
    """Take the diagonal of dimensions with one letter."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ValueError(
                    f"einsum: {c!r} is {x.shape[i]} and {x.shape[j]} in operands[{number}]"
                )
            order = [i, j, *(k for k in range(x.ndim) if k not in (i, j))]
            along = np.arange(x.shape[i])
            x = index(permute(x, order), (along, along))
            letters = c + "".join(letters[k] for k in order[2:])
    return x, letters


def _sum_out(x: Tensor, letters: str, kept: set[str]) -> tuple[Tensor, str]:
    gone = [i for i, c in enumerate(letters) if c not in kept]
    return (x.sum(gone) if gone else x), "".join(c for c in letters if c in kept)


def _product(x: Tensor, letters: str, y: Tensor, others: str, kept: set[str]) -> tuple[Tensor, str]:
    """Multiply two operands, and sum over what both have and nobody needs."""
    x, letters = _sum_out(x, letters, kept | set(others))
    y, others = _sum_out(y, others, kept | set(letters))
    for c in [c for c in letters if c in others]:
        n, m = x.shape[letters.index(c)], y.shape[others.index(c)]
        if n == 1 != m:  # broadcast
            x, letters = squeeze(x, letters.index(c)), letters.replace(c, "")
        elif m == 1 != n:
            y, others = squeeze(y, others.index(c)), others.replace(c, "")
        elif n != m:
            raise ValueError(f"einsum: {c!r} is {n} in one operand and {m} in another")
    both = [c for c in letters if c in others]
    batch = [c for c in both if c in kept]
    summed = [c for c in both if c not in kept]
    rows, columns = ([c for c in word if c not in both] for word in (letters, others))
    sizes = dict(zip(letters + others, x.shape + y.shape))
    x = permute(x, [letters.index(c) for c in (*batch, *rows, *summed)])
    result = "".join([*batch, *rows, *columns])
    if batch and not (rows and columns):  # a matrix with one row or column each: too small
        y = permute(y, [others.index(c) for c in (*batch, *columns, *summed)])
        lead = [sizes[c] for c in batch]
        tail = [sizes[c] for c in summed]
        x = reshape(x, [*lead, *(sizes[c] for c in rows), *(1 for _ in columns), *tail])
        y = reshape(y, [*lead, *(1 for _ in rows), *(sizes[c] for c in columns), *tail])
        return _sum_out(x * y, result + "".join(summed), set(result))

    def flat(z: Tensor, *groups: list[str]) -> Tensor:
        shape = [math.prod(sizes[c] for c in group) for group in groups]
        return reshape(z, [*(sizes[c] for c in batch), *shape])

    y = permute(y, [others.index(c) for c in (*batch, *summed, *columns)])
    product = matmul(flat(x, rows, summed), flat(y, summed, columns))
    return reshape(product, [sizes[c] for c in result]), result
