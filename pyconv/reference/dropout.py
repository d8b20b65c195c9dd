"""Dropout, with the random numbers of the kernel.

Random bits come from counting: Philox4x32-10 (Salmon et al., *Parallel random numbers: as easy as
1, 2, 3*, SC 2011) encrypts a counter of four words by a key of two. Element i, in C order, takes
word i % 4 of the encrypted counter i // 4; the key is the seed. An element is dropped if its 32
bits, as a number, are below p * 2**32. Where whole channels are dropped, elements stand for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(2**32 - 1)


def philox(counter: ArrayLike, seed: int) -> NDArray[Any]:
    """Encrypt counters below 2**64; four words of 32 bits for each, as a last dimension.

    Examples
    --------
    >>> [hex(word) for word in philox(0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    count = np.asarray(counter, np.uint64)
    c = [count & LOW, count >> np.uint64(32), np.zeros_like(count), np.zeros_like(count)]
    for turn in range(10):
        keys = [
            np.uint64((seed >> 32 * i & 0xFFFFFFFF) + turn * WEYL[i] & 0xFFFFFFFF) for i in (0, 1)
        ]
        a, b = np.uint64(MULTIPLIERS[0]) * c[0], np.uint64(MULTIPLIERS[1]) * c[2]
        c = [
            b >> np.uint64(32) ^ c[1] ^ keys[0],
            b & LOW,
            a >> np.uint64(32) ^ c[3] ^ keys[1],
            a & LOW,
        ]
    return np.stack(c, -1)


def dropout(input: ArrayLike, p: float = 0.5, training: bool = True, seed: int = 0) -> Array:
    """Multiply elements by 0 with probability p, the others by 1 / (1 - p).

    Examples
    --------
    >>> dropout([1, 1, 1, 1])
    array([0., 2., 2., 2.])
    """
    x = np.asarray(input, float)
    return x * _factors(x.size, p, seed).reshape(x.shape) if training else x


def dropout_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    seed: int = 0,
) -> Array:
    """Gradient of `dropout`: the same function of the gradient.

    Examples
    --------
    >>> dropout_backward([1, 1, 1, 1], [1, 2, 3, 4])
    array([0., 2., 2., 2.])
    """
    return dropout(grad_output, p, training, seed)


def dropout1d(input: ArrayLike, p: float = 0.5, training: bool = True, seed: int = 0) -> Array:
    """Multiply whole channels of (N, C, L) or (C, L) as `dropout` does elements.

    Examples
    --------
    >>> dropout1d([[1, 1], [1, 1]])
    array([[0., 0.],
           [2., 2.]])
    """
    return _channels(input, p, training, seed, 1)


def dropout1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    seed: int = 0,
) -> Array:
    """Gradient of `dropout1d`: the same function of the gradient."""
    return dropout1d(grad_output, p, training, seed)


def dropout2d(input: ArrayLike, p: float = 0.5, training: bool = True, seed: int = 0) -> Array:
    """Multiply whole channels of (N, C, H, W) or (C, H, W); as `dropout1d`."""
    return _channels(input, p, training, seed, 2)


def dropout2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    seed: int = 0,
) -> Array:
    """Gradient of `dropout2d`: the same function of the gradient."""
    return dropout2d(grad_output, p, training, seed)


def dropout3d(input: ArrayLike, p: float = 0.5, training: bool = True, seed: int = 0) -> Array:
    """Multiply whole channels of (N, C, D, H, W) or (C, D, H, W); as `dropout1d`."""
    return _channels(input, p, training, seed, 3)


def dropout3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    seed: int = 0,
) -> Array:
    """Gradient of `dropout3d`: the same function of the gradient."""
    return dropout3d(grad_output, p, training, seed)


def _channels(input: ArrayLike, p: float, training: bool, seed: int, dims: int) -> Array:
    """Drop what the last `dims` dimensions hold together."""
    x = np.asarray(input, float)
    channels = np.ones((*x.shape[: x.ndim - dims], *(1,) * dims))
    return x * dropout(channels, p, training, seed)


def _factors(size: int, p: float, seed: int) -> Array:
    if p == 1:
        return np.zeros(size)
    bits = philox(np.arange(-(-size // 4)), seed).reshape(-1)[:size]
    return (bits >= int(p * 2**32)) / (1 - p)
