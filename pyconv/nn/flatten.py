"""Layers that change the shape."""

from __future__ import annotations

from typing import Any

from ..functional import flatten
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
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Tensor:
        """Join the dimensions."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
