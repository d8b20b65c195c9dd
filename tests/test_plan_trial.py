"""What is no list of calls is refused; what is one is found, whatever the example."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_plan import Calls, same

import pyconv
import pyconv.functional as F
from pyconv import nn


def through_a_view(x: Any) -> Any:
    y = x * 1
    y.view(-1).__iadd__(1)
    return y


COUNTER = iter(range(100))
NOISE = np.random.default_rng(0)
ALLOWED = pyconv.tensor([True, True, False])
TABLE = pyconv.randn(10, 2)


def counted(x: Any) -> Any:
    return x + next(COUNTER)


@pytest.mark.parametrize(
    "function",
    [
        counted,
        lambda x: (x, next(COUNTER)),
        through_a_view,
        lambda x: F.where(ALLOWED, x + NOISE.standard_normal((4, 3)), -1e9),
        lambda x: (x, counted(x) if next(COUNTER) % 2 else 3),
    ],
)
def test_what_no_list_of_calls_computes_is_refused(function: Any) -> None:
    with pytest.raises(NotImplementedError, match="compile: on another input"):
        pyconv.compile(Calls(function), (4, 3))


@pytest.mark.parametrize(
    ("function", "method"),
    [
        (lambda x: x if x.sum() > 1e9 else -x, "__bool__"),
        (lambda x: (x, float(x.sum())), "__float__"),
        (lambda x: x * int(x[0, 0]), "__int__"),
        (lambda x: pyconv.ones(5)[x.argmax().item()], "item"),
        (lambda x: pyconv.tensor(x.numpy() * 2), "numpy"),
        (pyconv.from_dlpack, "numpy"),
        (lambda x: pyconv.tensor(x.tolist()), "tolist"),
        (np.exp, "__array__"),
        (lambda x: list(range(10))[x.argmax()], "__index__"),
        (lambda x: x * 2 if 5 in x else x, "__contains__"),
        (lambda x: x * 2 if x.sum() in TABLE else x, "__contains__"),
    ],
)
def test_elements_that_leave_are_refused(function: Any, method: str) -> None:
    with pytest.raises(NotImplementedError, match=f"calls {method} of a tensor that depends"):
        pyconv.compile(Calls(function), (4, 3))
    with pytest.raises(NotImplementedError, match="returns an array of NumPy"):
        pyconv.compile(Calls(lambda x: {"y": x, "n": np.arange(3)}), (4, 3))


def put(x: Any, key: Any, value: Any) -> Any:
    y = x * 1
    y[key] = value
    return y


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (F.dropout, "draws random numbers"),
        (lambda x: F.where(ALLOWED, F.dropout(x, 0.5), -1e9), "draws random numbers"),
        (lambda x: x + 1e-6 * pyconv.randn(4, 3), "draws random numbers"),
        (lambda x: put(x, 0, 0.0), r"x\[key\] = value"),
        (lambda x: put(x, x > 10, 10.0), r"x\[key\] = value"),
        (lambda x: put(pyconv.zeros(2, 3), 0, x[0]), r"x\[key\] = value"),
        (lambda x: put(pyconv.zeros(4), x.argmax(), 1.0), r"x\[key\] = value"),
        (lambda x: put(pyconv.zeros(20), slice(x.argmax()), 1.0), r"x\[key\] = value"),
        (lambda x: x[x > 0].sum(), "a mask that depends on the input"),
        (lambda x: x[:, (x > 0)[0]], "a mask that depends on the input"),
    ],
)
def test_what_is_refused_at_once(function: Any, why: str) -> None:
    with pytest.raises(NotImplementedError, match=f"compile: the model .*{why}"):
        pyconv.compile(Calls(function), (4, 3))


def changed_constants(x: Any) -> Any:
    table = pyconv.zeros(2, 3)
    y = x + table
    table[0] = 1.0
    y = y + table
    table.view(-1).__iadd__(1)
    return y + table


def masked(x: Any) -> Any:
    mask = (x >= 0) & (x < 5) | (x == 7) ^ True
    mask &= ~(x == 3)
    return F.where(mask, 1.0, 0.0)


def count_down(x: Any) -> Any:
    x -= 0.5
    return F.relu(x)


INTS = pyconv.tensor([[1, 2, 7], [3, 4, 5]])


@pytest.mark.parametrize(
    ("function", "example", "x"),
    [
        (changed_constants, (2, 3), pyconv.ones(2, 3)),
        (count_down, (2, 3), pyconv.ones(2, 3)),
        (masked, INTS * 0, INTS),
        (masked, INTS, INTS * 0 + 3),
        (lambda x: F.where(~x, 1.0, 0.0), INTS > 0, INTS > 3),
        (lambda x: x & 6 | 1, INTS, INTS * 2),
        (lambda x: TABLE[: x.sum()], pyconv.tensor([2, 3]), pyconv.tensor([4, 1])),
        (lambda x: F.softmax(x, -1), np.array([[0, -np.inf, 1]], np.float32), (1, 3)),
        (lambda x: x / 2, np.array([-1.7e308, 1.7e308]), np.ones(2)),
        (lambda x: x / 2, np.full(2, np.nan), np.ones(2)),
        (lambda x: TABLE[F.cast(x[:, 0], np.int64)] + x[:, 1:],
         np.array([[0, 100, -50], [1, 3, 7]], np.float32), (2, 3)),  # others are no indices
        (lambda x: x[range(1)], (2, 3), (2, 3)),
        (lambda x: x.transpose(0, 1).contiguous() * 2, (2, 3), (2, 3)),
        (lambda x: x * 2, np.ones((2, 3), ">f4"), np.ones((2, 3), ">f4")),
    ],
)  # fmt: skip
def test_examples_of_every_kind(function: Any, example: Any, x: Any) -> None:
    model = Calls(function)
    plan = pyconv.compile(model, example)
    x = pyconv.rand(*x) if isinstance(x, tuple) else pyconv.tensor(x)
    with pyconv.no_grad():
        np.testing.assert_array_equal(plan(x).numpy(), model(x.clone()).numpy())


def test_a_mask_refuses_what_it_cannot_take() -> None:
    plan = pyconv.compile(Calls(lambda x, y: x & y), (INTS, INTS))
    with pytest.raises(ValueError, match="input 1 has shape"):
        plan(INTS, INTS[0])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}]
)
def test_lengths_as_input(dtype: Any, options: dict[str, Any], tmp_path: Path) -> None:
    pyconv.manual_seed(0)
    layer = nn.LSTM(3, 4, batch_first=True, **options)
    model = Calls(lambda x, lengths: layer(x, lengths=lengths)[0])
    plan = pyconv.compile(model, (pyconv.randn(3, 5, 3), np.array([5, 5, 5], dtype)))
    assert plan.any_batch
    x, lengths = pyconv.randn(3, 5, 3), pyconv.tensor(np.array([2, 5, 1], dtype))
    same(plan, model, x, lengths)
    with pytest.raises(ValueError, match=r"LSTM: lengths\[1\] is 6, expected 1 to 5"):
        plan(x, np.array([2, 6, 1], dtype))
    pytest.importorskip("safetensors")
    plan.save(tmp_path / "plan")
    same(pyconv.load_plan(tmp_path / "plan"), model, x, lengths)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x[: x.shape[0] // 2].sum(0) - x[x.shape[0] // 2 :].sum(0), (2, 3)),
        (lambda x: x - x.mean(0) if x.shape[0] > 1 else x, (2, 3)),
        (lambda x: x + 5 - (x + 5).sum(0) / x.shape[0], (4096, 3)),
        (lambda x: x if x.shape[0] < 8 else -x, (4, 3)),
        (lambda x: x.squeeze() * 2, (4, 6)),  # the model takes one sample, the plan not
    ],
)
def test_any_batch_is_tried_on_several(function: Any, shape: Any) -> None:
    assert not pyconv.compile(Calls(function), shape).any_batch


def test_the_batch_that_is_wrong_is_told() -> None:
    plan = pyconv.compile(Calls(F.add), ((2, 3), (2, 3)))
    with pytest.raises(ValueError, match=r"input 1 has shape \(2, 3\), expected \(4, 3\)"):
        plan(pyconv.ones(4, 3), pyconv.ones(2, 3))
    with pytest.raises(ValueError, match=r"input has shape \(\), expected \(2,\)"):
        pyconv.compile(Calls(F.relu), (2,))(1.0)


def test_compile_leaves_what_a_model_changes_in_place() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", pyconv.zeros(1))
            self.last, self.seen = pyconv.zeros(2, 3), np.zeros(2)

        def forward(self, x: Any) -> Any:
            self.count += 1
            self.seen[0] += 1
            self.last.copy_(x)
            return x * self.count

    model = Counts()
    count, seen = model.count, model.seen
    same(pyconv.compile(model, (2, 3)), nn.Identity(), pyconv.randn(2, 3))
    assert (model.count is count, model.seen is seen) == (True, True)
    assert [count.item(), model.last.abs().sum().item(), *seen] == [0, 0, 0, 0]


def test_nan_as_a_result() -> None:
    plan = pyconv.compile(Calls(lambda x: (x, float("nan"))), (2, 3))
    assert np.isnan(plan(pyconv.ones(2, 3))[1])


def test_compile_in_a_thread_that_forward_waits_for() -> None:
    def waits(x: Any) -> Any:
        thread = threading.Thread(target=pyconv.compile, args=(nn.Tanh(), (2, 3)), daemon=True)
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive()
        return x * 2

    assert "# 1 calls" in str(pyconv.compile(Calls(waits), (2, 3)))
