"""The NumPy twins in place of the kernels: exactly the reference, for every op."""

from __future__ import annotations

from collections.abc import Callable
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


class Two:
    """What Python takes for an integer."""

    def __index__(self) -> int:
        return 2


X = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)
W = np.ones((4, 4, 3, 3), np.float32)
WINDOWS: dict[str, Callable[[Any, Any], Any]] = {
    "conv2d": lambda x, n: F.conv2d(x, W, None, n, n, n),
    "conv_transpose2d": lambda x, n: F.conv_transpose2d(x, W, None, 3, n, n, 1, n),
    "max_pool2d": lambda x, n: F.max_pool2d(x, 5, n, n, n),
    "avg_pool2d": lambda x, n: F.avg_pool2d(x, n, n),
    "lp_pool2d": lambda x, n: F.lp_pool2d(x, 2, n),
    "adaptive_avg_pool2d": F.adaptive_avg_pool2d,
    "adaptive_max_pool2d": F.adaptive_max_pool2d,
    "interpolate": lambda x, n: F.interpolate(x, size=n, mode="bilinear"),
    "unfold": lambda x, n: F.unfold(x, n, n, n, n),
    "fold": lambda x, n: F.fold(x.reshape(2, 16, 16), 8, n, 1, 0, n),
    "max_unpool2d": lambda x, n: F.max_unpool2d(x, np.arange(512).reshape(X.shape) % 256, n),
}
NUMBERS = [np.int64(2), np.array(2), pyconv.tensor(2), Two(), (2,), [2], (Two(), np.array(2))]


@pytest.mark.parametrize("n", NUMBERS)
@pytest.mark.parametrize("op", WINDOWS)
def test_sizes_of_any_type(op: str, n: Any) -> None:
    same(lambda x: WINDOWS[op](x, n))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.adaptive_avg_pool2d(x, [None, 2]),
        lambda x: F.adaptive_max_pool2d(x, (None,)),
        lambda x: F.add(x, np.array(1.0)),
        lambda x: F.avg_pool2d(x, 2, divisor_override=Two()),
        lambda x: F.batch_norm(x, [0.0] * 4, [1.0] * 4),
        lambda x: F.batch_norm(x, None, None, training=True, eps=np.array(1e-5)),
        lambda x: F.cross_entropy(x, np.arange(128).reshape(2, 8, 8) % 4, ignore_index=Two()),
        lambda x: F.exp(x * 1000),
        lambda x: F.interpolate(x, scale_factor=[2, 1.5]),
        lambda x: F.layer_norm(x, [np.array(8)], eps=pyconv.tensor(1e-5)),
        lambda x: F.leaky_relu(x, 10**30),
        lambda x: F.local_response_norm(x, Two()),
        lambda x: F.log_softmax(x[:0], 0),
        lambda x: F.lp_pool2d(x, 10**30, 2),
        lambda x: F.max_unpool2d(x, np.full(X.shape, 3), 2, output_size=(17,)),
        lambda x: F.mse_loss(x[:0], X[:0]),
        lambda x: F.binary_cross_entropy_with_logits(x[:0], X[:0]),
        lambda x: F.pad(x, [Two(), np.int64(1)], value=np.array(1.0)),
        lambda x: F.pixel_shuffle(x, Two()),
        lambda x: F.softmax(x[:, :0], 1),
        lambda x: F.sum(x, [1, np.int64(2)]),
    ],
)
def test_options_of_any_type(call: Callable[[Any], Any]) -> None:
    same(call)


@pytest.mark.parametrize(
    "call",
    [
        F.max,
        lambda x: x.max(1).values,
        lambda x: x.min(-1, keepdim=True)[0],
        lambda x: F.max(x, x * 0.5),
        lambda x: F.dropout(x, 0.3),
        lambda x: F.dropout(x, 1),
        lambda x: F.dropout(x, training=False),
        lambda x: F.dropout1d(x[0], 0.4),
        lambda x: F.dropout2d(x, 0.4),
        lambda x: F.dropout3d(x, 0.4),
    ],
)
def test_extremes_and_dropout(call: Callable[[Any], Any]) -> None:
    """The same places, the same elements dropped, and the same random numbers afterwards."""
    same(lambda x: (pyconv.manual_seed(3), call(x) + pyconv.rand(1))[1])


@pytest.mark.parametrize("name", ["max", "min", "argmax", "dropout", "dropout2d"])
def test_it_is_the_twin_that_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = pyconv.tensor(X, requires_grad=True)
    with pyconv.backend("reference"), monkeypatch.context() as patch:
        patch.setattr(reference, name, lambda x: x)
        with pytest.raises(NotImplementedError, match=f"{name} has no input there"):
            getattr(F, name)(x)
    with pyconv.backend("reference"):
        places = F.argmax(x, 1)
        assert F.max(x, dim=1).indices.tolist() == places.tolist() == X.argmax(1).tolist()
        assert not places.requires_grad
        assert F.max([1, 3, 2], 0).values.dtype == np.int64


def test_gradients_of_any_byte_order() -> None:
    same(lambda x: F.pad(F.softmax(x, 1) * x, (1, 1)), X.astype(">f4"))


def same(call: Callable[[Any], Any], x: np.ndarray = X) -> None:
    """Call it on both backends, and compare results and gradients."""
    results = []
    for name in ("cpu", "reference"):
        given = pyconv.tensor(x, requires_grad=True)
        with pyconv.backend(name):
            output = call(given)
            output.backward(pyconv.ones_like(output))
        results.append((output.detach().numpy(), given.grad.numpy()))
    for ours, theirs in zip(*results):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_bias_without_a_weight_has_its_own_gradient() -> None:
    bias = pyconv.zeros(4, requires_grad=True)
    with pyconv.backend("reference"):
        F.batch_norm(X, None, None, None, bias, training=True).sum().backward()
    np.testing.assert_array_equal(bias.grad.numpy(), 128)


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


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_running_statistics_are_kept(kind: Any) -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    stats = []
    for name in ("cpu", "reference"):
        norm = kind(3, affine=True, track_running_stats=True)
        with pyconv.backend(name):
            (norm(x) * norm(x)).sum().backward()
            norm(x[:0])
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "pow"])
def test_a_number_as_first_operand_has_the_dtype_of_the_second(op: str, dtype: Any) -> None:
    for number in (0.6, np.float64(0.6), 2):
        other = pyconv.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        with pyconv.backend("reference"):
            result = getattr(F, op)(number, other)
        truth = getattr(reference, op)(np.asarray(number, dtype), other.detach().numpy())
        np.testing.assert_array_equal(result.detach().numpy(), truth.astype(dtype), strict=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.sum(x, 1, dtype="float64"),
        lambda x: x.mean(dtype="float64"),
        lambda x: F.softmax(x, 0, dtype="float64"),
        lambda x: F.log_softmax(x, 0, dtype="float64"),
        lambda x: x.var(False),
    ],
)
def test_a_dtype_and_a_flag_as_dim(call: Callable[[Any], Any]) -> None:
    results, grads = [], []
    for name in ("cpu", "reference"):
        x = pyconv.tensor([[1.0, 2.0], [4.0, 3.0]], requires_grad=True)
        with pyconv.backend(name):
            results.append(call(x))
            (results[-1] * results[-1]).sum().backward()
        grads.append(x.grad)
    assert results[0].dtype == results[1].dtype
    for ours, twin in (results, grads):
        np.testing.assert_allclose(ours.detach().numpy(), twin.detach().numpy(), rtol=1e-6)


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
        with pytest.raises(NotImplementedError, match="cross_entropy has no gradient of target"):
            F.cross_entropy([1.0, 2.0], x).backward()
        fixed = np.broadcast_to(np.float32(1), 4)
        with pytest.raises(ValueError, match="running_mean is read-only"):
            F.batch_norm(X, fixed, fixed, training=True)
        with pytest.raises(TypeError):
            F.relu()
    assert relu.__code__ is before
    with pytest.raises(KeyError), pyconv.backend("reference"):
        raise KeyError
    assert relu.__code__ is before
    assert F.conv2d.__defaults__ is not None


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell")]
    + [("LSTM", {"proj_size": 2})],
)
def test_recurrent_layers_and_cells(name: str, options: dict[str, int]) -> None:
    pyconv.manual_seed(0)
    module, rng = getattr(nn, name)(3, 5, **options), np.random.default_rng(0)
    op, cell = name.removesuffix("Cell").lower(), name.endswith("Cell")
    weights = [p.detach().numpy() for p in module.parameters()]
    x = rng.standard_normal((1 if cell else 4, 2, 3)).astype(np.float32)
    sizes = [options.get("proj_size", 5), 5][: 1 + (op == "lstm")]
    states = [rng.standard_normal((1, 2, size)).astype(np.float32) for size in sizes]
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
