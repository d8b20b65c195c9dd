"""Run an op as a user does and compare it, and its gradients, with the reference."""

from __future__ import annotations

import functools
import inspect
import pickle
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ops import CASES, norm
from ops.case import Case

import pyconv
import pyconv.functional as F
from pyconv import _core, reference
from pyconv.testing import WINOGRAD_SLACK, assert_close

Arrays = dict[str, np.ndarray]

DTYPES = [np.float32, np.float64]
ISAS = _core.available_isas()
NORMS = [op for op in CASES if op.endswith("_norm") or op == "batch_norm_relu"]
# How many terms a sum has whose weights come to 1, which sums of ones do not tell.
WEIGHTS = {"linear": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}
CONVOLUTIONS = [f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3)]


def fill(case: Case, dtype: Any) -> tuple[Arrays, dict[str, Any]]:
    """Give the case numbers: the arrays with gradients, and the other arguments."""
    rng = np.random.default_rng(zlib.crc32(repr(case).encode()))
    arrays = {name: rng.standard_normal(shape) for name, shape in case.arrays.items()}
    if case.ties:
        arrays = {name: np.round(array) for name, array in arrays.items()}
    if case.positive:
        arrays = {name: np.abs(array) + 0.5 for name, array in arrays.items()}
    if case.probabilities:
        arrays = {name: 0.5 + np.tanh(array) / 4 for name, array in arrays.items()}
    options = {
        name: value.astype(dtype)
        if isinstance(value, np.ndarray) and value.dtype == float
        else value
        for name, value in case.options.items()
    }
    return {name: np.asarray(array, dtype) for name, array in arrays.items()}, options


@dataclass
class Result:
    """What an op gave, and how many terms the longest sum in it had."""

    output: np.ndarray
    grads: Arrays


def expect(op: str, arrays: Arrays, options: dict[str, Any], grad_output: Any) -> Result:
    """Compute the truth."""
    output = np.asarray(getattr(reference, op)(**arrays, **options))
    backward = getattr(reference, f"{op}_backward")
    taken = inspect.signature(backward).parameters
    inputs = {name: array for name, array in arrays.items() if name in taken}
    grads = backward(grad_output, **inputs, **options)
    return Result(output, dict(zip(arrays, grads if isinstance(grads, tuple) else (grads,))))


def count_terms(op: str, arrays: Arrays, options: dict[str, Any]) -> Result:
    """Count the terms of each sum: they are what sums of products of ones come to.

    Not in normalisation, which takes the mean off.
    """
    if op in NORMS:
        count = np.asarray(norm.terms(op, arrays, options))
        return Result(count, dict.fromkeys(arrays, count))
    ones = {name: np.ones(array.shape) for name, array in arrays.items()}
    output = getattr(reference, op)(**ones, **options)
    result = expect(op, ones, options, np.ones(np.shape(output)))
    weights = WEIGHTS.get(options.get("mode", ""), 1)
    grads = {name: weights * grad for name, grad in result.grads.items()}
    reduced = np.ndim(output) == 0 and any(array.ndim for array in arrays.values())
    # A mean of ones is 1, but a sum all the same.
    return Result(np.maximum(weights * result.output, 2 if reduced else 0), grads)


def run(op: str, arrays: Arrays, options: dict[str, Any], grad_output: np.ndarray) -> Result:
    """Call the op as a user does."""
    tensors = {name: pyconv.from_numpy(array) for name, array in arrays.items()}
    for tensor in tensors.values():
        tensor.requires_grad = True
    output = getattr(F, op)(**tensors, **options)
    output.backward(grad_output)
    return Result(
        output.detach().numpy(),
        {name: tensor.grad.numpy() for name, tensor in tensors.items()},
    )


def check(
    op: str,
    arrays: Arrays,
    options: dict[str, Any],
    remake: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> None:
    """Run the op on its arrays as ``remake`` lays them out, and compare with the truth."""
    grad_output, truth, terms = _expectations(op, pickle.dumps((arrays, options)))
    remade = {name: remake(array) for name, array in arrays.items()}
    result = run(op, remade, options, remake(grad_output))
    slack = slack_of(op, arrays, options)
    dtype = dtype_of(arrays)
    compare(result.output, truth.output, terms.output, dtype, slack)
    assert result.grads.keys() == truth.grads.keys() == arrays.keys()
    for name, grad in truth.grads.items():
        compare(result.grads[name], grad, terms.grads[name], dtype, slack)


def dtype_of(arrays: Arrays) -> Any:
    return next(iter(arrays.values())).dtype


@functools.lru_cache(maxsize=8)  # the same case comes with every instruction set and layout
def _expectations(op: str, pickled: bytes) -> tuple[np.ndarray, Result, Result]:
    arrays, options = pickle.loads(pickled)
    grad_output = draw_gradient(op, arrays, options)
    grad_output.flags.writeable = False
    truth = expect(op, arrays, options, grad_output)
    return grad_output, truth, count_terms(op, arrays, options)


def draw_gradient(op: str, arrays: Arrays, options: dict[str, Any]) -> np.ndarray:
    shape = np.shape(getattr(reference, op)(**arrays, **options))
    return np.asarray(np.random.default_rng(1).standard_normal(shape), dtype_of(arrays))


def slack_of(op: str, arrays: Arrays, options: dict[str, Any]) -> float:
    """Winograd's algorithm may have a larger error than the plain sum."""
    if op not in CONVOLUTIONS:
        return 1.0
    forced = _core.force_algorithm(op, None)
    _core.force_algorithm(op, forced)
    possible = forced in (None, "winograd", *FORWARD_ONLY) and not all(
        refused(op, "winograd", arrays, options)
    )
    return WINOGRAD_SLACK if possible else 1.0


def compare(
    actual: np.ndarray, expected: np.ndarray, terms: np.ndarray, dtype: Any, slack: float = 1.0
) -> None:
    """The numbers drawn have size 1, and so have products; what is no sum shows its size itself."""
    assert actual.dtype == dtype
    longest = max(1, int(np.ceil(np.abs(terms).max(initial=1))))
    scale = 1.0 if longest > 1 else min(1.0, float(np.abs(expected).max(initial=0)))
    assert_close(actual, expected, longest, scale, allow_empty=np.size(expected) == 0, slack=slack)


FORWARD_ONLY = ("direct",)  # algorithms that leave the gradients to others


def algorithms(op: str) -> list[str | None]:
    """Every way to compute the op; None leaves the choice to the library."""
    return [None, *(_core.algorithm_names(op) if op in CONVOLUTIONS else [])]


def applies(op: str, name: str | None, arrays: Arrays, options: dict[str, Any]) -> bool:
    """Ask the table of algorithms whether this one takes the case, in all directions it has."""
    if name is None:
        return True
    forward, *backward = refused(op, name, arrays, options)
    return not (forward or (any(backward) and name not in FORWARD_ONLY))


def refused(op: str, name: str, arrays: Arrays, options: dict[str, Any]) -> list[bool]:
    """Ask in which directions the algorithm does not take the case."""
    shapes = [arrays[key].shape for key in ("input", "weight")]
    make_shape = _core.conv_transpose_shape if "transpose" in op else _core.conv_shape
    # The arguments of the public function after the arrays are those that follow the shapes here.
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(getattr(F, op)).parameters.items()
        if name not in ("input", "weight", "bias")
    }
    shape = make_shape(int(op[-2]), *shapes, *(defaults | options).values())
    rows = [
        row
        for direction in ("forward", "backward_input", "backward_weight")
        for row in _core.conv_explain(shape, direction, arrays["input"].dtype)
    ]
    return [bool(row["refused"]) for row in rows if row["algorithm"] == name]


def in_threads(work: Callable[..., None], calls: list[tuple[Any, ...]]) -> None:
    """Call a function with each of these arguments, all at once; all have to end."""
    threads = [threading.Thread(target=work, args=args) for args in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
