"""Conversion to another dtype, and what computes bfloat16 in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from .. import _core
from ..arguments import bfloat16, dtype_of, quiet
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor, version_of

T = TypeVar("T")


class Cast(Function):
    """Conversion to another dtype."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: Any) -> Tensor:
        ctx.dtype = x.dtype.newbyteorder("=")
        with quiet():
            return Tensor(x._array.astype(dtype))

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return Cast.apply(grad_output, ctx.dtype), None


def cast(input: Any, dtype: DTypeLike) -> Tensor:
    """Return `input` with elements of `dtype`: itself if it has that dtype already.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.cast([1, 2], "float32")
    tensor([1., 2.])
    """
    x, dtype = as_tensor(input, "cast: input"), dtype_of("cast: dtype", dtype)
    return x if x._array.dtype == dtype else Cast.apply(x, dtype)


# ---- bfloat16, for which there are no kernels --------------------------------------------------


def in_float32(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function with float32 in place of bfloat16, and round what it returns to bfloat16.

    Both are recorded. With a wider float among the arguments, results stay as they are. What the
    function changes in place is changed in the arguments.
    """
    wide = [_wide(x) for x in args]
    result = function(*wide, **kwargs)
    for before, after in zip(args, wide):
        if isinstance(before, Tensor) and after is not before and version_of(after)[0]:
            before.copy_(after)
    narrow: T = result if any(_kind(x) == "f" for x in args) else _narrow(result)
    return narrow


def _kind(value: Any) -> str | None:
    return value.dtype.kind if isinstance(value, (Tensor, np.ndarray)) else None


def _wide(value: Any) -> Any:
    if _kind(value) != "V":
        return value
    if isinstance(value, np.ndarray):
        return value.astype(np.float32)
    result = Cast.apply(value, np.float32)
    version_of(result)  # from here on its changes are counted
    return result


def _narrow(result: Any) -> Any:
    if type(result) is tuple:
        return tuple(map(_narrow, result))
    return Cast.apply(result, bfloat16()) if _kind(result) == "f" else result


def _apply_in_float32(function: type[Function], *args: Any) -> Any:
    result = in_float32(function.apply, *args)
    return result if function.promotes or _kind(args[0]) != "V" else _narrow(result)


_core.set_apply_in_float32(_apply_in_float32)
