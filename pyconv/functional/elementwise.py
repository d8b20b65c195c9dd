"""Functions of each element by itself: relu, exp, log, sqrt, abs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor


class Relu(Function):
    """The larger of x and 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        output = Tensor(_core.relu_forward(x._array))
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        return ReluBackward.apply(grad_output, output.detach())


class ReluBackward(Function):
    """The gradient where the output is positive, else 0."""

    @staticmethod
    def forward(ctx: Any, grad_output: Tensor, output: Tensor) -> Tensor:
        ctx.save_for_backward(output)
        return Tensor(_core.relu_backward(grad_output._array, output._array))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        return ReluBackward.apply(g, output), None


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
    return Relu.apply(as_tensor(input, "input"))


class Exp(Function):
    """e ** x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        output = Tensor(np.asarray(np.exp(x._array)))
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        return grad_output * output


class Log(Function):
    """The natural logarithm."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return Tensor(np.asarray(np.log(x._array)))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return grad_output / x


class Sqrt(Function):
    """The square root."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        output = Tensor(np.asarray(np.sqrt(x._array)))
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (output,) = ctx.saved_tensors
        return grad_output / (2 * output)


class Abs(Function):
    """The absolute value; its derivative at 0 is taken as 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return Tensor(np.asarray(np.abs(x._array)))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return grad_output * Tensor(np.asarray(np.sign(x._array)))


def exp(input: Any) -> Tensor:
    """Apply the exponential function to each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.exp([0.0])
    tensor([1.])
    """
    return Exp.apply(_floating(input))


def log(input: Any) -> Tensor:
    """Apply the natural logarithm to each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.log([1.0])
    tensor([0.])
    """
    return Log.apply(_floating(input))


def sqrt(input: Any) -> Tensor:
    """Take the square root of each element; integers give float32.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.sqrt([4.0])
    tensor([2.])
    """
    return Sqrt.apply(_floating(input))


def abs(input: Any) -> Tensor:
    """Take the absolute value of each element.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.abs([-1.0, 2.0])
    tensor([1., 2.])
    """
    return Abs.apply(as_tensor(input, "input"))


def _floating(input: Any) -> Tensor:
    x = as_tensor(input, "input")
    return x if x._array.dtype.kind == "f" else Tensor(x._array.astype(np.float32))
