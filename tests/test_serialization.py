"""Saving and loading: round trips, and files that should not be trusted."""

from __future__ import annotations

import json
import os
import re
import struct
import sys

import numpy as np
import pytest
from fresh import python

import pyconv
from pyconv import nn


@pytest.fixture
def path(tmp_path):
    pytest.importorskip("safetensors")
    return tmp_path / "weights.safetensors"


def test_round_trip(path):
    big_endian = np.arange(6, dtype=">f4").reshape(2, 3)
    arrays = {
        "float32": np.ones((2, 3), np.float32),
        "float64": np.ones(2),
        "int64": np.arange(3),
        "bool": np.array([True, False]),
        "number": np.array(2.5),
        "empty": np.zeros((0, 4), np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "reversed": np.arange(6.0)[::-1],
        "big-endian": big_endian,
    }
    pyconv.save(arrays, path)
    loaded = pyconv.load(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name].numpy(), array)
        loaded[name].numpy()[...] = 0  # the memory can be written
    assert list(path.parent.iterdir()) == [path]


def test_other_files_stay_and_rights_are_the_usual_ones(path):
    other = path.with_name(f"{path.name}.new")
    other.write_text("notes")
    pyconv.save({"a": np.ones(1)}, path)
    assert other.read_text() == "notes"
    assert path.stat().st_mode == other.stat().st_mode
    (path.parent / "folder").mkdir()
    with pytest.raises(ValueError, match="folder is no regular file"):
        pyconv.save({"a": np.ones(1)}, path.parent / "folder")
    assert len(list(path.parent.iterdir())) == 3


def test_a_link_stays_and_what_is_no_file_is_not_replaced(path):
    link, pipe = path.with_name("link"), path.with_name("pipe")
    link.symlink_to(path)
    for _ in range(2):  # there is no file behind it at first
        pyconv.save({"a": np.ones(1)}, link)
        assert link.is_symlink()
        assert list(pyconv.load(path)) == ["a"]
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="pipe is no regular file"):
        pyconv.save({"a": np.ones(1)}, pipe)
    assert pipe.is_fifo()


def test_model(path):
    a, b = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)
    pyconv.save(a.state_dict(), path)
    b.load_state_dict(pyconv.load(path))
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())


@pytest.mark.parametrize(
    "wrong",
    [
        [1.0], 3, None, {1: np.ones(2)}, {"a": {"b": object()}},
        {"a": None, "b": np.ones(1)}, {"a": "text", "b": np.ones(1)}, {"a": object()},
        {"a": np.ones(2, complex)}, {"a": np.array([None])}, {"a": np.ones(2, np.longdouble)},
    ],
)  # fmt: skip
def test_what_cannot_be_saved(path, wrong):
    with pytest.raises(TypeError):
        pyconv.save(wrong, path)
    assert not list(path.parent.iterdir())


def test_where_nothing_can_be_saved(path):
    with pytest.raises(ValueError, match="__metadata__"):
        pyconv.save({"__metadata__": np.ones(1)}, path)
    with pytest.raises(ValueError, match=r"name '\\ud800', no text in UTF-8"):
        pyconv.save({"\ud800": np.ones(1)}, path)
    with pytest.raises(OSError, match="missing"):
        pyconv.save({"a": np.ones(1)}, path.parent / "missing" / "weights")
    assert not list(path.parent.iterdir())


PYTHONS = "unpack|iterable|unhashable|attribute|subscript|codec|digits|recursion|: '[^']*'$"


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2**31) + b"{}",
        bytes(100),
        with_header([1, 2, 3]),
        with_header(b"[" * 100_000),
        with_header(b'{"\xff": 1}'),
        with_header({"a": {"a": {"a": 1}}}),
        with_header({"__metadata__": 3, "a": entry()}, b"1234"),
        with_header({"__metadata__": 0, "a": entry()}, b"1234"),
        with_header({"a": entry()}, b"12345"),
        with_header({"a": entry(), "b": entry()}, b"1234"),
        with_header({"a": entry(), "b": entry(offsets=(2, 6))}, b"123456"),
        with_header({"a": entry(), "b": entry(offsets=(8, 12))}, b"1" * 12),
        with_header({"a": entry(offsets=(-4, 0))}, b"1234"),
        with_header({"a": entry(offsets=(2**63, 2**63 + 4))}, b"1234"),
        with_header({"a": entry(offsets=(0, 4, 8))}, b"1234"),
        with_header({"a": entry(shape=(1.5,))}, b"1234"),
        with_header({"a": entry(shape=(-1, -1))}, b"1234"),
        with_header({"a": entry(shape=[1] * 70)}, b"1234"),
        with_header({"a": entry(shape=[1] * 33)}, b"1234"),
        with_header(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2), b"1234"),
        with_header({"a": entry(shape=(0, 2**62), offsets=(0, 0))}),
        with_header({"a": entry(dtype=None)}, b"1234"),
        with_header({"a": entry(dtype="I64")}, b"1234"),
        with_header({"a": entry(dtype="F8_E4M3", offsets=(0, 1))}, b"1"),
        with_header({"a": entry(dtype="C64", offsets=(0, 8))}, b"12345678"),
        with_header({"a": entry(dtype="BOOL", shape=(4,))}, b"\x00\x01\x02\xff"),
        b"",
        b"short",
        b"\x80\x04\x95pickle",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        with_header(b"not json"),
        with_header({"a": 3}),
        with_header({"a": entry(), "b": entry(offsets=(4, 8))}, b"1234567"),
        with_header({"a": entry()}, b""),
        with_header({"a": entry(offsets=4)}, b"1234"),
        with_header({"a": entry(shape=("1",))}, b"1234"),
        with_header({"a": entry(dtype=["F32"])}, b"1234"),
        with_header({"a": entry(dtype="F8_E5M2", offsets=(0, 1))}, b"1"),
        with_header({"a": {**entry(), "more": 1}}, b"1234"),
        with_header({"__metadata__": {"a": 1}}),
        with_header(b'{"a": %s}' % (b"1" * 5000)),
        with_header(json.dumps({"a": entry()}).encode("utf-16"), b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        with_header({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    ],
)
def test_damaged_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="weights.safetensors") as caught:
        pyconv.load(path)
    assert not re.search(PYTHONS, str(caught.value)), "Python's words"


@pytest.mark.parametrize("size", [4, 20, 200, 4096])
def test_a_file_that_becomes_shorter_while_it_is_read(path, size, monkeypatch):
    pyconv.save({"a": np.ones(1000), "b": np.ones(1000)}, path)
    status = os.fstat

    def fstat(number):
        result = status(number)
        os.truncate(path, size)
        return result

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(ValueError, match="weights.safetensors"):
        pyconv.load(path)


def test_large_holes_are_not_read(path):
    for content in (b"", with_header({"a": entry()}, b"1234")):
        path.write_bytes(content)
        os.truncate(path, 2**40)
        with pytest.raises(ValueError, match="weights.safetensors"):
            pyconv.load(path)


def test_bfloat16_says_what_it_needs(path):
    path.write_bytes(with_header({"a": entry(dtype="BF16", shape=(2,))}, b"1234"))
    without = "import sys; sys.modules['ml_dtypes'] = None; import pyconv; "
    ran = python(f"{without}pyconv.load({str(path)!r})")
    assert "ImportError: bfloat16 needs ml_dtypes: pip install 'pyconv[bfloat16]'" in ran.stderr


def test_truncated_anywhere(path):
    pyconv.save({"a": np.ones(3, np.float32), "b": np.arange(2)}, path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="weights.safetensors"):
            pyconv.load(path)


def test_numbers_that_are_none(path):
    values = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    pyconv.save({"a": values}, path)
    assert pyconv.load(os.fsencode(path))["a"].numpy().tobytes() == values.tobytes()


def test_what_is_no_file(path):
    os.mkfifo(path)
    for wrong in (path, path.parent, "/dev/null"):
        with pytest.raises(ValueError, match="no regular file"):
            pyconv.load(wrong)


def test_a_checkpoint(path):
    pyconv.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = pyconv.optim.Adam(model.parameters(), lr=0.1)
    schedule = pyconv.optim.lr_scheduler.StepLR(optimizer, 2)
    x = pyconv.randn(5, 3)

    def step():
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
        schedule.step()

    step()
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    state = {name: part.state_dict() for name, part in parts.items()}
    pyconv.save({**state, "epoch": 3, "best": 0.1, "name": "a"}, path)
    step()
    expected = [p.detach().numpy().copy() for p in model.parameters()]
    read = pyconv.load(path)
    assert (read["epoch"], read["best"], read["name"]) == (3, 0.1, "a")
    for name, part in parts.items():
        part.load_state_dict(read[name])
    step()
    for p, truth in zip(model.parameters(), expected):
        np.testing.assert_array_equal(p.detach().numpy(), truth)


def test_the_state_of_a_schedule(path):
    optimizer = pyconv.optim.SGD([pyconv.nn.Parameter(pyconv.ones(2))], lr=0.1)
    schedule = pyconv.optim.lr_scheduler.StepLR(optimizer, 2)
    pyconv.save(schedule.state_dict(), path)
    schedule.load_state_dict(pyconv.load(path))
    assert pyconv.load(path) == schedule.state_dict()


def test_nested_names_that_look_alike(path):
    one, two, three = (np.full(1, float(n)) for n in (1, 2, 3))
    numbers = [1, 2.5, float("inf"), True, None, np.float32(0.5), ("x",)]
    tree = {"a": {"b": one, 3: {"pyconv.rest": two}, -1: []}, "a.b": three, "n": numbers, "e": {}}
    pyconv.save(tree, path)
    read = pyconv.load(path)
    assert list(read) == ["a", "a.b", "n", "e"]
    assert list(read["a"]) == ["b", 3, -1]
    found = read["a"]["b"], read["a"][3]["pyconv.rest"], read["a.b"]
    assert [tensor.item() for tensor in found] == [1, 2, 3]
    assert read["n"] == [1, 2.5, float("inf"), True, None, 0.5, ["x"]]


def test_checkpoints_that_cannot_be_saved(path):
    itself = {"a": {}}
    itself["a"]["b"] = itself
    with pytest.raises(ValueError, match="holds itself"):
        pyconv.save(itself, path)
    with pytest.raises(TypeError, match=r"save: a.b.1 is a object, expected a Tensor"):
        pyconv.save({"a": {"b": [0, object()]}}, path)
    with pytest.raises(TypeError, match=r"save: obj has the keys \[2.5\], expected texts or integ"):
        pyconv.save({"a": {2.5: 1}}, path)
    with pytest.raises(TypeError, match=r"obj\['a'\] is a NoneType"):
        pyconv.save({"a": None, "b": np.ones(1)}, path)
    with pytest.raises(ValueError, match="holds what cannot be written"):
        pyconv.save({"a": {"b": 10**5000}}, path)
    with pytest.raises(TypeError, match=r"save: a.b is a datetime64"):
        pyconv.save({"a": {"b": np.datetime64("2020-01-01", "ns")}}, path)
    assert not path.exists()


@pytest.mark.parametrize(
    "rest",
    [
        b"[" * 10**5,
        b"[1]",
        b"x",
        b'{"pyconv.rest": "b"}',
        b'{"pyconv.rest": [[[], 1]]}',
        b'{"pyconv.rest": [["a", 1], ["a", 2]]}',
        b'{"pyconv.rest": [[null, 1]]}',
        b'{"pyconv.rest": 3}',
        b'{"pyconv.rest": ["ab"]}',
        b'{"pyconv.rest": [["a", 1, 2]]}',
        b'{"pyconv.rest": [3]}',
        b'{"pyconv.rest": null}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b"\xff",
    ],
)
def test_damaged_checkpoints(path, rest):
    from safetensors.numpy import save_file

    save_file({"pyconv.rest": np.frombuffer(rest, np.uint8), "a": np.ones(1)}, path)
    with pytest.raises(ValueError, match="no good safetensors file") as caught:
        pyconv.load(path)
    assert not re.search(PYTHONS, str(caught.value)), "Python's words"


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        pyconv.load(path)


def test_without_safetensors(monkeypatch, path):
    pyconv.save({"a": np.ones(1)}, path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pyconv\[weights\]"):
        pyconv.save({}, path.with_name("a"))
    assert pyconv.load(path)["a"].tolist() == [1]
