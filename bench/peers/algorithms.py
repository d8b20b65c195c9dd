"""pyconv once more, with each of its algorithms forced: what `pyconv bench --regret` times.

A direction is here a single table: "forward", "backward_input" or "backward_weight".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pyconv
from pyconv import _core

from ..problems import Problem
from . import Arrays, Prepared
from . import pyconv as ours

VARIANTS = tuple(dict.fromkeys(name for names in ours.TABLES.values() for name in names))
setup, configure = ours.setup, ours.configure


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    table = ours.TABLE_OF[problem.op]
    if variant not in ours.TABLES[table]:
        raise NotImplementedError(f"{problem.op} has no algorithm {variant}")
    chosen = ours.chosen(problem, arrays, direction)
    if direction == "forward":
        call = ours.prepare(problem, arrays, direction, variant).run
    else:
        call = _gradient(problem, arrays, direction, variant)

    def run() -> Any:
        with pyconv.algorithm(**{table: variant}):
            return call()

    return Prepared(run, lambda result: [result.numpy()], chosen)


def _gradient(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Callable[[], Any]:
    """Return a call of the compiled module, for the public functions compute all gradients."""
    shape, grad = ours.conv_shape(problem), arrays["grad_output"]
    # One that computes no gradients may be forced all the same: then they are as if it were not.
    for row in _core.conv_explain(shape, direction, np.float32, False):
        if row["algorithm"] == variant and row["refused"]:
            raise NotImplementedError(row["refused"])
    if direction == "backward_input":
        return lambda: pyconv.from_numpy(_core.conv_backward_input(shape, grad, arrays["weight"]))
    return lambda: pyconv.from_numpy(_core.conv_backward_weight(shape, grad, arrays["input"]))
