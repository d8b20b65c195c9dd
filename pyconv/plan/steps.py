"""What a plan is made of: steps, and the values that go from one to the next."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .. import functional
from ..functional.rnn import Config, recurrent
from ..functional.shape import Clone
from ..tensor import Array, Tensor


@dataclass(frozen=True)
class Value:
    """An input of the plan, or a result of one of its steps."""

    number: int


@dataclass(frozen=True)
class Constant:
    """A tensor that the plan holds, such as a parameter."""

    number: int


@dataclass(eq=False)
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

    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[int]
    shapes: list[tuple[int, ...]]
    merged: list[str] = field(default_factory=list)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name, with defaults."""
        bound = signature_of(self.op).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def change(self, op: str, merged: str, **arguments: Any) -> None:
        """Become another op, or one with other arguments."""
        bound = signature_of(op).bind(**arguments)
        self.op, self.args, self.kwargs = op, bound.args, bound.kwargs
        self.merged = [*self.merged, merged]


def clone(input: Tensor) -> Tensor:
    """Return a copy."""
    return Clone.apply(input)


def run_layer(
    input: Tensor, states: Any, weights: Any, mode: str, lengths: Array | None, reverse: bool
) -> tuple[Tensor, ...]:
    """Run one recurrent layer in one direction; see `pyconv.functional.rnn.recurrent`."""
    return recurrent(input, states, weights, Config(mode, lengths, reverse))


# All that a plan can call, also one from a file.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(functional, name) for name in functional.__all__},  # type: ignore[has-type]
    "clone": clone,
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


def filled(part: Any, tensors: dict[int, Tensor], kind: Any = Value) -> Any:
    """Return an argument with Tensors in place of what stands for them, of one kind."""
    if isinstance(part, kind):
        return tensors[part.number]
    if isinstance(part, (tuple, list)):
        return type(part)([filled(inner, tensors, kind) for inner in part])
    if isinstance(part, dict):
        return {name: filled(inner, tensors, kind) for name, inner in part.items()}
    return part
