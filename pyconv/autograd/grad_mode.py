"""Whether operations are recorded: one switch per thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .._core import GraphState
from ..arguments import flag

_F = TypeVar("_F", bound=Callable[..., Any])


# Of each thread: `enabled`, and `segment`, the checkpointed computation that is running, see
# checkpoint.py. Of all: `observer`, called with each result, see anomaly.py; None while there is
# none.
state = GraphState()


def is_grad_enabled() -> bool:
    """Return whether operations of this thread are recorded for `backward`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.is_grad_enabled()
    True
    """
    return state.enabled


class _GradMode:
    _enabled: bool
    _previous: list[bool]  # of each time it was entered

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        mode._previous = []
        return mode if function is None else mode(function)  # a decorator without parentheses

    def __enter__(self) -> None:
        self._previous.append(state.enabled)
        state.enabled = self._enabled

    def __exit__(self, *exception: object) -> None:
        state.enabled = self._previous.pop()

    def __call__(self, function: _F) -> _F:
        _check_function(type(self).__name__, function)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                steps = function(*args, **kwargs)
                resume, value = steps.send, None
                try:
                    while True:
                        with type(self)():  # for each step, not for what happens in between
                            try:
                                item = resume(value)
                            except StopIteration as stop:
                                return stop.value
                        try:
                            resume, value = steps.send, (yield item)
                        except Exception as error:
                            resume, value = steps.throw, error
                finally:
                    with type(self)():
                        steps.close()

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


def _check_function(name: str, function: Any) -> None:
    if not callable(function):
        raise TypeError(f"{name}: function is {function!r}, expected a function")


class set_grad_enabled:
    """Switch the recording of operations on or off; as a context manager, until its end.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.ones(2, requires_grad=True)
    >>> with pyconv.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self._previous, self._mode = state.enabled, flag("set_grad_enabled: mode", mode)
        state.enabled = self._mode

    def __enter__(self) -> None:
        state.enabled = self._mode

    def __exit__(self, *exception: object) -> None:
        state.enabled = self._previous

    def __call__(self, function: _F) -> _F:
        state.enabled = self._previous  # as a decorator it is for the function alone
        _check_function("set_grad_enabled", function)
        decorated: _F = (enable_grad if self._mode else no_grad)()(function)
        return decorated


class no_grad(_GradMode):
    """Context manager and decorator: operations inside are not recorded.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.ones(2, requires_grad=True)
    >>> with pyconv.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _enabled = False


class enable_grad(_GradMode):
    """Context manager and decorator: operations inside are recorded, also within `no_grad`.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.ones(2, requires_grad=True)
    >>> with pyconv.no_grad(), pyconv.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    _enabled = True
