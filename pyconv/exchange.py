"""Public functions that are called in another way for a while.

A function may be held anywhere: by a layer, another function, a user's module. So it is its code
that is exchanged, which costs nothing while it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
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
# Per use of `exchanged`, what to call, and whether before the others; the last is called first.
_takers: dict[object, tuple[bool, Taker]] = {}
_outside: dict[str, FunctionType] = {}  # the functions as they are outside, made once
_callers: dict[str, CodeType] = {}  # and the codes that take their place


@contextmanager
def exchanged(take: Taker, before_others: bool = False) -> Iterator[None]:
    """Let `take` be called in place of every public function, in all threads.

    With `before_others`, it is what calls those who came, or will come, without. Ctrl-C may come
    anywhere: the functions are themselves afterwards.
    """
    use = object()
    try:
        with _lock:
            if not _takers:
                _exchange()
            _takers[use] = before_others, take
        yield
    finally:
        with _lock:
            _takers.pop(use, None)
            if not _takers:
                _exchange_back()


def is_taken_by(take: Taker) -> bool:
    """Return whether `take` is called now."""
    return any(taker == take for _, taker in list(_takers.values()))


def call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call those who take a function's place, or the function."""
    function: Callable[..., Any] = _outside[name]
    takers = dict.fromkeys(_takers.values())  # each once, however often it is in use
    for _, take in sorted(takers, key=itemgetter(0)):
        function = partial(take, name, function)
    return function(*args, **kwargs)


def _exchange() -> None:
    if not _outside:  # all is made before the first function is touched
        made = {name: _copy(name, function) for name, function in _FUNCTIONS.items()}
        _callers.update({name: _caller(name) for name in made})
        _outside.update(made)
    for name, function in _FUNCTIONS.items():
        function.__wrapped__ = _outside[name]  # so its signature stays
        function.__code__ = _callers[name]  # which takes no notice of defaults


def _exchange_back() -> None:
    for name, outside in _outside.items():
        function = _FUNCTIONS[name]
        function.__code__ = outside.__code__
        function.__dict__.pop("__wrapped__", None)


def _copy(name: str, function: Any) -> FunctionType:
    copy = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


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
