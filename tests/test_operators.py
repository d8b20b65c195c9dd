"""Operators on masks, and operands that are no numbers or too large."""

from __future__ import annotations

import pytest

import pyconv


def test_masks():
    x = pyconv.arange(5)
    between = (x > 0) & (x < 4)
    assert between.numpy().tolist() == [False, True, True, True, False]
    assert (~between | (x == 2)).numpy().tolist() == [True, False, True, False, True]
    assert (between ^ True).numpy().tolist() == (~between).numpy().tolist()
    assert (~x & 3).numpy().tolist() == [3, 2, 1, 0, 3]
    assert (+x) is x
    with pytest.raises(TypeError, match="float32.*bools or integers"):
        pyconv.ones(2) & True


def test_what_is_no_number_is_not_equal():
    x = pyconv.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True


@pytest.mark.parametrize(
    "make",
    [
        pyconv.tensor,
        lambda n: pyconv.tensor([n], dtype="uint8"),
        lambda n: pyconv.full((2,), n, dtype="int64"),
        lambda n: pyconv.arange(n, n + 2),
        lambda n: pyconv.tensor([1]) + n,
        lambda n: pyconv.tensor([1]) < n,
        lambda n: pyconv.tensor([1.0]) * n**20,
        lambda n: pyconv.tensor([1.0]) == n**20,
    ],
)
@pytest.mark.parametrize("n", [2**63, 2**70])
def test_integers_beyond_a_dtype(make, n):
    with pytest.raises(ValueError, match=r"int64|uint8|long|at most|hold|beyond"):
        make(n)
