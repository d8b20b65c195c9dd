"""pyconv, called as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.functional.rnn import Config, recurrent

from ..problems import CONVS, RECURRENT, STEPS, TRANSPOSED, Problem
from . import LEARNING_RATE, Arrays, Prepared, first

VARIANTS = ("pyconv",)
TABLE_OF = {**{op: op for op in (*CONVS, *TRANSPOSED)}, "linear": "matmul", "matmul": "matmul"}
TABLES = {table: _core.algorithm_names(table) for table in TABLE_OF.values()}


def setup(threads: int) -> None:
    pyconv.set_num_threads(threads)


def configure(isa: str | None, algorithm: str | None) -> None:
    """Force the instruction set, and the algorithm in each table that has one of that name."""
    if isa:
        _core.set_isa(isa)
    for table, names in TABLES.items():
        if algorithm in names:
            _core.force_algorithm(table, algorithm)


def ops_with(algorithm: str) -> list[str]:
    """Name the ops that can be computed by the algorithm.

    Raises
    ------
    ValueError
        If there is none.
    """
    ops = [op for op, table in TABLE_OF.items() if algorithm in TABLES[table]]
    if not ops:
        known = "; ".join(f"{table}: {', '.join(names)}" for table, names in TABLES.items())
        raise ValueError(f"unknown algorithm {algorithm!r}; known are {known}")
    return ops


def call(problem: Problem, tensors: Arrays) -> tuple[Any, tuple[Any, ...]]:
    """Return the public function of the problem and its positional arguments."""
    arguments = {name: tensor for name, tensor in tensors.items() if name != "grad_output"}
    if problem.options.get("trans"):
        arguments["other"] = arguments["other"].transpose(0, 1)
    if problem.op in RECURRENT:
        return _recurrent(problem.op), tuple(arguments.values())
    function = pyconv.matmul if problem.op == "matmul" else getattr(F, problem.op)
    return function, tuple(arguments.values())


def _recurrent(op: str) -> Callable[..., Any]:
    config = Config("RNN_TANH" if op == "rnn" else op.upper())

    def layer(input: Any, *weights: Any) -> Any:
        return recurrent(input, None, [*weights, None, None], config)[0]

    layer.__name__ = op  # which `pyconv explain` prints
    return layer


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.op in STEPS:
        return _step(problem, arrays)
    tensors = {name: pyconv.from_numpy(array) for name, array in arrays.items()}
    algorithm = chosen(problem, arrays, direction)
    if direction == "backward":
        return _backward(problem, tensors, algorithm)
    function, arguments = call(problem, tensors)
    options = problem.arguments

    def run() -> Any:
        with pyconv.no_grad():
            return first(function(*arguments, **options))

    return Prepared(run, lambda output: [output.numpy()], algorithm)


def _backward(problem: Problem, tensors: Arrays, algorithm: str) -> Prepared:
    leaves = [t for name, t in tensors.items() if name not in problem.constants]
    for leaf in leaves:
        leaf.requires_grad = True
    options = problem.arguments

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        function, arguments = call(problem, tensors)
        output = first(function(*arguments, **options))
        output.backward(tensors["grad_output"])
        return output

    def fetch(output: Any) -> list[Any]:
        return [output.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    return Prepared(run, fetch, algorithm)


def _step(problem: Problem, arrays: Arrays) -> Prepared:
    param = pyconv.nn.Parameter(pyconv.from_numpy(arrays["param"]))
    param.grad = pyconv.from_numpy(arrays["grad"])
    optimizer = getattr(pyconv.optim, STEPS[problem.op])(
        [param], lr=LEARNING_RATE, **problem.arguments
    )
    return Prepared(optimizer.step, lambda _: [param.detach().numpy()])


def conv_shape(problem: Problem) -> _core.ConvShape:
    """Describe a convolution as the compiled module does."""
    option = problem.options.get
    sizes = problem.rank, *problem.shapes, option("stride", 1), option("padding", 0)
    groups, dilation = option("groups", 1), option("dilation", 1)
    if problem.op in CONVS:
        return _core.conv_shape(*sizes, dilation, groups)
    return _core.conv_transpose_shape(*sizes, option("output_padding", 0), groups, dilation)


def chosen(problem: Problem, arrays: Arrays, direction: str) -> str:
    """Name the algorithms that run: forward's first, or the one of a gradient."""
    if problem.op in CONVS or problem.op in TRANSPOSED:
        shape = conv_shape(problem)
        every = ["forward", "backward_input", "backward_weight"]
        ways = every if direction == "backward" else [direction]
        images = arrays["input"]
        channels_last = images.shape[1] > 1 and images.strides[1] == images.itemsize
        tables = [_core.conv_explain(shape, way, np.float32, channels_last) for way in ways]
    elif problem.op in ("matmul", "linear"):
        left, right = list(arrays.values())[:2]
        if problem.op == "linear" or problem.options.get("trans"):
            right = right.T
        tables = [_core.matmul_explain(left, right)]
    else:
        return ""
    names = [row["algorithm"] for table in tables for row in table if row["chosen"]]
    return "/".join(dict.fromkeys(names))
