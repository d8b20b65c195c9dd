"""Sums of products by index: einsum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..arguments import FLOATING
from ..creation import argument
from ..tensor import Tensor
from .casting import in_float32
from .indexing import index
from .linear import matmul
from .shape import permute, reshape, squeeze


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
    tensors = [argument("einsum", x, f"operands[{i}]") for i, x in enumerate(operands)]
    terms, result = _letters(equation, tuple([x._array.shape for x in tensors]))
    dtypes = {x._array.dtype for x in tensors}
    if not any(dtype.kind in FLOATING for dtype in dtypes):
        return _einsum_of_integers(equation, tensors, terms, result)
    if len(dtypes) > 1:
        kinds = ", ".join(sorted(map(str, dtypes)))
        raise TypeError(f"einsum: operands have dtypes {kinds}, expected one")
    if dtypes.pop().kind == "V":
        return in_float32(einsum, equation, *tensors)
    pairs = [_once(x, term, i) for i, (x, term) in enumerate(zip(tensors, terms))]
    x, letters = pairs[0]
    for i, (y, others) in enumerate(pairs[1:], 1):
        kept = set(result).union(*(term for _, term in pairs[i + 1 :]))
        x, letters = _product(x, letters, y, others, kept)
    x, letters = _sum_out(x, letters, set(result))
    if letters == result and len(pairs) > 1:
        return x
    return permute(x, [letters.index(c) for c in result])  # never an operand itself


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


@lru_cache(256)
def _letters(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[str, ...], str]:
    """Return the letters of each operand and of the result, with Greek letters for ``...``."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: equation is {equation!r}, for {len(terms)} operands; got {len(shapes)}"
        )
    spare = [c for c in map(chr, range(0x3B1, 0x3B1 + 64)) if c not in equation]
    longest = 0
    for i, (term, shape) in enumerate(zip(terms, shapes)):
        many = len(shape) - len(term.replace("...", ""))
        if many < 0 or (many and "..." not in term):
            raise ValueError(
                f"einsum: equation is {equation!r}, but operands[{i}] has shape {shape}"
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
    return tuple(terms), result


def _once(x: Tensor, letters: str, number: int) -> tuple[Tensor, str]:
    """Take the diagonal of dimensions with one letter."""
    if len(set(letters)) == len(letters):
        return x, letters
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
    if kept.issuperset(letters):
        return x, letters
    gone = [i for i, c in enumerate(letters) if c not in kept]
    return x.sum(gone), "".join(c for c in letters if c in kept)


def _product(x: Tensor, letters: str, y: Tensor, others: str, kept: set[str]) -> tuple[Tensor, str]:
    """Multiply two operands, and sum over what both have and nobody needs."""
    x, letters = _sum_out(x, letters, kept | set(others))
    y, others = _sum_out(y, others, kept | set(letters))
    both = [c for c in letters if c in others]
    for c in both:
        n, m = x.shape[letters.index(c)], y.shape[others.index(c)]
        if n == 1 != m:  # broadcast
            x, letters = squeeze(x, letters.index(c)), letters.replace(c, "")
        elif m == 1 != n:
            y, others = squeeze(y, others.index(c)), others.replace(c, "")
        elif n != m:
            raise ValueError(f"einsum: {c!r} is {n} in one operand and {m} in another")
    both = [c for c in both if c in letters and c in others]
    batch = [c for c in both if c in kept]
    summed = [c for c in both if c not in kept]
    rows, columns = ([c for c in word if c not in both] for word in (letters, others))
    sizes = dict(zip(letters + others, x.shape + y.shape))
    x = _in_order(x, letters, [*batch, *rows, *summed])
    result = "".join([*batch, *rows, *columns])
    if batch and not (rows and columns):  # a matrix with one row or column each: too small
        y = _in_order(y, others, [*batch, *columns, *summed])
        lead = [sizes[c] for c in batch]
        tail = [sizes[c] for c in summed]
        x = reshape(x, [*lead, *(sizes[c] for c in rows), *(1 for _ in columns), *tail])
        y = reshape(y, [*lead, *(1 for _ in rows), *(sizes[c] for c in columns), *tail])
        return _sum_out(x * y, result + "".join(summed), set(result))

    def flat(z: Tensor, *groups: list[str]) -> Tensor:
        if len(groups[0]) == len(groups[1]) == 1:
            return z
        shape = [math.prod([sizes[c] for c in group]) for group in groups]
        return reshape(z, [*[sizes[c] for c in batch], *shape])

    y = _in_order(y, others, [*batch, *summed, *columns])
    product = matmul(flat(x, rows, summed), flat(y, summed, columns))
    if len(rows) == len(columns) == 1:
        return product, result
    return reshape(product, [sizes[c] for c in result]), result


def _in_order(x: Tensor, letters: str, order: list[str]) -> Tensor:
    return x if list(letters) == order else permute(x, [letters.index(c) for c in order])
