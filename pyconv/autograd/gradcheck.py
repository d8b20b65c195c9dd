"""Comparison of gradients with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ..arguments import FLOATING, flag, number, quiet
from ..random import randn
from ..tensor import Array, Tensor
from .engine import grad
from .grad_mode import enable_grad, no_grad


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of `func` with central finite differences, entry by entry.

    Parameters
    ----------
    func : callable
        Takes `inputs`, returns a Tensor or a tuple or list of Tensors.
    inputs : Tensor or sequence
        Arguments of `func`; those that are float64 Tensors and require grad are checked.
    eps : float
        Step of the differences; not 0.
    atol, rtol : float
        Allowed error, from 0 on: ``atol + rtol * abs(difference quotient)``.
    raise_exception : bool
        Raise if the gradients differ, instead of returning False.

    Returns
    -------
    bool

    Raises
    ------
    RuntimeError
        If gradients differ.
    TypeError
        If an argument has a wrong type, or `func` returns other things than Tensors.
    ValueError
        If no input is a float64 Tensor that requires grad, or a number is out of range.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.randn(3, dtype="float64", requires_grad=True)
    >>> pyconv.autograd.gradcheck(lambda x: x.exp(), x)
    True
    """
    inputs = _inputs(func, inputs)
    eps, atol, rtol = (
        number(f"gradcheck: {name}", value)
        for name, value in (("eps", eps), ("atol", atol), ("rtol", rtol))
    )
    if not isfinite(eps) or eps == 0:
        raise ValueError(f"gradcheck: eps is {eps}, expected a finite number other than 0")
    for name, value in (("atol", atol), ("rtol", rtol)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"gradcheck: {name} is {value}, expected a finite number from 0 on")
    raise_exception = flag("gradcheck: raise_exception", raise_exception)
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked or any(x.dtype != np.float64 for x in checked):
        raise ValueError("gradcheck: inputs needs float64 Tensors that require grad")
    with enable_grad():
        outputs = _differentiable(func(*inputs))
    for o, output in enumerate(outputs):
        analytic = _analytic(output, checked)
        for i, x in enumerate(checked):
            numeric = _numeric(lambda: _differentiable(func(*inputs)), o, x, output, eps)
            if not np.allclose(analytic[i], numeric, rtol, atol, equal_nan=True):
                if raise_exception:
                    raise RuntimeError(
                        f"gradcheck: gradient of output {o} for input {i} of those checked:\n"
                        f"analytic\n{analytic[i]}\nby finite differences\n{numeric}"
                    )
                return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the second derivatives of `func` with finite differences of its gradients.

    Parameters
    ----------
    func, inputs, eps, atol, rtol, raise_exception
        As in `gradcheck`.
    grad_outputs : Tensor or sequence of Tensor, optional
        Gradients with respect to the outputs; random if left out.

    Returns
    -------
    bool

    Raises
    ------
    RuntimeError
        If second derivatives differ.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.randn(3, dtype="float64", requires_grad=True)
    >>> pyconv.autograd.gradgradcheck(lambda x: x.exp(), x)
    True
    """
    inputs = _inputs(func, inputs)
    if grad_outputs is None:
        outputs = _differentiable(func(*inputs))
        grad_outputs = [randn(y.shape, dtype=y.dtype, requires_grad=True) for y in outputs]
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = (grad_outputs,)
    count = len(inputs)

    def gradients(*args: Any) -> tuple[Any, ...]:
        wanted = [x for x in args[:count] if isinstance(x, Tensor) and x.requires_grad]
        with enable_grad():
            outputs = _differentiable(func(*args[:count]))
            found = grad(outputs, wanted, args[count:], create_graph=True, allow_unused=True)
            return tuple(g for g in found if g is not None)

    return gradcheck(gradients, (*inputs, *grad_outputs), eps, atol, rtol, raise_exception)


def _inputs(func: Any, inputs: Any) -> tuple[Any, ...]:
    if not callable(func):
        raise TypeError(f"gradcheck: func is {func!r}, expected a function")
    if not isinstance(inputs, Iterable):
        raise TypeError(f"gradcheck: inputs is {inputs!r}, expected a Tensor or several")
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _differentiable(result: Any) -> list[Tensor]:
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    for output in outputs:
        if not isinstance(output, Tensor):
            kind = type(output).__name__
            raise TypeError(f"gradcheck: func returned a {kind}, expected a Tensor or several")
    return [y for y in outputs if y.dtype.kind in FLOATING]


def _analytic(output: Tensor, inputs: list[Tensor]) -> list[Array]:
    """Return per input the matrix of derivatives: a row per element of the output."""
    result = [np.zeros((output.numel(), x.numel())) for x in inputs]
    if not output.requires_grad:
        return result
    for row in range(output.numel()):
        one = np.zeros(output.numel())
        one[row] = 1
        one = one.reshape(output.shape)
        gradients = grad(output, inputs, Tensor(one), retain_graph=True, allow_unused=True)
        for matrix, gradient in zip(result, gradients):
            if gradient is not None:
                matrix[row] = gradient._array.reshape(-1)
    return result


def _numeric(
    func: Callable[[], list[Tensor]], number: int, x: Tensor, output: Tensor, eps: float
) -> Array:
    """Return the same matrix for one output and input, by central differences."""
    result = np.zeros((output.numel(), x.numel()))
    original = x._array
    try:
        for column in range(x.numel()):
            values = []
            for step in (eps, -eps):
                # A moved copy: the check may not disturb an array that the caller shares.
                x._array = np.array(original, order="C")
                x._array.reshape(-1)[column] += step
                with no_grad():
                    values.append(func()[number]._array.reshape(-1))
            with quiet():
                result[:, column] = (values[0] - values[1]) / (2 * eps)
    finally:
        x._array = original
    return result
