"""Saving and loading named tensors as safetensors files: numbers only, never code."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .creation import as_tensor
from .data.files import regular_file
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
        The file, or a link to it; it is replaced only when the new one is complete.

    Raises
    ------
    TypeError
        If `obj` is not such a mapping, or an array is neither of numbers nor of bool.
    ValueError
        If a name is ``"__metadata__"``, which the format keeps for itself, or no text in UTF-8; or
        if what is at `path` is no regular file.
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
    name_of_file = regular_file("save", path)
    if os.path.islink(name_of_file):
        name_of_file = os.path.realpath(name_of_file)
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
    folder = os.path.dirname(name_of_file) or "."
    try:
        # In a folder of its own the new file overwrites no other.
        with tempfile.TemporaryDirectory(prefix="pyconv-", dir=folder) as own:
            new = os.path.join(own, "new")
            with open(new, "xb"):
                there = os.path.exists(name_of_file)
                rights = os.stat(name_of_file if there else new).st_mode
            save_file(plain, new)
            os.chmod(new, rights)  # safetensors lets none but the owner read
            os.replace(new, name_of_file)
    except UnicodeEncodeError as error:
        raise ValueError(f"save: obj has the name {error.object!r}, no text in UTF-8") from None
    except (SafetensorError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"save: {name_of_file} cannot be written: {reason}") from None


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
        If it is no regular file, damaged or no safetensors file, names a tensor twice, or holds a
        dtype or more dimensions than Tensors have.
    OSError
        If it is missing or cannot be read.
    ImportError
        If safetensors is not installed: ``pip install 'pyconv[weights]'``.

    Examples
    --------
    >>> import pyconv
    >>> state = pyconv.load("weights.safetensors")  # doctest: +SKIP
    """
    name = regular_file("load", path)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(_NEEDS) from error
    try:
        arrays = load_file(name)
        _check_names(name)
        for key, array in arrays.items():
            _check(key, array)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        hint = "; convert bfloat16 to float32 with ml_dtypes" if "bfloat16" in str(error) else ""
        raise ValueError(f"load: {name} is no good safetensors file: {error}{hint}") from None
    return {key: Tensor(array) for key, array in arrays.items()}


def _check_names(path: str) -> None:
    """Refuse a header that names something twice, of which safetensors takes the last."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            raise ValueError("its header has a name twice")
        return entries

    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        json.loads(file.read(length), object_pairs_hook=once)


def _check(key: str, array: Array) -> None:
    if array.ndim > 32:
        raise ValueError(f"{key!r} has {array.ndim} dimensions, expected at most 32")
    if array.dtype.kind not in _KINDS:
        raise ValueError(f"{key!r} has dtype {array.dtype}")
    # NumPy takes a bool to be 0 or 1, and computes nonsense with others.
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{key!r} is of bool, but a byte is neither 0 nor 1")
