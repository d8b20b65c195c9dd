"""Padding: for each output position, the input position that it shows.

Along one dimension of n elements, padded by ``low`` before and ``high`` after, the positions of the
output are -low, ..., n + high - 1, where 0 to n - 1 are those of the input. Beyond these

    constant   shows no input, but the value
    replicate  shows the nearest end
    reflect    is mirrored about position 0 and position n - 1
    circular   goes round: position p shows p modulo n

Dimensions do not mix. The gradient of an input position is the sum over all that show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def pad(
    input: ArrayLike,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Array:
    """Put borders around the last dimensions; negative widths crop.

    Parameters
    ----------
    input : array
    pad : sequence of int
        Elements before and after: of the last dimension, then of the one before it, and so on.
    mode : {"constant", "reflect", "replicate", "circular"}
    value : float, optional
        For "constant"; 0 if left out.

    Returns
    -------
    array

    Examples
    --------
    >>> pad([[1, 2, 3]], (1, 2), "circular")
    array([[3., 1., 2., 3., 1., 2.]])
    """
    image = np.asarray(input, float)
    shown, seen = _positions(image.shape, pad, mode)
    output = np.full([len(s) for s in shown], 0.0 if value is None else float(value))
    output[np.ix_(*seen)] = image[np.ix_(*(s[i] for s, i in zip(shown, seen)))]
    return output


def pad_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Array:
    """Gradient of `pad` with respect to input.

    Examples
    --------
    >>> pad_backward([[1, 2, 3, 4, 5, 6]], [[0, 0, 0]], (1, 2), "circular")
    array([[7., 9., 5.]])
    """
    grad, grad_input = np.asarray(grad_output, float), np.zeros(np.shape(input))
    shown, seen = _positions(grad_input.shape, pad, mode)
    places = np.ix_(*(s[i] for s, i in zip(shown, seen)))
    np.add.at(grad_input, places, grad[np.ix_(*seen)])
    return grad_input


def _positions(
    shape: tuple[int, ...], pad: Sequence[int], mode: str
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """For each dimension: the input position that each output position shows, and which show any.

    What negative widths take away is gone before the borders are made.
    """
    shown, seen = [], []
    for i, n in enumerate(reversed(shape)):
        low, high = pad[2 * i : 2 * i + 2] if 2 * i < len(pad) else (0, 0)
        first, last = max(-low, 0), n - 1 + min(high, 0)
        p = np.arange(-low, n + high)
        if mode == "replicate":
            p = np.clip(p, first, last)
        elif mode == "reflect":
            p = last - np.abs(last - first - np.abs(p - first))
        elif mode == "circular":
            p = first + (p - first) % (last - first + 1)
        shown.append(p)
        seen.append(np.flatnonzero((p >= first) & (p <= last)))
    return shown[::-1], seen[::-1]
