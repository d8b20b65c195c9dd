"""NumPy twice: the readable reference, in float64, and the best formulation, in float32."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from pyconv import reference

from ..problems import CONVS, DIFFERENCES, RECURRENT, STEPS, TRANSPOSED, Problem
from . import LEARNING_RATE, Arrays, Prepared, first

VARIANTS = ("reference", "numpy")
COLUMNS_LIMIT = 2**30  # bytes of the matrix of all windows


def setup(threads: int) -> None:
    """NumPy's BLAS took its threads from the environment when it was loaded."""


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.options.get("trans"):
        arrays = {**arrays, "other": arrays["other"].T}
    if variant == "numpy":
        return _best(problem, arrays, direction)
    if problem.op in STEPS:
        return _reference_step(problem, arrays["param"], arrays["grad"])
    if problem.op in RECURRENT:
        return _reference_recurrent(problem.op, arrays, direction)
    return _reference(problem, arrays, direction)


def _reference_step(problem: Problem, param: Any, grad: Any) -> Prepared:
    """Prepare the first step, which finds no state."""
    options: Any = {"lr": LEARNING_RATE, **problem.arguments}
    zeros = np.zeros(param.shape)
    momentum = zeros if options.get("momentum") else None

    def run() -> Any:
        if problem.op == "sgd":
            return reference.sgd_step(param, grad, None, **options)
        if problem.op == "rmsprop":
            return reference.rmsprop_step(param, grad, zeros, momentum, None, **options)
        decoupled = problem.op == "adamw"
        return reference.adam_step(
            param, grad, zeros, zeros, None, 1, decoupled=decoupled, **options
        )

    return Prepared(run, lambda result: [result[0]])


def _reference_recurrent(op: str, arrays: Arrays, direction: str) -> Prepared:
    state = np.zeros((arrays["input"].shape[1], arrays["weight_hh"].shape[1]))
    states = {"hx": state, "cx": state} if op == "lstm" else {"hx": state}
    inputs = {name: array for name, array in arrays.items() if name != "grad_output"} | states

    def run() -> list[Any]:
        output = getattr(reference, op)(**inputs)[0]
        if direction == "forward":
            return [output]
        last = [state] * len(states)  # the gradients of the last states: zeros
        grads = getattr(reference, f"{op}_backward")(arrays["grad_output"], *last, **inputs)
        return [output, grads[0], *grads[1 + len(states) : 3 + len(states)]]

    return Prepared(run, lambda results: results)


def _reference(problem: Problem, arrays: Arrays, direction: str) -> Prepared:
    inputs = {name: array for name, array in arrays.items() if name != "grad_output"}
    function, options = getattr(reference, problem.op), problem.arguments
    if direction == "forward":
        return Prepared(lambda: first(function(**inputs, **options)), lambda y: [np.asarray(y)])

    backward = getattr(reference, f"{problem.op}_backward")
    without_bias = {name: array for name, array in inputs.items() if name != "bias"}

    def run() -> list[Any]:
        output = first(function(**inputs, **options))
        grads = backward(arrays["grad_output"], **without_bias, **options)
        return [output, *(grads if isinstance(grads, tuple) else (grads,))]

    def fetch(results: list[Any]) -> list[Any]:
        if problem.options.get("trans"):  # the gradient of the matrix as it is stored
            results = [*results[:2], results[2].T]
        wanted = len(inputs.keys() - problem.constants)
        return [np.asarray(result) for result in results[: 1 + wanted]]

    return Prepared(run, fetch)


# ---- the best formulations ---------------------------------------------------------------------


def _best(problem: Problem, arrays: Arrays, direction: str) -> Prepared:
    if direction == "backward":
        raise NotImplementedError("the fast NumPy formulations have no backward")
    if problem.op == "sgd":
        return _sgd(problem, arrays)
    if problem.op not in BEST:
        raise NotImplementedError(f"the reference is NumPy's best formulation of {problem.op}")
    function = BEST[problem.op]
    if function is _conv:
        size = 4 * prod(problem.output_shape) * prod(problem.shapes[1][2:])
        size = size // problem.output_shape[1] * problem.shapes[0][1]
        if size > COLUMNS_LIMIT:
            raise NotImplementedError(f"the matrix of all windows would take {size:.1e} bytes")
    return Prepared(lambda: function(problem, arrays), lambda output: [np.asarray(output)])


def _conv(problem: Problem, arrays: Arrays) -> Any:
    bias = arrays.get("bias")
    return reference.conv2d_im2col(arrays["input"], arrays["weight"], bias, **problem.arguments)


def _conv_transpose(problem: Problem, arrays: Arrays) -> Any:
    """Multiply for all offsets at once, then add each offset's products to its places."""
    x, weight = arrays["input"], arrays["weight"]
    rank, groups = problem.rank, problem.options.get("groups", 1)
    filters = weight.reshape(groups, len(weight) // groups, -1).swapaxes(1, 2)
    products = filters @ x.reshape(len(x), groups, len(weight) // groups, -1)
    columns = products.reshape(len(x), -1, *weight.shape[2:], *x.shape[2:])
    output = _add_windows(problem, columns)
    if "bias" in arrays:
        output += arrays["bias"].reshape(-1, *(1,) * rank)
    return output


def _add_windows(problem: Problem, columns: Any) -> Any:
    """Add columns (N, C, offsets..., positions...) up in the output."""
    each, rank, shape = problem.each, problem.rank, problem.output_shape
    step, spread, pad = each("stride", 1), each("dilation", 1), each("padding", 0)
    full = np.zeros((*shape[:2], *(n + 2 * p for n, p in zip(shape[2:], pad))), columns.dtype)
    for offset in np.ndindex(*columns.shape[2 : 2 + rank]):
        starts = [r * d for r, d in zip(offset, spread)]
        stops = [a + s * (n - 1) + 1 for a, s, n in zip(starts, step, columns.shape[-rank:])]
        full[(..., *map(slice, starts, stops, step))] += columns[(slice(None),) * 2 + offset]
    return full[(..., *(slice(p, p + n) for p, n in zip(pad, shape[2:])))]


def _unfold(problem: Problem, arrays: Arrays) -> Any:
    """Copy the windows out of a strided view."""
    x, each = arrays["input"], problem.each
    (r, s), (top, left) = each("kernel_size"), each("padding", 0)
    step, spread = each("stride", 1), each("dilation", 1)
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    extent = spread[0] * (r - 1) + 1, spread[1] * (s - 1) + 1
    views = np.lib.stride_tricks.sliding_window_view(x, extent, (2, 3))
    views = views[:, :, :: step[0], :: step[1], :: spread[0], :: spread[1]]
    return np.moveaxis(views, (2, 3), (4, 5)).reshape(problem.output_shape)


def _fold(problem: Problem, arrays: Arrays) -> Any:
    batch, _, positions = problem.shapes[0]
    shape, kernel = problem.output_shape, problem.each("kernel_size")
    rows = problem.positions(shape[2:], kernel)[0]
    columns = arrays["input"].reshape(batch, shape[1], *kernel, rows, positions // rows)
    return _add_windows(problem, columns)


def _pad(problem: Problem, arrays: Arrays) -> Any:
    option = problem.options.get
    widths = [option("pad")[i : i + 2] for i in range(0, len(option("pad")), 2)][::-1]
    widths = [(0, 0)] * (4 - len(widths)) + widths
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x = arrays["input"]
    kept = (slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths))
    borders = [(max(a, 0), max(b, 0)) for a, b in widths]
    return np.pad(x[tuple(kept)], borders, modes[option("mode", "constant")])


def _linear(problem: Problem, arrays: Arrays) -> Any:
    output = arrays["input"] @ arrays["weight"].T
    if "bias" in arrays:
        output += arrays["bias"]
    return output


def _matmul(problem: Problem, arrays: Arrays) -> Any:
    return arrays["input"] @ arrays["other"]


def _relu(problem: Problem, arrays: Arrays) -> Any:
    return np.maximum(arrays["input"], 0)


def _pool(problem: Problem, arrays: Arrays) -> Any:
    """Take a running maximum, or a sum, over the offsets of the kernel."""
    each, largest = problem.each, problem.op.startswith("max")
    kernel, pad = each("kernel_size"), each("padding", 0)
    step, spread = each("stride", kernel), each("dilation", 1)
    x, places = arrays["input"], problem.output_shape[2:]
    if any(pad):
        widths = ((0, 0), (0, 0), *((p, p) for p in pad))
        x = np.pad(x, widths, constant_values=-np.inf if largest else 0)
    join, result = np.maximum if largest else np.add, None
    for offset in np.ndindex(*kernel):
        starts = [r * d for r, d in zip(offset, spread)]
        stops = [a + s * (n - 1) + 1 for a, s, n in zip(starts, step, places)]
        window = x[(..., *map(slice, starts, stops, step))]
        result = window.copy() if result is None else join(result, window, out=result)
    return result if largest else np.divide(result, np.float32(prod(kernel)), out=result)


def _cross_entropy(problem: Problem, arrays: Arrays) -> Any:
    x = arrays["input"]
    shifted = x - x.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return (log_sums - shifted[np.arange(len(x)), arrays["target"]]).mean()


def _nll_loss(problem: Problem, arrays: Arrays) -> Any:
    x = arrays["input"]
    return -x[np.arange(len(x)), arrays["target"]].mean()


def _norm(problem: Problem, arrays: Arrays) -> Any:
    x = arrays["input"]
    if problem.op == "group_norm":
        x = x.reshape(len(x), problem.options["num_groups"], -1)
    axes = (0, 2, 3) if problem.op.startswith("batch") else tuple(range(1, x.ndim))
    axes = {"instance_norm": (2, 3), "group_norm": (2,)}.get(problem.op, axes)
    centred = x - x.mean(axes, keepdims=True)
    centred /= np.sqrt(np.square(centred).mean(axes, keepdims=True) + 1e-5)
    if problem.op == "batch_norm_relu":
        np.maximum(centred, 0, out=centred)
    return centred.reshape(problem.shapes[0])


def _difference_loss(problem: Problem, arrays: Arrays) -> Any:
    d = arrays["input"] - arrays["target"]
    if problem.op == "mse_loss":
        return np.square(d, out=d).mean()
    np.abs(d, out=d)
    return (d if problem.op == "l1_loss" else np.where(d < 1, d * d / 2, d - 0.5)).mean()


def _local_response_norm(problem: Problem, arrays: Arrays) -> Any:
    x, size = arrays["input"], problem.options["size"]
    padded = np.pad(x * x, ((0, 0), (size // 2, (size - 1) // 2), (0, 0), (0, 0)))
    total = sum(padded[:, i : i + x.shape[1]] for i in range(size))
    return x * (np.float32(1e-4 / size) * total + 1) ** np.float32(-0.75)


NORMS = ("batch_norm", "batch_norm_relu", "instance_norm", "group_norm", "layer_norm")


def _recurrent(problem: Problem, arrays: Arrays) -> Any:
    x, w, size = arrays["input"], arrays["weight_hh"].T, problem.shapes[2][1]
    inputs = (x.reshape(-1, x.shape[2]) @ arrays["weight_ih"].T).reshape(*x.shape[:2], w.shape[1])
    h = c = np.zeros((x.shape[1], size), np.float32)
    output = np.empty((*x.shape[:2], size), np.float32)
    for t, a in enumerate(inputs):
        b = h @ w
        if problem.op == "rnn":
            h = np.tanh(a + b)
        elif problem.op == "lstm":
            i, f, g, o = np.split(a + b, 4, axis=1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        else:
            r, z = np.split(_sigmoid(a[:, : 2 * size] + b[:, : 2 * size]), 2, axis=1)
            n = np.tanh(a[:, 2 * size :] + r * b[:, 2 * size :])
            h = n + z * (h - n)
        output[t] = h
    return output


def _sigmoid(x: Any) -> Any:
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))


BEST: dict[str, Callable[[Problem, Arrays], Any]] = {
    **dict.fromkeys(CONVS, _conv),
    **dict.fromkeys(TRANSPOSED, _conv_transpose),
    "unfold": _unfold,
    "fold": _fold,
    "pad": _pad,
    "linear": _linear,
    "matmul": _matmul,
    "relu": _relu,
    **{f"{kind}_pool{n}d": _pool for kind in ("max", "avg") for n in (1, 2, 3)},
    "cross_entropy": _cross_entropy,
    "nll_loss": _nll_loss,
    "embedding": lambda problem, arrays: arrays["weight"][arrays["input"]],
    "local_response_norm": _local_response_norm,
    **dict.fromkeys(DIFFERENCES, _difference_loss),
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(RECURRENT, _recurrent),
}


def _sgd(problem: Problem, arrays: Arrays) -> Prepared:
    param, grad = arrays["param"].copy(), arrays["grad"]
    momentum = problem.options.get("momentum", 0)
    decay = problem.options.get("weight_decay", 0)
    buffer = np.zeros_like(param)

    def run() -> None:
        np.multiply(buffer, momentum, out=buffer)
        np.add(buffer, grad + decay * param, out=buffer)
        np.subtract(param, LEARNING_RATE * buffer, out=param)

    return Prepared(run, lambda _: [param])
