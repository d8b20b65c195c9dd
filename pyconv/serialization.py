"""Saving and loading named tensors as safetensors files: numbers only, never code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .creation import as_tensor
from .tensor import Array, Tensor

_KINDS = "fiub"  # of NumPy's dtypes
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
        If `obj` is not such a mapping, or an array is neither of numbers nor of bool.
    ValueError
        If a name is ``"__metadata__"``, which the format keeps for itself.
    OSError
        If the file cannot be written.
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
    name_of_file = _name("save", path)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(_NEEDS) from error
    arrays = {name: as_tensor(value, name)._array for name, value in obj.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
            raise TypeError(f"save: {name} has dtype {array.dtype}, expected numbers or bool")
    if "__metadata__" in arrays:
        raise ValueError("save: obj has the name '__metadata__', which the format keeps for itself")
    # safetensors writes the bytes as they lie, in order and little-endian.
    plain = {name: np.array(a, a.dtype.newbyteorder("<"), order="C") for name, a in arrays.items()}
    new = f"{name_of_file}.new"
    try:
        save_file(plain, new)
        os.replace(new, path)
    except SafetensorError as error:
        raise OSError(f"save: {name_of_file} cannot be written: {error}") from None
    finally:
        if os.path.exists(new):  # only if one of them failed
            os.remove(new)


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
        If it is no regular file, damaged or no safetensors file, or holds a dtype that Tensors
        lack.
    OSError
        If it is missing or cannot be read.
    ImportError
        If safetensors is not installed: ``pip install 'pyconv[weights]'``.

    Examples
    --------
    >>> import pyconv
    >>> state = pyconv.load("weights.safetensors")  # doctest: +SKIP
    """
    name = _name("load", path)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(_NEEDS) from error
    if os.path.exists(name) and not os.path.isfile(name):  # a pipe would be waited for
        raise ValueError(f"load: {name} is no regular file")
    try:
        arrays = load_file(name)
        for key, array in arrays.items():
            _check(key, array)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        hint = "; convert bfloat16 to float32 with ml_dtypes" if "bfloat16" in str(error) else ""
        raise ValueError(f"load: {name} is no good safetensors file: {error}{hint}") from None
    return {key: Tensor(array) for key, array in arrays.items()}


def _name(op: str, path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{op}: path is {path!r}, expected a str or a path") from None


def _check(key: str, array: Array) -> None:
    if array.dtype.kind not in _KINDS:
        raise ValueError(f"{key!r} has dtype {array.dtype}")
    # NumPy takes a bool to be 0 or 1, and computes nonsense with others.
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{key!r} is of bool, but a byte is neither 0 nor 1")
