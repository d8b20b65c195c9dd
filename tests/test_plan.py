"""Plans: the results of the model, what is folded, what is refused, and files from strangers."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

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


class Refused(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def put(x: Any) -> Any:
    y = x * 1
    y[0] = 0.0
    return y


def through_a_view(x: Any) -> Any:
    y = x * 1
    y.view(-1).__iadd__(1)
    return y


COUNTER = iter(range(10))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * (1 if x.sum() > -1000 else 2) + float(x.sum()),
        F.dropout,
        lambda x: x if x.sum() > 0 else x * 2,
        lambda x: pyconv.tensor(x.numpy() * 2),
        lambda x: F.relu(x.numpy()),
        lambda x: F.where((x > 0) & (x < 1), x, 0.0),
        lambda x: x + next(COUNTER),
        put,
        through_a_view,
    ],
)
def test_what_no_list_of_calls_computes_is_refused(function: Any) -> None:
    with pytest.raises(NotImplementedError, match="compile: on another input"):
        pyconv.compile(Refused(function), (4, 3))


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
    with pytest.raises(ValueError, match=r"plan: input has shape \(5, 3\), expected \(4, 3\)"):
        plan(np.zeros((5, 3), np.float32))
    with pytest.raises(TypeError, match="plan: input has dtype float64, expected float32"):
        plan(np.zeros((4, 3)))


def test_functions_are_themselves_afterwards() -> None:
    before = F.relu.__code__, F.relu.__defaults__, dict(F.relu.__dict__)
    with pytest.raises(ValueError, match="linear"):
        pyconv.compile(nn.Linear(3, 2), (4, 5))
    pyconv.compile(nn.ReLU(), (4, 5))
    assert before == (F.relu.__code__, F.relu.__defaults__, dict(F.relu.__dict__))


def test_under_the_reference_and_in_threads() -> None:
    pyconv.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    x = pyconv.randn(2, 3, 6, 6)
    with pyconv.backend("reference"):
        plan = pyconv.compile(model, x)
        same(plan, model, x, rtol=0)
    same(plan, model, x, rtol=0)
    expected = plan(x).numpy()
    failures = []

    def work() -> None:
        for _ in range(20):
            own = pyconv.compile(model, x)
            if (own(x).numpy() != expected).any() or (plan(x).numpy() != expected).any():
                failures.append("differs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# ---- files -------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    pytest.importorskip("safetensors")
    pyconv.manual_seed(0)
    model = settled(Block())
    plan = pyconv.compile(model, (2, 4, 6, 6))
    path = tmp_path / "plan.safetensors"
    plan.save(path)
    x = pyconv.randn(2, 4, 6, 6)
    again = pyconv.load_plan(path)
    assert str(again) == str(plan)
    for a, b in zip(again(x), plan(x)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    return path


def test_a_plan_survives_its_file(saved: Path) -> None:
    again = pyconv.load_plan(str(saved))
    again.save(saved)
    assert str(pyconv.load_plan(saved)) == str(again)


def edited(path: Path, edit: Any) -> None:
    tensors = pyconv.load(path)
    calls = json.loads(tensors.pop("plan").numpy().tobytes())
    text = edit(calls, tensors)
    data = text if isinstance(text, bytes) else json.dumps(calls).encode()
    pyconv.save({"plan": np.frombuffer(data, np.uint8)} | tensors, path)


def step(**changes: Any) -> Any:
    return lambda calls, tensors: calls["steps"][0].update(changes)


EDITS = {
    "floats": lambda calls, tensors: tensors.update(plan=pyconv.ones(4)),
    "no text": lambda calls, tensors: b"\xff\x00",
    "deep": lambda calls, tensors: b"[" * 100_000,
    "a list": lambda calls, tensors: b"[1]",
    "version": lambda calls, tensors: calls.update(version=2),
    "missing": lambda calls, tensors: calls.pop("result"),
    "name": lambda calls, tensors: tensors.update(x=pyconv.ones(1)),
    "lost": lambda calls, tensors: tensors.clear(),
    "function": step(op="__import__"),
    "unhashable": step(op=["relu"]),
    "arguments": step(args={"tuple": []}),
    "keywords": step(kwargs={"dict": {"shape": 1}}),
    "no such value": step(args={"tuple": [{"value": 7}]}),
    "no such constant": step(args={"tuple": [{"constant": -1}]}),
    "kind": step(args={"tuple": [{"object": 0}]}),
    "two kinds": step(args={"tuple": [{"value": 0, "constant": 0}]}),
    "args": step(args=3),
    "no results": step(results=[]),
    "an old result": step(results=[[0, 2, 3]]),
    "extra": step(more=1),
    "inputs": lambda calls, tensors: calls.update(inputs=[[[-1], "float32"]]),
    "dtype": lambda calls, tensors: calls.update(inputs=[[[1], "object"]]),
    "huge": lambda calls, tensors: calls.update(inputs=[[[2**62, 2**62], "float32"]]),
}


@pytest.mark.parametrize("name", EDITS)
def test_damaged_files_are_refused(saved: Path, name: str) -> None:
    edited(saved, EDITS[name])
    with pytest.raises(ValueError, match="load_plan: .* is no good plan"):
        pyconv.load_plan(saved)


def test_other_files_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    pyconv.save({"weight": pyconv.ones(2)}, path)
    with pytest.raises(ValueError, match="holds tensors, but no calls"):
        pyconv.load_plan(path)
    path.write_bytes(b"12345678")
    with pytest.raises(ValueError, match="no good safetensors file"):
        pyconv.load_plan(path)
    with pytest.raises(OSError, match="missing"):
        pyconv.load_plan(tmp_path / "missing")
