"""Normalisation of channels: batch, instance and group norm."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .. import _core
from ..arguments import flag
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..creation import as_tensor
from ..tensor import Tensor, changed
from .arithmetic import where

# op, groups (None: one for each channel), whether the input's own statistics are used, momentum,
# eps, relu
Config = tuple[str, Any, bool, Any, Any, bool]


class Norm(Function):
    """Batch, instance and group norm: (x - mean) / sqrt(var + eps) * weight + bias."""

    promotes = False

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        config: Config,
    ) -> Tensor:
        op, groups, own, momentum, eps, relu = config
        output, mean, var = _core.norm_forward(
            op,
            input._array,
            None if running_mean is None else running_mean._array,
            None if running_var is None else running_var._array,
            None if weight is None else weight._array,
            None if bias is None else bias._array,
            groups,
            own,
            momentum,
            eps,
            relu,
        )
        if own:
            for running in (running_mean, running_var):
                if running is not None:
                    changed(running)
        elif any(ctx.needs_input_grad):  # training may change them before the backward pass
            mean, var = mean.copy(), var.copy()
        ctx.save_for_backward(input, weight, bias if relu else None, Tensor(mean), Tensor(var))
        ctx.has_bias = bias is not None
        ctx.config = config
        return Tensor(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        input, weight, bias, mean, var = ctx.saved_tensors
        op, groups, own, _, eps, relu = ctx.config
        if is_grad_enabled():  # for second derivatives: the same in recorded operations
            grads: Any = _recorded(grad_output, input, weight, bias, mean, var, ctx.config)
        else:
            arrays = _core.norm_backward(
                op,
                grad_output._array,
                input._array,
                None if weight is None else weight._array,
                None if bias is None else bias._array,
                groups,
                mean._array,
                var._array,
                own,
                eps,
                relu,
                any(ctx.needs_input_grad[1:3]),
            )
            grads = tuple(None if array is None else Tensor(array) for array in arrays)
        return (
            grads[0],
            None if weight is None else grads[1],
            grads[2] if ctx.has_bias else None,
            None,
            None,
            None,
        )


def _recorded(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    config: Config,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `Norm`, the channels as (groups, channels of a group)."""
    op, groups, own, _, eps, relu = config
    count, channels, *image = x.shape
    groups = channels if groups is None else operator.index(groups)
    pixels = tuple(range(3, 3 + len(image)))
    axes = (0, 2, *pixels) if op == "batch_norm" else (2, *pixels)
    split = (count, groups, channels // max(1, groups), *image)
    ones = (1,) * len(image)

    def parameter(p: Tensor | None, missing: float) -> Any:
        return missing if p is None else p.reshape(1, *split[1:3], *ones)

    given = None
    if not own:
        given = mean.reshape(1, groups, 1, *ones), var.reshape(1, groups, 1, *ones)
    values, g, w = x.reshape(split), grad.reshape(split), parameter(weight, 1.0)
    deviation, rstd = standard(values, axes, eps, given)
    normal = deviation * rstd
    if relu:
        g = where((normal * w + parameter(bias, 0.0)).detach() <= 0, 0, g)
    grad_x = gradient(g * w, normal, rstd, None if given else axes)
    summed = (0, *pixels)
    return (
        grad_x.reshape(x.shape),
        (g * normal).sum(summed).reshape(channels),
        g.sum(summed).reshape(channels),
    )


def standard(
    x: Tensor, axes: Sequence[int], eps: float, given: Any = None
) -> tuple[Tensor, Tensor]:
    """Return x - mean and 1 / sqrt(var + eps), by recorded operations."""
    if given is not None:
        return x - given[0], 1 / (given[1] + eps).sqrt()
    deviation = x - x.mean(axes, keepdim=True)
    return deviation, 1 / ((deviation * deviation).mean(axes, keepdim=True) + eps).sqrt()


def gradient(g: Tensor, normal: Tensor, rstd: Tensor, axes: Sequence[int] | None) -> Tensor:
    """Return the gradient of x; `axes` is None where mean and variance are given."""
    if axes is None:
        return g * rstd
    dot = (g * normal).mean(axes, keepdim=True)
    return (g - g.mean(axes, keepdim=True) - normal * dot) * rstd


def _running(op: str, own: bool, mean: Any, var: Any) -> list[Tensor | None]:
    """Make Tensors of running statistics, of which training changes the elements."""
    if own:
        for name, value in (("running_mean", mean), ("running_var", var)):
            if isinstance(value, (list, tuple)):
                raise TypeError(f"{op}: {name} is a {type(value).__name__}, expected one to update")
    return [optional(mean, "running_mean"), optional(var, "running_var")]


def optional(value: Any, name: str) -> Tensor | None:
    """Make a Tensor of an argument that may be None."""
    return None if value is None else as_tensor(value, name)


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Give each channel the mean 0 and the variance 1, then scale and shift it.

    Parameters
    ----------
    input : array_like of shape (N, C) or (N, C, d1, ...)
        float32 or float64; the result lies in memory as it does.
    running_mean, running_var : array_like of shape (C,), or None
        The statistics that are used outside training. In training those of the batch are used,
        and these are moved towards them, in place, if they are given.
    weight, bias : array_like of shape (C,), optional
        Scale and shift of each channel.
    training : bool
        Whether to use the statistics of the batch.
    momentum : float
        The share of the batch in the new running statistics; the variance among them is the
        unbiased one.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the shape of `input`.

    Raises
    ------
    ValueError
        If shapes do not fit, an option is out of range, or, in training, a channel has a single
        value.
    TypeError
        If dtypes differ or are not supported.

    References
    ----------
    Ioffe and Szegedy, *Batch normalization*, arXiv:1502.03167.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.batch_norm([[1.0], [3.0]], None, None, training=True, eps=0)
    tensor([[-1.],
            [ 1.]])
    """
    return _batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, False
    )


def batch_norm_relu(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Compute ``relu(batch_norm(...))`` in the passes over memory of `batch_norm` alone.

    Backward recomputes where the result is 0 instead of reading it. Parameters, result and errors
    are those of `batch_norm`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.batch_norm_relu([[1.0], [3.0]], None, None, training=True, eps=0)
    tensor([[0.],
            [1.]])
    """
    return _batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, True
    )


def _batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    training: bool,
    momentum: Any,
    eps: Any,
    relu: bool,
) -> Tensor:
    own = flag("batch_norm: training", training)
    return Norm.apply(
        as_tensor(input, "input"),
        optional(weight, "weight"),
        optional(bias, "bias"),
        *_running("batch_norm", own, running_mean, running_var),
        ("batch_norm", None, own, momentum, eps, relu),
    )


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample by itself.

    Parameters
    ----------
    input : array_like of shape (N, C, d1, ...)
    running_mean, running_var : array_like of shape (C,), optional
        Moved towards the averages over the samples, or used if `use_input_stats` is false.
    weight, bias : array_like of shape (C,), optional
    use_input_stats : bool
        Whether to use the statistics of the input.
    momentum, eps : float
        As in `batch_norm`.

    Returns
    -------
    Tensor
        Of the shape of `input`.

    Raises
    ------
    ValueError
        If shapes do not fit, an option is out of range, or a channel has a single value.
    TypeError
        If dtypes differ or are not supported.

    References
    ----------
    Ulyanov et al., *Instance normalization*, arXiv:1607.08022.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.instance_norm([[[1.0, 3.0]]], eps=0)
    tensor([[[-1.,  1.]]])
    """
    x = as_tensor(input, "input")
    tensors = optional(weight, "weight"), optional(bias, "bias")
    own = flag("instance_norm: use_input_stats", use_input_stats)
    running = _running("instance_norm", own, running_mean, running_var)
    if not own and any(statistic is None for statistic in running):
        raise ValueError(
            "instance_norm: use_input_stats is False, expected running_mean and running_var, but "
            f"they are {running_mean!r} and {running_var!r}"
        )
    if not own:  # each sample by the same statistics: as in batch norm
        return Norm.apply(x, *tensors, *running, ("batch_norm", None, False, momentum, eps, False))
    return Norm.apply(x, *tensors, *running, ("instance_norm", None, True, momentum, eps, False))


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Normalise groups of neighbouring channels of each sample.

    Parameters
    ----------
    input : array_like of shape (N, C) or (N, C, d1, ...)
    num_groups : int
        Divides the number of channels.
    weight, bias : array_like of shape (C,), optional
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
    Wu and He, *Group normalization*, arXiv:1803.08494.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.group_norm([[1.0, 3.0, 4.0, 8.0]], 2, eps=0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    return Norm.apply(
        as_tensor(input, "input"),
        optional(weight, "weight"),
        optional(bias, "bias"),
        None,
        None,
        ("group_norm", num_groups, True, 0.0, eps, False),
    )
