"""Operators on masks, and operands that are no numbers, too large or misshapen."""

from __future__ import annotations

import operator
from fractions import Fraction

import numpy as np
import pytest

import pyconv
import pyconv.functional as F


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


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        (lambda x: x == -1, False),
        (lambda x: x != 300, True),
        (lambda x: x < 300, True),
        (lambda x: 2**40 <= x, False),
        (lambda x: x > -1, True),
        (lambda x: x >= 2**40, False),
    ],
)
def test_comparison_with_integers_beyond_the_dtype(compare, holds):
    for dtype in ("uint8", "int32"):
        assert compare(pyconv.full((1,), 255, dtype=dtype)).item() is holds


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float32") for name in ("lt", "le", "gt", "ge", "eq", "ne", "pow")]
    + [(name, "float16") for name in ("add", "sub", "mul", "div")]
    + [(name, "int64") for name in ("add", "sub", "mul", "pow", "and", "or", "xor")]
    + [("add", "bool"), ("matmul", "float32")],
)
def test_shapes_that_do_not_broadcast(name, dtype):
    a, b = (pyconv.ones(n, 2, 2, dtype=dtype) for n in (2, 3))
    operation = getattr(
        operator, {"div": "truediv"}.get(name, name) + "_" * (name in ("and", "or"))
    )
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(2, .*which do not broadcast"):
        operation(a, b)
    with pytest.raises(ValueError, match=r"where: condition has shape \(2, .*do not broadcast"):
        pyconv.where(a > 0, b, 0)


def test_large_shapes_that_do_not_broadcast():
    a = pyconv.ones(1).expand(2**21)
    with pytest.raises(ValueError, match="which do not broadcast"):
        operator.lt(a, a[: 2**20])
    with pytest.raises(ValueError, match=r"at most 2\*\*40 elements"):
        operator.lt(pyconv.ones(1).expand(2**40), pyconv.ones(1).expand(2**40, 1))


def test_bools_are_no_numbers():
    x = pyconv.tensor([True])
    for name, call in {"sub": lambda: x - x, "pow": lambda: x**x, "neg": lambda: -x}.items():
        with pytest.raises(TypeError, match=f"{name}: input.dtype is bool"):
            call()
    with pytest.raises(ValueError, match="pow: exponent is negative and input.dtype is int64"):
        pyconv.tensor([2]) ** -1


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a + b,
        lambda a, b: a**b,
        lambda a, b: a < b,
        lambda a, b: a & b,
        lambda a, b: pyconv.where(a, b, 0),
        lambda a, b: a[:, :, None].to("float32") @ b[None, None].to("float32"),
    ],
)
def test_results_that_no_memory_holds(call):
    ones = pyconv.ones(1, dtype="int64")
    with pytest.raises(ValueError, match=r"shape \(2097152, .*expected .*at most 2\*\*40 el"):
        call(ones.expand(2**21, 1), ones.expand(2**21))


@pytest.mark.parametrize("base", [pyconv.ones(1), pyconv.arange(1), [1.0]])
def test_an_exponent_beyond_the_dtype(base):
    for exponent in (10**400, -(10**400)):
        with pytest.raises(ValueError, match="exponent is an integer beyond"):
            F.pow(base, exponent)


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_float16():
    x = pyconv.tensor([1.0, 6e4], dtype="float16")
    y = pyconv.ones(2, dtype="float16")
    y += pyconv.tensor([1e9, 1.0])
    results = (x + 1e9, 1e9 * x, x / 0, x * x, x + x, y, (x + x).sum())
    assert [np.isinf(result.numpy()).sum() for result in results] == [2, 2, 2, 1, 1, 1, 1]
    assert pyconv.full((100_000,), 0.5, dtype="float16").mean().item() == 0.5


def test_is_an_element():
    x = pyconv.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert 4 in x
    assert pyconv.tensor(5.0) not in x
    with pytest.raises(TypeError, match="other is a str"):
        assert "a" in x


def test_format():
    assert f"{pyconv.tensor(2.5):.2f} {pyconv.tensor(3)}" == "2.50 3"
    assert f"{pyconv.ones(2)}" == "tensor([1., 1.])"
    with pytest.raises(
        TypeError, match=r"format '.2f' is for numbers, the tensor has shape \(1,\)"
    ):
        f"{pyconv.ones(1):.2f}"


def test_masks_of_small_integers_keep_their_dtype():
    x = same = pyconv.tensor([1, 2, 3], dtype=np.uint8)
    assert (x & 3).dtype == np.uint8
    x &= 2
    x |= pyconv.tensor([8, 8, 8], dtype=np.int32)
    assert x is same
    assert x.tolist() == [8, 10, 10]


def test_numbers_that_are_no_float_become_one_of_a_dtype():
    for value in ([1.0, 10**30], Fraction(1, 2), [0.5, 2**64]):
        assert pyconv.tensor(value, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="NoneType of object_"):
        pyconv.tensor(None, dtype=np.float32)


def test_a_tie_of_many_shares_the_gradient_in_float16_too():
    x = pyconv.tensor(np.ones(100000), dtype=np.float16, requires_grad=True)
    x.max().backward()
    assert x.grad[0].item() == np.float16(1e-5)


def test_einsum_of_integers_knows_dots():
    x = pyconv.arange(6).reshape(2, 3)
    assert pyconv.einsum("...->", x).item() == 15
    assert pyconv.einsum("i...->i", x).tolist() == [3, 12]
    with pytest.raises(ValueError, match="equation is 'ij,jk'"):
        pyconv.einsum("ij,jk", x, x)


def test_numbers_that_nothing_compares_with_are_named():
    with pytest.raises(ValueError, match="other is an integer beyond float32"):
        pyconv.ones(1) < 10**400  # noqa: B015
