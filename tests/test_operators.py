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


@pytest.mark.parametrize(
    ("divide", "expected"),
    [
        (lambda x: x / 256, [0.25, 0.5]),
        (lambda x: x / -1, [-64, -128]),
        (lambda x: x / 2**32, [2**-26, 2**-25]),
        (lambda x: 1024 / x, [16, 8]),
        (lambda x: x / np.int64(256), [0.25, 0.5]),
        (lambda x: x / np.array([2**40, 2**40]), [2**-34, 2**-33]),
        (lambda x: x / True, [64, 128]),
    ],
)
def test_integers_are_divided_as_floats(divide, expected):
    for dtype in ("uint8", "int32"):
        result = divide(pyconv.tensor([64, 128], dtype=dtype))
        assert result.dtype == np.float32
        assert result.tolist() == expected
    assert F.div(1, 2).item() == 0.5
    assert (pyconv.tensor([2**24 + 1]) / np.array([2.0])).tolist() == [2**23 + 0.5]
    with pytest.raises(ValueError, match="other is 256, an integer beyond uint8"):
        pyconv.ones(1, dtype="uint8") + 256


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
    with pytest.raises(TypeError, match="data is a NoneType, expected numbers"):
        pyconv.tensor(None, dtype=np.float32)


def test_a_tie_of_many_shares_the_gradient_in_float16_too():
    x = pyconv.tensor(np.ones(100000), dtype=np.float16, requires_grad=True)
    x.max().backward()
    assert x.grad[0].item() == np.float16(1e-5)


def test_einsum_takes_one_equation_for_several_shapes():
    x = np.arange(12.0).reshape(2, 2, 3)
    for array in (x, x[0], x[0, 0], x):
        truth = np.einsum("...i,...i->...", array, array)
        np.testing.assert_array_equal(pyconv.einsum("...i,...i->...", array, array), truth)


def test_einsum_of_integers_knows_dots():
    x = pyconv.arange(6).reshape(2, 3)
    assert pyconv.einsum("...->", x).item() == 15
    assert pyconv.einsum("i...->i", x).tolist() == [3, 12]
    with pytest.raises(ValueError, match="equation is 'ij,jk'"):
        pyconv.einsum("ij,jk", x, x)


def test_numbers_that_nothing_compares_with_are_named():
    with pytest.raises(ValueError, match="other is an integer beyond float32"):
        pyconv.ones(1) < 10**400  # noqa: B015


SMALL = np.array([[-5, 4, -1], [1, 2, -2], [3, 0, 1]])
OTHER = np.array([[-1, -2, -3], [-1, -1, 3], [2, -1, -2]])


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_products_of_integers(dtype):
    a, b = SMALL.astype(dtype), OTHER.astype(dtype)
    x, y = pyconv.from_numpy(a), pyconv.from_numpy(b)
    stack = x[None].expand(2, 3, 3)
    for result, truth in [
        (x @ y, a @ b),
        (x[0] @ y, a[0] @ b),
        (x @ y[0], a @ b[0]),
        (x[0] @ y[0], a[0] @ b[0]),
        (stack @ y, np.stack([a @ b] * 2)),
        (pyconv.einsum("nij,jk->nik", stack, y), np.stack([a @ b] * 2)),
    ]:
        assert result.dtype == dtype
        np.testing.assert_array_equal(result.numpy(), truth)
    with pytest.raises(TypeError, match=f"matmul: input.dtype is {dtype} and other.dtype is float"):
        x @ pyconv.ones(3, 3)
    with pytest.raises(ValueError, match=r"matmul: input has shape \(2, 3, 3\) and other"):
        stack @ y[None].expand(3, 3, 3)
    with pytest.raises(ValueError, match=r"at most 2\*\*40 elements"):
        x[:, :1].reshape(-1)[:1].expand(2**21, 1) @ y[:1, :1].expand(1, 2**21)


@pytest.mark.torch
def test_negative_powers_of_integers():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for dtypes in [("int64",) * 2, ("int8",) * 2, ("uint8", "int64")]:
        a, b = SMALL.astype(dtypes[0]), OTHER.astype(dtypes[1])
        truth = torch.from_numpy(a) ** torch.from_numpy(b)
        np.testing.assert_array_equal((pyconv.from_numpy(a) ** b).numpy(), truth.numpy())
    assert (2 ** pyconv.tensor([-1, 2])).tolist() == (2 ** torch.tensor([-1, 2])).tolist()
    assert (pyconv.tensor([2, -1]) ** pyconv.tensor(-1)).tolist() == [0, -1]


@pytest.mark.torch
@pytest.mark.parametrize(
    "call",
    [
        lambda x, low, high: x.clamp(low, high),
        lambda x, low, high: x.clamp(min=low),
        lambda x, low, high: x.clamp(max=high),
        lambda x, low, high: x.max(low),
        lambda x, low, high: x.min(high[0]),
        lambda x, low, high: x.max(x * 1) * low,
        lambda x, low, high: x.var(False) * low,
        lambda x, low, high: x.std(0) * x.std(True),
    ],
)
def test_bounds_and_spreads_are_pytorchs(call):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-4, 5, (4, 5)) / 2, rng.integers(-4, 5, 5) / 2, rng.random((4, 1))]
    ours, theirs = (
        [lib.tensor(array, requires_grad=True) for array in arrays] for lib in (pyconv, torch)
    )
    results = [call(*ours), call(*theirs)]
    for result in results:
        (result * result).sum().backward()
    np.testing.assert_allclose(*(result.detach().numpy() for result in results))
    for x, y in zip(ours, theirs):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), atol=1e-12)


def test_spread_of_equal_elements():
    x = pyconv.tensor([[1.0, 1.0], [1.0, 3.0]], requires_grad=True)
    spread = x.std(1, unbiased=False)
    assert spread.tolist() == [0, 1]
    spread.sum().backward()
    assert x.grad.tolist() == [[0, 0], [-0.5, 0.5]]


def test_spread_of_bfloat16_is_rounded_once():
    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    x = pyconv.tensor(np.random.default_rng(0).random((64, 9)), dtype="bfloat16")
    assert x.std(1).tolist() == x.float().std(1).to("bfloat16").tolist()


def test_bounds_that_are_tensors():
    x = pyconv.tensor([1.0, np.nan, 3.0])
    bound = pyconv.tensor([2.0, 2.0, np.nan])
    for result in (x.clamp(min=bound), x.max(bound), F.clamp(x, bound.numpy(), 5)):
        np.testing.assert_array_equal(result.numpy(), [2, np.nan, np.nan])
    assert pyconv.tensor([1, 5]).clamp(min=pyconv.tensor(2.5)).tolist() == [2.5, 5]
    with pyconv.backend("reference"):
        assert x[:1].clamp(bound[:1], bound[:1]).tolist() == [2]
    for call, name in [
        (x.clamp, "clamp: input has shape .* and min"),
        (x.max, "max: input .*other"),
    ]:
        with pytest.raises(ValueError, match=f"{name} has shape .*, which do not broadcast"):
            call(pyconv.ones(2))
    with pytest.raises(TypeError, match="clamp: max is a str"):
        x.clamp(bound, "a")
    for bounds in [(pyconv.tensor(-3, dtype="int8"), 1000), (-3, np.full(2, 7, np.int8))]:
        small = pyconv.tensor([-100, 7], dtype="int8").clamp(*bounds)
        assert (small.tolist(), small.dtype) == ([-3, 7], np.int8)
    exact = pyconv.tensor([9.0], dtype="float64")
    assert exact.clamp(exact - 8, 3.3).item() == 3.3  # not float32's
    half = pyconv.ones(2, dtype="float16", requires_grad=True)
    half.max(pyconv.tensor([1.0, 0.0], dtype="float16")).sum().backward()
    assert half.grad.tolist() == [0.5, 1]
    a, b = (pyconv.tensor([n], dtype="float64", requires_grad=True) for n in (1.0, 2.0))
    assert pyconv.autograd.gradgradcheck(lambda a, b: a.max(b) ** 2 + a.clamp(b) ** 2, (a, b))


def test_dtype_of_what_is_reduced():
    x = pyconv.tensor([[1, 2], [3, 5]], dtype="uint8")
    for call in (x.sum, x.mean):
        assert call(0, dtype="float32").dtype == np.float32
    assert x.sum(dtype="uint8").dtype == np.uint8
    assert pyconv.tensor([1.7, 1.7]).sum(dtype="int64").item() == 2
    assert x.mean(dtype="float64").item() == 2.75
    for name in ("softmax", "log_softmax"):
        truth = getattr(F, name)(x.to("float64"), 1)
        np.testing.assert_array_equal(getattr(x, name)(1, "float64").numpy(), truth.numpy())
        np.testing.assert_array_equal(getattr(F, name)(x, 1, dtype="f8").numpy(), truth.numpy())
        with pytest.raises(TypeError, match=f"{name}: dtype is int64, expected a floating one"):
            getattr(F, name)(x, 1, dtype="int64")
    with pytest.raises(TypeError, match="mean: dtype is int64, expected a floating one"):
        x.mean(dtype="int64")


def test_names_of_the_function_and_the_argument():
    x = pyconv.ones(2, 3)
    for call, error, message in [
        (lambda: x.view(4), ValueError, r"view: shape is \(4,\) and input has shape \(2, 3\)"),
        (lambda: x.view("a"), TypeError, "view: shape is 'a'"),
        (lambda: x.view(2, shape=(6,)), TypeError, "view: shape is .* are given too"),
        (
            lambda: pyconv.cat([x, None]),
            TypeError,
            r"cat: tensors\[1\] is a NoneType, expected num",
        ),
        (lambda: pyconv.stack(x), TypeError, "stack: tensors is a Tensor, expected a tuple or"),
        (
            lambda: F.linear((x, x), x),
            TypeError,
            r"linear: input is .*layers return \(output, state",
        ),
        (lambda: F.dropout((x, x)), TypeError, "dropout: input is a tuple that holds Tensors"),
        (lambda: F.exp("a"), TypeError, "exp: input is a str, expected numbers"),
    ]:
        with pytest.raises(error, match=message):
            call()
    assert x.view(shape=(3, 2)).shape == (3, 2)
