"""Initial values of parameters, written in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arguments import number, one_of, quiet, wide
from ..random import generator_of
from ..tensor import Array, Tensor
from .init_fixed import (
    check_dtype,
    check_tensor,
    constant_,
    dirac_,
    eye_,
    fill,
    ones_,
    zeros_,
)

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with numbers uniform in [a, b).

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If `a` is above `b`, a number or ``b - a`` is not finite in the dtype of `tensor`, or
        `tensor` is read-only.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.uniform_(pyconv.empty(2, 3)).shape
    (2, 3)
    """
    draw: Any = generator_of(generator).random
    low, high = _finite("uniform_: a", a, tensor), _finite("uniform_: b", b, tensor)
    if low > high:
        raise ValueError(f"uniform_: a is {a!r}, expected at most b, which is {b!r}")
    _finite("uniform_: b - a", high - low, tensor)
    return fill(tensor, lambda: low + (high - low) * draw(tensor.shape, wide(tensor.dtype)))


def normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of the given mean and standard deviation.

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If `std` is negative, a number is not finite in the dtype of `tensor`, or `tensor` is
        read-only.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.normal_(pyconv.empty(2, 3)).shape
    (2, 3)
    """
    draw: Any = generator_of(generator).standard_normal
    centre, width = _finite("normal_: mean", mean, tensor), _finite("normal_: std", std, tensor)
    if width < 0:
        raise ValueError(f"normal_: std is {std!r}, must not be negative")
    return fill(tensor, lambda: centre + width * draw(tensor.shape, wide(tensor.dtype)))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers, each drawn again until it lies in [a, b].

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If `std` is not positive, `a` is above `b`, `mean` is over 1000 `std` from both, a number is
        not finite in the dtype of `tensor`, or `tensor` is read-only.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.init.trunc_normal_(pyconv.empty(8, 16), std=0.5, a=-1, b=1)
    >>> bool(w.abs().max() <= 1)
    True
    """
    given = {"mean": mean, "std": std, "a": a, "b": b}
    centre, width, low, high = (
        _finite(f"trunc_normal_: {name}", value, tensor) for name, value in given.items()
    )
    near = min(max(low, centre), high)  # where they are most likely
    if not (width > 0 and low <= high and abs(near - centre) <= 1000 * width):
        raise ValueError(
            f"trunc_normal_: mean, std, a and b are {mean!r}, {std!r}, {a!r} and {b!r}, expected "
            "std above 0, a at most b, and mean within 1000 std of them"
        )
    draw: Any = generator_of(generator)
    ends = [math.erf((end - centre) / (width * math.sqrt(2))) / 2 for end in (low, high)]
    rare = ends[1] - ends[0] <= 0.3
    if rare:  # beyond the reach, exp(-50) is left of what is most likely
        reach = math.hypot(near - centre, 10 * width)
        low, high = max(low, centre - reach), min(high, centre + reach)

    def values() -> Array:
        dtype = wide(tensor.dtype)
        result, left = np.empty(tensor.numel(), dtype), np.arange(tensor.numel())
        while left.size:
            if rare:  # most would lie outside: draw within, and take them as often as they should
                drawn = low + (high - low) * draw.random(left.size)
                less = (((drawn - centre) / width) ** 2 - ((near - centre) / width) ** 2) / 2
                good = draw.standard_exponential(left.size) >= less
            else:
                drawn = centre + width * draw.standard_normal(left.size, dtype)
                good = (low <= drawn) & (drawn <= high)
            result[left] = drawn
            left = left[~good]
        return result.reshape(tensor.shape)

    return fill(tensor, values)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return by how much weights have to be larger because of what follows the layer.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv1d" to "conv3d", "conv_transpose1d" to "conv_transpose3d", "sigmoid", "tanh",
        "relu", "leaky_relu" or "selu".
    param : float, optional
        Negative slope of the leaky ReLU; 0.01 if left out.

    Raises
    ------
    ValueError
        If the name is another, or the slope no number.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    slope = 0.01 if param is None else param
    if isinstance(slope, bool) or not isinstance(slope, (int, float, np.number)):
        raise ValueError(f"calculate_gain: param is {param!r}, expected a number")
    slope = number("calculate_gain: param", slope, nan=True)
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope * slope)),
        "selu": 3 / 4,
        **{f"conv{kind}{n}d": 1.0 for kind in ("", "_transpose") for n in (1, 2, 3)},
    }
    return gains[one_of("nonlinearity", nonlinearity, tuple(gains))]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with uniform numbers within ``gain * sqrt(6 / (fan_in + fan_out))``.

    Parameters
    ----------
    tensor : Tensor of shape (outputs, inputs, ...)
        Changed in place.
    gain : float
        See `calculate_gain`.
    generator : numpy.random.Generator, optional
        Source of the numbers; that of `pyconv.manual_seed` if left out.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If `tensor` has fewer than two dimensions or is read-only, or `gain` is negative or not
        finite.

    References
    ----------
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
    2010.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.init.xavier_uniform_(pyconv.empty(8, 16))
    >>> bool(w.abs().max() <= 0.5)
    True
    """
    bound = math.sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with normal numbers of standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Arguments, errors and source are those of `xavier_uniform_`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.xavier_normal_(pyconv.empty(8, 16)).shape
    (8, 16)
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with uniform numbers that keep the variance of activations through a layer.

    The bound is ``gain * sqrt(3 / fan)``.

    Parameters
    ----------
    tensor : Tensor of shape (outputs, inputs, ...)
        Changed in place.
    a : float
        Negative slope of the leaky ReLU.
    mode : {"fan_in", "fan_out"}
        Keep the variance forward or backward.
    nonlinearity : str
        What follows the layer, see `calculate_gain`.
    generator : numpy.random.Generator, optional
        Source of the numbers; that of `pyconv.manual_seed` if left out.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If an argument is unknown, or `tensor` has fewer than two dimensions or is read-only.

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
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Fill with normal numbers of standard deviation ``gain / sqrt(fan)``.

    Arguments, errors and source are those of `kaiming_uniform_`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.kaiming_normal_(pyconv.empty(8, 3, 3, 3), mode="fan_out").shape
    (8, 3, 3, 3)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with a random matrix whose rows, or else columns, are orthogonal and of length `gain`.

    Dimensions but the first are joined.

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32, float64 or bfloat16.
    ValueError
        If `tensor` has fewer than two dimensions or is read-only, or `gain` is not finite.

    References
    ----------
    Saxe, McClelland and Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks*, arXiv:1312.6120.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.init.orthogonal_(pyconv.empty(2, 5))
    >>> bool(((w @ w.transpose(0, 1) - pyconv.tensor([[1, 0], [0, 1]])).abs() < 1e-6).numpy().all())
    True
    """
    fan_of(tensor)
    check_dtype(tensor)
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    draw = generator_of(generator).standard_normal
    scale = _finite("orthogonal_: gain", gain, tensor)

    def values() -> Array:
        q, r = np.linalg.qr(draw((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1, 1)  # else not every such matrix is as likely
        return scale * (q if rows >= columns else q.T).reshape(tensor.shape)

    return fill(tensor, values)


def fan_of(tensor: Tensor, mode: str = "fan_in") -> int:
    """Return how many inputs an output has (``"fan_in"``), or outputs an input (``"fan_out"``)."""
    check_tensor(tensor)
    if tensor.ndim < 2:
        raise ValueError(f"tensor has shape {tensor.shape}, expected at least 2 dimensions")
    inputs = one_of("mode", mode, ("fan_in", "fan_out")) == "fan_in"
    units = tensor.shape[1 if inputs else 0]
    return units * math.prod(tensor.shape[2:])


def _xavier_std(tensor: Tensor, gain: float) -> float:
    both = fan_of(tensor, "fan_in") + fan_of(tensor, "fan_out")
    scale = _finite("gain", gain, tensor)
    if scale < 0:
        raise ValueError(f"gain is {gain!r}, must not be negative")
    return scale * math.sqrt(2 / max(both, 1))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan_of(tensor, mode), 1))


def _finite(what: str, value: Any, tensor: Any) -> float:
    """Return a number; ValueError for one that is not finite in the dtype of the tensor."""
    check_dtype(tensor)
    result = number(what, value)
    with quiet():
        if not np.isfinite(tensor.dtype.type(result)):
            raise ValueError(f"{what} is {value!r}, expected a finite number of {tensor.dtype}")
    return result
