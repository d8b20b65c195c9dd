"""Bounds on gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...arguments import flag, number, quiet, wide
from ...tensor import Array, Tensor, changed
from ..init_fixed import check_writable


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together, in place, so that their common norm is at most `max_norm`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without gradient are passed over.
    max_norm : float
    norm_type : float
        The p of the p-norm of all numbers as one vector; may be infinite.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite, instead of scaling by it.

    Returns
    -------
    Tensor
        The norm before scaling.

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is not finite.
    ValueError
        If `norm_type` is not positive.

    References
    ----------
    Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*,
    arXiv:1211.5063.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([3.0, 4.0])
    >>> (w * w / 2).sum().backward()
    >>> pyconv.nn.utils.clip_grad_norm_(w, 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6, 0.8])
    """
    norm_type = number(
        "clip_grad_norm_: norm_type",
        math.inf if isinstance(norm_type, str) and norm_type == "inf" else norm_type,
    )
    max_norm = number("clip_grad_norm_: max_norm", max_norm)
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type is {norm_type!r}, must be positive")
    error_if_nonfinite = flag("clip_grad_norm_: error_if_nonfinite", error_if_nonfinite)
    grads = _gradients("clip_grad_norm_", parameters)
    with quiet():
        norms = [_norm(grad._array, norm_type) for grad in grads]
        total = _norm(np.array(norms), norm_type) if norms else 0.0
        if error_if_nonfinite and not math.isfinite(total):
            raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {total}")
        scale = max_norm / (total + 1e-6)
        for grad in grads:
            if not scale >= 1:  # also where it is NaN
                np.multiply(grad._array, wide(grad.dtype).type(scale), out=grad._array)
                changed(grad)
    return Tensor(np.asarray(total, grads[0].dtype if grads else np.float32))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut each element of all gradients, in place, to within ``-clip_value`` and `clip_value`.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without gradient are passed over.
    clip_value : float

    Raises
    ------
    ValueError
        If `clip_value` is negative.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([3.0, -0.5])
    >>> (w * w).sum().backward()
    >>> pyconv.nn.utils.clip_grad_value_(w, 2.0)
    >>> w.grad
    tensor([ 2., -1.])
    """
    bound = number("clip_grad_value_: clip_value", clip_value)
    if bound < 0:
        raise ValueError(f"clip_grad_value_: clip_value is {clip_value!r}, must not be negative")
    for grad in _gradients("clip_grad_value_", parameters):
        with quiet():
            np.clip(grad._array, -bound, bound, out=grad._array)
        changed(grad)


def _gradients(op: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else tensors_in(op, parameters)
    grads = [tensor.grad for tensor in tensors if tensor.grad is not None]
    for grad in grads:
        check_writable(f"{op}: a gradient of parameters", grad)
    return grads


def tensors_in(op: str, parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return the Tensors of an iterable; TypeError if something else is among them."""
    if not isinstance(parameters, Iterable):
        kind = type(parameters).__name__
        raise TypeError(f"{op}: parameters is a {kind}, expected an iterable of Tensors")
    tensors = []
    for tensor in parameters:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{op}: parameters holds a {type(tensor).__name__}, expected Tensors")
        tensors.append(tensor)
    return tensors


def _norm(array: Array, p: float) -> float:
    flat = np.asarray(array.ravel("K"), wide(array.dtype))  # a view, however a dense array lies
    if p == 2:
        return math.sqrt(float(np.dot(flat, flat)))
    if math.isinf(p):
        return float(np.abs(flat).max(initial=0))
    return float((np.abs(flat, dtype=float) ** p).sum() ** (1 / p))
