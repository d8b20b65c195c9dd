"""Functions that are called in another way for a while: by several at once, in several threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from harness import in_threads
from test_plan import Calls, same

import pyconv
import pyconv.functional as F
from pyconv import exchange, nn


def test_functions_are_themselves_afterwards() -> None:
    before = F.relu.__code__, F.relu.__defaults__, dict(F.relu.__dict__)
    with pytest.raises(ValueError, match="linear"):
        pyconv.compile(nn.Linear(3, 2), (4, 5))
    pyconv.compile(nn.ReLU(), (4, 5))
    assert before == (F.relu.__code__, F.relu.__defaults__, dict(F.relu.__dict__))


@pytest.mark.parametrize("calls", [0, 1])
def test_ctrl_c_while_functions_are_exchanged(calls: int, monkeypatch: Any) -> None:
    class Functions(dict[str, Any]):
        left = calls

        def items(self) -> Any:
            for number, item in enumerate(super().items()):
                if number == 50 and not self.left:
                    raise KeyboardInterrupt
                yield item
            self.left -= 1

    before = F.relu.__code__, F.conv2d.__code__
    with monkeypatch.context() as patched:
        patched.setattr(exchange, "_FUNCTIONS", Functions(exchange._FUNCTIONS))
        patched.setattr(exchange, "_outside", {})  # as at the first use
        with pytest.raises(KeyboardInterrupt), pyconv.backend("reference"):
            pass
        assert before == (F.relu.__code__, F.conv2d.__code__)
        assert not hasattr(F.relu, "__wrapped__")
    with pyconv.backend("reference"):
        assert F.relu(pyconv.tensor([-1.0, 1.0])).tolist() == [0, 1]
    assert F.conv2d(pyconv.ones(1, 1, 2, 2), pyconv.ones(1, 1, 2, 2)).item() == 4


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

    in_threads(work, [()] * 4)
    assert not failures


def test_the_reference_may_end_while_a_model_is_compiled() -> None:
    begun, may_end, ended = (threading.Event() for _ in range(3))

    def reference() -> None:
        with pyconv.backend("reference"):
            begun.set()
            may_end.wait()
        ended.set()

    def slow(x: Any) -> Any:
        may_end.set()
        ended.wait()
        return F.relu(x) * 2

    thread = threading.Thread(target=reference)
    thread.start()
    begun.wait()
    plan = pyconv.compile(Calls(slow), (2, 3))
    thread.join()
    assert "# 2 calls" in str(plan)
    assert F.abs(pyconv.tensor([-1.0])).item() == 1
    assert not hasattr(F.abs, "__wrapped__")


def test_the_reference_may_begin_while_a_model_is_compiled() -> None:
    begun, may_begin, may_end = (threading.Event() for _ in range(3))

    def reference() -> None:
        may_begin.wait()
        with pyconv.backend("reference"):
            begun.set()
            may_end.wait()

    def forward(x: Any) -> Any:
        with pyconv.backend("reference"):
            y = F.tanh(x)
        may_begin.set()
        begun.wait()
        return F.relu(y) * 2

    thread = threading.Thread(target=reference)
    thread.start()
    plan = pyconv.compile(Calls(forward), (2, 3))
    may_end.set()
    thread.join()
    assert "# 3 calls" in str(plan)
    same(plan, Calls(forward), pyconv.randn(2, 3))


def test_the_first_use_may_be_in_several_threads() -> None:
    barrier = threading.Barrier(4)
    failures: list[str] = []

    def work() -> None:
        barrier.wait()
        for _ in range(50):
            with pyconv.backend("reference"):
                if F.relu(pyconv.tensor([-1.0])).item() != 0:
                    failures.append("differs")

    in_threads(work, [()] * 4)
    assert not failures
    assert not hasattr(F.relu, "__wrapped__")


def test_compile_within_compile() -> None:
    model = Calls(lambda x: pyconv.compile(nn.Tanh(), (2, 3))(x) + 1)
    same(pyconv.compile(model, (2, 3)), model, pyconv.randn(2, 3))


def test_a_plan_within_a_model() -> None:
    table = pyconv.randn(2, 3)
    inner = pyconv.compile(Calls(lambda x: (x.clone() * ~(x > 0), table)), (2, 3))
    model = Calls(lambda x: tuple(y + 1 for y in inner(x)))
    same(pyconv.compile(model, (2, 3)), model, pyconv.randn(2, 3))
