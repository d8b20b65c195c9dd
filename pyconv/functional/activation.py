"""Activation functions, of each element by itself."""

from __future__ import annotations

import math
from typing import Any

from ..arguments import number, one_of
from ..creation import as_tensor
from ..tensor import Tensor
from .arithmetic import where
from .elementwise import Erf, Exp, Sigmoid, Tanh, unary

# ---- the kernels, and their gradients in recorded operations -----------------------------------


def _elu_gradient(g: Any, x: Any, alpha: float, _: float) -> Any:
    return where(x > 0, g, g * alpha * Exp.apply(where(x > 0, 0, x)))  # exp must not overflow


def _gelu_gradient(g: Any, x: Any, a: float, b: float) -> Any:
    density = Exp.apply(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return g * (0.5 + 0.5 * Erf.apply(x * math.sqrt(0.5)) + x * density)


def _gelu_tanh_gradient(g: Any, x: Any, a: float, b: float) -> Any:
    root, square = math.sqrt(2 / math.pi), x * x
    t = Tanh.apply(root * x * (1 + 0.044715 * square))
    slope = root * (1 + 3 * 0.044715 * square)
    return g * 0.5 * (1 + t + x * (1 - t * t) * slope)


def _hardswish_gradient(g: Any, x: Any, a: float, b: float) -> Any:
    return where(x <= -3, 0, where(x >= 3, g, g * (x / 3 + 0.5)))


def _silu_gradient(g: Any, x: Any, a: float, b: float) -> Any:
    s = Sigmoid.apply(x)
    return g * s * (1 + x * (1 - s))


def _softplus_gradient(g: Any, x: Any, beta: float, threshold: float) -> Any:
    return where(x * beta > threshold, g, g * Sigmoid.apply(x * beta))


Elu = unary("elu", _elu_gradient)
Gelu = unary("gelu", _gelu_gradient)
GeluTanh = unary("gelu_tanh", _gelu_tanh_gradient)
Hardsigmoid = unary("hardsigmoid", lambda g, x, a, b: where(x > -3, where(x < 3, g / 6, 0), 0))
Hardswish = unary("hardswish", _hardswish_gradient)
LeakyRelu = unary("leaky_relu", lambda g, x, slope, b: where(x > 0, g, g * slope))
Relu = unary("relu", lambda g, y, a, b: where(y <= 0, 0, g), from_output=True)
Relu6 = unary("relu6", lambda g, y, a, b: where(y <= 0, 0, where(y >= 6, 0, g)), from_output=True)
Silu = unary("silu", _silu_gradient)
Softplus = unary("softplus", _softplus_gradient)


# ---- the functions -----------------------------------------------------------------------------


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit: ``x`` above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.
    alpha : float
        Minus the limit for small numbers.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported, or a parameter is no number.
    ValueError
        If `alpha` is NaN.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, *Fast and accurate deep network learning by exponential
    linear units*, arXiv:1511.07289.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.elu([-1.0, 2.0])
    tensor([-0.6321,  2.    ])
    """
    return Elu.apply(as_tensor(input, "elu: input"), number("elu: alpha", alpha), 0.0)


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit: ``x`` times the normal distribution function.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.
    approximate : {"none", "tanh"}
        ``"tanh"`` computes ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.
    ValueError
        If `approximate` is another word.

    References
    ----------
    Hendrycks and Gimpel, *Gaussian error linear units*, arXiv:1606.08415.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.gelu([-1.0, 2.0])
    tensor([-0.1587,  1.9545])
    """
    x = as_tensor(input, "gelu: input")
    kind = one_of("gelu: approximate", approximate, ("none", "tanh"))
    return (Gelu if kind == "none" else GeluTanh).apply(x)


def hardsigmoid(input: Any) -> Tensor:
    """Sigmoid of three straight lines: ``clamp(x + 3, 0, 6) / 6``.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    References
    ----------
    Howard et al., *Searching for MobileNetV3*, arXiv:1905.02244.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.hardsigmoid([-4.0, 0.0, 1.5])
    tensor([0.  , 0.5 , 0.75])
    """
    return Hardsigmoid.apply(as_tensor(input, "hardsigmoid: input"))


def hardswish(input: Any) -> Tensor:
    """Input times `hardsigmoid`: ``x * clamp(x + 3, 0, 6) / 6``.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    References
    ----------
    Howard et al., *Searching for MobileNetV3*, arXiv:1905.02244.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.hardswish([-4.0, 1.0])
    tensor([-0.    ,  0.6667])
    """
    return Hardswish.apply(as_tensor(input, "hardswish: input"))


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """Multiply negative elements by a small slope.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.
    negative_slope : float
        What negative elements are multiplied by.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported, or a parameter is no number.
    ValueError
        If `negative_slope` is NaN.

    References
    ----------
    Maas, Hannun and Ng, *Rectifier nonlinearities improve neural network acoustic models*, 2013.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.leaky_relu([-1.0, 2.0], 0.1)
    tensor([-0.1,  2. ])
    """
    slope = number("leaky_relu: negative_slope", negative_slope)
    return LeakyRelu.apply(as_tensor(input, "leaky_relu: input"), slope, 0.0)


def relu(input: Any) -> Tensor:
    """Replace negative elements by zero: ``max(input, 0)``; NaN stays NaN.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    return Relu.apply(as_tensor(input, "relu: input"))


def relu6(input: Any) -> Tensor:
    """Clamp each element to [0, 6].

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    References
    ----------
    Krizhevsky, *Convolutional deep belief networks on CIFAR-10*, 2010; Sandler et al.,
    *MobileNetV2*, arXiv:1801.04381.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.relu6([-1.0, 2.0, 7.0])
    tensor([0., 2., 6.])
    """
    return Relu6.apply(as_tensor(input, "relu6: input"))


def silu(input: Any) -> Tensor:
    """Input times its sigmoid, also called swish: ``x / (1 + exp(-x))``.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    References
    ----------
    Elfwing, Uchibe and Doya, *Sigmoid-weighted linear units*, arXiv:1702.03118.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.silu([-1.0, 2.0])
    tensor([-0.2689,  1.7616])
    """
    return Silu.apply(as_tensor(input, "silu: input"))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Smooth form of `relu`: ``log(1 + exp(beta * x)) / beta``.

    Parameters
    ----------
    input : array_like
        Any shape, float32 or float64.
    beta : float
        The larger, the closer to `relu`.
    threshold : float
        Where ``beta * x`` is above it, the result is ``x``.

    Returns
    -------
    Tensor
        Same shape and dtype.

    Raises
    ------
    TypeError
        If the dtype is not supported, or a parameter is no number.
    ValueError
        If `beta` or `threshold` is NaN.

    References
    ----------
    Dugas et al., *Incorporating second-order functional knowledge for better option pricing*, 2001.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.softplus([-1.0, 2.0])
    tensor([0.3133, 2.1269])
    """
    scale, limit = number("softplus: beta", beta), number("softplus: threshold", threshold)
    return Softplus.apply(as_tensor(input, "softplus: input"), scale, limit)
