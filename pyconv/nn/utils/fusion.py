"""Layers that become one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...arguments import flag
from ...tensor import Tensor
from ..conv import Conv1d, Conv2d, Conv3d
from ..conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Parameter
from ..norm import BatchNorm1d, BatchNorm2d, BatchNorm3d

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)
TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)


@np.errstate(all="ignore")  # the norm does not warn either
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
    axis = 1 if transpose else 0
    weight = conv.weight._array
    groups = conv.groups if transpose else 1
    channels = weight.shape[axis] * groups
    for name in ("running_mean", "running_var", "weight", "bias"):
        tensor = getattr(bn, name)
        if tensor is not None and tensor.shape != (channels,):
            raise ValueError(
                f"fuse_conv_bn_eval: conv has {channels} output channels, bn.{name} has shape "
                f"{tensor.shape}"
            )
    scale = _array(bn.weight, 1) / np.sqrt(_array(bn.running_var, 1) + bn.eps)
    offset = _array(bn.bias, 0) + (_array(conv.bias, 0) - _array(bn.running_mean, 0)) * scale
    result = copy.deepcopy(conv)
    if transpose:  # a group's inputs are all multiplied by the scales of the group's outputs
        per_group = scale.reshape(groups, 1, -1)
        factors = np.repeat(per_group, weight.shape[0] // groups, 1).reshape(weight.shape[:2])
    else:
        factors = scale[:, None]
    factors = factors.reshape(*factors.shape, *(1,) * (weight.ndim - 2))
    result.weight = Parameter((weight * factors).astype(weight.dtype), conv.weight.requires_grad)
    learns = conv.bias is not None and conv.bias.requires_grad
    result.bias = Parameter(offset.astype(weight.dtype), learns)
    return result


def _array(tensor: Tensor | None, default: float) -> Any:
    return default if tensor is None else np.asarray(tensor._array, float)
