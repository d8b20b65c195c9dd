"""Finding the operation that made the first NaN."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import numpy as np

import pyconv

from ..arguments import FLOATING, flag
from ..tensor import Tensor
from .function import Node
from .grad_mode import state

_PACKAGE = os.path.dirname(os.path.abspath(pyconv.__file__)) + os.sep


class detect_anomaly:
    """Context manager: an operation that makes a NaN, forward or backward, raises and is named.

    Every result is searched for NaN, which takes time. It holds for all threads.

    Parameters
    ----------
    check_nan : bool
        True.

    Raises
    ------
    NotImplementedError
        If `check_nan` is False.
    RuntimeError
        Names the operation, and for its backward also the line that called it. NaN that was there
        before, such as in the data, is said to be so.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.autograd.detect_anomaly():
    ...     pyconv.matmul([[float("inf")]], [[0.0]])
    Traceback (most recent call last):
    ...
    RuntimeError: detect_anomaly: forward of Matmul made a NaN
    """

    _lock, _depth, _outside = threading.Lock(), 0, None  # of all threads

    def __init__(self, check_nan: bool = True) -> None:
        if not flag("detect_anomaly: check_nan", check_nan):
            raise NotImplementedError("detect_anomaly: check_nan is False, only True is supported")

    def __enter__(self) -> None:
        one = detect_anomaly
        with one._lock:
            one._depth += 1
            if one._depth == 1:
                one._outside, state.observer = state.observer, _observe

    def __exit__(self, *exception: object) -> None:
        one = detect_anomaly
        with one._lock:
            one._depth -= 1
            if not one._depth:
                state.observer = one._outside


def observed(node: Node, gradients: tuple[Any, ...]) -> Any:
    """Run a node's backward while there is an observer."""
    outer, within.backward = within.backward, True
    try:
        result = node._function.backward(node, *gradients)
    finally:
        within.backward = outer
    if state.observer is not None:
        state.observer(node, gradients, result)
    return result


class _Within(threading.local):
    """Whether what an observer sees now, in this thread, is part of the backward of a node."""

    backward = False


within = _Within()


def _observe(operation: Any, given: tuple[Any, ...], made: Any) -> None:
    """Look at what an operation made: a Function's class forward, a node backward."""
    made = made if isinstance(made, tuple) else (made,)
    backward = isinstance(operation, Node)
    if not backward and within.backward:
        return  # a part of the backward that will be named
    if not any(map(_has_nan, made)):
        if not backward:
            _remember_caller(made)
        return
    what = f"backward of {operation._function.__name__}" if backward else "forward of "
    what += "" if backward else operation.__name__
    where = getattr(operation, "_caller", "") if backward else ""
    had = any(map(_has_nan, given))
    verb = "was given a NaN" if had else "made a NaN"
    raise RuntimeError(f"detect_anomaly: {what} {verb}{where}")


def _has_nan(value: Any) -> bool:
    if not isinstance(value, Tensor) or value._array.dtype.kind not in FLOATING:
        return False
    with np.errstate(all="ignore"):
        # A sum is NaN if an element is, and also where infinities meet: then look again.
        return bool(np.isnan(value._array.sum()) and np.isnan(value._array).any())


def _remember_caller(made: tuple[Any, ...]) -> None:
    """Note in the node where a user's code called it."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    for result in made:
        if frame is not None and isinstance(result, Tensor) and result._node is not None:
            caller = f", called in {frame.f_code.co_filename}, line {frame.f_lineno}"
            result._node._caller = caller
