"""JAX, compiled by XLA."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..problems import Problem, pair
from . import Arrays, Prepared

VARIANTS = ("jax",)


def setup(threads: int) -> None:
    # XLA starts as many threads as the process has cores, and has no other setting.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.op not in FUNCTIONS:
        raise NotImplementedError(f"jax has no {problem.op}")
    skip = ("grad_output", "target")
    inputs = [jnp.asarray(array) for name, array in arrays.items() if name not in skip]

    def forward(*inputs: Any) -> Any:
        return FUNCTIONS[problem.op](problem, arrays, *inputs)

    def backward(*inputs: Any) -> Any:
        output, pullback = jax.vjp(forward, *inputs)
        return output, *pullback(jnp.asarray(arrays["grad_output"]))

    compiled = jax.jit(forward if direction == "forward" else backward)
    return Prepared(
        lambda: jax.block_until_ready(compiled(*inputs)),
        lambda result: [np.asarray(a) for a in (result if direction == "backward" else [result])],
    )


def _conv2d(problem: Problem, arrays: Arrays, x: Any, weight: Any, bias: Any = 0) -> Any:
    option = problem.options.get
    output = lax.conv_general_dilated(
        x,
        weight,
        window_strides=pair(option("stride", 1)),
        padding=[(p, p) for p in pair(option("padding", 0))],
        rhs_dilation=pair(option("dilation", 1)),
        feature_group_count=option("groups", 1),
    )
    return output + jnp.reshape(bias, (-1, 1, 1)) if "bias" in arrays else output


def _linear(problem: Problem, arrays: Arrays, x: Any, weight: Any, bias: Any = 0) -> Any:
    return x @ weight.T + bias


def _matmul(problem: Problem, arrays: Arrays, x: Any, other: Any) -> Any:
    return x @ (other.T if problem.options.get("trans") else other)


def _relu(problem: Problem, arrays: Arrays, x: Any) -> Any:
    return jax.nn.relu(x)


def _max_pool2d(problem: Problem, arrays: Arrays, x: Any) -> Any:
    option = problem.options.get
    kernel = pair(option("kernel_size"))
    step = pair(option("stride", kernel))
    padding = [(0, 0), (0, 0), *((p, p) for p in pair(option("padding", 0)))]
    dilation = (1, 1, *pair(option("dilation", 1)))
    sizes = (1, 1, *kernel), (1, 1, *step), padding, None, dilation
    return lax.reduce_window(x, -jnp.inf, lax.max, *sizes)


def _cross_entropy(problem: Problem, arrays: Arrays, x: Any) -> Any:
    rows = jnp.arange(len(x))
    return -jax.nn.log_softmax(x)[rows, arrays["target"]].mean()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "matmul": _matmul,
    "relu": _relu,
    "max_pool2d": _max_pool2d,
    "cross_entropy": _cross_entropy,
}
