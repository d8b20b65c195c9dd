"""The NumPy twins in place of the kernels: exactly the reference, for every op."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import DTYPES, draw_gradient, expect, fill, run
from ops import CASES
from ops.case import Case

import pyconv
import pyconv.functional as F
from pyconv import nn, reference
from pyconv.functional import conv2d, relu

# Three cases of each op: what is tested is how arguments reach the twin.
SOME = [pytest.param(op, c, id=f"{op}-{c.name}") for op, cases in CASES.items() for c in cases[:3]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "case"), SOME)
def test_results_are_the_reference_itself(op: str, case: Case, dtype: Any) -> None:
    arrays, options = fill(case, dtype)
    grad_output = draw_gradient(op, arrays, options)
    truth = expect(op, arrays, options, grad_output)
    with pyconv.backend("reference"):
        result = run(op, arrays, options, grad_output)
    assert result.output.dtype == dtype
    np.testing.assert_array_equal(result.output, np.asarray(truth.output, dtype))
    for name, grad in truth.grads.items():
        np.testing.assert_array_equal(result.grads[name], np.asarray(grad, dtype))


def test_layers_and_names_held_elsewhere_run_the_twins() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 16, 9, 9)).astype(np.float32)
    layer = nn.Conv2d(16, 16, 3, padding=1)
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    truth = pyconv.reference.conv2d(x, weight, bias, padding=1).astype(np.float32)
    with pyconv.backend("reference"), pyconv.backend("reference"):
        results = [layer(x), F.conv2d(x, weight, bias, padding=1), conv2d(x, weight, bias, 1, 1)]
        product = pyconv.tensor([[1.0, 2.0]]) @ pyconv.tensor([[3.0], [4.0]])
    for result in results:
        np.testing.assert_array_equal(result.detach().numpy(), truth)
    assert product.item() == 11
    again = layer(x).detach().numpy()
    assert (again != truth).any()  # the kernels round otherwise
    np.testing.assert_allclose(again, truth, rtol=1e-4, atol=1e-4)


def test_an_integer_to_pad_with_leaves_fractions_alone() -> None:
    with pyconv.backend("reference"):
        assert F.pad([0.5, 1.5], (1, 0), value=2).numpy().tolist() == [2, 0.5, 1.5]


def test_a_network_trains() -> None:
    pyconv.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    x, target = np.ones((2, 1, 4, 4), np.float32), np.array([0, 2])
    grads = []
    for name in ("cpu", "reference"):
        net.zero_grad()
        with pyconv.backend(name):
            F.cross_entropy(net(x), target).backward()
        grads.append([p.grad.numpy() for p in net.parameters()])
    for ours, theirs in zip(*grads):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_running_statistics_are_kept() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    stats = []
    for name in ("cpu", "reference"):
        norm = nn.BatchNorm2d(3)
        with pyconv.backend(name):
            (norm(x) * x).sum().backward()
        stats.append([norm.running_mean.numpy(), norm.running_var.numpy(), norm.weight.grad])
    for ours, theirs in zip(*stats):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_integers_and_numbers_keep_their_types() -> None:
    x, i = pyconv.ones(2, dtype="float64", requires_grad=True), pyconv.arange(3)
    with pyconv.backend("reference"):
        assert (2.0 * x).dtype == (x - 1).dtype == np.float64
        assert (pyconv.ones(2) / 3).dtype == np.float32
        assert (i + 1).dtype == (i * i).dtype == np.int64
        (1 / (x + 1) * 4).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [-1, -1])


def test_what_it_does_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    before = relu.__code__
    with pytest.raises(ValueError, match="'numpy'"), pyconv.backend("numpy"):
        pass
    with pyconv.backend("reference"):
        with monkeypatch.context() as patch:
            patch.setattr(reference, "relu", lambda x: x)
            with pytest.raises(NotImplementedError, match="relu has no input there"):
                F.relu([1.0])
        x = pyconv.ones(2, requires_grad=True)
        with pytest.raises(NotImplementedError, match="first derivatives"):
            F.relu(x).sum().backward(create_graph=True)
        with pytest.raises(TypeError):
            F.relu()
    assert relu.__code__ is before
    with pytest.raises(KeyError), pyconv.backend("reference"):
        raise KeyError
    assert relu.__code__ is before
    assert F.conv2d.__defaults__ is not None


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell"])
def test_recurrent_layers_and_cells(name: str) -> None:
    pyconv.manual_seed(0)
    module, rng = getattr(nn, name)(3, 5), np.random.default_rng(0)
    op, cell = name.removesuffix("Cell").lower(), name.endswith("Cell")
    weights = [p.detach().numpy() for p in module.parameters()]
    x = rng.standard_normal((1 if cell else 4, 2, 3)).astype(np.float32)
    states = [rng.standard_normal((1, 2, 5)).astype(np.float32) for _ in range(1 + (op == "lstm"))]
    truth = getattr(reference, op)(x, *[h[0] for h in states], *weights)
    grads = [np.asarray(rng.standard_normal(t.shape), np.float32) for t in truth]
    if cell:
        grads[0][...] = 0
    back = getattr(reference, f"{op}_backward")(*grads, x, *[h[0] for h in states], *weights)

    given = pyconv.tensor(x[0] if cell else x, requires_grad=True)
    hx = [pyconv.from_numpy(h[0] if cell else h) for h in states]
    with pyconv.backend("reference"):
        results = module(given, tuple(hx) if op == "lstm" else hx[0])
        flat = [results] if name in ("RNNCell", "GRUCell") else list(results)
        flat = [part for result in flat for part in (result if type(result) is tuple else [result])]
        pyconv.autograd.backward(
            flat, [g.reshape(r.shape) for g, r in zip(grads[-len(flat) :], flat)]
        )
        with pyconv.no_grad():
            module(given[:1] if cell else given[:1, :1])
    for result, true in zip(flat, truth[-len(flat) :]):
        np.testing.assert_array_equal(
            result.detach().numpy().reshape(true.shape), true.astype(np.float32)
        )
    np.testing.assert_array_equal(given.grad.numpy().reshape(x.shape), back[0].astype(np.float32))
    for parameter, true in zip(module.parameters(), back[1 + len(states) :]):
        np.testing.assert_array_equal(parameter.grad.numpy(), true.astype(np.float32))
