"""bfloat16: computed in float32, and rounded once."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from fresh import printed
from harness import CASES, Case, draw_gradient, fill, run

import pyconv
import pyconv.functional as F
from pyconv import nn, optim

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
B = np.dtype(ml_dtypes.bfloat16)


def randn(*size: int, requires_grad: bool = False) -> pyconv.Tensor:
    rng = np.random.default_rng(size)
    return pyconv.tensor(rng.standard_normal(size), dtype=B, requires_grad=requires_grad)


def widened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: widened(inner) for name, inner in value.items()}
    return value.astype(np.float32) if getattr(value, "dtype", None) == B else value


def assert_rounded(actual: Any, exact: Any) -> None:
    """Compare bits, so that NaN equals NaN and 0 is not -0."""
    actual, exact = np.asarray(actual), np.asarray(exact)
    assert (actual.dtype, exact.dtype) == (B, np.float32)
    assert actual.shape == exact.shape
    assert actual.tobytes() == exact.astype(B).tobytes()


def assert_near(actual: Any, expected: Any) -> None:
    assert (actual.dtype, expected.dtype) == (B, B)
    a, b = (x.detach().to(np.float32) for x in (actual, expected))
    np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05)


# ---- every function ----------------------------------------------------------------------------

ALL = [pytest.param(op, c, id=f"{op}-{c.name}") for op, cases in CASES.items() for c in cases]


@pytest.mark.parametrize(("op", "case"), ALL)
def test_is_float32_rounded_once(op: str, case: Case) -> None:
    arrays, options = fill(case, B)
    grad = draw_gradient(op, widened(arrays), widened(options)).astype(B)
    exact = run(op, widened(arrays), widened(options), widened(grad))
    result = run(op, arrays, options, grad)
    assert_rounded(result.output, exact.output)
    for name, array in exact.grads.items():
        assert_rounded(result.grads[name], array)


REST: dict[str, Any] = {
    "cast": lambda x: F.cast(x, np.float32),
    "cat": lambda x: F.cat([x, x]),
    "chunk": lambda x: F.chunk(x, 2)[0],
    "clamp": lambda x: F.clamp(x, -0.3, 0.3),
    "dropout": F.dropout,
    "dropout1d": F.dropout1d,
    "dropout2d": lambda x: F.dropout2d(x.unsqueeze(0)),
    "dropout3d": lambda x: F.dropout3d(x.reshape(3, 2, 2, 1)),
    "einsum": lambda x: F.einsum("ij,kj->ik", x, x),
    "expand": lambda x: F.expand(x, (2, 3, 4)),
    "flatten": F.flatten,
    "index": lambda x: F.index(x, (slice(1, 3), [0, 0])),
    "max": lambda x: F.max(x, 1)[0],
    "min": F.min,
    "permute": lambda x: F.permute(x, (1, 0)),
    "reshape": lambda x: F.reshape(x, (2, 6)),
    "split": lambda x: F.split(x, 2)[0],
    "squeeze": F.squeeze,
    "stack": lambda x: F.stack([x, x]),
    "transpose": lambda x: F.transpose(x, 0, 1),
    "unsqueeze": lambda x: F.unsqueeze(x, 0),
    "where": lambda x: F.where(x > 0, x, 0),
}
WITHOUT_GRADIENT = {"argmax", "eq", "ge", "gt", "le", "lt", "ne"}


def test_no_function_is_left_out() -> None:
    assert set(F.__all__) == CASES.keys() | REST.keys() | WITHOUT_GRADIENT


@pytest.mark.parametrize("op", REST)
def test_the_other_functions(op: str) -> None:
    x = randn(3, 4, requires_grad=True)
    exact = x.detach().to(np.float32).requires_grad_()
    pyconv.manual_seed(0)
    result = REST[op](x)
    pyconv.manual_seed(0)
    expected = REST[op](exact)
    result.sum().backward()
    expected.sum().backward()
    if op != "cast":
        assert_rounded(result.detach(), expected.detach())
    assert_rounded(x.grad, exact.grad)


@pytest.mark.parametrize("op", sorted(WITHOUT_GRADIENT - {"argmax"}))
def test_comparisons(op: str) -> None:
    a, b = randn(3, 4), randn(3, 1)
    exact = getattr(F, op)(widened(a.numpy()), widened(b.numpy()))
    np.testing.assert_array_equal(getattr(F, op)(a, b), exact)
    assert getattr(F, op)(a, 0.5).dtype == bool


def test_argmax_and_masks() -> None:
    x = pyconv.tensor([1.0, math.nan, 3.0], dtype=B)
    assert [F.argmax(x).item(), F.argmax(x[[0, 2]]).item()] == [1, 1]
    assert x[x > 1].tolist() == [3.0]
    assert x.max(0).indices.item() == 1
    assert 3 in x
    with pytest.raises(TypeError, match="expected bools or integers"):
        x & x


# ---- gradients ---------------------------------------------------------------------------------


def test_gradients_of_gradients() -> None:
    x = pyconv.tensor([1.0, 2.0, 3.0], dtype=B, requires_grad=True)
    (first,) = pyconv.autograd.grad((x * x * x).sum(), x, create_graph=True)
    (second,) = pyconv.autograd.grad(first.sum(), x)
    assert (first.dtype, second.dtype) == (B, B)
    assert second.tolist() == [6.0, 12.0, 18.0]


def test_repeated_indices_add_up_in_float32() -> None:
    x = pyconv.zeros(2, dtype=B, requires_grad=True)
    x[[0] * 300].sum().backward()
    assert x.grad.tolist() == [300.0, 0.0]  # one by one bfloat16 ends at 256


def test_functions_of_users() -> None:
    class Double(pyconv.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: pyconv.Tensor) -> pyconv.Tensor:
            seen.append(x.dtype)
            return x + x

        @staticmethod
        def backward(ctx: Any, g: pyconv.Tensor) -> pyconv.Tensor:
            seen.append(g.dtype)
            return 2 * g

    class Narrow(Double):
        takes_any_dtype = True

    x = randn(3, requires_grad=True)
    for function, inside in ((Double, np.float32), (Narrow, B)):
        seen: list[Any] = []
        y = function.apply(x)
        y.sum().backward()
        assert [*seen, y.dtype, x.grad.dtype] == [inside, inside, B, B]


def test_views_share_memory() -> None:
    x = pyconv.zeros(2, 3, dtype=B)
    for view in (x.reshape(-1)[:1], x.T[0], x.expand(1, 2, 3)[0, 0], x.split(1)[0], x.detach()):
        view += 1
    assert x[0, 0].item() == 5


def test_checkpoint_hooks_and_anomaly() -> None:
    x = randn(3, requires_grad=True)
    x.register_hook(lambda g: g * 2)
    pyconv.autograd.checkpoint(lambda t: F.relu(t) * t, x).sum().backward()
    assert_rounded(x.grad, 4 * F.relu(x.detach().to(np.float32)).numpy())
    with pyconv.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="made a NaN"):
        F.log(x - x - 1)
    with pytest.raises(ValueError, match="float64"):
        pyconv.autograd.gradcheck(F.relu, x)


# ---- dtypes ------------------------------------------------------------------------------------


def test_creation() -> None:
    for dtype in ("bfloat16", B, ml_dtypes.bfloat16):
        assert pyconv.tensor([1.5, 2], dtype=dtype).dtype == B
    made = [
        *(make(2, dtype=B) for make in (pyconv.zeros, pyconv.ones, pyconv.empty, pyconv.randn)),
        *(pyconv.full((2,), 0.1, dtype=B), pyconv.arange(2, dtype=B), pyconv.eye(2, dtype=B)),
        *(pyconv.linspace(0, 1, 2, dtype=B), pyconv.randint(5, (2,), dtype=B)),
        *(pyconv.zeros_like(randn(2)), pyconv.ones_like([1], dtype=B), pyconv.tensor(randn(2))),
        pyconv.from_numpy(np.zeros(2, B)),
    ]
    assert {x.dtype for x in made} == {B}
    numbers = pyconv.rand(10_000, dtype=B).numpy()
    assert 0 <= numbers.min() < numbers.max() < 1
    assert pyconv.tensor(1e39, dtype=B).item() == math.inf
    for other in ("V4", ml_dtypes.float8_e4m3fn, [("a", float)]):
        with pytest.raises(TypeError, match="expected one of numbers"):
            pyconv.zeros(2, dtype=other)
        with pytest.raises(TypeError, match="expected numbers"):
            pyconv.from_numpy(np.zeros(2, other))


def test_numbers_and_texts() -> None:
    x = pyconv.tensor([1.0, 3.14159], dtype=B)
    assert repr(x) == "tensor([1.    , 3.1406], dtype=bfloat16)"
    assert x.tolist() == [1.0, 3.140625]
    assert (type(x[1].item()), float(x[1]), int(x[1])) == (float, 3.140625, 3)
    assert f"{x[1]:.2f}" == "3.14"
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.to(np.float64).to(B)):
        assert twin.dtype == B
        assert twin.tolist() == x.tolist()


# Of PyTorch or pyconv, and a tensor of three numbers.
PROMOTED: dict[str, Any] = {
    "bfloat16": lambda m, x: x + x,
    "number": lambda m, x: x * 2.5,
    "power": lambda m, x: x**0.5,
    "integers": lambda m, x: x / m.arange(3),
    "float32": lambda m, x: x + m.ones(3),
    "float64": lambda m, x: m.tensor(np.ones(3)) - x,
    "single": lambda m, x: x * m.tensor(2.0),
    "cat": lambda m, x: m.cat([x, m.ones(3)]),
    "cat-integers": lambda m, x: m.cat([x, m.arange(3)]),
    "cat-float16": lambda m, x: m.cat([x, m.tensor(np.ones(3, np.float16))]),
    "where": lambda m, x: m.where(x > 0, x, m.ones(3)),
    "mean": lambda m, x: x.mean(),
    "matmul": lambda m, x: x @ x,
    "in-place": lambda m, x: x.__iadd__(m.ones(3)),
    "batch_norm": lambda m, x: m.nn.BatchNorm1d(3)(m.stack([x, x])),
    "layer_norm": lambda m, x: m.nn.LayerNorm(3)(x),
}


@pytest.mark.torch
@pytest.mark.parametrize("case", PROMOTED)
def test_dtypes_are_those_of_pytorch(case: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = PROMOTED[case](torch, torch.ones(3, dtype=torch.bfloat16))
    ours = PROMOTED[case](pyconv, pyconv.ones(3, dtype=B))
    assert f"torch.{ours.dtype}" == str(theirs.dtype)


def test_float32_weights_compute_in_float32() -> None:
    x, weight = randn(2, 3), pyconv.ones(4, 3, requires_grad=True)
    y = F.linear(x, weight)
    y.sum().backward()
    assert (y.dtype, weight.grad.dtype) == (np.float32, np.float32)
    with pytest.raises(TypeError, match="bfloat16 and weight.dtype is float64"):
        F.linear(x, weight.to(np.float64))


def test_in_place() -> None:
    x = pyconv.ones(3, dtype=B)
    x += pyconv.full((3,), 0.1)
    x *= 2
    x[0] = 0.3
    assert (x.dtype, x.tolist()) == (B, [0.30078125, 2.203125, 2.203125])
    assert x.copy_([1.0, 2.0, 3.0]).fill_(0.1).tolist() == [0.10009765625] * 3
    count = pyconv.arange(3)
    with pytest.raises(TypeError, match="int64 cannot hold bfloat16"):
        count += x
    leaf = randn(3, requires_grad=True)
    y = leaf * 1
    y *= leaf
    y.sum().backward()
    assert_rounded(leaf.grad, 2 * widened(leaf.detach().numpy()))


# ---- networks ----------------------------------------------------------------------------------


def network() -> nn.Module:
    pyconv.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_training(make: Any) -> None:
    model = network().to("bfloat16")
    x, target = randn(6, 1, 8, 8), pyconv.tensor([0, 1, 2] * 2)
    rate = 0.1 if make is optim.SGD else 0.01
    optimizer = make(model.parameters(), lr=rate, **({"momentum": 0.9} if rate == 0.1 else {}))
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    tensors = [*model.parameters(), *(p.grad for p in model.parameters()), loss]
    assert {t.dtype for t in tensors} == {B}
    state = optimizer.state_dict()
    for part in state["state"].values():
        kept = {name: t for name, t in part.items() if isinstance(t, pyconv.Tensor)}
        assert {t.dtype for t in kept.values()} <= {np.dtype(np.float32)}
        part.update({name: t.to(B) for name, t in kept.items()})  # as PyTorch keeps it
    optimizer.load_state_dict(state)
    optimizer.step()


@pytest.mark.parametrize("op", [F.batch_norm, F.batch_norm_relu, F.instance_norm])
def test_running_statistics(op: Any) -> None:
    x = randn(4, 3, 5)
    running = pyconv.zeros(3, dtype=B), pyconv.ones(3, dtype=B)
    exact = pyconv.zeros(3), pyconv.ones(3)
    options = {"use_input_stats" if op is F.instance_norm else "training": True}
    op(x, *running, **options)
    op(x.to(np.float32), *exact, **options)
    for mine, truth in zip(running, exact):
        assert_rounded(mine, truth)
    options = dict.fromkeys(options, False)
    wide = [t.to(np.float32) for t in (x, *running)]
    assert_rounded(op(x, *running, **options), op(*wide, **options))


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers(make: Any) -> None:
    layer = make(3, 4, num_layers=2, bidirectional=True).to(B)
    x = randn(5, 2, 3, requires_grad=True)
    output, last = layer(x)
    output.sum().backward()
    states = last if isinstance(last, tuple) else (last,)
    assert {t.dtype for t in (output, *states, x.grad, layer.weight_hh_l0.grad)} == {B}
    assert layer(x, last)[0].dtype == B


def test_backend_compile_and_summary(tmp_path: Any) -> None:
    model, x = network().to(B).eval(), randn(2, 1, 8, 8)
    expected = model(x)
    with pyconv.backend("reference"):
        assert_near(model(x), expected)
    pytest.importorskip("safetensors")
    plan = pyconv.compile(model, x)
    plan.save(tmp_path / "plan")
    assert_near(plan(x), expected)
    assert_near(pyconv.load_plan(tmp_path / "plan")(x), expected)
    with pytest.raises(TypeError, match="expected bfloat16"):
        plan(x.to(np.float32))
    assert pyconv.summary(model, x).parameters == 483
    assert pyconv.as_matrix(model[4], (144,)).dtype == B
    for call in ((F.linear, x.reshape(2, 64), randn(3, 64)), (F.conv2d, x, model[0].weight)):
        assert pyconv.explain(*call).rows


def test_module_to_and_initialisers() -> None:
    model = network()
    exact = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    model(pyconv.randn(2, 1, 8, 8)).sum().backward()
    assert model.to(B)[1].num_batches_tracked.dtype == np.int64
    assert_rounded(model[0].weight.detach(), exact["0.weight"])
    assert model[0].weight.grad.dtype == B
    for fill_ in (nn.init.uniform_, nn.init.kaiming_normal_, nn.init.orthogonal_, nn.init.ones_):
        assert fill_(model[4].weight).dtype == B
    assert model.float()[0].weight.dtype == np.float32


# ---- files, and without ml_dtypes --------------------------------------------------------------


def test_save_and_load(tmp_path: Any) -> None:
    pytest.importorskip("safetensors")
    path, model = tmp_path / "weights.safetensors", network()
    narrow = {n: t.to(B) if t.dtype == np.float32 else t for n, t in model.state_dict().items()}
    pyconv.save(narrow, path)
    code = f"import pyconv; x = pyconv.load({str(path)!r})['0.bias']; print(x.dtype, x.tolist())"
    assert printed(code) == f"bfloat16 {narrow['0.bias'].tolist()}"
    loaded = pyconv.load(path)
    assert all(np.array_equal(loaded[name], tensor) for name, tensor in narrow.items())
    model.load_state_dict(loaded)
    assert_rounded(narrow["4.weight"], model[4].weight.detach())
    model.to(B).load_state_dict(network().state_dict())
    assert_rounded(model[4].weight.detach(), network()[4].weight.detach())


def test_without_ml_dtypes() -> None:
    code = """
import sys
import pyconv
assert "ml_dtypes" not in sys.modules
sys.modules["ml_dtypes"] = None
for call in (pyconv.nn.Linear(2, 2).to, pyconv.ones(2).to, lambda d: pyconv.zeros(2, dtype=d)):
    try:
        call("bfloat16")
    except ImportError as error:
        print(error)
"""
    needs = "bfloat16 needs ml_dtypes: pip install 'pyconv[bfloat16]'"
    assert printed(code).splitlines() == [needs] * 3
