"""Loss layers."""

from __future__ import annotations

from typing import Any

from ..creation import as_tensor
from ..functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
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


class NLLLoss(Module):
    """Takes minus the logarithm of the right class; see `pyconv.functional.nll_loss`.

    Parameters
    ----------
    weight : array_like of shape (C,), optional
        What each class counts; kept as a buffer.
    ignore_index, reduction
        As in `pyconv.functional.nll_loss`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.NLLLoss()([[-0.5, -1.0]], [1])
    tensor(1.)
    """

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.register_buffer("weight", None if weight is None else as_tensor(weight, "weight"))
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of logarithms of probabilities (N, C) for classes (N,)."""
        return nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(Module):
    """Squares the differences; see `pyconv.functional.mse_loss`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.MSELoss()([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of one shape."""
        return mse_loss(input, target, self.reduction)


class L1Loss(Module):
    """Takes the size of the differences; see `pyconv.functional.l1_loss`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.L1Loss()([1.0, 2.0], [1.0, 4.0])
    tensor(1.)
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of one shape."""
        return l1_loss(input, target, self.reduction)


class SmoothL1Loss(Module):
    """Squares small differences only; see `pyconv.functional.smooth_l1_loss`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.SmoothL1Loss(reduction="sum")([1.0, 2.0], [1.5, 4.0])
    tensor(1.625)
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__()
        self.reduction = reduction
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of one shape."""
        return smooth_l1_loss(input, target, self.reduction, self.beta)


class BCELoss(Module):
    """Compares probabilities with targets; see `pyconv.functional.binary_cross_entropy`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.BCELoss()([0.5], [1.0])
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__()
        self.register_buffer("weight", None if weight is None else as_tensor(weight, "weight"))
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of one shape."""
        return binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(Module):
    """Compares logits with targets; see `pyconv.functional.binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.BCEWithLogitsLoss()([0.0], [1.0])
    tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("pos_weight", pos_weight)):
            self.register_buffer(name, None if value is None else as_tensor(value, name))
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of two arrays of one shape."""
        return binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )
