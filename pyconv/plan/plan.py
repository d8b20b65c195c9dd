"""Inference as a straight list of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import nn
from ..arguments import array_of
from ..autograd import no_grad
from ..creation import as_tensor
from ..random import randn
from ..rehearsal import tensors_in
from ..summary import in_mode
from ..tensor import Tensor
from .rules import improve
from .steps import FUNCTIONS, Constant, Step, Value, filled, leaves, signature_of
from .trace import Trace

if TYPE_CHECKING:
    import os

# The shape of an input, and its dtype by name.
Kind = tuple[tuple[int, ...], str]


class Plan:
    """What a model computes in evaluation, for inputs of one shape; made by `pyconv.compile`.

    ``plan(x)`` returns what ``model(x)`` would, without gradients; ``print(plan)`` shows each call.
    It holds copies of what it needs of the model, and nothing else of it. Several threads may call
    it at once.
    """

    def __init__(
        self, inputs: Sequence[Kind], steps: list[Step], constants: Any, result: Any
    ) -> None:
        self._inputs, self._steps, self._result = list(inputs), steps, result
        used = dict.fromkeys(
            leaf.number
            for leaf in leaves([[step.args, step.kwargs] for step in steps])
            if type(leaf) is Constant
        )
        self._constants = {number: constants[number] for number in used}
        self._calls = _calls(steps, self._constants, result)

    def __call__(self, *inputs: Any) -> Any:
        """Compute.

        Parameters
        ----------
        *inputs : Tensor or array_like
            Of the shapes and dtypes of the example.

        Returns
        -------
        Tensor, or a tuple, list or dict of them
            As the model returns it.

        Raises
        ------
        ValueError, TypeError
            If the inputs are not like the example.
        """
        values: dict[int, Any] = dict(enumerate(self._taken(inputs)))
        with no_grad():
            for function, args, places, kwargs, results, last in self._calls:
                given = args.copy()
                for place in places:
                    part = given[place]
                    given[place] = (
                        values[part.number] if type(part) is Value else filled(part, values)
                    )
                made = function(*given, **(filled(kwargs, values) if kwargs else kwargs))
                if type(made) is Tensor:
                    values[results[0]] = made
                else:
                    values.update(zip(results, tensors_in(made)))
                for number in last:
                    del values[number]
        return filled(self._result, values)

    def _taken(self, inputs: tuple[Any, ...]) -> list[Tensor]:
        if len(inputs) != len(self._inputs):
            raise TypeError(f"plan: {len(inputs)} inputs, expected {len(self._inputs)}")
        tensors = []
        for i, (given, (shape, dtype)) in enumerate(zip(inputs, self._inputs)):
            name = "input" if len(inputs) == 1 else f"input {i}"
            tensor = as_tensor(given, name)
            if tensor.shape != shape:
                raise ValueError(f"plan: {name} has shape {tensor.shape}, expected {shape}")
            if tensor.dtype != np.dtype(dtype):
                raise TypeError(f"plan: {name} has dtype {tensor.dtype}, expected {dtype}")
            tensors.append(tensor)
        return tensors

    def __str__(self) -> str:
        size = sum(tensor.numel() * tensor.dtype.itemsize for tensor in self._constants.values())
        lines = [f"v{i} = {_shape(shape)} {dtype}" for i, (shape, dtype) in enumerate(self._inputs)]
        lines += [self._line(step) for step in self._steps]
        lines.append(f"return {self._shown(self._result)}")
        lines.append(f"# {len(self._steps)} calls, {size:,} bytes of constants")
        return "\n".join(lines)

    def _line(self, step: Step) -> str:
        parameters = signature_of(step.op).parameters
        parts = []
        for name, value in step.arguments().items():
            if any(leaves(value)):
                parts.append(self._shown(value))
            elif not _is(parameters[name].default, value):
                parts.append(f"{name}={value!r}")
        made = ", ".join(f"v{number}" for number in step.results)
        note = "; ".join([*map(_shape, step.shapes), *(f"with {op}" for op in step.merged)])
        return f"{made} = {step.op}({', '.join(parts)})  # {note}"

    def _shown(self, part: Any) -> str:
        if isinstance(part, Value):
            return f"v{part.number}"
        if isinstance(part, Constant):
            return f"[{_shape(self._constants[part.number].shape)}]"
        if isinstance(part, (tuple, list)) and any(leaves(part)):
            return f"({', '.join(map(self._shown, part))})"
        if isinstance(part, dict):
            return f"{{{', '.join(f'{n!r}: {self._shown(v)}' for n, v in part.items())}}}"
        return repr(part)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a safetensors file, which `pyconv.load_plan` reads.

        Raises
        ------
        ValueError, OSError, ImportError
            As `pyconv.save`.
        """
        from .file import write  # which makes Plans

        write(path, self._inputs, self._steps, self._constants, self._result)


def _calls(steps: list[Step], constants: dict[int, Tensor], result: Any) -> list[tuple[Any, ...]]:
    """Return for each step what to call, with which arguments, and what nothing needs after it."""
    needed = {leaf.number for leaf in leaves(result)}
    calls = []
    for step in reversed(steps):
        args, kwargs = filled([[*step.args], step.kwargs], constants, Constant)
        places = [i for i, part in enumerate(args) if any(leaves(part))]
        last = {leaf.number for leaf in leaves([args, kwargs])}.union(step.results) - needed
        needed |= last
        calls.append((FUNCTIONS[step.op], args, places, kwargs, step.results, sorted(last)))
    return calls[::-1]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"


def _is(default: Any, value: Any) -> bool:
    """Return whether a value, or each entry of a tuple, is the default."""
    entries = value if type(value) is tuple else (value,)
    return all(type(entry) is type(default) and entry == default for entry in entries)


def compile(model: Any, example: Any) -> Plan:
    """Turn a model into a plan: the list of all that it calls on an input of this shape.

    Batch norms that follow a convolution or a linear layer are folded into its weights, others
    computed together with the ReLU after them; what does not depend on the input is computed once.
    The results are the model's but for the rounding of these weights.

    Parameters
    ----------
    model : Module
        Is called three times, in evaluation and without gradients.
    example : Tensor, array, or tuple of them
        An input, or several. A tuple of integers is the shape of one of float32.

    Returns
    -------
    Plan

    Raises
    ------
    TypeError
        If `model` is no Module, or `example` none of these.
    ValueError
        If the model cannot take the example.
    NotImplementedError
        If the model calls other functions on another input of this shape, draws random numbers,
        or computes by what is not in `pyconv.functional`, such as arrays of NumPy or ``x[key] =
        value``. It is tried: the plan has to give the same bits as the model for drawn numbers, and
        for these with the other sign.

    Examples
    --------
    >>> import pyconv
    >>> nn = pyconv.nn
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> plan = pyconv.compile(model, (1, 3, 16, 16))
    >>> print(plan)
    v0 = 1x3x16x16 float32
    v2 = conv2d(v0, [8x3x3x3], [8])  # 1x8x14x14; with batch_norm
    v3 = relu(v2)  # 1x8x14x14
    return v3
    # 2 calls, 896 bytes of constants
    >>> plan(pyconv.ones(1, 3, 16, 16)).shape
    (1, 8, 14, 14)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"compile: model is {model!r}, expected a Module")
    inputs = _examples(example)
    kinds = [(x.shape, x.dtype.newbyteorder("=").name) for x in inputs]
    with in_mode(model, training=False), no_grad():
        trace = Trace(inputs)
        result = trace.result(trace.run(model, *inputs))
        plan = Plan(kinds, trace.steps, trace.constants, result)
        for others in zip(*map(_others, inputs)):
            if not _equal(plan(*others), model(*others)):
                raise NotImplementedError(
                    "compile: on another input of this shape the model computes what the plan does "
                    "not: it branches on values, draws random numbers, or leaves the functions of "
                    "pyconv, as with arrays of NumPy, x[key] = value, or & and | of masks"
                )
    improve(trace.steps, trace.constants, result)
    return Plan(kinds, trace.steps, trace.constants, result)


def _examples(example: Any) -> list[Tensor]:
    """Return copies of the inputs, native and in C order."""
    if isinstance(example, (tuple, list)) and all(type(n) is int for n in example) and example:
        example = randn(*example)
    if not isinstance(example, (tuple, Tensor, np.ndarray)):
        kind = type(example).__name__
        raise TypeError(f"compile: example is a {kind}, expected a Tensor, an array or a tuple")
    if isinstance(example, tuple) and not example:
        raise ValueError("compile: example is (), expected at least one input")
    tensors = []
    for part in example if isinstance(example, tuple) else (example,):
        array = array_of(part._array if isinstance(part, Tensor) else part, name="example")
        tensors.append(Tensor(np.array(array, array.dtype.newbyteorder("="), order="C")))
    return tensors


def _others(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return other numbers of the same shape: floating ones drawn, others in another order."""
    if tensor.dtype.kind == "f":
        drawn = randn(*tensor.shape, dtype=tensor.dtype)
        return drawn, -drawn
    return Tensor(np.roll(tensor._array, 1)), Tensor(np.flip(tensor._array))


def _equal(result: Any, expected: Any) -> bool:
    made, wanted = list(tensors_in(result)), list(tensors_in(expected))
    return len(made) == len(wanted) and all(
        np.array_equal(a._array, b._array, equal_nan=a.dtype.kind == "f")
        for a, b in zip(made, wanted)
    )
