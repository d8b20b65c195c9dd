"""Saving and loading named tensors as safetensors files: numbers and texts, never code.

Of nested dicts, a tensor gets the name of its place, such as ``model.bias``, and all else is JSON,
as the bytes of one more tensor.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .arguments import bfloat16, is_numeric
from .creation import as_tensor
from .data.files import regular_file
from .tensor import Array, Tensor

REST = "pyconv.rest"  # the name of that tensor
_RESERVED = {"__metadata__", REST}
ARRAYS = (Tensor, np.ndarray)
_NEEDS = "save and load need safetensors: pip install 'pyconv[weights]'"


def save(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state dict, or several of them, to a safetensors file.

    Parameters
    ----------
    obj : mapping of str to Tensor or array_like
        For example ``model.state_dict()``. Or a checkpoint, such as ``{"model":
        model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}``, of which some value
        is a mapping or none is an array: then mappings by texts or integers, lists and tuples may
        hold Tensors, arrays, numbers, texts, bools and None.
    path : str or path-like
        The file, or a link to it; it is replaced only when the new one is complete.

    Raises
    ------
    TypeError
        If `obj` is not such a mapping, or an array is neither of numbers nor of bool.
    ValueError
        If a name is ``"__metadata__"``, which the format keeps for itself, or no text in UTF-8; if
        `obj` holds itself; or if what is at `path` is no regular file.
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
    arrays = {
        name: as_tensor(value, f"save: obj[{name!r}]")._array for name, value in _flat(obj).items()
    }
    for name, array in arrays.items():
        if not is_numeric(array.dtype) or array.dtype.itemsize > 8:
            raise TypeError(f"save: {name} has dtype {array.dtype}, expected numbers or bool")
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


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a safetensors file, which may come from anybody: nothing in it is executed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict of str to Tensor
        Or the checkpoint that was saved, with lists in place of tuples.

    Raises
    ------
    ValueError
        If it is no regular file, damaged or no safetensors file, names a tensor twice, or holds a
        dtype or more dimensions than Tensors have.
    OSError
        If it is missing or cannot be read.
    ImportError
        If safetensors is not installed: ``pip install 'pyconv[weights]'``; or, for bfloat16,
        ml_dtypes: ``pip install 'pyconv[bfloat16]'``.

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
        arrays = _with_bfloat16(load_file, name)
        _check_names(name)
        for key, array in arrays.items():
            _check(key, array)
        tensors = {key: Tensor(array) for key, array in arrays.items()}
        if REST not in tensors:
            return tensors
        obj = _whole(json.loads(tensors[REST]._array.tobytes()), tensors)
        if not isinstance(obj, dict):
            raise ValueError(f"what {REST!r} describes is no dict")
        return obj
    except (
        SafetensorError,
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        hint = "; an older safetensors reads no bfloat16" if "bfloat16" in str(error) else ""
        raise ValueError(f"load: {name} is no good safetensors file: {error}{hint}") from None


def _with_bfloat16(load_file: Callable[[str], dict[str, Array]], name: str) -> dict[str, Array]:
    try:
        return load_file(name)
    except (AttributeError, TypeError) as error:
        if "bfloat16" not in str(error):
            raise
        bfloat16()  # from here on NumPy knows the name
        return load_file(name)


def _flat(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is to be written: `obj` itself, or the tensors in it and the rest."""
    nested = any(isinstance(value, Mapping) for value in obj.values())
    if not nested and (any(isinstance(value, ARRAYS) for value in obj.values()) or not obj):
        for name in _RESERVED.intersection(obj):
            raise ValueError(f"save: obj has the name {name!r}, which the format keeps for itself")
        return obj
    tensors: dict[str, Any] = {}
    try:
        rest = json.dumps(_without_tensors(obj, "", tensors))  # keeps every bit of a float
    except RecursionError:
        raise ValueError("save: obj holds itself, or is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise ValueError(f"save: obj holds what cannot be written: {error}") from None
    return {**tensors, REST: np.frombuffer(rest.encode(), np.uint8)}


def _without_tensors(part: Any, place: str, tensors: dict[str, Any]) -> Any:
    if isinstance(part, ARRAYS):
        while place in tensors or place in _RESERVED:  # of names with dots
            place += "_"
        tensors[place] = part
        return {REST: place}
    if isinstance(part, Mapping):
        items = [
            [key, _without_tensors(value, f"{place}.{key}" if place else str(key), tensors)]
            for key, value in part.items()
        ]
        if any(type(key) not in (str, int) for key in part):
            raise TypeError(f"save: obj has the keys {list(part)!r}, expected texts or integers")
        by_text = all(type(key) is str for key in part) and REST not in part
        return dict(items) if by_text else {REST: items}
    if isinstance(part, (list, tuple)):
        return [_without_tensors(v, f"{place}.{i}", tensors) for i, v in enumerate(part)]
    if isinstance(part, np.generic) and is_numeric(part.dtype):
        part = part.item()
    if not isinstance(part, (bool, int, float, str, type(None))):
        raise TypeError(
            f"save: {place} is a {type(part).__name__}, expected a Tensor, an array, a number, a "
            "text, a bool or None"
        )
    return part


def _whole(rest: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put together what `_without_tensors` took apart."""
    if isinstance(rest, list):
        return [_whole(part, tensors) for part in rest]
    if not isinstance(rest, dict):
        return rest
    if set(rest) != {REST}:
        return {key: _whole(part, tensors) for key, part in rest.items()}
    kept = rest[REST]
    if isinstance(kept, str):
        return tensors[kept]
    whole = {key: _whole(value, tensors) for key, value in kept}
    if any(type(key) not in (str, int) for key, _ in kept) or len(whole) < len(kept):
        raise ValueError(f"what {REST!r} describes has a key twice, or one that is no text")
    return whole


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
    if not is_numeric(array.dtype):
        raise ValueError(f"{key!r} has dtype {array.dtype}")
    # NumPy takes a bool to be 0 or 1, and computes nonsense with others.
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{key!r} is of bool, but a byte is neither 0 nor 1")
