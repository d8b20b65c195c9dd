"""Plans in files, also from strangers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_plan import Block, settled

import pyconv


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


def nested(depth: int) -> Any:
    part: list[Any] = []
    for _ in range(depth):
        part = [part]
    return part


def step(**changes: Any) -> Any:
    return lambda calls, tensors: calls["steps"][0].update(changes)


EDITS = {
    "floats": lambda calls, tensors: tensors.update(plan=pyconv.ones(4)),
    "no text": lambda calls, tensors: b"\xff\x00",
    "deep": lambda calls, tensors: b"[" * 100_000,
    "deep parts": lambda calls, tensors: calls.update(result=nested(700)),
    "a list": lambda calls, tensors: b"[1]",
    "a name twice": lambda calls, tensors: json.dumps(calls)[:-1].encode() + b', "version": 1}',
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
    "an empty result": step(results=[[]]),
    "a constant as result": lambda calls, tensors: calls.update(result={"constant": 1}),
    "a list as dict": lambda calls, tensors: calls.update(result={"dict": [1]}),
    "a text as slice": step(args={"tuple": [{"slice": "abc"}]}),
    "merged": step(merged=["\x1b[2J"]),
    "more": lambda calls, tensors: calls.update(more=1),
    "a bool as version": lambda calls, tensors: calls.update(version=True),
    "names of constants": lambda calls, tensors: tensors.update({"01": pyconv.ones(1)}),
    "an old result": step(results=[[0, 2, 3]]),
    "extra": step(more=1),
    "inputs": lambda calls, tensors: calls.update(inputs=[[[-1], "float32"]]),
    "dtype": lambda calls, tensors: calls.update(inputs=[[[1], "object"]]),
    "a dtype's text": lambda calls, tensors: calls.update(inputs=[[[1], "(1,"]]),
    "a dtype's parts": lambda calls, tensors: calls.update(
        inputs=[[[1], {"names": ["a"], "formats": ["f4"], "offsets": [2**70]}]]
    ),
    "short input": lambda calls, tensors: calls.update(inputs=[[[1]]]),
    "no inputs": lambda calls, tensors: calls.update(inputs=None),
    "no shape": lambda calls, tensors: calls.update(inputs=[[2, "float32"]]),
    "no steps": lambda calls, tensors: calls.update(steps=5),
    "no step": lambda calls, tensors: calls.update(steps=[[]]),
    "no kwargs": step(kwargs=[]),
    "no merged": step(merged=None),
    "numbers as results": step(results=[1]),
    "nothing as result": lambda calls, tensors: calls.update(result={}),
    "huge": lambda calls, tensors: calls.update(inputs=[[[2**62, 2**62], "float32"]]),
}


@pytest.mark.parametrize("name", EDITS)
def test_damaged_files_are_refused(saved: Path, name: str) -> None:
    edited(saved, EDITS[name])
    with pytest.raises(ValueError, match="load_plan: .* is no good plan") as caught:
        pyconv.load_plan(saved)
    words = "argument after|unpack|iterable|recursion|codec|JSON array|required|literal"
    assert not re.search(words, str(caught.value)), "Python's words"


V = {"value": 0}


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("clone", [3]), ("clone", ["x"]), ("clone", [[V]]), ("cast", [V, "object"]),
        ("recurrent", [V, None, [V] * 4, "XX", None, False]),
        ("recurrent", [V, None, [V] * 4, "LSTM", None, False, "XX"]),
        ("recurrent", [V, None, [None] * 4, "GRU", None, False]),
        ("recurrent", [V, None, [1, 2, 3, 4], "GRU", None, False]),
        ("recurrent", [V, None, [], "GRU", None, False]),
        ("recurrent", [V, None, 5, "GRU", None, False]),
        ("recurrent", [V, [None], [V] * 4, "LSTM", None, False]),
        ("lengths_of", ["GRU", [4], V]), ("lengths_of", ["GRU", [1, 9], V]), ("invert", [V]),
        ("lengths_of", [V, [1], [2]]), ("bitwise_and", [V, V]), ("bitwise_or", [V, [1, 2]]),
        ("relu", [V]), ("split", [V, 1]), ("index", [V, {"slice": [V, None, None]}]),
    ],
)  # fmt: skip
def test_calls_that_make_no_sense(saved: Path, op: str, args: Any) -> None:
    """What is wrong is found when it is called."""

    def edit(calls: Any, tensors: Any) -> None:
        made = {"op": op, "args": {"tuple": args}, "kwargs": {"dict": {}}, "merged": []}
        calls["steps"] = [made | {"results": [[1, 2, 4, 6, 6], [2, 2, 4, 6, 6]]}]
        calls["result"] = {"value": 2}

    edited(saved, edit)
    plan = pyconv.load_plan(saved)
    assert op in str(plan)
    with pytest.raises((ValueError, TypeError), match=f"{op}|rnn: input|GRU: lengths"):
        plan(pyconv.randn(2, 4, 6, 6))


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
