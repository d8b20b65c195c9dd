"""Losses of probabilities: nll_loss, binary_cross_entropy, the same with logits."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..arguments import integer
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor, kernel_float
from ..tensor import Tensor
from .activation import softplus
from .arithmetic import where
from .bounds import clamp
from .casting import in_float32
from .elementwise import log, sigmoid
from .loss import check_reduction


class NLLLoss(Function):
    """The loss of logarithms (N, C, ...) with indices (N, ...): of each sample, or reduced."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        ignore_index: int,
        reduction: str,
    ) -> Tensor:
        class_weight = None if weight is None else weight._array
        loss, ctx.scale = _core.nll_forward(
            input._array, target._array, class_weight, ignore_index, reduction
        )
        ctx.save_for_backward(target, weight)
        ctx.shape, ctx.ignore_index = input._array.shape, ignore_index
        return Tensor(loss)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        target, weight = ctx.saved_tensors
        grad = NLLLossBackward.apply(g, target, weight, ctx.shape, ctx.ignore_index, ctx.scale)
        return grad, None, None, None, None


class NLLLossBackward(Function):
    """The gradient of `NLLLoss`, which does not depend on its input."""

    @staticmethod
    def forward(
        ctx: Any,
        g: Tensor,
        target: Tensor,
        weight: Tensor | None,
        shape: tuple[int, ...],
        ignore_index: int,
        scale: float,
    ) -> Tensor:
        class_weight = None if weight is None else weight._array
        ctx.save_for_backward(target, weight)
        ctx.options = ignore_index, scale, "none" if g.ndim else "sum"
        grad = _core.nll_backward(g._array, shape, target._array, class_weight, ignore_index, scale)
        return Tensor(grad)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        target, weight = ctx.saved_tensors
        ignore_index, scale, reduction = ctx.options
        loss = NLLLoss.apply(g, target, weight, ignore_index, reduction)
        return loss * scale, None, None, None, None, None


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Take minus the logarithm of the probability of the right class.

    Parameters
    ----------
    input : array_like of shape (C,), (N, C) or (N, C, d1, ...)
        Logarithms of probabilities, as of `log_softmax`; float32 or float64.
    target : array_like of shape (), (N,) or (N, d1, ...)
        Class indices, integers in [0, C).
    weight : array_like of shape (C,), optional
        What each class counts.
    ignore_index : int
        Samples of this class count nothing.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the weights of the targets.

    Returns
    -------
    Tensor
        Of shape (), or without reduction of that of `target`.

    Raises
    ------
    ValueError
        If shapes do not fit together, or a class or an option is out of range.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.nll_loss([[-0.5, -1.0]], [1])
    tensor(1.)
    """
    check_reduction("nll_loss", reduction)
    x, t = kernel_float("nll_loss", input), as_tensor(target, "nll_loss: target")
    ignored = integer("nll_loss: ignore_index", ignore_index)
    if not x.ndim:
        raise ValueError("nll_loss: input has shape (), expected (C,), (N, C) or (N, C, ...)")
    rows = x if x.ndim > 1 else x.unsqueeze(0)
    expected = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    if t.dtype.kind not in "iu":
        raise TypeError(f"nll_loss: target.dtype is {t.dtype}, expected integers")
    if t.shape != expected:
        raise ValueError(f"nll_loss: target has shape {t.shape}, expected {expected}")
    w = None if weight is None else _alike("nll_loss", weight, "weight", x)
    if w is not None and w.shape != rows.shape[1:2]:
        raise ValueError(f"nll_loss: weight has shape {w.shape}, expected {rows.shape[1:2]}")
    loss = NLLLoss.apply(rows, t, w, ignored, reduction)
    return loss if x.ndim > 1 or not loss.ndim else loss.reshape(())


class BinaryCrossEntropy(Function):
    """-(t log x + (1 - t) log(1 - x)) with logarithms of at least -100."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(x, t)
        losses, inside = _core.binary_loss_forward(False, x._array, t._array)
        if not inside:
            for name, array in (("input", x._array), ("target", t._array)):
                for wrong in array[~((array >= 0) & (array <= 1))]:
                    raise ValueError(
                        f"binary_cross_entropy: {name} holds {wrong}, expected numbers in [0, 1]"
                    )
        return Tensor(losses)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, t = ctx.saved_tensors
        need = ctx.needs_input_grad
        grad_t = g * (clamp(log(1 - x), -100.0) - clamp(log(x), -100.0)) if need[1] else None
        if not need[0]:
            return None, grad_t
        if not is_grad_enabled():
            grad_x = _core.binary_loss_backward(False, g._array, x._array, t._array)
            return Tensor(grad_x), grad_t
        spread = x * (1 - x)
        return g * (x - t) / where(spread > 1e-12, spread, 1e-12), grad_t


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """Compare probabilities with targets: ``-(t log x + (1 - t) log(1 - x))``.

    Logarithms are cut off at -100. `binary_cross_entropy_with_logits` is more exact.

    Parameters
    ----------
    input : array_like
        Probabilities in [0, 1]; float32 or float64.
    target : array_like
        Of the shape and dtype of `input`, in [0, 1]; usually 0 or 1.
    weight : array_like, optional
        Multiplies the losses; broadcast.
    reduction : {"mean", "sum", "none"}
        What becomes of the losses of the elements.

    Returns
    -------
    Tensor
        Of shape (), or without reduction of that of `input`.

    Raises
    ------
    ValueError
        If shapes differ, or an element of `input` or `target` is no probability.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.binary_cross_entropy([0.5], [1.0])
    tensor(0.6931)
    """
    op = "binary_cross_entropy"
    x, t = _pair(op, input, target, reduction)
    if x.dtype.kind == "V":
        return in_float32(binary_cross_entropy, x, t, weight, reduction)
    return _reduced(op, BinaryCrossEntropy.apply(x, t), weight, reduction)


class BinaryCrossEntropyWithLogits(Function):
    """(1 - t) x + log(1 + exp(-x))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(x, t)
        return Tensor(_core.binary_loss_forward(True, x._array, t._array)[0])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, t = ctx.saved_tensors
        need = ctx.needs_input_grad
        grad_t = -g * x if need[1] else None
        if not need[0]:
            return None, grad_t
        if is_grad_enabled():
            return g * where(x < 0, sigmoid(x) - t, 1 - t - sigmoid(-x)), grad_t
        return Tensor(_core.binary_loss_backward(True, g._array, x._array, t._array)), grad_t


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """Compare logits with targets: `binary_cross_entropy` of ``1 / (1 + exp(-input))``, exactly.

    Parameters
    ----------
    input, target : array_like
        Of one shape and dtype, float32 or float64; targets are usually 0 or 1.
    weight : array_like, optional
        Multiplies the losses; broadcast.
    reduction : {"mean", "sum", "none"}
        What becomes of the losses of the elements.
    pos_weight : array_like, optional
        Multiplies the share of the positive targets; broadcast. It gets no gradient.

    Returns
    -------
    Tensor
        Of shape (), or without reduction of that of `input`.

    Raises
    ------
    ValueError
        If shapes differ or `reduction` is unknown.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.binary_cross_entropy_with_logits([0.0], [1.0])
    tensor(0.6931)
    """
    op = "binary_cross_entropy_with_logits"
    x, t = _pair(op, input, target, reduction)
    if x.dtype.kind == "V":
        function = binary_cross_entropy_with_logits
        return in_float32(function, x, t, weight, reduction, pos_weight)
    losses = BinaryCrossEntropyWithLogits.apply(x, t)
    if pos_weight is not None:
        factor = _alike(op, pos_weight, "pos_weight", x)
        _check_broadcast(op, factor, "pos_weight", x)
        losses = losses + (factor.detach() - 1) * t * softplus(-x, 1.0, math.inf)
    return _reduced(op, losses, weight, reduction)


def _alike(op: str, value: Any, name: str, input: Tensor) -> Tensor:
    x = kernel_float(op, value, name)
    if x.dtype.num != input.dtype.num:
        raise TypeError(f"{op}: {name}.dtype is {x.dtype} and input.dtype is {input.dtype}")
    return x


def _pair(op: str, input: Any, target: Any, reduction: Any) -> tuple[Tensor, Tensor]:
    check_reduction(op, reduction)
    x = kernel_float(op, input)
    t = _alike(op, target, "target", x)
    if t.shape != x.shape:
        raise ValueError(
            f"{op}: target has shape {t.shape} and input has shape {x.shape}, expected the same"
        )
    return x, t


def _check_broadcast(op: str, value: Tensor, name: str, x: Tensor) -> None:
    shape = value.shape
    fits = len(shape) <= x.ndim and all(n in (1, m) for n, m in zip(shape[::-1], x.shape[::-1]))
    if not fits:
        raise ValueError(
            f"{op}: {name} has shape {shape}, expected one that broadcasts to input's, {x.shape}"
        )


def _reduced(op: str, losses: Tensor, weight: Any, reduction: str) -> Tensor:
    if weight is not None:
        w = _alike(op, weight, "weight", losses)
        _check_broadcast(op, w, "weight", losses)
        losses = losses * w
    if reduction == "none":
        return losses
    return (losses.sum() if reduction == "sum" else losses.mean()) + 0.0  # no loss is -0.0
