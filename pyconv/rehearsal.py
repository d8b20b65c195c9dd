"""How much memory a run would take, found by going through it and computing next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _core, nn
from .arguments import FLOATING, HOLDERS, parts_of
from .random import default_generator
from .tensor import Array, Tensor

# What a run may change of a Tensor.
FIELDS = ("_array", "_grad", "_requires_grad", "_node", "_index", "_version", "_recorded")


def peak_bytes(model: nn.Module, run: Callable[[], Any]) -> int | None:
    """Return what the allocator would hold at the worst moment of a run, the model included.

    Everything is allocated, in address space alone, and each kernel computes the first part of its
    work. The model and the generator of `pyconv.manual_seed` are left as they were.

    Parameters
    ----------
    model : Module
        What floats in it is zero meanwhile, and without gradients at the start.
    run : callable
        For example a forward and a backward pass.

    Returns
    -------
    int or None
        None if it is more than can be addressed.

    Examples
    --------
    >>> import pyconv
    >>> layer = pyconv.nn.Linear(64, 64, bias=False)
    >>> matrices = peak_bytes(layer, lambda: layer(pyconv.zeros(64, 64)).sum().backward()) / 64**2
    >>> matrices >= 3 * 4  # the weight, its gradient, and the result, of 4 bytes a number
    True
    """
    generator = default_generator().bit_generator
    random = generator.state
    _core.begin_rehearsal()
    try:
        with left_as_it_was(model, _zeros):
            run()
    except MemoryError:
        return None
    finally:
        peak = _core.end_rehearsal()
        generator.state = random
    return peak


def _zeros(array: Array) -> Array:
    """Return an array like this one in address space; integers, which may be sizes, are kept."""
    zeros = _core.empty(array.shape, array.dtype)
    if array.dtype.kind not in FLOATING:
        zeros[...] = array
    return zeros


def without_memory(array: Array) -> Array:
    """Return zeros of the same shape, which are all the same one."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


@contextmanager
def left_as_it_was(
    model: nn.Module, stand_in: Callable[[Array], Array] | None = None
) -> Iterator[None]:
    """Run with other arrays in a model's Tensors, or these; give its modules back all they held."""
    parts = [part for module in model.modules() for part in parts_of(module.__dict__)]
    held = [x for x in parts if isinstance(x, HOLDERS)]
    kinds = [next(kind for kind in HOLDERS if isinstance(x, kind)) for x in held]
    kept = [(kind, x, kind(x)) for kind, x in zip(kinds, held)]
    tensors = dict.fromkeys(x for x in parts if isinstance(x, Tensor))
    fields = [(tensor, [getattr(tensor, name) for name in FIELDS]) for tensor in tensors]
    arrays = [x for x in parts if isinstance(x, np.ndarray) and not x.dtype.hasobject]
    arrays += [] if stand_in else [tensor._array for tensor in tensors]
    contents = [(array, array.copy()) for array in arrays if array.flags.writeable]
    try:
        for tensor in tensors:
            tensor._grad, tensor._version = None, None
            if stand_in:
                tensor._array = stand_in(tensor._array)
            if tensor._node is not None:  # kept from an earlier run, whose graph is not this one's
                tensor._node, tensor._requires_grad = None, False
        with np.errstate(all="ignore"):  # a network of zeros
            yield
    finally:
        for tensor, values in fields:
            for name, value in zip(FIELDS, values):
                setattr(tensor, name, value)
        for array, before in contents:
            if not np.array_equal(array, before):
                array[...] = before
        for kind, part, copy in kept:  # whatever the methods of a class of its own do
            kind.clear(part)
            (kind.update if hasattr(kind, "update") else kind.extend)(part, copy)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the Tensors of nested tuples, lists and dicts, such as a recurrent layer's results."""
    return (part for part in parts_of(value) if isinstance(part, Tensor))


def watch_calls(model: nn.Module, see: Callable[..., None]) -> None:
    """Let ``see(name, layer, input, output)`` be called after each call of a layer.

    A layer has no layers of its own; of what it takes and returns, the first Tensors count, and a
    call that returns none does not. It ends with `left_as_it_was`.
    """

    def watched(name: str, layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = forward(*args, **kwargs)
            given = (*args, *kwargs.values())
            output = next(tensors_in(result), None)
            if output is not None:
                see(name, layer, next(tensors_in(given), given[0] if given else None), output)
            return result

        return call

    for name, layer in model.named_modules():
        if not layer._modules:
            layer.__dict__["forward"] = watched(name, layer, layer.forward)
