"""Layers that become one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arguments import flag
from ...tensor import Array, Tensor
from ..conv import Conv1d, Conv2d, Conv3d
from ..conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Parameter
from ..norm import BatchNorm1d, BatchNorm2d, BatchNorm3d

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)
TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """Make a convolution that computes what a convolution and a batch norm in eval mode do.

    Each output channel is multiplied by ``weight / sqrt(running_var + eps)`` of the norm.

    Parameters
    ----------
    conv : Conv1d, Conv2d, Conv3d, or ConvTranspose likewise
    bn : BatchNorm1d, BatchNorm2d or BatchNorm3d
        With running statistics.
    transpose : bool
        Whether the convolution is transposed: its weight then has the inputs first.

    Returns
    -------
    Module
        A new layer of the type of `conv`, without connection to it. Its weight and bias require
        grad where those of `conv` do.

    Raises
    ------
    TypeError
        If one of them is another layer.
    ValueError
        If one of them is in training mode, or `bn` has no running statistics, or something of
        `bn` is not for the output channels of `conv`.

    Examples
    --------
    >>> import pyconv
    >>> nn = pyconv.nn
    >>> conv, bn = nn.Conv2d(3, 8, 3).eval(), nn.BatchNorm2d(8).eval()
    >>> nn.utils.fuse_conv_bn_eval(conv, bn)
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """
    transpose = flag("fuse_conv_bn_eval: transpose", transpose)
    layers = TRANSPOSED if transpose else CONVOLUTIONS
    for name, layer, kinds in (("conv", conv, layers), ("bn", bn, NORMS)):
        if not isinstance(layer, kinds):
            known = ", ".join(kind.__name__ for kind in kinds)
            known += f" where transpose is {transpose}" if layer is conv else ""
            kind = type(layer).__name__
            raise TypeError(f"fuse_conv_bn_eval: {name} is a {kind}, expected one of {known}")
        if layer.training:
            raise ValueError(f"fuse_conv_bn_eval: {name} is in training mode, expected eval mode")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("fuse_conv_bn_eval: bn has no running statistics")
    groups = conv.groups if transpose else None
    channels = conv.weight.shape[1] * conv.groups if transpose else conv.weight.shape[0]
    for name in ("running_mean", "running_var", "weight", "bias"):
        tensor = getattr(bn, name)
        if tensor is not None and tensor.shape != (channels,):
            raise ValueError(
                f"fuse_conv_bn_eval: conv has {channels} output channels, bn.{name} has shape "
                f"{tensor.shape}"
            )
    others = conv.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias
    folded, offset = fold_norm(conv.weight, others, bn.eps, groups)
    result = copy.deepcopy(conv)
    result.weight = Parameter(folded, conv.weight.requires_grad)
    result.bias = Parameter(offset, conv.bias is not None and conv.bias.requires_grad)
    return result


@np.errstate(all="ignore")  # the norm does not warn either
def fold_norm(
    weight: Tensor, others: Sequence[Tensor | None], eps: float, groups: int | None = None
) -> tuple[Array, Array]:
    """Return weight and bias of a layer that computes the batch norm after it too.

    Parameters
    ----------
    weight : Tensor
        Of a convolution or a linear layer; of a transposed convolution if `groups` is given.
    others : sequence of Tensor or None
        The layer's bias; the norm's running mean and variance, weight and bias.
    eps : float
        The norm's.
    groups : int, optional
        Those of a transposed convolution.
    """
    bias, mean, var, gamma, beta = others
    w = weight._array
    scale = _array(gamma, 1) / np.sqrt(_array(var, 1) + eps)
    offset = _array(beta, 0) + (_array(bias, 0) - _array(mean, 0)) * scale
    if groups is None:
        factors = scale[:, None]
    else:  # a group's inputs are all multiplied by the scales of the group's outputs
        per_group = scale.reshape(groups, 1, -1)
        factors = np.repeat(per_group, w.shape[0] // groups, 1).reshape(w.shape[:2])
    factors = factors.reshape(*factors.shape, *(1,) * (w.ndim - 2))
    return (w * factors).astype(w.dtype), offset.astype(w.dtype)


def _array(tensor: Tensor | None, default: float) -> Any:
    return default if tensor is None else np.asarray(tensor._array, float)
