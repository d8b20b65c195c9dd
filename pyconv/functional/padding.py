"""Padding: borders of a constant, or of the elements inside, around the last dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from ..arguments import FLOATING, MOST_ELEMENTS, integer, one_of, quiet
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Array, Tensor

# Per dimension: how many elements come before and after; negative ones go.
Widths = tuple[tuple[int, int], ...]

MODES = ("constant", "reflect", "replicate", "circular")
LARGEST = 2**31 - 1  # of a width, as in convolution


class Pad(Function):
    """Borders of one value. The adjoint has the same widths with the other sign."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, widths: Widths, value: Any) -> Tensor:
        ctx.widths = widths
        return Tensor(_core.pad(x._array, widths, "constant", _native(x, value)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Pad.apply(g, tuple((-low, -high) for low, high in ctx.widths), 0), None, None


class PadFromInside(Function):
    """Borders of the elements inside; no width is negative."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, x: Tensor, widths: Widths, mode: str) -> Tensor:
        ctx.widths, ctx.mode = widths, mode
        return Tensor(_core.pad(x._array, widths, mode, _native(x, 0)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return PadFromInsideBackward.apply(g, ctx.widths, ctx.mode), None, None


class PadFromInsideBackward(Function):
    """The gradient of each border element added to that of its source."""

    takes_any_dtype = True

    @staticmethod
    def forward(ctx: Any, g: Tensor, widths: Widths, mode: str) -> Tensor:
        ctx.widths, ctx.mode = widths, mode
        exact = g.dtype if g.dtype.itemsize in (4, 8) else np.float64  # what the kernel adds in
        sums = _core.pad_backward(g._array.astype(exact, copy=False), widths, mode)
        return Tensor(sums.astype(g.dtype, copy=False))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return PadFromInside.apply(g, ctx.widths, ctx.mode), None, None


def _native(x: Tensor, value: Any) -> Array:
    return np.asarray(value, x.dtype.newbyteorder("="))


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """Put borders around the last dimensions, or crop them.

    Parameters
    ----------
    input : array_like
        Numbers of any dtype.
    pad : sequence of an even number of int
        Elements before and after: of the last dimension, then of the one before it, and so on. A
        negative number takes elements away.
    mode : {"constant", "reflect", "replicate", "circular"}
        A constant value; the elements inside mirrored about the edge, which is not repeated; the
        edge repeated; or the opposite side, as if the dimension went round. All but "constant" pad
        the spatial dimensions: one to three of them, of a batch or a single image, and "reflect"
        by less than the size, "circular" by at most the size.
    value : number, optional
        For "constant"; 0 if left out.

    Returns
    -------
    Tensor
        Of the dtype of `input`.

    Raises
    ------
    ValueError
        If `pad` does not fit the shape, or `mode` or `value` cannot be; the message names them.
    TypeError
        If `pad` does not hold integers or `value` is no number.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.pad([1, 2, 3], (1, 2))
    tensor([0, 1, 2, 3, 0, 0])
    >>> F.pad([[1, 2, 3]], (2, 1), "reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    """
    x = as_tensor(input, "input")
    widths = _widths(x.shape, pad)
    if isinstance(mode, str) and mode == "constant":
        return Pad.apply(x, widths, _value(x, value))
    one_of("pad: mode", mode, MODES)
    if value is not None and _value(x, value) != 0:
        raise ValueError(f"pad: value is {value!r}, expected none with mode {mode!r}")
    count = len(pad) // 2
    if not 1 <= count <= 3 or x.ndim - count not in (1, 2):
        raise ValueError(
            f"pad: mode is {mode!r} and pad has {len(pad)} numbers; expected 2, 4 or 6 for input "
            f"of 1, 2 or 3 dimensions after channels or batch and channels, but input has shape "
            f"{x.shape}"
        )
    if min(map(min, widths)) < 0:
        x = Pad.apply(x, tuple((min(low, 0), min(high, 0)) for low, high in widths), 0)
        widths = tuple((max(low, 0), max(high, 0)) for low, high in widths)
    for n, pair in zip(x.shape[-count:], widths[-count:]):
        most = {"reflect": n - 1, "replicate": LARGEST if n else -1, "circular": n}[mode]
        if max(pair) > most:
            raise ValueError(
                f"pad: pad is {pad!r}, too large for mode {mode!r} and input of shape {x.shape}: "
                f"expected at most {most} for a size of {n}"
            )
    return PadFromInside.apply(x, widths, mode)


def _widths(shape: tuple[int, ...], pad: Any) -> Widths:
    """Check `pad` and sort it by dimension."""
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad: pad is {pad!r}, expected a tuple of ints")
    numbers = [integer("pad: an entry of pad", n, -LARGEST, LARGEST) for n in pad]
    if len(numbers) % 2 or len(numbers) > 2 * len(shape):
        raise ValueError(
            f"pad: pad is {pad!r}, expected an even number of ints, at most {2 * len(shape)} for "
            f"input of shape {shape}"
        )
    pairs = list(zip(numbers[::2], numbers[1::2]))
    widths = ((0, 0),) * (len(shape) - len(pairs)) + tuple(reversed(pairs))
    for n, pair in zip(shape, widths) if min(numbers, default=0) < 0 else ():
        lost = -sum(min(width, 0) for width in pair)
        if lost > n:
            raise ValueError(
                f"pad: pad is {pad!r} and input has shape {shape}; expected to take away no more "
                f"than there is, but a dimension of {n} would lose {lost}"
            )
    sizes = [n + low + high for n, (low, high) in zip(shape, widths)]
    if math.prod(sizes) > MOST_ELEMENTS:
        raise ValueError(
            f"pad: pad is {pad!r} and input has shape {shape}, so the output would have shape "
            f"{tuple(sizes)}; expected at most 2**40 elements"
        )
    return widths


def _value(x: Tensor, value: Any) -> Any:
    """Check `value`: a number that the dtype of x can hold."""
    if value is None:
        return 0
    number = as_tensor(np.float64(value) if type(value) is float else value, "pad: value")._array
    if number.ndim:
        raise TypeError(f"pad: value is {value!r}, expected a number")
    with quiet():
        held = number.astype(x.dtype)
    if x.dtype.kind in FLOATING:
        possible = np.isfinite(held) or not np.isfinite(number)
    else:
        possible = number == number and held == number
    if not possible:
        raise ValueError(f"pad: value is {value!r}, not possible in an input of {x.dtype}")
    return held
