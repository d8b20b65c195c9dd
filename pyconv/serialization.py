"""Saving and loading named tensors as safetensors files: numbers and texts, never code.

Of nested dicts, a tensor gets the name of its place, such as ``model.bias``, and all else is JSON,
as the bytes of one more tensor.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .arguments import MOST_ELEMENTS, dtype_of, is_numeric
from .creation import as_tensor
from .files import regular_file
from .tensor import Array, Tensor

REST = "pyconv.rest"  # the name of that tensor
_RESERVED = {"__metadata__", REST}
ARRAYS = (Tensor, np.ndarray)

MOST_HEADER = 100_000_000  # bytes, as for other readers of the format

# The format's dtypes that Tensors have too.
DTYPES = {
    "BOOL": "?",
    "BF16": "bfloat16",
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
}


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
    import tempfile  # slow to import, and few programs save

    name_of_file = regular_file("save", path)
    if os.path.islink(name_of_file):
        name_of_file = os.path.realpath(name_of_file)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError("save needs safetensors: pip install 'pyconv[weights]'") from error
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
        If it holds bfloat16, and ml_dtypes is not installed: ``pip install 'pyconv[bfloat16]'``.

    Examples
    --------
    >>> import pyconv
    >>> state = pyconv.load("weights.safetensors")  # doctest: +SKIP
    """
    name = regular_file("load", path)
    try:
        tensors = {key: Tensor(array) for key, array in _read(name).items()}
        if REST not in tensors:
            return tensors
        obj = _whole(json_of(f"what {REST!r} holds", tensors[REST]._array.tobytes()), tensors)
        if not isinstance(obj, dict):
            raise ValueError(f"what {REST!r} describes is no dict")
        return obj
    except (RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"load: {name} is no good safetensors file: {reason}") from None


def _read(path: str) -> dict[str, Array]:
    """Return the arrays of a file. It may become shorter meanwhile, so it is not mapped."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little") if size >= 8 else size
        if length > min(MOST_HEADER, size - 8):
            raise ValueError("it is shorter than its header, or that is too long")
        entries = _entries(json_of("its header", file.read(length)))
        arrays, place = {}, 0
        for begin, end, key, dtype, shape in entries:
            if begin != place or 8 + length + end > size:
                raise ValueError(f"it has other bytes than {key!r} needs")
            content, place = np.empty(end - begin, np.uint8), end
            if file.readinto(content.data) < end - begin:
                raise ValueError(f"it ends within {key!r}")
            # NumPy takes a bool to be 0 or 1, and computes nonsense with others.
            if dtype.kind == "b" and content.max(initial=0) > 1:
                raise ValueError(f"{key!r} is of bool, but a byte is neither 0 nor 1")
            arrays[key] = content.view(dtype).reshape(shape)
        if file.read(1):
            raise ValueError("it goes on after its last tensor")
    return arrays


def _entries(header: Any) -> list[tuple[int, int, str, Any, list[int]]]:
    """Return what a header says, in the order of the bytes: begin, end, name, dtype and shape."""
    if not isinstance(header, dict):
        raise ValueError("its header is no dict")
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise ValueError("its metadata are no dict of texts")
    entries = []
    for key, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"{key!r} has other properties than dtype, shape and data_offsets")
        kind, shape, ends = entry["dtype"], entry["shape"], entry["data_offsets"]
        for name, numbers in (("shape", shape), ("data_offsets", ends)):
            if not isinstance(numbers, list) or any(type(n) is not int or n < 0 for n in numbers):
                raise ValueError(f"the {name} of {key!r} is no list of numbers from 0")
        if not isinstance(kind, str) or kind not in DTYPES:
            raise ValueError(f"{key!r} has dtype {kind!r}, expected one of {', '.join(DTYPES)}")
        if len(shape) > 32 or math.prod(n or 1 for n in shape) > MOST_ELEMENTS:
            raise ValueError(f"{key!r} has more than 32 dimensions or 2**40 elements")
        dtype = dtype_of(key, DTYPES[kind])
        if len(ends) != 2 or ends[1] - ends[0] != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the data_offsets of {key!r} do not fit its shape and dtype")
        entries.append((*ends, key, dtype, shape))
    return sorted(entries, key=lambda entry: entry[:2])


def json_of(what: str, content: bytes) -> Any:
    """Read JSON; ValueError if it is none, or has a name twice, of which Python takes the last."""
    twice = []

    def entries_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        twice.append(len(entries) < len(pairs))
        return entries

    try:
        result = json.loads(content.decode(), object_pairs_hook=entries_of)
    except ValueError:  # in words of Python's
        raise ValueError(f"{what} is no JSON") from None
    if any(twice):
        raise ValueError(f"{what} has a name twice")
    return result


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
        if kept not in tensors:
            raise ValueError(f"there is no tensor {kept!r}")
        return tensors[kept]
    if not isinstance(kept, list) or any(type(x) is not list or len(x) != 2 for x in kept):
        raise ValueError(f"what {REST!r} describes is no dict")
    if any(type(key) not in (str, int) for key, _ in kept):
        raise ValueError(f"what {REST!r} describes has a key that is neither text nor integer")
    if len({key for key, _ in kept}) < len(kept):
        raise ValueError(f"what {REST!r} describes has a key twice")
    return {key: _whole(value, tensors) for key, value in kept}
