"""Normalisation over the last dimensions."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..arguments import size_of
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Tensor
from .norm import gradient, optional, standard


class LayerNorm(Function):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, for all others."""

    promotes = False

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, dims: int, eps: Any
    ) -> Tensor:
        output, mean, rstd = _core.layer_norm_forward(
            input._array,
            dims,
            None if weight is None else weight._array,
            None if bias is None else bias._array,
            eps,
        )
        ctx.save_for_backward(input, weight, Tensor(mean), Tensor(rstd))
        ctx.config = dims, eps, bias is not None
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        input, weight, mean, rstd = ctx.saved_tensors
        dims, eps, has_bias = ctx.config
        if is_grad_enabled():
            axes, rest = tuple(range(-dims, 0)), tuple(range(input.ndim - dims))
            deviation, scale = standard(input, axes, eps)
            normal = deviation * scale
            g = grad_output if weight is None else grad_output * weight
            grads: Any = (
                gradient(g, normal, scale, axes),
                (grad_output * normal).sum(rest),
                grad_output.sum(rest),
            )
        else:
            arrays = _core.layer_norm_backward(
                grad_output._array,
                input._array,
                dims,
                None if weight is None else weight._array,
                mean._array,
                rstd._array,
            )
            grads = tuple(map(Tensor, arrays))
        return (
            grads[0],
            None if weight is None else grads[1],
            grads[2] if has_bias else None,
            None,
            None,
        )


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Normalise over the last dimensions, for each position of the others.

    Parameters
    ----------
    input : array_like of shape (..., *normalized_shape)
    normalized_shape : int or sequence of int
        The sizes of the dimensions to normalise over.
    weight, bias : array_like of shape normalized_shape, optional
        Scale and shift of each element.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the shape of `input`.

    Raises
    ------
    ValueError
        If shapes do not fit or an option is out of range.
    TypeError
        If dtypes differ or are not supported.

    References
    ----------
    Ba, Kiros and Hinton, *Layer normalization*, arXiv:1607.06450.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.layer_norm([[1.0, 3.0]], 2, eps=0)
    tensor([[-1.,  1.]])
    """
    x = as_tensor(input, "input")
    sizes = size_of((normalized_shape,), "layer_norm: normalized_shape")
    if not sizes or x.shape[-len(sizes) :] != sizes:
        raise ValueError(
            f"layer_norm: normalized_shape is {normalized_shape!r} and input has shape {x.shape}, "
            "expected the sizes of its last dimensions"
        )
    tensors = optional(weight, "weight"), optional(bias, "bias")
    return LayerNorm.apply(x, *tensors, len(sizes), eps)
