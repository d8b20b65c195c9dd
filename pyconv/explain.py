"""Which algorithm computes an op, which could, which cannot and why; and how fast it is."""

from __future__ import annotations

import functools
import inspect
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from . import _core, functional
from .arguments import parts_of, wide
from .autograd import is_grad_enabled, no_grad
from .backend import runs_twin
from .creation import as_tensor
from .exchange import exchanged
from .tensor import Array, Tensor

SECONDS = 0.05  # of measuring, for the machine's peak and for the op


class Explanation:
    """What `explain` found; its text is a table.

    Attributes
    ----------
    title : str
        The op, its shapes, dtype, instruction set and number of threads.
    rows : list of dict
        Per algorithm: ``algorithm``, ``chosen``, ``refused`` (why not, or empty) and the estimated
        ``milliseconds`` on one thread.
    milliseconds : float
        Measured, the best of several runs.
    gflops : float or None
        Measured, in 1e9 operations per second, if the operations are known.
    gbytes_per_second : float or None
        Measured, if it has one kernel, as if that read its arguments and wrote its results once.
    share_of_peak : float or None
        Of the machine's measured peak on these threads, of arithmetic or of copying in memory.
    calls : dict
        From titles to rows, of gradients that backward would compute, and of calls within that
        choose among algorithms.
    """

    def __init__(
        self, title: str, rows: _Rows, milliseconds: float, flops: int | None = None
    ) -> None:
        self.title = title
        self.rows = rows
        self.milliseconds = milliseconds
        self.gflops = None if flops is None else flops / milliseconds / 1e6
        self.gbytes_per_second: float | None = None
        self.share_of_peak: float | None = None
        self.calls: dict[str, _Rows] = {}

    def __repr__(self) -> str:
        measured = f"  measured: {self.milliseconds:.3g} ms"
        if self.gflops is not None:
            measured += f", {self.gflops:.3g} GFLOP/s"
        if self.gbytes_per_second is not None:
            measured += f", {self.gbytes_per_second:.3g} GB/s"
        if self.share_of_peak is not None:
            measured += f", {self.share_of_peak:.0%} of the peak"
        lines = [self.title, *_table(self.rows), measured]
        for title, rows in self.calls.items():
            lines += [title, *_table(rows)]
        return "\n".join(lines)


_Rows = list[dict[str, Any]]


class _Problem(NamedTuple):
    shapes: str
    dtype: Any
    rows: _Rows
    flops: int | None
    gradients: dict[str, _Rows]


def explain(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Explanation:
    """Say how a function of `pyconv.functional` is computed for these arguments, and run it.

    Parameters
    ----------
    fn : callable
        Convolutions, transposed or not, ``linear`` and ``matmul`` choose among algorithms, which
        `pyconv.algorithm` forces by the name of the op, those of ``linear`` by ``matmul``; any
        other function has one kernel, which is timed. What is none of these, such as a module, is
        timed as a whole, and the calls within that choose are listed; it may run backward. It is
        called several times.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Explanation
        Printed, a table.

    Raises
    ------
    ValueError, TypeError
        As `fn` does for these arguments.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> pyconv.explain(F.matmul, pyconv.ones(8, 8), pyconv.ones(8, 8))  # doctest: +ELLIPSIS
    matmul 8x8 @ 8x8, float32, ...
    """
    if not callable(fn):
        raise TypeError(f"explain: fn is {fn!r}, expected a function")
    name = getattr(fn, "__name__", type(fn).__name__)
    known = getattr(functional, name, None) is fn
    calls: dict[str, _Rows] = {}

    def note(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        problem = _problem(name, *args, **kwargs)
        if problem is not None:
            title = f"{name} {problem.shapes}, {problem.dtype}"
            calls.update({title: problem.rows} | _gradients(title, problem))
        return result

    with no_grad() if known else nullcontext():
        with nullcontext() if known else exchanged(note):
            made = fn(*args, **kwargs)  # raises in the words of fn if the arguments are wrong
        milliseconds = _time(lambda: fn(*args, **kwargs))
    problem = _problem(name, *args, **kwargs) if known else None
    if problem is None:
        rows = [{"algorithm": name, "chosen": True, "refused": "", "milliseconds": None}]
        kind = "one kernel" if known and name not in _PROBLEMS else "timed as a whole"
        kind = "its twin in NumPy" if known and runs_twin(name) else kind
        result = Explanation(f"{name}: {kind}, {_where()}", rows, milliseconds)
        result.calls = calls
        moved = _bytes((args, kwargs), made) if kind == "one kernel" else 0
        if moved:
            result.gbytes_per_second = moved / milliseconds / 1e6
            result.share_of_peak = result.gbytes_per_second / _peak("copy_bandwidth")
        return result
    title = f"{name} {problem.shapes}, {problem.dtype}"
    result = Explanation(f"{title}, {_where()}", problem.rows, milliseconds, problem.flops)
    result.calls = _gradients(title, problem)
    if result.gflops is not None:
        result.share_of_peak = result.gflops / _peak(f"{problem.dtype}_flops")
    return result


def _problem(name: str, *args: Any, **kwargs: Any) -> _Problem | None:
    """Return what algorithms are chosen for, None if there is no choice for it as a whole."""
    if name not in _PROBLEMS or runs_twin(name):
        return None
    arguments = inspect.signature(getattr(functional, name)).bind(*args, **kwargs)
    arguments.apply_defaults()
    problem = _PROBLEMS[name](**arguments.arguments)
    if problem is None or problem.flops:
        return problem
    rows = [{**row, "milliseconds": None} for row in problem.rows]
    return problem._replace(rows=rows, gradients={})  # an estimate may divide by a size


def _gradients(title: str, problem: _Problem) -> dict[str, _Rows]:
    return {f"{title}, gradient of {name}": rows for name, rows in problem.gradients.items()}


def _bytes(given: Any, made: Any) -> int:
    """Return how much is moved if all is read or written once; 0 for a result that is a view."""
    read, written = _arrays(given), _arrays(made)
    if any(np.may_share_memory(a, b) for a in read for b in written):
        return 0
    return sum(array.nbytes for array in read + written)


def _arrays(value: Any) -> list[Array]:
    parts = (x._array if isinstance(x, Tensor) else x for x in parts_of(value))
    return [part for part in parts if isinstance(part, np.ndarray)]


def _conv(
    make_shape: Callable[..., Any], input: Any, weight: Any, bias: Any, **options: Any
) -> _Problem:
    x, w = as_tensor(input), as_tensor(weight)
    shape = make_shape(w.ndim - 2, x.shape, w.shape, *options.values())
    text = f"{_text(x)} * {_text(w)}"
    for name, value in options.items():
        usual = 0 if name.endswith("padding") else 1
        if value not in (usual, (usual,) * (w.ndim - 2)):
            text += f" {name} {value}"
    channels = 1 - w.ndim
    channels_last = x.shape[channels] > 1 and x._array.strides[channels] == x._array.itemsize
    rows, *gradients = (
        _core.conv_explain(shape, direction, wide(x.dtype), channels_last)
        for direction in ("forward", "backward_input", "backward_weight")
    )
    wanted = {
        name: table
        for name, tensor, table in zip(("input", "weight"), (x, w), gradients)
        if tensor.requires_grad and is_grad_enabled()
    }
    return _Problem(text, wide(x.dtype), rows, shape.flops, wanted)


def _linear(input: Any, weight: Any, bias: Any) -> _Problem | None:
    x, w = as_tensor(input), as_tensor(weight)
    return _matmul(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), w.transpose(0, 1))


def _matmul(input: Any, other: Any) -> _Problem | None:
    a, b = as_tensor(input), as_tensor(other)
    a = a if a.ndim > 1 else a.unsqueeze(0)
    b = b if b.ndim > 1 else b.unsqueeze(1)
    if a.ndim > 2 or b.ndim > 2:  # stacks, of which each product has its own choice
        return None
    flops = 2 * a.shape[0] * a.shape[1] * b.shape[1]
    rows = _core.matmul_explain(*(np.asarray(x._array, wide(x.dtype)) for x in (a, b)))
    return _Problem(f"{_text(a)} @ {_text(b)}", wide(a.dtype), rows, flops, {})


_PROBLEMS: dict[str, Callable[..., _Problem | None]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), functools.partial(_conv, _core.conv_shape)),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        functools.partial(_conv, _core.conv_transpose_shape),
    ),
    "linear": _linear,
    "matmul": _matmul,
}


def _where() -> str:
    threads = _core.get_num_threads()
    return f"{_core.isa()}, {threads} thread{'s' if threads > 1 else ''}"


def _text(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _table(rows: _Rows) -> list[str]:
    width = max((len(row["algorithm"]) for row in rows), default=0)
    return [f"  {row['algorithm']:<{width}}  {_verdict(row)}" for row in rows]


def _verdict(row: dict[str, Any]) -> str:
    if row["refused"]:
        return f"no: {row['refused']}"
    verdict = "chosen" if row["chosen"] else "possible"
    estimate = row["milliseconds"]
    if estimate is not None:
        verdict += f": {estimate:.3g} ms estimated on one thread"
    return f"{verdict}; {row['note']}" if row.get("note") else verdict


def _time(run: Callable[[], Any]) -> float:
    """Return the milliseconds of the fastest of several runs."""
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def _peak(kind: str) -> float:
    return measured_peak(kind, _core.isa(), _core.get_num_threads())


@functools.cache
def measured_peak(kind: str, isa: str, threads: int) -> float:
    """Measure once for the instruction set and number of threads that are set now."""
    return _core.measure_peak(kind, SECONDS)
