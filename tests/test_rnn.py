"""Recurrent layers: the kernel of one layer and direction, against its twin in NumPy."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import numpy as np
import pytest
from harness import DTYPES, ISAS
from ops.case import Case
from ops.rnn import PROJECTED, RNN, STEP_BY_STEP
from ops.rnn import case as rnn_case
from test_ops import KINDS, remade

import pyconv
from pyconv import _core, nn, reference
from pyconv.autograd import gradcheck, gradgradcheck
from pyconv.functional.rnn import Config, recurrent, recurrent_steps
from pyconv.testing import assert_close, force

ALL = [pytest.param(op, c, id=f"{op}-{c.name}") for op, cases in RNN.items() for c in cases]
SLOW = [
    pytest.param(op, c, id=f"{op}-{c.name}") for op, cases in STEP_BY_STEP.items() for c in cases
]
Arrays = dict[str, np.ndarray]


def fill(case: Case, dtype: Any) -> Arrays:
    """Draw weights so small that the gates stay where they have a derivative."""
    rng = np.random.default_rng(zlib.crc32(repr(case).encode()))
    arrays = {name: rng.standard_normal(shape) for name, shape in case.arrays.items()}
    return {name: np.asarray(array / size_of(name, array), dtype) for name, array in arrays.items()}


def size_of(name: str, array: np.ndarray) -> float:
    return float(np.sqrt(array.shape[1])) if "weight" in name else 1.0


def with_gradients(arrays: Arrays, grads: Any) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name and value of each argument, with its gradient."""
    grads = list(grads)
    if "weight_hr" in arrays and "bias_ih" not in arrays:
        grads = [*grads[:5], grads[-1]]
    return [(name, arrays[name], grad) for name, grad in zip(arrays, grads)]


def config_of(op: str, options: dict[str, Any]) -> Config:
    mode = f"RNN_{options.get('nonlinearity', 'tanh').upper()}" if op == "rnn" else op.upper()
    lengths = options.get("lengths")
    return Config(
        mode,
        None if lengths is None else pyconv.tensor(lengths),
        options.get("reverse", False),
        options.get("reset_after", True),
    )


def call(op: str, tensors: dict[str, Any], options: dict[str, Any], steps: bool = False) -> Any:
    """Return output, h_n and perhaps c_n, of the kernel or step by step."""
    states = [tensors[name].unsqueeze(0) for name in ("hx", "cx") if name in tensors]
    weights = [tensors.get(key) for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    rest = config_of(op, options), tensors.get("weight_hr")
    if steps:
        output, last, _ = recurrent_steps(tensors["input"], states, weights, *rest)
    else:
        output, *last = recurrent(tensors["input"], states, weights, *rest)
    return (output, *[state.squeeze(0) for state in last])


def draw_gradients(op: str, arrays: Arrays, options: dict[str, Any]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    results = getattr(reference, op)(**arrays, **options)
    return [rng.standard_normal(r.shape).astype(arrays["input"].dtype) for r in results]


def run(
    op: str, arrays: Arrays, options: dict[str, Any], grads: list[Any], steps: bool = False
) -> tuple[list[np.ndarray], Arrays]:
    """Return the results and the gradients of the arguments."""
    tensors = {name: pyconv.from_numpy(array) for name, array in arrays.items()}
    for tensor in tensors.values():
        tensor.requires_grad = True
    results = call(op, tensors, options, steps)
    pyconv.autograd.backward(results, grads)
    found = {name: tensor.grad.numpy() for name, tensor in tensors.items()}
    return [result.detach().numpy() for result in results], found


def check(
    op: str, case: Case, dtype: Any, remake: Any = lambda array: array, steps: bool = False
) -> None:
    arrays, options = fill(case, dtype), case.options
    grads = draw_gradients(op, arrays, options)
    remade_arrays = {name: remake(array) for name, array in arrays.items()}
    before = {name: array.copy() for name, array in remade_arrays.items()}
    results, found = run(op, remade_arrays, options, [remake(g) for g in grads], steps)
    truth = getattr(reference, op)(**arrays, **options)
    true_grads = getattr(reference, f"{op}_backward")(*grads, **arrays, **options)
    # An error passes through all steps behind it; a gradient of a weight is a sum over all rows.
    time, batch, features = case.arrays["input"]
    length = time * sum(case.arrays["weight_hh"]) + features
    empty = batch == 0
    for result, expected in zip(results, truth, strict=True):
        assert result.dtype == dtype
        assert_close(result, expected, length, allow_empty=empty)
    for name, array, grad in with_gradients(arrays, true_grads):
        assert found[name].dtype == dtype
        terms = length * (1 if name in ("input", "hx", "cx") else max(1, time * batch))
        assert_close(found[name], grad, terms, allow_empty=array.size == 0)
        np.testing.assert_array_equal(remade_arrays[name], before[name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("op", "case"), ALL)
def test_equals_reference(op: str, case: Case, isa: str, dtype: Any) -> None:
    with force(isa=isa):
        check(op, case, dtype)


@pytest.mark.parametrize(("op", "case"), ALL + SLOW)
def test_steps_one_by_one_equal_reference(op: str, case: Case) -> None:
    check(op, case, np.float64, steps=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", RNN)
def test_memory_layout_does_not_matter(op: str, kind: str) -> None:
    for case in RNN[op]:
        if case.name.removeprefix("projected-") in ("odd", "lengths-reverse", "batch-0"):
            check(op, case, np.float32, lambda array: remade(kind, array))


@pytest.mark.parametrize(("op", "case"), ALL + SLOW)
def test_reference_passes_finite_differences(op: str, case: Case) -> None:
    """Along a random direction v: f(x + h v) - f(x - h v) = 2 h <gradient, v> + O(h^3)."""
    arrays, options = fill(case, np.float64), case.options
    grads = draw_gradients(op, arrays, options)
    true_grads = getattr(reference, f"{op}_backward")(*grads, **arrays, **options)
    step = float(np.cbrt(np.finfo(float).eps))
    for name, array, grad in with_gradients(arrays, true_grads):
        direction = np.random.default_rng(2).standard_normal(array.shape) / size_of(name, array)
        totals = []
        for h in (step, -step):
            moved = arrays | {name: array + h * direction}
            results = getattr(reference, op)(**moved, **options)
            totals.append(sum((r * g).sum() for r, g in zip(results, grads)))
        terms = max(1, array.size + grads[0].size)
        numeric = (totals[0] - totals[1]) / (2 * step)
        assert_close(numeric, (grad * direction).sum(), terms, scale=1 / step)


def test_reference_knows_two_nonlinearities() -> None:
    with pytest.raises(KeyError):
        reference.rnn([[[1.0]]], [[0.0]], [[1.0]], [[1.0]], nonlinearity="sigmoid")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("op", RNN)
def test_bits_do_not_depend_on_threads(op: str, isa: str) -> None:
    for case in RNN[op]:
        names = ("two-threads-of-work", "odd", "one-step-one-row", "lengths-reverse")
        if case.name.removeprefix("projected-") not in names:
            continue
        arrays = fill(case, np.float32)
        grads = draw_gradients(op, arrays, case.options)
        outcomes = []
        for threads in (1, 2, 7):
            with force(isa=isa, threads=threads):
                results, found = run(op, arrays, case.options, grads)
            outcomes.append([a.tobytes() for a in (*results, *found.values())])
        assert outcomes[0] == outcomes[1] == outcomes[2]


def test_callers_in_many_threads() -> None:
    """One of them has the pool, the others compute alone; all take the same steps."""
    case = RNN["gru"][[c.name for c in RNN["gru"]].index("two-threads-of-work")]
    arrays = fill(case, np.float32)
    grads = draw_gradients("gru", arrays, {})
    expected = run("gru", arrays, {}, grads)[0][0].tobytes()
    same = []

    def work() -> None:
        same.extend(run("gru", arrays, {}, grads)[0][0].tobytes() == expected for _ in range(5))

    with force(threads=3):
        callers = [threading.Thread(target=work) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(timeout=60)
            assert not caller.is_alive()
    assert same == [True] * 20


# ---- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "proj_size"), [(op, 0) for op in RNN] + [("lstm", 1)], ids=[*RNN, "lstm-projected"]
)
def test_second_derivatives(op: str, proj_size: int) -> None:
    arrays = fill(rnn_case(op, "small", (2, 2, 1, 2), proj_size=proj_size), np.float64)
    tensors = {name: pyconv.tensor(array) for name, array in arrays.items()}
    checked = ["input", "hx", "weight_hh", *(["cx"] if op == "lstm" else ["bias_ih"])]
    checked += ["weight_hr"] if proj_size else []
    for name in checked:
        tensors[name].requires_grad = True

    def function(*values: Any) -> Any:
        return call(op, tensors | dict(zip(checked, values)), {"lengths": [2, 1], "reverse": True})

    inputs = [tensors[name] for name in checked]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize(
    ("op", "case"), [*((op, RNN[op][0]) for op in RNN), ("lstm", PROJECTED[0])]
)
def test_only_what_is_asked_for_has_a_gradient(op: str, case: Case) -> None:
    arrays = fill(case, np.float32)
    for wanted in arrays:
        tensors = {name: pyconv.from_numpy(array) for name, array in arrays.items()}
        tensors[wanted].requires_grad = True
        results = call(op, tensors, {})
        results[-1].sum().backward()
        assert tensors[wanted].grad.shape == arrays[wanted].shape
        assert all(t.grad is None for name, t in tensors.items() if name != wanted)


def test_inference_keeps_nothing() -> None:
    """Gates of all steps would be three times the output."""
    arrays = fill(RNN["gru"][0], np.float32) | {"input": np.ones((20000, 3, 4), np.float32)}
    with pyconv.no_grad():
        tensors = {name: pyconv.tensor(a, requires_grad=True) for name, a in arrays.items()}
        _core.reset_peak_memory_stats()
        before = _core.memory_stats()["allocated_bytes"]
        output = call("gru", tensors, {})[0]
        peak = _core.memory_stats()["peak_bytes"] - before
    bytes_of_output = output.detach().numpy().nbytes
    # What is computed ahead is bounded: 8 MiB, and an eighth of rounding.
    assert peak < 1.2 * (bytes_of_output + 2**23 + 2**16)


# ---- values that the cases do not reach --------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("op", RNN)
def test_padding_is_never_read(op: str, reverse: bool) -> None:
    case = next(c for c in RNN[op] if c.name == "lengths")
    arrays = fill(case, np.float32)
    lengths = np.asarray(case.options["lengths"])
    options = {"lengths": lengths, "reverse": reverse}
    padding = np.arange(7)[:, None] >= lengths
    grads = draw_gradients(op, arrays, options)
    clean = run(op, arrays, options, grads)
    dirty = arrays | {"input": np.where(padding[..., None], np.nan, arrays["input"])}
    dirty_grads = [np.where(padding[..., None], np.nan, grads[0]), *grads[1:]]
    results, found = run(op, dirty, options, dirty_grads)
    for a, b in zip((*results, *found.values()), (*clean[0], *clean[1].values())):
        np.testing.assert_array_equal(a, b)
    assert not results[0][padding].any()
    assert not found["input"][padding].any()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: nn.LSTM(2, 3, proj_size=1, bidirectional=True), {}),
        (lambda: nn.GRU(2, 3, num_layers=2, reset_after=False), {}),
        (lambda: nn.GRU(2, 3, bidirectional=True), {"return_gates": True}),
        (lambda: nn.RNN(2, 3), {"create_graph": True}),
    ],
)
def test_padding_is_never_read_step_by_step(make: Any, options: dict[str, Any]) -> None:
    module, found = make(), []
    graph = options.pop("create_graph", False)
    for value in (1.0, np.nan, np.inf):
        x = pyconv.ones(4, 2, 2)
        x[2:, 0] = value
        x.requires_grad = True
        output = module(x, lengths=[2, 4], **options)[0]
        wanted = [x, *module.parameters()]
        grads = pyconv.autograd.grad(output.sum(), wanted, create_graph=graph)
        found.append([g.detach().numpy() for g in grads])
    for clean, *dirty in zip(*found):
        for other in dirty:
            np.testing.assert_array_equal(clean, other)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("op", RNN)
def test_special_values_stay_in_their_sequence(op: str, value: float, isa: str) -> None:
    case = next(c for c in RNN[op] if c.name == "odd")
    arrays = fill(case, np.float32)
    clean = call(op, {k: pyconv.tensor(a) for k, a in arrays.items()}, {})
    arrays["input"][3, 4, 2] = value
    with force(isa=isa):
        results = call(op, {k: pyconv.tensor(a) for k, a in arrays.items()}, {})
    with np.errstate(invalid="ignore", over="ignore"):
        truth = getattr(reference, op)(**arrays)
    for result, expected, other in zip(results, truth, clean):
        got = result.numpy()
        assert_close(got, expected, 400)
        rest = np.arange(11) != 4
        assert_close(got[..., rest, :], other.numpy()[..., rest, :], 400)
    if np.isnan(value):
        assert np.isnan(results[0].numpy()[3:, 4]).all()
        assert not np.isnan(results[0].numpy()[:3]).any()


@pytest.mark.parametrize("op", RNN)
def test_hundred_thousand_steps(op: str) -> None:
    """A hundred steps a thousand times: from the second to the last but one, all are the same."""
    arrays = fill(rnn_case(op, "long", (100, 1, 2, 3)), np.float32)
    grads = draw_gradients(op, arrays, {})

    def repeated(times: int) -> tuple[list[np.ndarray], Arrays]:
        first, given = (np.tile(a, (times, 1, 1)) for a in (grads[0], arrays["input"]))
        return [first, *grads[1:]], {**arrays, "input": given}

    def longer(three: np.ndarray) -> np.ndarray:
        return np.concatenate([three[:100], np.tile(three[100:200], (998, 1, 1)), three[200:]])

    long_grads, long = repeated(1000)
    results, found = run(op, long, {}, long_grads)
    output, *last = getattr(reference, op)(**repeated(3)[1])
    for result, expected in zip(results, (longer(output), *last), strict=True):
        assert_close(result, expected, 1000)
    backward = getattr(reference, f"{op}_backward")
    two, three = (backward(*few_grads, **few) for few_grads, few in map(repeated, (2, 3)))
    for name, b, c in zip(found, two, three):  # lstm's ends with what no projection has
        expected = longer(c) if name == "input" else b + 998 * (c - b)
        assert_close(found[name], expected, 10**6 if "_" in name else 1000)
