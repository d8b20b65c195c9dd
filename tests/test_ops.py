"""The harness: every check over every case of every op.

The cases are in tests/ops. An op is called as a user calls it, `pyconv.functional.<op>`, and its
gradients are those that `backward` leaves in the arguments. The truth is `pyconv.reference.<op>`
and `pyconv.reference.<op>_backward`, which compute in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from drawn import DRAW, drawn
from harness import (
    CONVOLUTIONS,
    DTYPES,
    FORWARD_ONLY,
    ISAS,
    algorithms,
    applies,
    check,
    compare,
    count_terms,
    draw_gradient,
    expect,
    fill,
    run,
)
from ops import CASES
from ops.case import Case

from pyconv import reference
from pyconv.testing import assert_close, force

ALL = [
    pytest.param(op, case, id=f"{op}-{case.name}") for op, cases in CASES.items() for case in cases
]
FEW_SEEDS, MANY_SEEDS = range(40), range(40, 400)


# ---- the values --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("op", "case"), ALL)
def test_equals_reference(op: str, case: Case, isa: str, dtype: Any) -> None:
    arrays, options = fill(case, dtype)
    for name in algorithms(op):
        with force(isa=isa):  # what a row takes may depend on it
            applicable = applies(op, name, arrays, options)
        if applicable:
            with force(isa=isa, algorithm={op: name} if name else None):
                check(op, arrays, options)


@pytest.mark.parametrize("seed", FEW_SEEDS)
@pytest.mark.parametrize("op", DRAW)
def test_drawn_equals_reference(op: str, seed: int) -> None:
    for isa in ISAS:
        for dtype in DTYPES:
            test_equals_reference(op, drawn(op, seed), isa, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY_SEEDS)
@pytest.mark.parametrize("op", DRAW)
def test_many_drawn_equal_reference(op: str, seed: int) -> None:
    test_drawn_equals_reference(op, seed)


@pytest.mark.parametrize(("op", "case"), ALL)
def test_reference_passes_finite_differences(op: str, case: Case) -> None:
    """Along a random direction v: f(x + h v) - f(x - h v) = 2 h <gradient, v> + O(h^3)."""
    arrays, options = fill(case, np.float64)
    if case.ties or max(array.size for array in arrays.values()) > 10**5:
        pytest.skip("some values lie within a step of a point without derivative")
    grad_output = draw_gradient(op, arrays, options)
    grads = expect(op, arrays, options, grad_output).grads
    assert grads.keys() == arrays.keys()
    step = float(np.cbrt(np.finfo(float).eps))
    for name, array in arrays.items():
        direction = np.random.default_rng(2).standard_normal(array.shape)
        ends = [
            getattr(reference, op)(**(arrays | {name: array + h * direction}), **options)
            for h in (step, -step)
        ]
        numeric = ((ends[0] - ends[1]) * grad_output).sum() / (2 * step)
        terms = max(1, array.size + grad_output.size)
        assert_close(numeric, (grads[name] * direction).sum(), terms, scale=1 / step)


# ---- arrays of every kind ----------------------------------------------------------------------


def misaligned(array: np.ndarray) -> np.ndarray:
    buffer = bytearray(array.nbytes + 1)
    view = np.frombuffer(buffer, array.dtype, array.size, offset=1).reshape(array.shape)
    view[...] = array
    return view


def every_second(array: np.ndarray) -> np.ndarray:
    wide = np.full([2 * n for n in array.shape], np.nan, array.dtype)
    view = wide[(..., *(slice(None, None, 2) for _ in array.shape))]
    view[...] = array
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "every-second": every_second,
    "reversed": lambda array: np.flip(np.flip(array).copy()),
    "transposed": np.asfortranarray,
    "channels-last": lambda array: (
        np.moveaxis(np.moveaxis(array, -1, 0).copy(), 0, -1) if array.ndim else array
    ),
    "misaligned": misaligned,
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "read-only": read_only,
}


def remade(kind: str, array: np.ndarray) -> np.ndarray:
    # Without axes most kinds come to the same, and NumPy's functions change the shape.
    return np.asarray(KINDS[kind](array)).reshape(array.shape)


def check_remade(kind: str, op: str, case: Case, dtype: Any) -> None:
    try:
        check(op, *fill(case, dtype), remake=partial(remade, kind))
    except Exception as error:
        raise AssertionError(f"arrays that are {kind}") from error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "case"), ALL)
def test_memory_layout_does_not_matter(op: str, case: Case, dtype: Any) -> None:
    for kind in KINDS:
        check_remade(kind, op, case, dtype)


@pytest.mark.parametrize(("op", "case"), ALL)
def test_one_number_seen_everywhere_is_a_gradient(op: str, case: Case) -> None:
    """The gradient of a sum is not written out: all its strides are 0."""
    arrays, options = fill(case, np.float32)
    shape = draw_gradient(op, arrays, options).shape
    seen = np.broadcast_to(np.float32(0.75), shape)
    result, copied = (run(op, arrays, options, grad) for grad in (seen, seen.copy()))
    terms = count_terms(op, arrays, options)
    for name, grad in copied.grads.items():
        longest = max(1, int(np.abs(terms.grads[name]).max(initial=1)))
        assert_close(result.grads[name], grad, longest, allow_empty=grad.size == 0)


@pytest.mark.parametrize(("op", "case"), ALL)
def test_arguments_are_left_alone(op: str, case: Case) -> None:
    arrays, options = fill(case, np.float32)
    before = {name: array.copy() for name, array in arrays.items()}
    check(op, arrays, options)
    for name, array in before.items():
        np.testing.assert_array_equal(arrays[name], array)


# ---- threads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("op", "case"), ALL)
def test_bits_do_not_depend_on_threads(op: str, case: Case, isa: str) -> None:
    arrays, options = fill(case, np.float32)
    grad_output = draw_gradient(op, arrays, options)
    for algorithm in algorithms(op):
        with force(isa=isa):
            if not applies(op, algorithm, arrays, options):
                continue
        with force(isa=isa, algorithm={op: algorithm} if algorithm else None):
            results = []
            for threads in (1, 2, 7):
                with force(threads=threads):
                    results.append(run(op, arrays, options, grad_output))
        for other in results[1:]:
            assert other.output.tobytes() == results[0].output.tobytes()
            for name, grad in results[0].grads.items():
                assert other.grads[name].tobytes() == grad.tobytes()


# ---- what the cases must reach -----------------------------------------------------------------


@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_algorithm_takes_some_case(dtype: Any, op: str) -> None:
    for name in algorithms(op):
        taken = [case for case in CASES[op] if applies(op, name, *fill(case, dtype))]
        forward_only = name in FORWARD_ONLY and "transpose" in op
        assert taken or forward_only, f"no case tests the algorithm {name}"


def test_case_names_are_unique() -> None:
    for op, cases in CASES.items():
        names = [case.name for case in cases]
        assert len(names) == len(set(names)), f"{op}: two cases have one name"


# ---- a second opinion --------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("op", "case"), ALL)
def test_reference_agrees_with_pytorch(op: str, case: Case) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    arrays, options = fill(case, np.float64)
    grad_output = draw_gradient(op, arrays, options)
    truth, terms = expect(op, arrays, options, grad_output), count_terms(op, arrays, options)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    others = {
        name: torch.tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    if op in ("cross_entropy", "nll_loss") and not others["target"].is_floating_point():
        others["target"] = others["target"].long()
    if op == "batch_norm_relu":
        output = torch.nn.functional.batch_norm(**tensors, **others).relu()
    else:
        function = getattr(torch.nn.functional, op, None) or getattr(torch, op)
        output = function(**tensors, **others)
    output.backward(torch.tensor(grad_output))
    compare(output.detach().numpy(), truth.output, terms.output, np.float64)
    # The slope of PyTorch's hardsigmoid is 1/6 as a float, in double precision too.
    dtype = np.float32 if op == "hardsigmoid" else np.float64
    for name, grad in truth.grads.items():
        compare(tensors[name].grad.numpy().astype(dtype), grad, terms.grads[name], dtype)
