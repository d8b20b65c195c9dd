"""Paths as users give them."""

from __future__ import annotations

import os
from typing import Any


def path_of(what: str, path: Any) -> str:
    """Return a path as text; TypeError for what is none, such as an open file's number."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{what} is {path!r}, expected a str or a path") from None


def regular_file(what: str, path: Any) -> str:
    """Return the path of a file to be read; ValueError for a pipe or a device, without an end."""
    name = path_of(f"{what}: path", path)
    if os.path.exists(name) and not os.path.isfile(name):
        raise ValueError(f"{what}: {name} is no regular file")
    return name
