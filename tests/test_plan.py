"""Plans: the results of the model, what is folded, and what is refused."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn


def settled(model: nn.Module) -> nn.Module:
    """Give batch norms statistics that are not 0 and 1."""
    rng = np.random.default_rng(0)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
    return model


def same(plan: Any, model: nn.Module, *inputs: Any, rtol: float = 1e-5) -> None:
    """Compare a plan with the model in evaluation."""
    model.eval()
    with pyconv.no_grad():
        expected = model(*inputs)
    result = plan(*inputs)
    expected, result = (x if isinstance(x, tuple) else (x,) for x in (expected, result))
    assert len(result) == len(expected)
    for a, b in zip(result, expected):
        assert isinstance(a, pyconv.Tensor)
        assert (a.dtype, a.requires_grad) == (b.dtype, False)
        scale = np.abs(b.numpy()).max(initial=1e-30)
        np.testing.assert_allclose(a.numpy() / scale, b.numpy() / scale, atol=rtol, rtol=0)


MODELS = {
    "lenet": (1, 1, 28, 28),
    "resnet18": (2, 3, 33, 35),
    "googlenet": (1, 3, 64, 64),
    "densenet121": (1, 3, 32, 32),
    "vgg11_bn": (1, 3, 32, 32),
    "resnet20": (3, 3, 32, 32),
    "preact_resnet164": (1, 3, 16, 16),
    "regnet_y_400mf": (1, 3, 64, 64),
    "unet": (1, 1, 32, 48),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_plan_computes_what_its_model_does(name: str) -> None:
    pyconv.manual_seed(0)
    model = settled(getattr(pyconv.models, name)())
    plan = pyconv.compile(model, MODELS[name])
    assert model.training
    same(plan, model, pyconv.randn(*MODELS[name]))


@pytest.mark.parametrize("name", ["lenet", "resnet18", "densenet121", "unet"])
def test_networks_take_any_batch(name: str) -> None:
    pyconv.manual_seed(0)
    model = settled(getattr(pyconv.models, name)())
    shape = MODELS[name]
    plan = pyconv.compile(model, (1, *shape[1:]))
    assert plan.any_batch
    for batch in (3, 1):
        same(plan, model, pyconv.randn(batch, *shape[1:]))
    with pytest.raises(ValueError, match="plan: input has shape"):
        plan(pyconv.randn(2, *shape[1:-1], shape[-1] + 1))


@pytest.mark.parametrize(
    ("function", "shapes", "any_batch"),
    [
        (lambda x: x.view(x.size(0), -1) * 2, [(2, 3, 4)], True),
        (lambda x: x.reshape(-1, 4), [(2, 3, 4)], True),
        (lambda x: x / x.shape[0], [(2, 3)], False),
        (lambda x: x + pyconv.ones(x.shape[0], 1), [(2, 3)], False),
        (lambda x: x.sum(0), [(2, 3)], True),
        (lambda x: x[1], [(2, 3)], True),
        (lambda x: x.chunk(2), [(2, 3)], True),
        (lambda x, y: x + y, [(2, 3), (2, 1)], True),
        (lambda x, y: x + y, [(2, 3), (1, 3)], False),
        (lambda x: x * 2, [(0, 3)], False),
    ],
)
def test_when_a_plan_takes_any_batch(function: Any, shapes: Any, any_batch: bool) -> None:
    model = Calls(function)
    plan = pyconv.compile(model, tuple(shapes))
    assert plan.any_batch == any_batch
    same(plan, model, *(pyconv.randn(*shape) for shape in shapes))
    more = [pyconv.randn(shape[0] + 3, *shape[1:]) for shape in shapes]
    if any_batch:
        same(plan, model, *more)
    else:
        with pytest.raises(ValueError, match="plan: input"):
            plan(*more)
    if any_batch and len(shapes) > 1:
        with pytest.raises(ValueError, match="plan: input 1 has shape"):
            plan(more[0], pyconv.randn(7, *shapes[1][1:]))


class Block(nn.Module):
    """What models write: sums in place, numbers, views, indices, several results."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("scale", pyconv.tensor([0.5, 1.0, 2.0, 4.0]).reshape(4, 1, 1))

    def forward(self, x: Any) -> Any:
        y = self.drop(F.relu(self.norm(self.conv(x))))
        y += x * self.scale
        y /= 2
        parts = y.clone().chunk(2, 1)
        z = pyconv.cat([parts[1], -parts[0]], 1)
        best = z.flatten(1).max(1)
        image = F.interpolate(z[:, 1:, ::2], scale_factor=2, mode="bilinear")
        mean = F.adaptive_avg_pool2d(image, (1, None)).mean(-1, keepdim=True)
        mask = F.where(y > 0.1, y, y.detach() * 0.1)
        image -= F.softmax(mean, 1)
        order = pyconv.einsum("nchw,nchw->cn", mask, y)
        return image, best[0], best[1], mask, order, self.scale


def test_in_place_views_and_several_results() -> None:
    pyconv.manual_seed(0)
    model = settled(Block())
    x = pyconv.randn(2, 4, 6, 6)
    before = x.numpy().copy()
    plan = pyconv.compile(model, x)
    same(plan, model, pyconv.randn(2, 4, 6, 6))
    same(plan, model, x)
    np.testing.assert_array_equal(x.numpy(), before)
    scale = plan(x)[-1]
    scale *= 0  # is a copy
    same(plan, model, x)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}])
def test_recurrent_layers(layer: Any, options: dict[str, Any], tmp_path: Path) -> None:
    pyconv.manual_seed(0)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer(5, 7, batch_first=True, **options)

        def forward(self, x: Any) -> Any:
            output, state = self.rnn(x, lengths=[4, 2, 3])
            return (output, *state) if isinstance(state, tuple) else (output, state)

    model = Last()
    plan = pyconv.compile(model, (3, 4, 5))
    same(plan, model, pyconv.randn(3, 4, 5))
    path = tmp_path / "plan.safetensors"
    pytest.importorskip("safetensors")
    plan.save(path)
    same(pyconv.load_plan(path), model, pyconv.randn(3, 4, 5))


def test_steps_of_a_stream_and_integers() -> None:
    pyconv.manual_seed(0)

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 8)
            self.gru = nn.GRU(8, 8)

        def forward(self, token: Any, state: Any) -> Any:
            return self.gru(self.embedding(token), state)

    model = Step()
    example = pyconv.tensor([3]), pyconv.zeros(1, 8)
    plan = pyconv.compile(model, example)
    for token in (0, 9):
        same(plan, model, pyconv.tensor([token]), pyconv.randn(1, 8))
    with pytest.raises(TypeError, match="plan: 1 inputs, expected 2"):
        plan(example[0])
    with pytest.raises(TypeError, match="input 0 has dtype float32, expected int64"):
        plan(pyconv.tensor([3.0]), example[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("layers", "shape", "calls"),
    [
        ([nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)], (2, 4, 5, 5), 1),
        ([nn.Conv1d(4, 6, 3, bias=False), nn.BatchNorm1d(6), nn.ReLU()], (2, 4, 5), 2),
        ([nn.ConvTranspose3d(4, 6, 2, groups=2), nn.BatchNorm3d(6)], (2, 4, 2, 2, 2), 1),
        ([nn.Linear(4, 6), nn.BatchNorm1d(6)], (3, 4), 1),
        ([nn.Linear(4, 6), nn.BatchNorm1d(5)], (3, 5, 4), 2),  # whose channels come first
        ([nn.BatchNorm2d(4), nn.ReLU()], (2, 4, 5, 5), 1),
        ([nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, track_running_stats=False)], (2, 4, 5, 5), 2),
        ([nn.Conv2d(4, 6, 3), nn.Dropout(), nn.BatchNorm2d(6), nn.ReLU(), nn.ReLU()],
         (2, 4, 5, 5), 3),
    ],
)  # fmt: skip
def test_norms_are_folded(layers: Any, shape: Any, calls: int, dtype: Any) -> None:
    pyconv.manual_seed(0)
    model = settled(nn.Sequential(*layers)).to(dtype=dtype)
    x = pyconv.randn(*shape, dtype=dtype)
    plan = pyconv.compile(model, x)
    assert f"# {calls} calls" in str(plan)
    same(plan, model, x, rtol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize(("scale", "variance"), [(1.0, 0.0), (1e30, 1e-20)])
def test_a_norm_stays_if_weights_would_be_infinite(scale: float, variance: float) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, eps=0.0))
    model[0].weight.data *= scale
    model[1].running_var.fill_(variance)
    x = pyconv.randn(4, 3) / scale
    plan = pyconv.compile(model, x)
    assert "# 2 calls" in str(plan)
    np.testing.assert_array_equal(plan(x).numpy(), model.eval()(x).detach().numpy())


def test_a_norm_whose_input_is_used_twice_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            self.norm(x[:, :1].expand(-1, 4, -1, -1))  # of which nothing is used
            return self.norm(y) + y

    model = settled(Twice())
    plan = pyconv.compile(model, (1, 3, 4, 4))
    assert "# 3 calls" in str(plan)
    same(plan, model, pyconv.randn(1, 3, 4, 4))


def test_a_plan_is_free_of_its_model() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    plan = pyconv.compile(model, (4, 3))
    x = pyconv.randn(4, 3)
    before = plan(x).numpy().copy()
    nn.init.zeros_(model[0].weight)
    np.testing.assert_array_equal(plan(x).numpy(), before)


class Calls(nn.Module):
    """Calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Pair(NamedTuple):
    a: Any
    b: Any


def test_structures_of_results() -> None:
    def several(x: Any, n: Any) -> Any:
        return {"pair": Pair(x * 2, [x + 1]), "part": (x[:n],), "number": 3}

    model = Calls(several)
    x, n = pyconv.randn(4, 3), pyconv.tensor(2)
    plan = pyconv.compile(model, (x, n))
    result = plan(x, n)
    np.testing.assert_array_equal(result["pair"].a.numpy(), (x * 2).numpy())
    np.testing.assert_array_equal(result["pair"].b[0].numpy(), (x + 1).numpy())
    np.testing.assert_array_equal(result["part"][0].numpy(), x.numpy()[:2])
    assert result["number"] == 3
    assert "index(v0, slice(None, v1, None))" in str(plan)
    with pytest.raises(ValueError, match=r"plan: index made \[\(3, 3\)\], expected \[\(2, 3\)\]"):
        plan(x, pyconv.tensor(3))


def test_constants_are_kept_once_and_cannot_be_changed() -> None:
    table = pyconv.randn(5, 3)
    plan = pyconv.compile(Calls(lambda i: table[i]), pyconv.tensor(3))
    for copy in (plan, deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        with pytest.raises(ValueError, match="read-only"):
            copy(pyconv.tensor(2)).zero_()

    weight = pyconv.randn(3, 3)

    def steps(x: Any) -> Any:
        h = x
        for _ in range(20):
            h = F.tanh(h @ weight.T + x)
        return h

    assert "60 calls, 36 bytes of constants" in str(pyconv.compile(Calls(steps), (2, 3)))


def test_compile_leaves_the_model_and_the_generator_as_they_were() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []
            self.last = None

        def forward(self, x: Any) -> Any:
            self.seen.append(x)
            self.last = x
            return x * 2

    model = Keeps()
    pyconv.manual_seed(3)
    expected = pyconv.randn(2).numpy()
    pyconv.manual_seed(3)
    pyconv.compile(model, (2, 3))
    np.testing.assert_array_equal(pyconv.randn(2).numpy(), expected)
    assert not model.seen
    assert model.last is None


def test_examples_of_any_range() -> None:
    half = pyconv.full((2, 3), 0.5)
    model = Calls(lambda p: F.binary_cross_entropy(p, half))
    for example in (pyconv.rand(2, 3), half):
        same(pyconv.compile(model, example), model, pyconv.rand(2, 3))
    column = pyconv.randn(16, 16, 3, 3)[:, :, 1, 1]
    model = Calls(lambda x: F.linear(x, column))
    same(pyconv.compile(model, (4, 16)), model, pyconv.randn(4, 16))
    plan = pyconv.compile(Calls(lambda x, y: x + y), ((2, 3), (3,)))
    assert plan(half, pyconv.zeros(3)).shape == (2, 3)


def test_keywords() -> None:
    model = Calls(lambda x: x.var(1, correction=0, keepdim=True) + F.clamp(input=x, max=0.5))
    same(pyconv.compile(model, (2, 3)), model, pyconv.randn(2, 3))


def test_wrong_arguments() -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(TypeError, match="compile: model is .*, expected a Module"):
        pyconv.compile(F.relu, (4, 3))
    for example in (3, "x", None, [[1.0]]):
        with pytest.raises(TypeError, match="compile: example is a"):
            pyconv.compile(model, example)
    with pytest.raises(ValueError, match="expected at least one input"):
        pyconv.compile(model, ())
    with pytest.raises(ValueError, match="linear"):
        pyconv.compile(model, (4, 5))
    assert model.training
    assert pyconv.is_grad_enabled()
    plan = pyconv.compile(model, np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"plan: input has shape \(4, 5\), expected \(4, 3\)"):
        plan(np.zeros((4, 5), np.float32))
    with pytest.raises(TypeError, match="plan: input has dtype float64, expected float32"):
        plan(np.zeros((4, 3)))
