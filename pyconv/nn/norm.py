"""Layers of normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import flag, number, size_of
from ..creation import as_tensor, ones, zeros
from ..functional import (
    batch_norm,
    batch_norm_relu,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
)
from ..tensor import Tensor, changed
from .conv import int_at_least
from .init import ones_, zeros_
from .module import Module, Parameter


def _reset(scale: Tensor | None, *others: Tensor | None) -> None:
    """Set the first to ones and the others to zeros, where there are any."""
    if scale is not None:
        ones_(scale)
    for tensor in others:
        if tensor is not None:
            zeros_(tensor)


class _Affine(Module):
    """What norms with parameters share."""

    weight: Parameter | None
    bias: Parameter | None

    def reset_parameters(self) -> None:
        """Set `weight` to ones and `bias` to zeros."""
        _reset(self.weight, self.bias)


class _Running(_Affine):
    """What batch and instance norm share: parameters, and statistics that follow the input's."""

    dims: tuple[int, ...]  # how many dimensions an input may have
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        name = f"{type(self).__name__}: num_features"
        self.num_features = int_at_least(name, num_features, 0)
        owner = type(self).__name__
        self.eps = number(f"{owner}: eps", eps)
        self.momentum = None if momentum is None else number(f"{owner}: momentum", momentum)
        self.affine = flag(f"{owner}: affine", affine)
        self.track_running_stats = flag(f"{owner}: track_running_stats", track_running_stats)
        bias = flag(f"{owner}: bias", bias)
        size = self.num_features
        self.register_parameter("weight", Parameter(ones(size)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(size)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(size) if tracked else None)
        self.register_buffer("running_var", ones(size) if tracked else None)
        count = zeros((), dtype=np.int64)
        self.register_buffer("num_batches_tracked", count if tracked else None)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def reset_running_stats(self) -> None:
        """Forget the batches that were seen."""
        _reset(self.running_var, self.running_mean, self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set everything to its initial value."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, input: Any) -> None:
        shape = as_tensor(input, "input").shape
        if len(shape) not in self.dims:
            raise ValueError(
                f"{type(self).__name__}: input has shape {shape}, expected "
                f"{' or '.join(map(str, self.dims))} dimensions"
            )

    def _momentum(self) -> float:
        """Count the batch; return its share in the running statistics."""
        if self.num_batches_tracked is not None:
            count = int(self.num_batches_tracked.item())
            if count < 0:
                name = f"{type(self).__name__}: num_batches_tracked"
                raise ValueError(f"{name} is {count}, expected 0 or more")
            self.num_batches_tracked._array[...] += 1
            changed(self.num_batches_tracked)
            if self.momentum is None:  # the plain average over all batches
                return 1 / (count + 1)
        return 0.0 if self.momentum is None else self.momentum


class _BatchNorm(_Running):
    def forward(self, input: Any, relu: bool = False) -> Tensor:
        """Normalise; with `relu`, compute ``relu(self(input))`` in the same passes."""
        self._check(input)
        own = self.training or self.running_mean is None
        momentum = self._momentum() if self.training else 0.0
        return (batch_norm_relu if flag("relu", relu) else batch_norm)(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); see `pyconv.functional.batch_norm`.

    Parameters
    ----------
    num_features : int
        The number of channels, C.
    eps : float
        Added to the variance.
    momentum : float or None
        The share of a batch in the running statistics; None takes the plain average of all.
    affine, bias : bool
        Whether there is a `weight`, and whether there is a `bias` besides.
    track_running_stats : bool
        Whether there are `running_mean`, `running_var` and `num_batches_tracked`, which `eval`
        uses. Else the statistics of the input are always used.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.BatchNorm1d(1)([[1.0], [3.0]]).detach()
    tensor([[-1.],
            [ 1.]])
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W); as `BatchNorm1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.BatchNorm2d(3)(pyconv.zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W); as `BatchNorm1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.BatchNorm3d(3)(pyconv.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 4, 4, 4)
    """

    dims = (5,)


class _InstanceNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)

    def forward(self, input: Any) -> Tensor:
        """Normalise each channel of each sample; without a batch, of the one sample."""
        self._check(input)
        own = self.training or self.running_mean is None
        x = as_tensor(input, "input")
        batched = x.ndim == self.dims[-1]
        output = instance_norm(
            x if batched else x.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return output if batched else output.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L); see `pyconv.functional.instance_norm`.

    Parameters
    ----------
    num_features : int
        The number of channels, C.
    eps : float
        Added to the variance.
    momentum : float
        The share of a batch in the running statistics.
    affine, bias : bool
        Whether there is a `weight`, and whether there is a `bias` besides.
    track_running_stats : bool
        Whether there are running statistics, which `eval` uses.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.InstanceNorm1d(1, eps=0)([[[1.0, 3.0]]])
    tensor([[[-1.,  1.]]])
    """

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W); as `InstanceNorm1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.InstanceNorm2d(3)(pyconv.zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W); as `InstanceNorm1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.InstanceNorm3d(3)(pyconv.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 4, 4, 4)
    """

    dims = (4, 5)


class GroupNorm(_Affine):
    """Normalisation of groups of channels; see `pyconv.functional.group_norm`.

    Parameters
    ----------
    num_groups, num_channels : int
    eps : float
        Added to the variance.
    affine, bias : bool
        Whether there is a `weight`, and whether there is a `bias` besides.

    Raises
    ------
    ValueError
        If `num_groups` does not divide `num_channels`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.GroupNorm(2, 4)(pyconv.zeros(2, 4, 3, 3)).shape
    (2, 4, 3, 3)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = int_at_least("GroupNorm: num_groups", num_groups, 1)
        self.num_channels = int_at_least("GroupNorm: num_channels", num_channels, 0)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"GroupNorm: num_groups is {num_groups} and num_channels is {num_channels}, "
                "expected a number of groups that divides them"
            )
        self.eps = number("GroupNorm: eps", eps)
        self.affine = flag("GroupNorm: affine", affine)
        bias = flag("GroupNorm: bias", bias)
        self.register_parameter("weight", Parameter(ones(num_channels)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_channels)) if affine and bias else None)

    def forward(self, input: Any) -> Tensor:
        """Normalise (N, C, ...)."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine, bias = self.affine, self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, {affine=}, {bias=}"


class LayerNorm(_Affine):
    """Normalisation over the last dimensions; see `pyconv.functional.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The sizes of those dimensions.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a `weight`.
    bias : bool
        Whether there is a `bias` besides.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LayerNorm(2, eps=0)([[1.0, 3.0]]).detach()
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape = size_of((normalized_shape,), "LayerNorm: normalized_shape")
        self.eps = number("LayerNorm: eps", eps)
        self.elementwise_affine = flag("LayerNorm: elementwise_affine", elementwise_affine)
        bias = flag("LayerNorm: bias", bias)
        shape, affine = self.normalized_shape, self.elementwise_affine
        self.register_parameter("weight", Parameter(ones(*shape)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(*shape)) if affine and bias else None)

    def forward(self, input: Any) -> Tensor:
        """Normalise (..., *normalized_shape)."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        elementwise_affine, bias = self.elementwise_affine, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, {elementwise_affine=}, {bias=}"


class LocalResponseNorm(Module):
    """Normalisation over neighbouring channels; see `pyconv.functional.local_response_norm`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LocalResponseNorm(5)
    LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Tensor:
        """Normalise (N, C, ...)."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
