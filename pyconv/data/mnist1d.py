"""MNIST-1D: ten drawn lines, stretched, moved and blurred with noise."""

from __future__ import annotations

import numpy as np

from ..creation import from_numpy
from ..tensor import Array
from .dataset import TensorDataset

LINES = [
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
]
PADDING = 36, 60  # zeros behind a line, at least and at most
LENGTH, FINAL_LENGTH = len(LINES[0]) + PADDING[1], 40
SAMPLES, TRAINED_ON, SEED = 5000, 4000, 42


def mnist1d() -> tuple[TensorDataset, TensorDataset]:
    """Generate the 5000 signals of MNIST-1D, the same numbers as the published ones.

    Returns
    -------
    train, test : TensorDataset
        4000 and 1000 samples: a signal, float32 of shape (1, 40), and its class, int64.

    References
    ----------
    Greydanus and Kobak, *Scaling down deep learning with MNIST-1D*, arXiv:2011.14439.

    Examples
    --------
    >>> import pyconv
    >>> train, test = pyconv.data.mnist1d()
    >>> len(train), len(test), train[0][0].shape
    (4000, 1000, (1, 40))
    """
    signals, classes = generate()
    images = signals[:, None].astype(np.float32)
    train, test = (
        TensorDataset(from_numpy(images[part]), from_numpy(classes[part]))
        for part in (slice(TRAINED_ON), slice(TRAINED_ON, None))
    )
    return train, test


def generate() -> tuple[Array, Array]:
    """Return all signals in float64, and their classes; bit for bit those of the authors' code.

    They draw what they need sample by sample; here all is drawn in their order, and then computed
    at once.
    """
    random = np.random.RandomState(SEED)  # the stream behind np.random.seed
    low, high = PADDING
    padding, scale, shift, shear = (np.empty(SAMPLES) for _ in range(4))
    noise = np.empty((2, SAMPLES, LENGTH))
    for i in range(SAMPLES):
        padding[i] = low + int(random.rand() * (high - low + 1))
        scale[i] = 1 + 0.4 * (random.rand() - 0.5)
        shift[i] = random.choice(48)
        noise[0, i] = 0.25 * random.randn(LENGTH)
        noise[1, i] = 2e-2 * random.randn(LENGTH)
        shear[i] = 0.75 * (random.rand() - 0.5)
    classes: Array = np.repeat(np.arange(10), SAMPLES // 10)

    lines = templates() + 1e-8  # so that zeros of a line differ from the padding
    stretched = {
        (c, p): stretch(np.concatenate([line, np.zeros(p)]), LENGTH)
        for c, line in enumerate(lines)
        for p in range(low, high + 1)
    }
    x = np.stack([stretched[int(c), int(p)] for c, p in zip(classes, padding)]) * scale[:, None]
    x = np.stack([np.roll(row, int(k)) for row, k in zip(x, shift)])
    line = x != 0
    x = line * x + (1 - line) * blur(noise[0])
    x = x + noise[1]
    x = x - shear[:, None] * np.linspace(-0.5, 0.5, LENGTH)
    x = np.stack([stretch(row, FINAL_LENGTH) for row in x])

    order = random.permutation(SAMPLES)
    x = x[order]
    return (x - x.mean()) / x.std(), classes[order]


def templates() -> Array:
    """Return the ten lines, of mean 0 and standard deviation 1, moved to begin at 0."""
    x: Array = np.array(LINES)
    x -= x.mean(1, keepdims=True)
    x /= x.std(1, keepdims=True)
    x -= x[:, :1]
    return x / 6.0


def stretch(x: Array, length: int) -> Array:
    """Read a signal at other, evenly spaced places."""
    there, here = np.linspace(0, 1, length), np.linspace(0, 1, len(x))
    return np.asarray(np.interp(there, here, x))


def blur(x: Array) -> Array:
    """Convolve rows with a Gaussian of standard deviation 2, cut at 8 and mirrored at the ends."""
    radius = 8
    weights = np.exp(-0.5 / 4 * np.arange(-radius, radius + 1) ** 2)
    weights /= weights.sum()
    wide = np.pad(x, ((0, 0), (radius, radius)), "symmetric")
    end = wide.shape[1] - radius
    result: Array = wide[:, radius:end] * weights[radius]
    for j in range(radius):  # from the ends to the middle: the order of additions is SciPy's
        left = wide[:, j : j + x.shape[1]]
        right = wide[:, 2 * radius - j : 2 * radius - j + x.shape[1]]
        result += (left + right) * weights[j]
    return result
