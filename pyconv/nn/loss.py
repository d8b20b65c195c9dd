"""Loss layers."""

from __future__ import annotations

from typing import Any

from ..creation import as_tensor
from ..functional import cross_entropy
from ..tensor import Tensor
from .module import Module


class CrossEntropyLoss(Module):
    """Compares logits with the right classes; see `pyconv.functional.cross_entropy`.

    Parameters
    ----------
    weight : array_like of shape (C,), optional
        What each class counts; kept as a buffer.
    ignore_index, reduction, label_smoothing
        As in `pyconv.functional.cross_entropy`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.CrossEntropyLoss()(pyconv.zeros(1, 2), [1])
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", None if weight is None else as_tensor(weight, "weight"))
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of logits (N, C) for classes (N,)."""
        return cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )
