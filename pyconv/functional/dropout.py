"""Dropout: of elements, and of whole channels."""

from __future__ import annotations

from typing import Any

from ..arguments import flag, probability
from ..autograd.function import Function
from ..creation import kernel_float
from ..random import default_generator, drop, drop_channels
from ..tensor import Tensor


class Dropout(Function):
    """The input times 0 with probability p, else times 1 / (1 - p); the seed and places decide."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.config = p, seed
        return Tensor(drop(x._array, p, seed))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Dropout.apply(g, *ctx.config), None, None


class DropoutChannels(Function):
    """The same factor for all that the last `dims` dimensions hold."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int, dims: int) -> Tensor:
        ctx.config = p, seed, dims
        return Tensor(drop_channels(x._array, p, seed, dims))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return DropoutChannels.apply(g, *ctx.config), None, None, None


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set elements to zero at random, and divide the others by 1 - p.

    The random numbers follow from `pyconv.manual_seed`, are the same for any number of threads, and
    are made again for the gradient instead of being kept.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.
    p : float
        The probability of a zero, in [0, 1].
    training : bool
        Without it, the result is `input` itself.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1].
    TypeError
        If the dtype is not supported.

    References
    ----------
    Srivastava et al., *Dropout*, JMLR 15 (2014). Salmon et al., *Parallel random numbers: as easy
    as 1, 2, 3*, SC 2011 (Philox4x32-10).

    Examples
    --------
    >>> import pyconv, pyconv.functional as F
    >>> F.dropout(pyconv.ones(4), training=False)
    tensor([1., 1., 1., 1.])
    >>> F.dropout(pyconv.ones(2), p=1)
    tensor([0., 0.])
    """
    x = _checked("dropout", input, p)
    if not flag("dropout: training", training):
        return x
    return x * (1 - p) if p in (0, 1) else Dropout.apply(x, float(p), _seed())


def dropout1d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set whole channels of (N, C, L) or (C, L) to zero; as `dropout2d`.

    Examples
    --------
    >>> import pyconv, pyconv.functional as F
    >>> F.dropout1d(pyconv.ones(1, 2, 3), training=False).shape
    (1, 2, 3)
    """
    return _channels("dropout1d", input, p, training, 1)


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set whole channels to zero at random, and divide the others by 1 - p.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    p : float
        The probability of a zero, in [0, 1].
    training : bool
        Without it, the result is `input` itself.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1], or `input` has another number of dimensions.
    TypeError
        If the dtype is not supported.

    References
    ----------
    Tompson et al., *Efficient object localization using convolutional networks*, arXiv:1411.4280.

    Examples
    --------
    >>> import pyconv, pyconv.functional as F
    >>> F.dropout2d(pyconv.ones(1, 2, 3, 3), training=False).shape
    (1, 2, 3, 3)
    """
    return _channels("dropout2d", input, p, training, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set whole channels of (N, C, D, H, W) or (C, D, H, W) to zero; as `dropout2d`.

    Examples
    --------
    >>> import pyconv, pyconv.functional as F
    >>> F.dropout3d(pyconv.ones(1, 2, 3, 3, 3), training=False).shape
    (1, 2, 3, 3, 3)
    """
    return _channels("dropout3d", input, p, training, 3)


def _checked(op: str, input: Any, p: Any) -> Tensor:
    probability(f"{op}: p", p)
    return kernel_float(op, input)


def _seed() -> int:
    return int(default_generator().bit_generator.random_raw())


def _channels(op: str, input: Any, p: Any, training: bool, ndim: int) -> Tensor:
    x = _checked(op, input, p)
    if x.ndim not in (ndim + 1, ndim + 2):
        raise ValueError(
            f"{op}: input has shape {x.shape}, expected {ndim + 1} or {ndim + 2} dimensions"
        )
    if not flag(f"{op}: training", training):
        return x
    return x * (1 - p) if p in (0, 1) else DropoutChannels.apply(x, float(p), _seed(), ndim)
