"""Matrix products: matmul and the linear layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..arguments import KERNELS, MOST_ELEMENTS, unfit, wide
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Array, Tensor
from .shape import Reshape, sum_to, transpose


class Linear(Function):
    """input @ weight.T + bias."""

    forward: Any = staticmethod(_core.linear_forward)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        input, weight = ctx.saved_tensors
        need = ctx.needs_input_grad
        shape, (outputs, inputs) = ctx.shapes
        count = math.prod(shape[:-1])
        grad = Reshape.apply(grad_output, (count, outputs))
        grad_input = grad_weight = None
        if need[0]:
            grad_input = Reshape.apply(Matmul.apply(grad, weight), shape)
        if need[1]:
            rows = Reshape.apply(input, (count, inputs))
            grad_weight = Matmul.apply(transpose(grad, 0, 1), rows)
        return grad_input, grad_weight, grad.sum(0) if need[2] else None


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Multiply by a matrix and add a vector: ``input @ weight.T + bias``.

    Parameters
    ----------
    input : array_like of shape (..., in_features)
        float32 or float64.
    weight : array_like of shape (out_features, in_features)
    bias : array_like of shape (out_features,), optional

    Returns
    -------
    Tensor of shape (..., out_features)

    Raises
    ------
    ValueError
        If shapes do not fit together.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.linear([[1.0, 2.0]], [[3.0, 4.0]], [5.0])
    tensor([[16.]])
    """
    x, w = as_tensor(input, "linear: input"), as_tensor(weight, "linear: weight")
    b = None if bias is None else as_tensor(bias, "linear: bias")
    _check_linear(x._array, w._array, None if b is None else b._array)
    return Linear.apply(x, w, b)


def _check_linear(input: Array, weight: Array, bias: Array | None) -> None:
    if weight.ndim != 2:
        raise ValueError(f"linear: weight has shape {weight.shape}, expected 2 dimensions")
    if not input.ndim:
        raise ValueError("linear: input has shape (), expected at least 1 dimension")
    if input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: input.shape[-1] is {input.shape[-1]} and weight.shape[1] is "
            f"{weight.shape[1]}, expected the same"
        )
    _check_dtypes("linear", "input", input, "weight", weight)
    if bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"linear: bias has shape {bias.shape}, expected {weight.shape[:1]}")
        _check_dtypes("linear", "weight", weight, "bias", bias)


def _check_dtypes(op: str, first: str, a: Array, second: str, b: Array) -> None:
    # The number of a dtype leaves out the byte order, of which the kernel takes care.
    if a.dtype.num == b.dtype.num and a.dtype.num in KERNELS:
        return
    if wide(a.dtype).num != wide(b.dtype).num or wide(a.dtype).num not in KERNELS:
        raise TypeError(
            f"{op}: {first}.dtype is {a.dtype} and {second}.dtype is {b.dtype}, "
            "expected both float32 or both float64"
        )


def _check_size(shape: tuple[int, ...], a: Array, b: Array) -> None:
    if math.prod(shape) > MOST_ELEMENTS:
        raise unfit("matmul", "expected a result of at most 2**40 elements", input=a, other=b)


def _stack_of(a: Array, b: Array) -> tuple[int, ...]:
    """Return the dimensions before the last two of a product, once it is known to be possible."""
    try:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise unfit("matmul", "which do not broadcast together", input=a, other=b) from None
    columns = b.shape[-1:] if b.ndim > 1 else ()
    _check_size((*stack, *a.shape[-2:-1], *columns), a, b)
    return stack


class Matmul(Function):
    """a @ b, for stacks of matrices that broadcast."""

    forward: Any = staticmethod(_core.matmul_forward)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        a, b = ctx.saved_tensors
        (shape_a, shape_b), g = ctx.shapes, grad_output
        return (
            None if b is None else sum_to(Matmul.apply(g, transpose(b, -2, -1)), shape_a),
            None if a is None else sum_to(Matmul.apply(transpose(a, -2, -1), g), shape_b),
        )


def matmul(input: Any, other: Any) -> Tensor:
    """Multiply matrices, vectors, or stacks of matrices, with NumPy's rules.

    Parameters
    ----------
    input : array_like of shape (..., M, K) or (K,)
        float32 or float64; or both of integers.
    other : array_like of shape (..., K, N) or (K,)

    Returns
    -------
    Tensor of shape (..., M, N)
        Without M or N where that operand is a vector.

    Raises
    ------
    ValueError
        If shapes do not fit together.
    TypeError
        If dtypes differ or are not supported.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.matmul([[1.0, 2.0]], [[3.0], [4.0]])
    tensor([[11.]])
    """
    a, b = as_tensor(input, "matmul: input"), as_tensor(other, "matmul: other")
    x, y = a._array, b._array
    fits = x.ndim == 2 and y.ndim == 2 and x.shape[1] == y.shape[0]
    if fits and x.dtype.num == y.dtype.num in KERNELS:  # the common case, without delay
        return Matmul.apply(a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(
            f"matmul: input has shape {a.shape} and other {b.shape}, "
            "expected at least 1 dimension each"
        )
    rows, columns = a.shape[-1], b.shape[-2 if b.ndim > 1 else 0]
    if rows != columns:
        raise ValueError(
            f"matmul: input.shape[-1] is {rows} and other.shape[{-2 if b.ndim > 1 else 0}] is "
            f"{columns}, expected the same"
        )
    if x.dtype.kind in "biu" and y.dtype.kind in "biu":
        _stack_of(x, y)
        return Tensor(np.asarray(np.matmul(x, y)))
    _check_dtypes("matmul", "input", x, "other", y)
    repeats = any(n > 1 and not stride for n, stride in zip(x.shape, x.strides))
    if a.ndim > 2 >= b.ndim and not repeats:  # all rows at once
        shape = a.shape[:-1] + b.shape[1:]
        _check_size(shape, x, y)
        flat = Reshape.apply(a, (math.prod(a.shape[:-1]), rows))
        product = Matmul.apply(flat, b if b.ndim == 2 else b.unsqueeze(1))
        return Reshape.apply(product, shape)
    if a.ndim > 1 and b.ndim > 1:
        return Matmul.apply(a, b)
    product = Matmul.apply(a if a.ndim > 1 else a.unsqueeze(0), b if b.ndim > 1 else b.unsqueeze(1))
    columns_left = b.shape[-1:] if b.ndim > 1 else ()
    return Reshape.apply(product, product.shape[:-2] + a.shape[-2:-1] + columns_left)
