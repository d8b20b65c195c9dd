"""Fashion-MNIST, and other sets in its format, from a folder of IDX files."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np

from ..arguments import flag
from ..creation import from_numpy
from ..files import path_of, regular_file
from ..tensor import Array
from .dataset import TensorDataset

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SIDE = 28
MOST = 70_000  # samples; a file that claims more is not believed


def fashion_mnist(folder: str | os.PathLike[str], train: bool = True) -> TensorDataset:
    """Read Fashion-MNIST from the four files in which it is published.

    Parameters
    ----------
    folder : str or path-like
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        and ``t10k-labels-idx1-ubyte``, each also with ``.gz`` at its end.
    train : bool
        Whether to read the 60000 samples for training, or the 10000 for tests.

    Returns
    -------
    TensorDataset
        Images, float32 of shape (1, 28, 28) within [0, 1], and classes, int64 from 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is no regular one, is damaged, or is not what its name says.

    References
    ----------
    Xiao, Rasul and Vollgraf, *Fashion-MNIST*, arXiv:1708.07747, in the format of MNIST.

    Examples
    --------
    >>> import pyconv
    >>> train = pyconv.data.fashion_mnist("fashion-mnist")  # doctest: +SKIP
    >>> len(train)  # doctest: +SKIP
    60000
    """
    folder = path_of("fashion_mnist: folder", folder)
    part = "train" if flag("fashion_mnist: train", train) else "t10k"
    images = read_idx(os.path.join(folder, f"{part}-images-idx3-ubyte"), (SIDE, SIDE))
    labels = read_idx(os.path.join(folder, f"{part}-labels-idx1-ubyte"), ())
    if len(images) != len(labels):
        raise ValueError(
            f"fashion_mnist: {len(images)} images and {len(labels)} labels in {folder}"
        )
    if labels.size and labels.max() >= len(CLASSES):
        raise ValueError(f"fashion_mnist: a label in {folder} is {labels.max()}, expected 0 to 9")
    pixels = images[:, None].astype(np.float32)
    pixels /= 255
    return TensorDataset(from_numpy(pixels), from_numpy(labels.astype(np.int64)))


def read_idx(path: str, shape: tuple[int, ...]) -> Array:
    """Read the bytes of an IDX file whose samples have this shape; `path` may lack its ``.gz``."""
    import gzip  # here, as it takes a millisecond
    import zlib

    zipped = not os.path.exists(path) and os.path.exists(f"{path}.gz")
    path = regular_file("fashion_mnist", f"{path}.gz" if zipped else path)
    try:
        with gzip.open(path) if zipped else open(path, "rb") as file:
            return _read(file, path, shape)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"fashion_mnist: {path} is damaged: {error}") from None


def _read(file: Any, path: str, shape: tuple[int, ...]) -> Array:
    # The magic number: two zeros, 8 for unsigned bytes, the number of dimensions.
    ndim = 1 + len(shape)
    header = file.read(4 + 4 * ndim)
    if len(header) < 4 + 4 * ndim or header[:4] != bytes([0, 0, 8, ndim]):
        raise ValueError(f"fashion_mnist: {path} is no IDX file of bytes in {ndim} dimensions")
    sizes = struct.unpack(f">{ndim}I", header[4:])
    if sizes[1:] != shape or sizes[0] > MOST:
        raise ValueError(
            f"fashion_mnist: {path} claims sizes {sizes}, expected up to {MOST} of {shape}"
        )
    count = int(np.prod(sizes))
    data = file.read(count + 1)  # one more, to see that nothing follows
    if len(data) != count:
        found = f"{len(data)}" if len(data) < count else "more"
        raise ValueError(f"fashion_mnist: {path} claims {count} bytes, but has {found}")
    return np.frombuffer(data, np.uint8).reshape(sizes)
