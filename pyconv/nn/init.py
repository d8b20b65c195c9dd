"""Initial values of parameters, written in place."""

from __future__ import annotations

import math

import numpy as np

from ..random import default_generator
from ..tensor import Array, Tensor, changed


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with numbers uniform in [a, b).

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.uniform_(pyconv.empty(2, 3)).shape
    (2, 3)
    """
    draw = (generator or default_generator()).random
    return _fill(tensor, a + (b - a) * draw(tensor.shape, tensor.dtype))


def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of the given mean and standard deviation.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.normal_(pyconv.empty(2, 3)).shape
    (2, 3)
    """
    draw = (generator or default_generator()).standard_normal
    return _fill(tensor, mean + std * draw(tensor.shape, tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.constant_(pyconv.empty(2), 3)
    tensor([3., 3.])
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.zeros_(pyconv.empty(2))
    tensor([0., 0.])
    """
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.ones_(pyconv.empty(2))
    tensor([1., 1.])
    """
    return _fill(tensor, 1)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers that keep the variance of activations through a layer.

    The bound is ``gain * sqrt(3 / fan)``, with a gain of ``sqrt(2 / (1 + a**2))`` for a leaky
    ReLU of negative slope `a`, sqrt(2) for a ReLU and 1 for none.

    Parameters
    ----------
    tensor : Tensor of shape (outputs, inputs, ...)
        Changed in place.
    a : float
        Negative slope of the leaky ReLU.
    mode : {"fan_in", "fan_out"}
        Keep the variance forward or backward.
    nonlinearity : {"leaky_relu", "relu", "linear", "conv2d"}
        What follows the layer.
    generator : numpy.random.Generator, optional
        Source of the numbers; that of `pyconv.manual_seed` if left out.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ValueError
        If an argument is unknown, or `tensor` has fewer than two dimensions.

    References
    ----------
    He et al., *Delving deep into rectifiers*, arXiv:1502.01852.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.init.kaiming_uniform_(pyconv.empty(8, 24), nonlinearity="relu")
    >>> bool(w.abs().max() <= 0.5)
    True
    """
    gains = {
        "leaky_relu": math.sqrt(2 / (1 + a**2)),
        "relu": math.sqrt(2),
        "linear": 1.0,
        "conv2d": 1.0,
    }
    if nonlinearity not in gains:
        raise ValueError(f"nonlinearity is {nonlinearity!r}, expected one of {', '.join(gains)}")
    bound = gains[nonlinearity] * math.sqrt(3 / max(fan_of(tensor, mode), 1))
    return uniform_(tensor, -bound, bound, generator)


def fan_of(tensor: Tensor, mode: str = "fan_in") -> int:
    """Return how many inputs an output has (``"fan_in"``), or outputs an input (``"fan_out"``)."""
    if tensor.ndim < 2:
        raise ValueError(f"tensor has shape {tensor.shape}, expected at least 2 dimensions")
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is {mode!r}, expected 'fan_in' or 'fan_out'")
    units = tensor.shape[1 if mode == "fan_in" else 0]
    return units * math.prod(tensor.shape[2:])


def _fill(tensor: Tensor, values: Array | float) -> Tensor:
    tensor._array[...] = values
    changed(tensor)
    return tensor
