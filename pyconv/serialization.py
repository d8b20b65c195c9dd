"""Saving and loading named tensors as safetensors files: numbers only, never code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .creation import as_tensor
from .tensor import Tensor

_NEEDS = "save and load need safetensors: pip install 'pyconv[weights]'"


def save(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state dict to a safetensors file.

    Parameters
    ----------
    obj : mapping of str to Tensor or array_like
        For example ``model.state_dict()``.
    path : str or path-like
        The file; it is replaced only when the new one is complete.

    Raises
    ------
    TypeError
        If `obj` is not such a mapping.
    ImportError
        If safetensors is not installed: ``pip install 'pyconv[weights]'``.

    Examples
    --------
    >>> import os, tempfile
    >>> import pyconv
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> pyconv.save({"bias": pyconv.ones(2)}, path)  # doctest: +SKIP
    """
    if not isinstance(obj, Mapping) or not all(isinstance(name, str) for name in obj):
        raise TypeError(
            f"save: obj is a {type(obj).__name__}, expected a mapping of names to tensors"
        )
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(_NEEDS) from error
    arrays = {name: as_tensor(value, name)._array for name, value in obj.items()}
    # safetensors writes the bytes as they lie, in order and little-endian.
    plain = {name: np.array(a, a.dtype.newbyteorder("<"), order="C") for name, a in arrays.items()}
    new = f"{os.fspath(path)}.new"
    save_file(plain, new)
    os.replace(new, path)


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a safetensors file, which may come from anybody: nothing in it is executed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    ValueError
        If the file is damaged or no safetensors file, or holds a dtype that NumPy lacks.
    OSError
        If it cannot be read.
    ImportError
        If safetensors is not installed: ``pip install 'pyconv[weights]'``.

    Examples
    --------
    >>> import pyconv
    >>> state = pyconv.load("weights.safetensors")  # doctest: +SKIP
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(_NEEDS) from error
    try:
        arrays = load_file(os.fspath(path))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"load: {os.fspath(path)} is no good safetensors file: {error}") from None
    return {name: Tensor(array) for name, array in arrays.items()}
