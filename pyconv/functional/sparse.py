"""Embedding: rows of a table."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..arguments import integer
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor


class Embedding(Function):
    """The rows of the weight that the indices name."""

    @staticmethod
    def forward(ctx: Any, indices: Tensor, weight: Tensor, padding_idx: int) -> Tensor:
        output, checked = _core.embedding_forward(indices._array, weight._array)
        ctx.save_for_backward(Tensor(checked))
        ctx.config = weight.shape[0], padding_idx
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return None, EmbeddingBackward.apply(g, indices, *ctx.config), None


class EmbeddingBackward(Function):
    """Zeros to whose rows the gradients are added, in order."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, indices: Tensor, rows: int, padding_idx: int) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.padding_idx = padding_idx
        return Tensor(_core.embedding_backward(g._array, indices._array, rows, padding_idx))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        kept = Tensor((indices._array != ctx.padding_idx)[..., None].astype(g.dtype))
        return Embedding.apply(indices, g, -1) * kept, None, None, None


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """Look rows of a table up.

    Parameters
    ----------
    input : array_like of int
        Row numbers, of any shape.
    weight : array_like of shape (rows, width)
        The table; float32 or float64.
    padding_idx : int, optional
        A row that gets no gradient; negative ones count from the end.

    Returns
    -------
    Tensor
        Of the shape of `input` and one dimension more, of size width.

    Raises
    ------
    ValueError
        If there is no such row, or `weight` is no table.
    TypeError
        If `input` holds no integers, or the dtype of `weight` is not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.embedding([1, 0, 1], [[1.0, 2.0], [3.0, 4.0]])
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    indices, table = as_tensor(input, "input"), as_tensor(weight, "weight")
    rows = table.shape[0] if table.ndim else 0
    return Embedding.apply(indices, table, padding_row(padding_idx, rows))


def padding_row(padding_idx: Any, rows: int) -> int:
    """Return `padding_idx` as a row number, -1 for None; ValueError if there is no such row."""
    if padding_idx is None:
        return -1
    row = integer("embedding: padding_idx", padding_idx)
    if not -rows <= row < rows:
        raise ValueError(
            f"embedding: padding_idx is {padding_idx!r}, expected a row of weight, which has {rows}"
        )
    return row % rows
