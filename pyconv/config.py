"""Settings of the library: threads, the choice of algorithms, and what it runs on."""

from __future__ import annotations

import sys

import numpy as np

from . import _core
from .arguments import integer, one_of


def set_num_threads(n: int) -> None:
    """Set how many threads kernels use; results have the same bits for any number.

    The default is the number of cores that this process may use, or ``PYCONV_NUM_THREADS``.

    Raises
    ------
    ValueError
        If `n` is below 1 or above 1024.
    TypeError
        If `n` is not an integer.

    Examples
    --------
    >>> import pyconv
    >>> before = pyconv.get_num_threads()
    >>> pyconv.set_num_threads(1)
    >>> pyconv.get_num_threads()
    1
    >>> pyconv.set_num_threads(before)
    """
    _core.set_num_threads(integer("set_num_threads: n", n, 1, 1024))


def get_num_threads() -> int:
    """Return how many threads kernels use.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def memory_stats() -> dict[str, int]:
    """Return what results and scratch memory take, and how often memory was used again.

    Returns
    -------
    dict of str to int
        ``allocated_bytes`` in use now and ``peak_bytes`` at most; ``cached_bytes`` kept for later
        results, never more than ``cache_limit_bytes``; ``hits`` and ``misses``, the numbers of
        blocks that were kept ones, and that the system was asked for.

    Examples
    --------
    >>> import pyconv
    >>> stats = pyconv.memory_stats()
    >>> stats["peak_bytes"] >= 0
    True
    """
    return _core.memory_stats()


def show_config() -> str:
    """Describe the build and the machine: instruction sets, threads, caches, compiler.

    Returns
    -------
    str
        One fact per line.

    Examples
    --------
    >>> import pyconv
    >>> print(pyconv.show_config())  # doctest: +ELLIPSIS
    pyconv ...
    """
    caches = ", ".join(
        f"{name} {size // 1024} KiB" if size else f"{name} unknown"
        for name, size in _core.caches().items()
    )
    build = _core.build_info()
    facts = {
        "pyconv": _core.__version__,
        "instruction set": f"{_core.isa()} (available: {', '.join(_core.available_isas())})",
        "threads": f"{_core.get_num_threads()} of {_core.available_cores()} cores",
        "caches": caches,
        "CUDA": build.get("cuda", "no"),
        "compiler": build["compiler"],
        "NumPy": np.__version__,
        "Python": sys.version.split()[0],
    }
    return "\n".join(f"{name:<16} {fact}" for name, fact in facts.items())


def set_precision(precision: str) -> None:
    """Choose between speed and the rounding of the plain sum, for the whole process.

    Parameters
    ----------
    precision : {"fast", "strict"}
        "fast", the default, allows Winograd's convolution: some two to five times the rounding
        error of the sum that defines a convolution, up to ten times for filters that are neither
        3x3 nor 5x5; no exact results for small integers; NaN reaches more outputs. "strict" keeps
        to algorithms that add up the terms of the definition.

    Raises
    ------
    ValueError
        For another word.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.set_precision("strict")
    >>> pyconv.get_precision()
    'strict'
    >>> pyconv.set_precision("fast")
    """
    word = one_of("set_precision: precision", precision, ("fast", "strict"))
    _core.set_strict_precision(word == "strict")


def get_precision() -> str:
    """Return "fast" or "strict", as `set_precision` set it.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.get_precision()
    'fast'
    """
    return "strict" if _core.strict_precision() else "fast"


class algorithm:
    """Context manager: force how an op and its gradients are computed, in this thread.

    Parameters
    ----------
    **choices : str
        A name of an algorithm per op, such as ``conv2d="im2col"``; `pyconv.explain` lists them.
        ``linear`` goes by the name ``matmul``. "direct" has no gradients: they are chosen as ever.

    Raises
    ------
    ValueError
        If an op or an algorithm does not exist; the message lists those that do. Inside, an op
        raises it if the algorithm cannot compute what is asked, such as "direct" a transposed
        convolution.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> with pyconv.algorithm(conv2d="im2col"):
    ...     F.conv2d(pyconv.ones(1, 1, 2, 2), pyconv.ones(1, 1, 2, 2)).item()
    4.0
    """

    def __init__(self, **choices: str) -> None:
        for op, name in choices.items():
            known = _core.algorithm_names(op)  # raises for an unknown op
            if not isinstance(name, str) or name not in known:
                raise ValueError(f"algorithm: {op} has no {name!r}, only {', '.join(known)}")
        self._choices = choices
        self._previous: list[dict[str, str | None]] = []  # of each time it was entered

    def __enter__(self) -> None:
        self._previous.append({op: _core.force_algorithm(op, n) for op, n in self._choices.items()})

    def __exit__(self, *exception: object) -> None:
        for op, name in self._previous.pop().items():
            _core.force_algorithm(op, name)
