"""Functions of each element by itself, and what makes one of them: `unary`.

A function needs its kernel, a struct in csrc/elementwise/unary.isa.cc, and a line here or in
activation.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core
from ..arguments import FLOATING
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor

# From a gradient, the input (or output) and the parameters to the gradient of the input.
Gradient = Callable[[Any, Any, float, float], Any]


def unary(kernel: str, gradient: Gradient, from_output: bool = False) -> type[Function]:
    """Make the Function of a kernel for single elements, with two numbers as parameters.

    The kernel's own backward pass serves first derivatives, in one pass over memory; if gradients
    are recorded themselves, `gradient` computes them from recorded operations, for derivatives of
    any order. Both get the input, or the output if `from_output`.
    """
    forward, backward = _core.unary_function(kernel, gradient, from_output)
    parts = {
        "__doc__": f"The function {kernel} of each element.",
        "forward": staticmethod(forward),
        "backward": staticmethod(backward),
    }
    return type(kernel.title().replace("_", ""), (Function,), parts)


def _sign(x: Tensor) -> Tensor:
    return Tensor(np.asarray(np.sign(x._array)))


Abs = unary("abs", lambda g, x, a, b: g * _sign(x))
Erf = unary("erf", lambda g, x, a, b: g * (2 / math.sqrt(math.pi)) * Exp.apply(-x * x))
Exp: type[Function] = unary("exp", lambda g, y, a, b: g * y, from_output=True)
Log = unary("log", lambda g, x, a, b: g / x)
Sigmoid = unary("sigmoid", lambda g, y, a, b: g * y * (1 - y), from_output=True)
Sqrt = unary("sqrt", lambda g, y, a, b: g / (2 * y), from_output=True)
Square = unary("square", lambda g, x, a, b: g * (2 * x))
Tanh = unary("tanh", lambda g, y, a, b: g * (1 - y * y), from_output=True)


def exp(input: Any) -> Tensor:
    """Apply the exponential function to each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.exp([0.0])
    tensor([1.])
    """
    return Exp.apply(floating(input, "exp: input"))


def log(input: Any) -> Tensor:
    """Apply the natural logarithm to each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.log([1.0])
    tensor([0.])
    """
    return Log.apply(floating(input, "log: input"))


def sqrt(input: Any) -> Tensor:
    """Take the square root of each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sqrt([4.0])
    tensor([2.])
    """
    return Sqrt.apply(floating(input, "sqrt: input"))


def abs(input: Any) -> Tensor:
    """Take the absolute value of each element; its derivative at 0 is taken as 0.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.abs([-1.0, 2.0])
    tensor([1., 2.])
    """
    x = as_tensor(input, "abs: input")
    return Abs.apply(x) if x._array.dtype.kind in FLOATING else Tensor(np.asarray(np.abs(x._array)))


def sigmoid(input: Any) -> Tensor:
    """Logistic function: ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    input : array_like
        Any shape, float32, float64 or integers.

    Returns
    -------
    Tensor
        Same shape and dtype; float32 for integers.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sigmoid([0.0, 2.0])
    tensor([0.5   , 0.8808])
    """
    return Sigmoid.apply(floating(input, "sigmoid: input"))


def tanh(input: Any) -> Tensor:
    """Hyperbolic tangent.

    Parameters
    ----------
    input : array_like
        Any shape, float32, float64 or integers.

    Returns
    -------
    Tensor
        Same shape and dtype; float32 for integers.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.tanh([0.0, 1.0])
    tensor([0.    , 0.7616])
    """
    return Tanh.apply(floating(input, "tanh: input"))


def floating(input: Any, name: str) -> Tensor:
    """Return a Tensor of floats; integers become float32."""
    x = as_tensor(input, name)
    return x if x._array.dtype.kind in FLOATING else Tensor(x._array.astype(np.float32))
