"""What makes a plan shorter: each rule is a function of its steps and constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..nn.utils.fusion import fold_norm
from ..tensor import Tensor
from .steps import Constant, Step, Value, leaves

TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
# Whose output channels a norm can scale beforehand.
WEIGHTED = ("linear", "conv1d", "conv2d", "conv3d", *TRANSPOSED)


def improve(steps: list[Step], constants: list[Tensor], result: Any) -> None:
    """Apply all rules, in place."""
    drop_unused(steps, result)
    fold_norms(steps, constants, result)
    join_relu(steps, result)


def drop_unused(steps: list[Step], result: Any) -> None:
    """Leave out steps of which nothing is used."""
    used = {leaf.number for leaf in leaves(result) if type(leaf) is Value}
    kept = []
    for step in reversed(steps):
        if used.intersection(step.results):
            used |= {leaf.number for leaf in _given(step) if type(leaf) is Value}
            kept.append(step)
    steps[:] = reversed(kept)


def fold_norms(steps: list[Step], constants: list[Tensor], result: Any) -> None:
    """Let weights and biases do what a batch norm with running statistics does after them."""
    for before, norm in _pairs(steps, result):
        options = norm.arguments()
        if before.op not in WEIGHTED or norm.op not in ("batch_norm", "batch_norm_relu"):
            continue
        own = before.arguments()
        statistics = [options[name] for name in ("running_mean", "running_var", "weight", "bias")]
        parts = [own["weight"], own["bias"], *statistics]
        learnt = all(part is None or type(part) is Constant for part in parts)
        numbers = [options["eps"], own.get("groups", 1)]
        if options["training"] or not learnt or statistics[0] is None or any(leaves(numbers)):
            continue
        weight, *others = (None if part is None else constants[part.number] for part in parts)
        if weight is None or len(before.shapes[0]) != weight.ndim:
            continue  # channels are not in the second place
        groups = own["groups"] if before.op in TRANSPOSED else None
        folded = fold_norm(weight, others, options["eps"], groups)
        if not all(np.isfinite(array).all() for array in folded):
            continue  # a variance is next to zero: what is infinite here may not be behind
        for name, array in zip(("weight", "bias"), folded):
            own[name] = Constant(len(constants))
            constants.append(Tensor(array))
        before.change(before.op, "batch_norm", **own)
        if norm.op == "batch_norm":
            _take_over(steps, before, norm)
        else:
            norm.op, norm.args, norm.kwargs = "relu", (options["input"],), {}


def join_relu(steps: list[Step], result: Any) -> None:
    """Compute batch norm and ReLU in one pass over memory."""
    for before, relu in _pairs(steps, result):
        if (before.op, relu.op) == ("batch_norm", "relu"):
            before.change("batch_norm_relu", relu.op, **before.arguments())
            _take_over(steps, before, relu)


def _given(step: Step) -> Iterator[Value | Constant]:
    return leaves([step.args, step.kwargs])


def _pairs(steps: list[Step], result: Any) -> Iterator[tuple[Step, Step]]:
    """Yield steps, and what alone uses their only result as its first argument."""
    used = Counter(leaf for step in steps for leaf in _given(step))
    used.update(leaves(result))
    makers: dict[Value, Step] = {}
    for step in list(steps):
        first = step.args[0] if step.args else None
        if type(first) is Value and first in makers and used[first] == 1:
            yield makers[first], step
        if len(step.results) == 1:
            makers[Value(step.results[0])] = step


def _take_over(steps: list[Step], before: Step, after: Step) -> None:
    """Let a step make what the step after it made."""
    before.results, before.shapes = after.results, after.shapes
    steps.remove(after)
