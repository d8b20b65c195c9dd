"""Saving and loading: round trips, and files that should not be trusted."""

from __future__ import annotations

import json
import struct
import sys

import numpy as np
import pytest

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


def test_model(path):
    a, b = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)
    pyconv.save(a.state_dict(), path)
    b.load_state_dict(pyconv.load(path))
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())


@pytest.mark.parametrize("wrong", [[1.0], 3, None, {1: np.ones(2)}, {"a": {"b": np.ones(1)}}])
def test_what_cannot_be_saved(path, wrong):
    with pytest.raises(TypeError):
        pyconv.save(wrong, path)
    assert not path.exists()


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\x80\x04\x95pickle",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        with_header(b"not json"),
        with_header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        with_header({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    ],
)
def test_damaged_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="weights.safetensors"):
        pyconv.load(path)


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        pyconv.load(path)


def test_without_safetensors(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pyconv\[weights\]"):
        pyconv.save({}, tmp_path / "a")
    with pytest.raises(ImportError, match=r"pyconv\[weights\]"):
        pyconv.load(tmp_path / "a")
