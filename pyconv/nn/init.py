"""Initial values of parameters, written in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import number, one_of, quiet, value_of
from ..creation import makes_only_shapes
from ..random import generator_of
from ..tensor import Array, Tensor, changed


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None
) -> Tensor:
    """Fill with numbers uniform in [a, b).

    Raises
    ------
    TypeError
        If `tensor` is not a Tensor of float32 or float64.
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
    return _fill(tensor, lambda: low + (high - low) * draw(tensor.shape, tensor.dtype))


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
        If `tensor` is not a Tensor of float32 or float64.
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
    return _fill(tensor, lambda: centre + width * draw(tensor.shape, tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value; ValueError for one that the dtype of `tensor` cannot hold.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.constant_(pyconv.empty(2), 3)
    tensor([3., 3.])
    """
    number("constant_: val", val, nan=True)
    check_tensor(tensor)
    plain = val.item() if isinstance(val, np.generic) else val
    value = value_of(plain, tensor.dtype, "constant_: val")
    return _fill(tensor, lambda: value)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.zeros_(pyconv.empty(2))
    tensor([0., 0.])
    """
    return _fill(tensor, lambda: 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.init.ones_(pyconv.empty(2))
    tensor([1., 1.])
    """
    return _fill(tensor, lambda: 1)


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
        If `tensor` is not a Tensor of float32 or float64.
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
        If `tensor` is not a Tensor of float32 or float64.
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
        If `tensor` is not a Tensor of float32 or float64.
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

    return _fill(tensor, values)


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


def check_tensor(tensor: Any) -> None:
    """Raise TypeError unless it is a Tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor is a {type(tensor).__name__}, expected a Tensor")


def check_dtype(tensor: Any) -> None:
    """Raise TypeError unless it is a Tensor for which numbers can be drawn."""
    check_tensor(tensor)
    if tensor.dtype not in (np.float32, np.float64):
        raise TypeError(f"tensor has dtype {tensor.dtype}, expected float32 or float64")


def check_writable(what: str, tensor: Tensor) -> None:
    """Raise ValueError if the elements cannot be changed."""
    if not tensor._array.flags.writeable:
        raise ValueError(f"{what} is read-only, expected an array that can be changed")


def _fill(tensor: Tensor, values: Callable[[], Array | float]) -> Tensor:
    check_tensor(tensor)
    if not makes_only_shapes():
        check_writable("tensor", tensor)
        with quiet():
            tensor._array[...] = values()
        changed(tensor)
    return tensor
