"""Scikit-learn's handwritten digits."""

from __future__ import annotations

import numpy as np

from ..creation import from_numpy
from .dataset import TensorDataset

HELD_OUT = 360


def digits() -> tuple[TensorDataset, TensorDataset]:
    """Load 1797 handwritten digits of 8x8 pixels, which scikit-learn carries.

    Returns
    -------
    train, test : TensorDataset
        1437 and 360 samples, always the same: an image, float32 of shape (1, 8, 8) within [0, 1],
        and its class, int64.

    Raises
    ------
    ImportError
        If scikit-learn is not installed: ``pip install 'pyconv[digits]'``.

    References
    ----------
    Alpaydin and Kaynak, *Optical recognition of handwritten digits*, UCI repository, 1998.

    Examples
    --------
    >>> import pyconv
    >>> train, test = pyconv.data.digits()  # doctest: +SKIP
    >>> len(train), len(test)  # doctest: +SKIP
    (1437, 360)
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as error:
        message = "digits needs scikit-learn: pip install 'pyconv[digits]'"
        raise ImportError(message) from error
    raw = load_digits()
    # RandomState, unlike Generator, promises the same order for ever.
    order = np.random.RandomState(0).permutation(len(raw.images))
    images = (raw.images[order, None] / 16).astype(np.float32)
    classes = raw.target[order].astype(np.int64)
    train, test = (
        TensorDataset(from_numpy(images[part]), from_numpy(classes[part]))
        for part in (slice(HELD_OUT, None), slice(HELD_OUT))
    )
    return train, test
