"""JAX, compiled by XLA: NCHW in the plain mode, NHWC (with HWIO filters) in the carried one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..problems import CONVS, RECURRENT, TRANSPOSED, Problem
from . import Arrays, Prepared

VARIANTS = ("jax",)


def setup(threads: int) -> None:
    # XLA starts as many threads as the process has cores, and has no other setting.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.op not in FUNCTIONS:
        raise NotImplementedError(f"jax has no {problem.op}")
    orders = _orders(problem)
    arrays = {
        k: array.transpose(orders[k]) if k in orders else array for k, array in arrays.items()
    }
    names = [name for name in arrays if name not in ("grad_output", "target")]
    inputs = [jnp.array(arrays[name]) for name in names]

    def forward(*inputs: Any) -> Any:
        return FUNCTIONS[problem.op](problem, arrays, *inputs)

    def backward(*inputs: Any) -> Any:
        output, pullback = jax.vjp(forward, *inputs)
        return output, *pullback(jnp.asarray(arrays["grad_output"]))

    compiled = jax.jit(forward if direction == "forward" else backward)

    def fetch(result: Any) -> list[Any]:
        results = result if direction == "backward" else [result]
        return [
            _back(np.asarray(a), orders.get(n)) for n, a in zip(["grad_output", *names], results)
        ]

    return Prepared(lambda: jax.block_until_ready(compiled(*inputs)), fetch)


def _orders(problem: Problem) -> dict[str, tuple[int, ...]]:
    """Return the axes of the arrays that are given in another order than pyconv's."""
    if problem.mode == "plain":
        return {}
    axes = range(2, problem.rank + 2)
    last = (0, *axes, 1)
    orders = {"input": last, "grad_output": last}
    return orders if problem.op in TRANSPOSED else {**orders, "weight": (*axes, 1, 0)}


def _back(array: Any, order: tuple[int, ...] | None) -> Any:
    return array if order is None else array.transpose(np.argsort(order))


def _conv(problem: Problem, arrays: Arrays, x: Any, weight: Any, bias: Any = 0) -> Any:
    axes = "DHW"[3 - problem.rank :]
    orders = (f"NC{axes}", f"OI{axes}", f"NC{axes}")
    if problem.mode == "carried":
        orders = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    output = lax.conv_general_dilated(
        x,
        weight,
        window_strides=problem.each("stride", 1),
        padding=[(p, p) for p in problem.each("padding", 0)],
        rhs_dilation=problem.each("dilation", 1),
        dimension_numbers=orders,
        feature_group_count=problem.options.get("groups", 1),
    )
    return _with_bias(output, bias, orders[0]) if "bias" in arrays else output


def _conv_transpose(problem: Problem, arrays: Arrays, x: Any, weight: Any, bias: Any = 0) -> Any:
    """Convolve the input, spread by the stride, with the flipped filters."""
    each, groups, axes = problem.each, problem.options.get("groups", 1), "DHW"[3 - problem.rank :]
    images = f"N{axes}C" if problem.mode == "carried" else f"NC{axes}"
    filters = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    filters = jnp.flip(filters, range(3, filters.ndim)).reshape(-1, *filters.shape[2:])
    kernel, pads = weight.shape[2:], each("padding", 0)
    spread, more = each("dilation", 1), each("output_padding", 0)
    around = [d * (k - 1) - p for k, p, d in zip(kernel, pads, spread)]
    output = lax.conv_general_dilated(
        x,
        filters,
        window_strides=(1,) * problem.rank,
        padding=[(n, n + extra) for n, extra in zip(around, more)],
        lhs_dilation=each("stride", 1),
        rhs_dilation=spread,
        dimension_numbers=(images, f"OI{axes}", images),
        feature_group_count=groups,
    )
    return _with_bias(output, bias, images) if "bias" in arrays else output


def _with_bias(output: Any, bias: Any, order: str) -> Any:
    return output + jnp.expand_dims(bias, [i for i, axis in enumerate(order) if axis != "C"])


def _linear(problem: Problem, arrays: Arrays, x: Any, weight: Any, bias: Any = 0) -> Any:
    return x @ weight.T + bias


def _matmul(problem: Problem, arrays: Arrays, x: Any, other: Any) -> Any:
    return x @ (other.T if problem.options.get("trans") else other)


def _relu(problem: Problem, arrays: Arrays, x: Any) -> Any:
    return jax.nn.relu(x)


def _max_pool2d(problem: Problem, arrays: Arrays, x: Any) -> Any:
    each = problem.each
    kernel = each("kernel_size")
    windows = [kernel, each("stride", kernel), each("dilation", 1)]
    padding = [(p, p) for p in each("padding", 0)]
    if problem.mode == "carried":
        sizes, steps, spread = ((1, *numbers, 1) for numbers in windows)
        padding = [(0, 0), *padding, (0, 0)]
    else:
        sizes, steps, spread = ((1, 1, *numbers) for numbers in windows)
        padding = [(0, 0), (0, 0), *padding]
    return lax.reduce_window(x, -jnp.inf, lax.max, sizes, steps, padding, None, spread)


def _cross_entropy(problem: Problem, arrays: Arrays, x: Any) -> Any:
    rows = jnp.arange(len(x))
    return -jax.nn.log_softmax(x)[rows, arrays["target"]].mean()


def _recurrent(problem: Problem, arrays: Arrays, x: Any, weight_ih: Any, weight_hh: Any) -> Any:
    """Multiply the inputs of all steps at once, then scan over the steps."""
    zeros = jnp.zeros((x.shape[1], weight_hh.shape[1]), x.dtype)

    def step(states: Any, inputs: Any) -> Any:
        new = CELLS[problem.op](inputs, states[0] @ weight_hh.T, *states)
        return new, new[0]

    states = (zeros, zeros) if problem.op == "lstm" else (zeros,)
    return lax.scan(step, states, x @ weight_ih.T)[1]


def _lstm(x: Any, hidden: Any, h: Any, c: Any) -> Any:
    i, f, g, o = jnp.split(x + hidden, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru(x: Any, hidden: Any, h: Any) -> Any:
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (jnp.split(a, 3, axis=1) for a in (x, hidden))
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    return (n + jax.nn.sigmoid(x_z + h_z) * (h - n),)


CELLS: dict[str, Callable[..., Any]] = {
    "rnn": lambda x, hidden, h: (jnp.tanh(x + hidden),),
    "lstm": _lstm,
    "gru": _gru,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(CONVS, _conv),
    **dict.fromkeys(TRANSPOSED, _conv_transpose),
    "linear": _linear,
    "matmul": _matmul,
    "relu": _relu,
    "max_pool2d": _max_pool2d,
    "cross_entropy": _cross_entropy,
    **dict.fromkeys(RECURRENT, _recurrent),
}
