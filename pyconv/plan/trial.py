"""Trying whether a plan computes what its model does, on drawn numbers and other batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import nn
from ..arguments import FLOATING, precision, wide
from ..rehearsal import left_as_it_was, tensors_in
from ..tensor import Array, Tensor

if TYPE_CHECKING:
    from .plan import Plan

MANY = 8  # samples of which twice as many might take too much memory


def agrees(plan: Plan, model: nn.Module, example: Sequence[Tensor]) -> bool:
    """Compare a plan with its model on the example, and on others where both take them."""
    made, wanted = _results(plan, model, example)
    if isinstance(wanted, Exception):
        raise wanted
    alike = _alike(made, wanted)
    for others in zip(*_others([x._array for x in example])):
        made, wanted = _results(plan, model, others)
        # A plan raises ValueError for a size that depends on elements, such as that of x[:n].
        if not isinstance(wanted, Exception) and not isinstance(made, ValueError):
            alike = alike and _alike(made, wanted)
    return alike


def takes_any_batch(plan: Plan, model: nn.Module, example: Sequence[Tensor]) -> bool:
    """Compare them on other batches: sizes may count that are even, odd, small or large."""
    n, results = len(example[0]._array), _count(plan(*example))
    plan.any_batch = True
    for size in {1, n + 1, *((2 * n, 2 * n + 1) if n < MANY else (2, 3))} - {n}:
        more = [np.resize(x._array, (size, *x.shape[1:])) for x in example]
        made, wanted = _results(plan, model, next(zip(*_others(more))))
        if size < n and isinstance(made, Exception) and _count(wanted) < results:
            continue  # such as of x[1] or x.chunk(2) for one sample
        if isinstance(wanted, Exception) or not _alike(made, wanted):
            return False
    return True


def _count(made: Any) -> int:
    """Return how many Tensors there are in a result; -1 for an error."""
    return -1 if isinstance(made, Exception) else len([*tensors_in(made)])


def _results(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> tuple[Any, Any]:
    """Return what a plan and its model return, or raise."""
    with left_as_it_was(model):
        wanted = _tried(model, [x.clone() for x in inputs])  # which it may change
    return _tried(plan, inputs), wanted


def _tried(function: Any, inputs: Sequence[Tensor]) -> Any:
    try:
        return function(*inputs)
    except Exception as error:
        return error


def _others(arrays: Sequence[Array]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each array two of other elements in its range."""
    draw = np.random.default_rng(0).random
    for array in arrays:
        make = _floats if array.dtype.kind in FLOATING else _integers
        a, b = make(array, draw(array.shape)) if array.size else (array, array)
        yield Tensor(np.asarray(a, array.dtype)), Tensor(np.asarray(b, array.dtype))


@np.errstate(over="ignore")
def _integers(array: Array, share: Array) -> tuple[Array, Array]:
    """Exchange integers, which may be indices; of equal ones, take what is beside them."""
    if array.dtype.kind == "b":
        return ~array, share < 0.5
    equal = (array == array.flat[0]).all()
    beside = np.where(array > 0, array - 1, array + 1)
    return np.roll(array, 1), beside if equal else np.flip(array)


def _floats(array: Array, share: Array) -> tuple[Array, Array]:
    """Draw between the least and the largest; in the first, what is not finite stays."""
    finite = array[np.isfinite(array)].astype(float)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low == high:
        low, high = (low / 2, high) if low else (-1.0, 1.0)
    drawn = (1 - share) * low + share * high  # high - low may be infinite
    mirrored = share * low + (1 - share) * high
    return np.where(np.isfinite(array), drawn, array), mirrored


@np.errstate(all="ignore")
def _alike(made: Any, wanted: Any) -> bool:
    """Compare results, but for the rounding of sums in another order.

    There are such: constants lie in C order in a plan, and another algorithm may be taken for
    weights that never change. What rounding leaves equal says nothing of the size of the others,
    such as the -1e9 of a mask.
    """
    for kind in (Tensor, (tuple, list), dict):
        if isinstance(made, kind) != isinstance(wanted, kind):
            return False
    if isinstance(wanted, Tensor):
        a, b = made._array, wanted._array
        if a.shape != b.shape or a.dtype != b.dtype or a.dtype.kind not in FLOATING:
            return np.array_equal(a, b)
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
        a, b = (np.asarray(x[differ], wide(x.dtype)) for x in (a, b))
        near = math.sqrt(precision(made.dtype)) * np.abs(b).max(initial=0)
        return bool(np.isfinite(near) and (np.abs(a - b) <= near).all())
    if isinstance(wanted, (tuple, list)):
        return len(made) == len(wanted) and all(map(_alike, made, wanted))
    if isinstance(wanted, dict):
        return made.keys() == wanted.keys() and all(_alike(made[n], wanted[n]) for n in wanted)
    return bool(made == wanted or (made != made and wanted != wanted))  # both may be NaN
