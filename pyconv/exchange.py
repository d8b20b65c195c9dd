"""Public functions that are called in another way for a while.

A function may be held anywhere: by a layer, another function, a user's module. So it is its code
that is exchanged, which costs nothing while it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import CodeType, FunctionType
from typing import Any

from . import functional, methods, random
from .functional import rnn
from .tensor import Tensor

# Methods by which the elements of a Tensor reach Python.
LEAVING = (
    *("item", "tolist", "numpy", "__array__", "__contains__"),
    *("__bool__", "__int__", "__float__", "__index__"),
)

# Those of `pyconv.functional`.
PUBLIC: dict[str, Any] = {
    name: getattr(functional, name)
    for name in functional.__all__  # type: ignore[has-type]
}
_FUNCTIONS: dict[str, Any] = {
    **PUBLIC,
    "recurrent": rnn.recurrent,
    "stream_step": rnn.stream_step,
    "lengths_of": rnn.lengths_of,
    "of_masks": methods.of_masks,
    "clone": methods.Operations.clone,
    **{name: getattr(Tensor, name) for name in ("_replace", "__setitem__", *LEAVING)},
    "default_generator": random.default_generator,
}

# ``take(name, function, *args, **kwargs)`` is called in place of ``function(*args, **kwargs)``.
Taker = Callable[..., Any]

_lock = threading.Lock()
_takers: dict[Taker, int] = {}  # and how often each was asked for; the last is called first
_before: set[Taker] = set()  # of these, those that are called before the others
_outside: dict[str, FunctionType] = {}  # the functions as they were


@contextmanager
def exchanged(take: Taker, before_others: bool = False) -> Iterator[None]:
    """Let `take` be called in place of every public function, in all threads.

    With `before_others`, it is what calls those who came, or will come, without.
    """
    with _lock:
        if not _takers:
            _exchange()
        if before_others:
            _before.add(take)
        _takers[take] = _takers.get(take, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _takers[take] -= 1
            if not _takers[take]:
                del _takers[take]
                _before.discard(take)
            if not _takers:
                _exchange_back()


def is_taken_by(take: Taker) -> bool:
    """Return whether `take` is called now."""
    return take in _takers


def call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call those who take a function's place, or the function."""
    function: Callable[..., Any] = _outside[name]
    for take in sorted(_takers, key=_before.__contains__):
        function = partial(take, name, function)
    return function(*args, **kwargs)


def _exchange() -> None:
    for name, function in _FUNCTIONS.items():
        outside = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
        outside.__kwdefaults__ = function.__kwdefaults__
        _outside[name] = function.__wrapped__ = outside  # so its signature stays
        function.__code__ = _caller(name)  # which takes no notice of defaults


def _exchange_back() -> None:
    for name, function in _FUNCTIONS.items():
        function.__code__ = _outside[name].__code__
        del function.__wrapped__


@cache
def _caller(name: str) -> CodeType:
    names: dict[str, Any] = {}
    exec(
        f"def {name}(*args, **kwargs):\n"
        "    from pyconv.exchange import call\n"
        f"    return call({name!r}, args, kwargs)",
        names,
    )
    code: CodeType = names[name].__code__
    return code
