"""Bounds of elements: clamp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arguments import broadcast, number
from ..creation import as_tensor
from ..tensor import Tensor
from .arithmetic import clip_integers, where
from .elementwise import floating, unary

Clamp = unary("clamp", lambda g, x, low, high: where(x >= low, where(x <= high, g, 0), 0))
_ARRAYS = (Tensor, np.ndarray)


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Replace elements below `min` by `min`, then those above `max` by `max`; NaN stays NaN.

    Parameters
    ----------
    input : array_like
        Any shape; numbers of any dtype.
    min, max : float or Tensor, optional
        The bounds, of which at least one is needed; Tensors broadcast, and get gradients.

    Returns
    -------
    Tensor
        Same shape and dtype, for bools int64; float32 if a bound of integers or bools is no
        integer. With Tensors, what `where` makes of them and `input`.

    Raises
    ------
    TypeError
        If a bound is no number.
    ValueError
        If both bounds are missing, or one is NaN or beyond a dtype of integers, or shapes do not
        broadcast.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.clamp([-1.0, 2.0], min=0)
    tensor([0., 2.])
    """
    x = as_tensor(input, "clamp: input")
    if min is None and max is None:
        raise ValueError("clamp: min and max are None, expected at least one number")
    if isinstance(min, _ARRAYS) or isinstance(max, _ARRAYS):
        return _clamp_to_tensors(x, {"min": min, "max": max})
    low = -math.inf if min is None else number("clamp: min", min)
    high = math.inf if max is None else number("clamp: max", max)
    whole = not any(isinstance(bound, (float, np.floating)) for bound in (min, max))
    if x.dtype.kind in "biu" and whole:
        return Tensor(clip_integers(x._array, min, max))
    return Clamp.apply(floating(x, "clamp: input"), low, high)


def _clamp_to_tensors(x: Tensor, given: dict[str, Any]) -> Tensor:
    """Take bounds from tensors, NaN with them; one of both may be a number."""
    bounds = {n: v for n, v in given.items() if v is not None}
    numbers = {n for n, v in bounds.items() if isinstance(v, (int, float, np.number))}
    bounds |= {n: as_tensor(v, f"clamp: {n}") for n, v in bounds.items() if n not in numbers}
    arrays = {n: bound._array for n, bound in bounds.items() if n not in numbers}
    broadcast("clamp", np.broadcast, input=x._array, **arrays)
    for name, bound in bounds.items():
        if name in numbers:
            x = clamp(x, **{name: bound})
            continue
        beyond = x < bound if name == "min" else x > bound
        x = where(beyond | (bound != bound), bound, x)
    return x
