"""Paths as users give them."""

from __future__ import annotations

import os
from typing import Any


def path_of(what: str, path: Any) -> str:
    """Return a path as text; TypeError for what is none, such as an open file's number."""
    try:
        name = os.fsdecode(path)
        if b"\0" not in os.fsencode(name):
            return name
    except TypeError:
        raise TypeError(f"{what} is {path!r}, expected a str or a path") from None
    except UnicodeEncodeError:
        pass
    raise ValueError(f"{what} is {path!r}, which no file can have for a name")


def regular_file(what: str, path: Any) -> str:
    """Return the path of a file; ValueError for what is none, such as a pipe or a device."""
    name = path_of(f"{what}: path", path)
    if os.path.exists(name) and not os.path.isfile(name):
        raise ValueError(f"{what}: {name} is no regular file")
    return name
