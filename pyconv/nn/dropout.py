"""Layers of dropout."""

from __future__ import annotations

from typing import Any

from ..arguments import flag, probability
from ..functional import dropout, dropout1d, dropout2d, dropout3d
from ..tensor import Tensor
from .module import Module


class Dropout(Module):
    """Sets elements to zero in training; see `pyconv.functional.dropout`.

    Parameters
    ----------
    p : float
        The probability of a zero, in [0, 1].
    inplace : bool
        Accepted and ignored.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1].

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Dropout(0.5).eval()([1.0, 2.0])
    tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = probability(f"{type(self).__name__}: p", p)
        self.inplace = flag(f"{type(self).__name__}: inplace", inplace)

    def forward(self, input: Any) -> Tensor:
        """Drop in training."""
        return dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Sets whole channels of (N, C, L) to zero in training.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Dropout1d(0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def forward(self, input: Any) -> Tensor:
        """Drop in training."""
        return dropout1d(input, self.p, self.training)


class Dropout2d(Dropout):
    """Sets whole channels of (N, C, H, W) to zero in training.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Dropout2d(0.2)
    Dropout2d(p=0.2, inplace=False)
    """

    def forward(self, input: Any) -> Tensor:
        """Drop in training."""
        return dropout2d(input, self.p, self.training)


class Dropout3d(Dropout):
    """Sets whole channels of (N, C, D, H, W) to zero in training.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Dropout3d(0.2)
    Dropout3d(p=0.2, inplace=False)
    """

    def forward(self, input: Any) -> Tensor:
        """Drop in training."""
        return dropout3d(input, self.p, self.training)
