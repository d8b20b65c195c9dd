"""Embedding layer."""

from __future__ import annotations

from typing import Any

from ..arguments import flag
from ..creation import kernel_float, makes_only_shapes, shapes_only, zeros
from ..functional import embedding
from ..functional.sparse import padding_row
from ..tensor import Tensor
from .conv import int_at_least
from .init import normal_
from .module import Module, Parameter


class Embedding(Module):
    """A table of vectors, looked up by number; see `pyconv.functional.embedding`.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        The sizes of the table, which starts normal, of mean 0 and variance 1.
    padding_idx : int, optional
        A row that starts as zeros and gets no gradient.

    Raises
    ------
    ValueError
        If there is no row `padding_idx`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Embedding(10, 3)([[1, 2], [4, 5]]).shape
    (2, 2, 3)
    """

    weight: Parameter

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        self.num_embeddings = int_at_least("Embedding: num_embeddings", num_embeddings, 0)
        self.embedding_dim = int_at_least("Embedding: embedding_dim", embedding_dim, 0)
        row = padding_row(padding_idx, num_embeddings)
        self.padding_idx = None if padding_idx is None else row
        self.weight = Parameter(zeros(num_embeddings, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again."""
        normal_(self.weight)
        if self.padding_idx is not None and not makes_only_shapes():
            self.weight._array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None
    ) -> Embedding:
        """Make a layer of a given table, which is not trained unless `freeze` is False.

        Examples
        --------
        >>> import pyconv
        >>> pyconv.nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])([1])
        tensor([[3., 4.]])
        """
        table = kernel_float("from_pretrained", embeddings, "embeddings")
        if table.ndim != 2:
            raise ValueError(f"embeddings has shape {table.shape}, expected two dimensions")
        with shapes_only():
            layer = cls(table.shape[0], table.shape[1], padding_idx)
        layer.weight = Parameter(table, not flag("from_pretrained: freeze", freeze))
        return layer

    def forward(self, input: Any) -> Tensor:
        """Return the rows of the numbers."""
        return embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
