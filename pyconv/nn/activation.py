"""Activation layers."""

from __future__ import annotations

from typing import Any

from ..functional import relu
from ..tensor import Tensor
from .module import Module


class ReLU(Module):
    """Replaces negative elements by zero; see `pyconv.functional.relu`.

    Parameters
    ----------
    inplace : bool
        Accepted so that existing models run; the result is a new tensor in any case.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ReLU()(pyconv.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Any) -> Tensor:
        """Apply to each element."""
        return relu(input)

    def extra_repr(self) -> str:
        """Return the argument that is not the default."""
        return "inplace=True" if self.inplace else ""
