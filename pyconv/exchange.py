"""Functions that run something else for a while.

A public function may be held anywhere: by a layer, another function, a user's module. So it is its
code that is exchanged, which costs nothing while it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any


class Exchange:
    """Functions, and what is called in their place while ``with exchange:`` lasts, for all threads.

    Parameters
    ----------
    functions : mapping of str to function
        Without closures, by the names that they are called by here.
    instead : str
        ``"module:function"``; called as ``function(name, args, kwargs)``.
    """

    def __init__(self, functions: Mapping[str, Any], instead: str) -> None:
        self._functions = functions
        self._callers = {name: _caller(name, instead) for name in functions}
        self._outside: dict[str, FunctionType] = {}  # the functions as they were
        self._depth = 0
        self._lock = threading.Lock()

    def __contains__(self, name: object) -> bool:
        """Return whether a function is exchanged now."""
        return self._depth > 0 and name in self._functions

    def outside(self, name: str) -> FunctionType:
        """Return the function as it is outside."""
        return self._outside[name]

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            for name, function in self._functions.items():
                code, defaults = function.__code__, function.__defaults__
                outside = FunctionType(code, function.__globals__, name, defaults)
                outside.__kwdefaults__ = function.__kwdefaults__
                outside.__dict__.update(function.__dict__)
                self._outside[name] = function.__wrapped__ = outside  # so its signature stays
                function.__defaults__ = function.__kwdefaults__ = None  # before the code needs none
                function.__code__ = self._callers[name]

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            for name, function in self._functions.items():
                outside = self._outside[name]
                function.__code__ = outside.__code__
                function.__defaults__ = outside.__defaults__
                function.__kwdefaults__ = outside.__kwdefaults__
                del function.__wrapped__
                function.__dict__.update(outside.__dict__)


def _caller(name: str, instead: str) -> CodeType:
    module, function = instead.split(":")
    names: dict[str, Any] = {}
    exec(
        f"def {name}(*args, **kwargs):\n"
        f"    from {module} import {function}\n"
        f"    return {function}({name!r}, args, kwargs)",
        names,
    )
    code: CodeType = names[name].__code__
    return code
