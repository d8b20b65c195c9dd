"""Plans as safetensors files: the constants by number, and the calls as JSON in a tensor of bytes.

A file may come from anybody: it can name only the functions of `FUNCTIONS`, which check what they
are given.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import MOST_ELEMENTS, flag, integer, one_of, size_of
from ..serialization import json_of, load, save
from ..tensor import Tensor
from .plan import Kind, Plan
from .steps import FUNCTIONS, Constant, Step, Value, leaves, signature_of

CALLS = "plan"  # the name of the tensor
VERSION = 1
PARTS = {"version", "inputs", "steps", "result", "any_batch"}
STEP = {"op", "args", "kwargs", "results", "merged"}
DTYPES = sorted({np.dtype(char).name for char in "?bhilqBHILQefdg"} | {"bfloat16"})


def write(
    path: str | os.PathLike[str],
    inputs: Sequence[Kind],
    steps: list[Step],
    constants: dict[int, Tensor],
    result: Any,
    any_batch: bool,
) -> None:
    """Write the parts of a plan."""
    calls = {
        "version": VERSION,
        "inputs": inputs,
        "steps": [
            {
                "op": step.op,
                "args": _encoded(step.args),
                "kwargs": _encoded(step.kwargs),
                "results": [[n, *shape] for n, shape in zip(step.results, step.shapes)],
                "merged": step.merged,
            }
            for step in steps
        ],
        "result": _encoded(result),
        "any_batch": any_batch,
    }
    text = np.frombuffer(json.dumps(calls).encode(), np.uint8)
    save({CALLS: text} | {str(number): tensor for number, tensor in constants.items()}, path)


def load_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan that `Plan.save` wrote. Nothing in the file is executed but functions of pyconv.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Plan
        It gives the same bits as the one that was saved, on the same instruction set. Named tuples
        are plain ones in its results.

    Raises
    ------
    ValueError
        If the file is damaged, or no plan.
    OSError, ImportError
        As `pyconv.load`.

    Examples
    --------
    >>> import pyconv
    >>> plan = pyconv.load_plan("plan.safetensors")  # doctest: +SKIP
    """
    tensors = load(path)
    try:
        text = tensors.pop(CALLS, None)
        everything = [text, *tensors.values()]
        if not all(isinstance(x, Tensor) for x in everything) or text.dtype != np.uint8:
            raise ValueError("it holds tensors, but no calls")
        return _read(text, tensors)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"load_plan: {os.fspath(path)!r} is no good plan: {reason}") from None


def _read(text: Tensor, tensors: dict[str, Tensor]) -> Plan:
    calls = _of_type(dict, "its calls", json_of("the text of its calls", text._array.tobytes()))
    if set(calls) != PARTS:
        raise ValueError(f"expected its {', '.join(sorted(PARTS))}")
    if type(calls["version"]) is not int or calls["version"] != VERSION:
        raise ValueError(f"expected version {VERSION} of the format")
    if not all(re.fullmatch("0|[1-9][0-9]{0,8}", name) for name in tensors):
        raise ValueError(f"its tensors are {list(tensors)}, expected numbers")
    constants = {int(name): tensor for name, tensor in tensors.items()}
    inputs: list[Kind] = []
    for entry in _of_type(list, "inputs", calls["inputs"]):
        if len(_of_type(list, "an input", entry)) != 2:
            raise ValueError(f"an input is {entry!r}, expected its shape and dtype")
        shape = size_of(tuple(_of_type(list, "the shape of an input", entry[0])), "an input")
        if math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"an input has shape {shape}")
        inputs.append((shape, one_of("the dtype of an input", entry[1], DTYPES)))
    reader = _Reader(set(range(len(inputs))), constants)
    steps = [reader.step(entry) for entry in _of_type(list, "steps", calls["steps"])]
    result = reader.decoded(calls["result"])
    if any(type(leaf) is Constant for leaf in leaves(result)):
        raise ValueError("its result is a constant")
    any_batch = flag("any_batch", calls["any_batch"])
    if any_batch and (not inputs or not all(shape for shape, _ in inputs)):
        raise ValueError("an input has no batch")
    return Plan(inputs, steps, constants, result, any_batch)


def _of_type(kind: type, what: str, part: Any) -> Any:
    if not isinstance(part, kind):
        raise ValueError(f"{what} is {part!r}, expected a {kind.__name__}")
    return part


def _encoded(part: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(part, Value):
        return {"value": part.number}
    if isinstance(part, Constant):
        return {"constant": part.number}
    if isinstance(part, tuple):
        return {"tuple": [_encoded(inner) for inner in part]}
    if isinstance(part, list):
        return [_encoded(inner) for inner in part]
    if isinstance(part, dict):
        return {"dict": {name: _encoded(inner) for name, inner in part.items()}}
    if isinstance(part, slice):
        return {"slice": [_encoded(x) for x in (part.start, part.stop, part.step)]}
    return {"ellipsis": 0} if part is ... else part


class _Reader:
    """Checks and decodes; a step can use the inputs, and what the steps before it make."""

    def __init__(self, values: set[int], constants: dict[int, Tensor]) -> None:
        self.values, self.constants = values, constants

    def step(self, entry: Any) -> Step:
        if set(_of_type(dict, "a step", entry)) != STEP:
            raise ValueError(f"a step has {list(entry)}, expected {', '.join(sorted(STEP))}")
        op, merged = entry["op"], _of_type(list, "merged", entry["merged"])
        for name in (op, *merged):
            if not isinstance(name, str) or name not in FUNCTIONS:
                raise ValueError(f"there is no function {name!r}")
        args = _of_type(tuple, f"{op}: args", self.decoded(entry["args"]))
        kwargs = _of_type(dict, f"{op}: kwargs", self.decoded(entry["kwargs"]))
        try:
            signature_of(op).bind(*args, **kwargs)
        except TypeError:
            raise ValueError(f"{op} takes other arguments than it is given") from None
        numbers, shapes = [], []
        for result in _of_type(list, f"{op}: results", entry["results"]):
            if not _of_type(list, "a result", result):
                raise ValueError("a result is [], expected its number and shape")
            numbers.append(integer("the number of a result", result[0], 0))
            shapes.append(size_of(tuple(result[1:]), "the shape of a result"))
        if not numbers or self.values.intersection(numbers) or len({*numbers}) < len(numbers):
            raise ValueError(f"{op} makes {numbers}, of which one is there already")
        self.values.update(numbers)
        return Step(op, args, kwargs, numbers, shapes, merged)

    def decoded(self, part: Any) -> Any:
        """Return what `_encoded` was given."""
        if isinstance(part, list):
            return [self.decoded(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        if len(part) != 1:
            raise ValueError(f"{part!r} is in it, expected a dict of one kind")
        ((kind, inner),) = part.items()
        if kind in ("value", "constant"):
            known = self.values if kind == "value" else self.constants
            if type(inner) is not int or inner not in known:
                raise ValueError(f"there is no {kind} {inner!r}")
            return Value(inner) if kind == "value" else Constant(inner)
        if kind == "tuple" and isinstance(inner, list):
            return tuple(map(self.decoded, inner))
        if kind == "dict" and isinstance(inner, dict):
            return {name: self.decoded(value) for name, value in inner.items()}
        if kind == "slice" and isinstance(inner, list) and len(inner) == 3:
            return slice(*map(self.decoded, inner))
        if kind == "ellipsis":
            return ...
        raise ValueError(f"there is no {kind!r}")
