"""What a plan is made of: steps, and the values that go from one to the next."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from ..arguments import flag, one_of
from ..creation import as_tensor
from ..exchange import PUBLIC
from ..functional import rnn
from ..functional.rnn import CELLS, Config, recurrent
from ..tensor import Tensor


class _Numbered:
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.number == self.number

    def __hash__(self) -> int:
        return hash((type(self), self.number))


class Value(_Numbered):
    """An input of the plan, or a result of one of its steps."""


class Constant(_Numbered):
    """A tensor that the plan holds, such as a parameter."""


class Step:
    """A call of a function.

    Attributes
    ----------
    op : str
        A key of `FUNCTIONS`.
    args, kwargs : tuple, dict
        With `Value` and `Constant` for Tensors, also within tuples, lists and slices.
    results : list of int
        The numbers of the values that it makes, and `shapes` their shapes.
    merged : list of str
        Ops that were steps of their own, and are part of this one now.
    """

    def __init__(
        self,
        op: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        results: list[int],
        shapes: Iterable[tuple[int, ...]],
        merged: Sequence[str] = (),
    ) -> None:
        self.op, self.args, self.kwargs = op, args, kwargs
        self.results, self.shapes, self.merged = results, tuple(shapes), list(merged)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name, with defaults."""
        bound = signature_of(self.op).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def change(self, op: str, merged: str, **arguments: Any) -> None:
        """Become another op, or one with other arguments."""
        bound = signature_of(op).bind(**arguments)
        self.op, self.args, self.kwargs = op, bound.args, bound.kwargs
        self.merged.append(merged)


def clone(input: Any) -> Tensor:
    """Return a copy."""
    return as_tensor(input, "clone: input").clone()


def _of_masks(op: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda input, other: operation(as_tensor(input, f"{op}: input"), other)


def invert(input: Any) -> Tensor:
    """Return ``~input``."""
    return ~as_tensor(input, "invert: input")


def lengths_of(op: Any, lengths: Any, x: Any) -> Tensor:
    """Check the lengths of the sequences of `x`."""
    x = as_tensor(x, "lengths_of: x")
    if x.ndim < 2:
        raise ValueError(f"lengths_of: x has shape {x.shape}, expected (T, B, input)")
    return rnn.lengths_of(str(op), lengths, x)


def run_layer(
    input: Any,
    states: Any,
    weights: Any,
    mode: str,
    lengths: Any,
    reverse: bool,
    weight_hr: Any = None,
) -> tuple[Tensor, ...]:
    """Run one recurrent layer in one direction; see `pyconv.functional.rnn.recurrent`."""
    one_of("recurrent: mode", mode, list(CELLS))
    for name, value, count in (
        ("states", states or [None] * (1 + (mode == "LSTM")), 1 + (mode == "LSTM")),
        ("weights", weights, 4),
    ):
        if not isinstance(value, (tuple, list)) or len(value) != count:
            raise TypeError(f"recurrent: {name} is {value!r}, expected a list of {count}")
    tensors = [as_tensor(part, "recurrent: an argument") for part in (input, *weights[:2])]
    biases = [part if part is None else as_tensor(part, "recurrent: bias") for part in weights[2:]]
    begin = states and [as_tensor(state, "recurrent: a state") for state in states]
    if lengths is not None:
        lengths = as_tensor(lengths, "recurrent: lengths")
    if weight_hr is not None:
        weight_hr = as_tensor(weight_hr, "recurrent: weight_hr")
    config = Config(mode, lengths, flag("recurrent: reverse", reverse))
    return recurrent(tensors[0], begin, tensors[1:] + biases, config, weight_hr)


# All that a plan can call, also one from a file.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **PUBLIC,
    "bitwise_and": _of_masks("bitwise_and", operator.and_),
    "bitwise_or": _of_masks("bitwise_or", operator.or_),
    "bitwise_xor": _of_masks("bitwise_xor", operator.xor),
    "invert": invert,
    "clone": clone,
    "lengths_of": lengths_of,
    "recurrent": run_layer,
}


@cache
def signature_of(op: str) -> inspect.Signature:
    """Return how a function is called."""
    return inspect.signature(FUNCTIONS[op])


def leaves(part: Any) -> Iterator[Value | Constant]:
    """Yield what stands for Tensors in an argument."""
    if isinstance(part, (Value, Constant)):
        yield part
    elif isinstance(part, (tuple, list)):
        for inner in part:
            yield from leaves(inner)
    elif isinstance(part, dict):
        yield from leaves(list(part.values()))
    elif isinstance(part, slice):
        yield from leaves([part.start, part.stop, part.step])


def filled(part: Any, tensors: dict[int, Tensor], kind: Any = Value) -> Any:
    """Return an argument with Tensors in place of what stands for them, of one kind."""
    if isinstance(part, kind):
        return tensors[part.number]
    if isinstance(part, (tuple, list)):
        inner = [filled(inner, tensors, kind) for inner in part]
        return type(part)(*inner) if hasattr(part, "_fields") else type(part)(inner)
    if isinstance(part, slice):
        return slice(*filled([part.start, part.stop, part.step], tensors, kind))
    if isinstance(part, dict):
        return {name: filled(inner, tensors, kind) for name, inner in part.items()}
    return part
