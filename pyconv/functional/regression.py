"""Losses of the difference of two arrays: mse_loss, l1_loss, smooth_l1_loss."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..arguments import number
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Tensor
from .arithmetic import where
from .loss import check_reduction


class DifferenceLoss(Function):
    """A function of input - target, summed, averaged or for each element."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, target: Tensor, op: str, beta: float, reduction: str
    ) -> Tensor:
        ctx.save_for_backward(input, target)
        ctx.config = op, beta, reduction
        return Tensor(
            _core.difference_loss_forward(op, input._array, target._array, beta, reduction)
        )

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        input, target = ctx.saved_tensors
        op, beta, reduction = ctx.config
        if is_grad_enabled():  # for second derivatives: the same in recorded operations
            slope = _slope(input - target, op, beta)
            grad = grad_output * slope / (input.numel() if reduction == "mean" else 1)
        else:
            grad = Tensor(
                _core.difference_loss_backward(
                    op, grad_output._array, input._array, target._array, beta, reduction
                )
            )
        need = ctx.needs_input_grad
        return grad if need[0] else None, -grad if need[1] else None, None, None, None


def _slope(d: Tensor, op: str, beta: float) -> Tensor:
    if op == "mse_loss":
        return 2 * d
    sign = where(d > 0, 1, where(d < 0, -1, d.detach()))
    if op == "l1_loss":
        return sign
    return where(d.abs() < beta, d / beta, sign)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Square the differences.

    Parameters
    ----------
    input, target : array_like
        Of one shape and dtype, float32 or float64.
    reduction : {"mean", "sum", "none"}
        What becomes of the losses of the elements.

    Returns
    -------
    Tensor
        Of shape (), or without reduction of that of `input`.

    Raises
    ------
    ValueError
        If the shapes differ or `reduction` is unknown.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.mse_loss([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """
    return _loss("mse_loss", input, target, 1.0, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Take the size of the differences; the derivative at 0 is taken as 0.

    Parameters, result and errors are those of `mse_loss`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.l1_loss([1.0, 2.0], [1.0, 4.0])
    tensor(1.)
    """
    return _loss("l1_loss", input, target, 1.0, reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Square small differences, over 2 beta; take the size of the others, less beta / 2.

    Parameters, result and errors are those of `mse_loss`, and besides:

    Parameters
    ----------
    beta : float
        From which difference on the loss is linear, 0 or more; 0 gives `l1_loss`.

    References
    ----------
    Girshick, *Fast R-CNN*, arXiv:1504.08083.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.smooth_l1_loss([1.0, 2.0], [1.5, 4.0], reduction="none")
    tensor([0.125, 1.5  ])
    """
    if not 0 <= number("smooth_l1_loss: beta", beta) < float("inf"):
        raise ValueError(f"smooth_l1_loss: beta is {beta!r}, expected a number of 0 or more")
    return _loss("smooth_l1_loss" if beta else "l1_loss", input, target, float(beta), reduction)


def _loss(op: str, input: Any, target: Any, beta: float, reduction: str) -> Tensor:
    check_reduction(op, reduction)
    x, t = as_tensor(input, "input"), as_tensor(target, "target")
    loss = DifferenceLoss.apply(x, t, op, beta, reduction)
    # The mean of nothing is NaN.
    return loss if x._array.size or reduction != "mean" else loss * 0 + float("nan")
