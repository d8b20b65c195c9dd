"""Inference as a straight list of calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from .. import _core, nn
from ..arguments import KERNELS, array_of
from ..autograd import no_grad
from ..creation import as_tensor
from ..random import randn
from ..rehearsal import left_as_it_was, tensors_in
from ..summary import in_mode
from ..tensor import Tensor
from .rules import improve
from .steps import FUNCTIONS, Constant, Step, Value, filled, leaves, signature_of
from .trace import Trace
from .trial import agrees, takes_any_batch

if TYPE_CHECKING:
    import os

# The shape of an input, and its dtype by name.
Kind = tuple[tuple[int, ...], str]


class Plan:
    """What a model computes in evaluation, for inputs of one shape; made by `pyconv.compile`.

    ``plan(x)`` returns what ``model(x)`` would, up to rounding and without gradients;
    ``print(plan)`` shows each call. It holds copies of what it needs of the model, and nothing else
    of it. Several threads may call it at once.

    Attributes
    ----------
    any_batch : bool
        Whether inputs may have another first size than the example's, all of them the same.
    """

    def __init__(
        self,
        inputs: Sequence[Kind],
        steps: list[Step],
        constants: Any,
        result: Any,
        any_batch: bool = False,
    ) -> None:
        self._inputs, self._steps, self._result = list(inputs), steps, result
        self.any_batch = any_batch
        used = dict.fromkeys(
            leaf.number
            for leaf in leaves([[step.args, step.kwargs] for step in steps])
            if type(leaf) is Constant
        )
        self._constants = {number: constants[number] for number in used}
        for tensor in self._constants.values():
            tensor._array.flags.writeable = False  # unlike a copy's, or those from a file
        # What convolutions and products make of weights, such as Winograd's values, is kept.
        self._kept = [
            _core.Unchanging(tensor._array)
            for tensor in self._constants.values()
            if tensor.dtype.num in KERNELS and tensor.ndim > 1
        ]
        self._calls = _calls(steps, self._constants, result)

    def __reduce__(self) -> Any:
        return Plan, self._parts()

    def _parts(self) -> tuple[Any, ...]:
        return self._inputs, self._steps, self._constants, self._result, self.any_batch

    def __call__(self, *inputs: Any) -> Any:
        """Compute.

        Parameters
        ----------
        *inputs : Tensor or array_like
            Of the shapes and dtypes of the example, but for the batch if `any_batch`.

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
        as_example = [x.shape for x in values.values()] == [shape for shape, _ in self._inputs]
        with no_grad():
            for function, args, plain, nested, kwargs, step, last in self._calls:
                given = args.copy()
                for place, number in plain:
                    given[place] = values[number]
                for place in nested:
                    given[place] = filled(given[place], values)
                made = function(*given, **(filled(kwargs, values) if kwargs else kwargs))
                if type(made) is not Tensor or (made._array.shape,) != step.shapes:
                    self._check(step, made, as_example)
                    values.update(zip(step.results, tensors_in(made)))
                else:
                    values[step.results[0]] = made
                for number in last:
                    del values[number]
        return filled(self._result, values)

    def _check(self, step: Step, made: Any, as_example: bool) -> None:
        """Raise ValueError unless a step made tensors as for the example, but for the batch."""
        shapes = tuple(x.shape for x in tensors_in(made))
        ranks, wanted = ([len(shape) for shape in all_] for all_ in (shapes, step.shapes))
        if ranks != wanted or (as_example and shapes != step.shapes):
            made, expected = list(shapes), list(step.shapes)
            raise ValueError(f"plan: {step.op} made {made}, expected {expected}")

    def _taken(self, inputs: tuple[Any, ...]) -> list[Tensor]:
        if len(inputs) != len(self._inputs):
            raise TypeError(f"plan: {len(inputs)} inputs, expected {len(self._inputs)}")
        tensors: list[Tensor] = []
        for i, (given, (shape, dtype)) in enumerate(zip(inputs, self._inputs)):
            name = "input" if len(inputs) == 1 else f"input {i}"
            tensor = as_tensor(given, name)
            if self.any_batch and tensor.ndim:
                shape = ((tensors or [tensor])[0].shape[0], *shape[1:])
            if tensor.shape != shape:
                raise ValueError(f"plan: {name} has shape {tensor.shape}, expected {shape}")
            if tensor.dtype != dtype and tensor.dtype.newbyteorder("=") != dtype:
                raise TypeError(f"plan: {name} has dtype {tensor.dtype}, expected {dtype}")
            tensors.append(tensor.detach() if tensor.requires_grad else tensor)
        return tensors

    def __repr__(self) -> str:
        return f"<Plan of {len(self._steps)} calls>"

    def __str__(self) -> str:
        size = sum(tensor.numel() * tensor.dtype.itemsize for tensor in self._constants.values())
        lines = [f"v{i} = {_shape(shape)} {dtype}" for i, (shape, dtype) in enumerate(self._inputs)]
        lines += [self._line(step) for step in self._steps]
        lines.append(f"return {self._shown(self._result)}")
        batch = "any" if self.any_batch else "this"
        lines.append(f"# {len(self._steps)} calls, {size:,} bytes of constants, {batch} batch")
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
            inner = ", ".join(map(self._shown, part))
            return f"[{inner}]" if isinstance(part, list) else f"({inner},)"
        if isinstance(part, slice):
            return f"slice({', '.join(map(self._shown, (part.start, part.stop, part.step)))})"
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

        write(path, *self._parts())


def _calls(steps: list[Step], constants: dict[int, Tensor], result: Any) -> list[tuple[Any, ...]]:
    """Return for each step what to call, with which arguments, and what nothing needs after it."""
    needed = {leaf.number for leaf in leaves(result)}
    calls = []
    for step in reversed(steps):
        args, kwargs = filled([[*step.args], step.kwargs], constants, Constant)
        plain = [(i, part.number) for i, part in enumerate(args) if type(part) is Value]
        nested = [i for i, part in enumerate(args) if type(part) is not Value and any(leaves(part))]
        given = [leaf for leaf in leaves([args, kwargs]) if type(leaf) is Value]
        last = {leaf.number for leaf in given}.union(step.results) - needed
        needed |= last
        calls.append((FUNCTIONS[step.op], args, plain, nested, kwargs, step, sorted(last)))
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
        Is called several times, in evaluation and without gradients, and left as it was.
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
        If what the model computes is no list of calls of `pyconv.functional`: it looks at elements
        of what depends on the input, draws random numbers, or computes by other means, such as
        ``x[key] = value``. This is also tried: the plan has to give the model's results for the
        example and for drawn numbers.

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
    # 2 calls, 896 bytes of constants, any batch
    >>> plan(pyconv.ones(1, 3, 16, 16)).shape
    (1, 8, 14, 14)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"compile: model is {model!r}, expected a Module")
    inputs = _examples(example)
    kinds = [(x.shape, x.dtype.name) for x in inputs]
    with _alone(model), in_mode(model, training=False), no_grad():
        with left_as_it_was(model):
            given = [x.clone() for x in inputs]  # which the model may change
            trace = Trace(given)
            result = trace.run(model, *given)
        plan = Plan(kinds, trace.steps, trace.constants, result)
        if not agrees(plan, model, inputs):
            raise NotImplementedError(_NO_PLAN)
        any_batch = trace.batch is not None and takes_any_batch(plan, model, inputs)
    improve(trace.steps, trace.constants, result)
    return Plan(kinds, trace.steps, trace.constants, result, any_batch)


_locks: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


@contextmanager
def _alone(model: nn.Module) -> Iterator[None]:
    """Let no other thread compile a model with a module of this one: evaluation is its state."""
    with ExitStack() as held:
        for module in sorted(model.modules(), key=id):  # all threads in one order
            held.enter_context(_locks.setdefault(module, threading.RLock()))
        yield


_NO_PLAN = (
    "compile: on another input of this shape the model computes what the plan does not: it leaves "
    "the functions of pyconv, as with a Function of one's own, numbers that NumPy draws, or a view "
    "that is changed in place"
)


def _examples(example: Any) -> list[Tensor]:
    """Return copies of the inputs, native and in C order."""
    parts = example if isinstance(example, tuple) and not _is_shape(example) else (example,)
    if not parts:
        raise ValueError("compile: example is (), expected at least one input")
    tensors = []
    for part in parts:
        if _is_shape(part):
            part = randn(*part, generator=np.random.default_rng(0))
        if not isinstance(part, (Tensor, np.ndarray)):
            kind = type(part).__name__
            raise TypeError(f"compile: example is a {kind}, expected a Tensor, an array or a tuple")
        array = array_of(part._array if isinstance(part, Tensor) else part, name="example")
        tensors.append(Tensor(np.array(array, array.dtype.newbyteorder("="), order="C")))
    return tensors


def _is_shape(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and all(type(n) is int for n in part)
