"""A tree of numbers, texts and Tensors in a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..creation import from_numpy
from ..serialization import load, save
from ..tensor import Tensor

REST = "checkpoint"  # names the tensor that holds all but the tensors: JSON, as bytes


def save_tree(tree: Mapping[str, Any], path: str) -> None:
    """Write nested dicts and lists; a Tensor gets the name of its place, such as ``model.bias``.

    Examples
    --------
    >>> import pyconv
    >>> save_tree({"model": {"bias": pyconv.ones(2)}, "epoch": 3}, "file")  # doctest: +SKIP
    >>> load_tree("file")  # doctest: +SKIP
    {'model': {'bias': tensor([1., 1.])}, 'epoch': 3}
    """
    tensors: dict[str, Any] = {}
    rest = json.dumps(_without_tensors(tree, "", tensors))  # keeps every bit of a float
    save({**tensors, REST: np.frombuffer(rest.encode(), np.uint8)}, path)


def load_tree(path: str) -> Any:
    """Read what `save_tree` wrote; tuples come back as lists, and keys as texts.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    tensors = load(path)
    try:
        return _with_tensors(json.loads(bytes(tensors[REST].numpy())), tensors)
    except (KeyError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path} is no checkpoint of pyconv train") from None


def _without_tensors(tree: Any, place: str, tensors: dict[str, Any]) -> Any:
    if isinstance(tree, Tensor):
        tensors[place] = tree
        return {REST: place}
    if isinstance(tree, Mapping):
        names = {key: f"{place}.{key}" if place else str(key) for key in tree}
        return {key: _without_tensors(tree[key], name, tensors) for key, name in names.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_tensors(v, f"{place}.{i}", tensors) for i, v in enumerate(tree)]
    return tree.item() if isinstance(tree, np.generic) else tree


def _with_tensors(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, dict):
        if list(tree) == [REST]:
            return from_numpy(tensors[tree[REST]].numpy().copy())
        return {key: _with_tensors(value, tensors) for key, value in tree.items()}
    return [_with_tensors(value, tensors) for value in tree] if isinstance(tree, list) else tree
