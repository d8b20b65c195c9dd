"""Layers that change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..arguments import integer, size_of
from ..creation import as_tensor
from ..functional import flatten, reshape
from ..tensor import Tensor
from .module import Module


class Flatten(Module):
    """Joins dimensions, by default all but the first; see `pyconv.functional.flatten`.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last dimension to join.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Flatten()(pyconv.zeros(2, 3, 4)).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = integer("Flatten: start_dim", start_dim)
        self.end_dim = integer("Flatten: end_dim", end_dim)

    def forward(self, input: Any) -> Tensor:
        """Join the dimensions."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits a dimension into several.

    Parameters
    ----------
    dim : int
        The dimension to split.
    unflattened_size : sequence of int
        What it becomes; one entry may be -1.

    Raises
    ------
    ValueError
        When called, if the sizes do not multiply to that of the dimension, or there is none such.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Unflatten(1, (3, 4))(pyconv.zeros(2, 12)).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = integer("Unflatten: dim", dim)
        self.unflattened_size = size_of((unflattened_size,), "unflattened_size", least=-1)

    def forward(self, input: Any) -> Tensor:
        """Split the dimension."""
        tensor, dim, sizes = as_tensor(input, "input"), self.dim, self.unflattened_size
        if not -tensor.ndim <= dim < tensor.ndim:
            raise ValueError(f"Unflatten: dim is {dim}, the input has {tensor.ndim} dimensions")
        at, known = dim % tensor.ndim, math.prod(size for size in sizes if size >= 0)
        whole, unknown = tensor.shape[at], sizes.count(-1)
        if unknown > 1 or (known != whole if not unknown else not known or whole % known):
            raise ValueError(f"Unflatten: {whole} cannot become {sizes}")
        sizes = tuple(whole // known if size < 0 else size for size in sizes)
        return reshape(tensor, (*tensor.shape[:at], *sizes, *tensor.shape[at + 1 :]))

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
