"""Functions of each element and arithmetic: accuracy, special values, layouts, derivatives."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from harness import DTYPES, ISAS
from ops import CASES
from ops.elementwise import UNARY

import pyconv
import pyconv.functional as F
from pyconv import Tensor, _core, reference
from pyconv.autograd import gradcheck, gradgradcheck
from pyconv.testing import force

# Units in the last place of the result, as csrc/simd/math.h promises.
ERRORS = {"exp": 1.1, "log": 0.9, "tanh": 1.5, "sigmoid": 2.5, "erf": 1.3}
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-40, 2.5, -2.5]


def apply(name: str, x: np.ndarray) -> np.ndarray:
    return _core.unary_forward(_core.unary_index(name), x, 0.0, 0.0)


def truth_of(name: str, x: np.ndarray) -> np.ndarray:
    """Return NumPy's result, and for erf, which NumPy lacks, Python's."""
    if name == "erf":
        return np.fromiter(map(math.erf, x.tolist()), np.float64, x.size)
    return getattr(reference, name)(x.astype(np.float64))


def check_every(name: str, bits: np.ndarray) -> None:
    """Compare the function of the float32 of these bits with that of the same float64."""
    x = bits.view(np.float32)
    most = ERRORS[name] + (0.1 if _core.isa() == "baseline" else 0)  # without fma
    with np.errstate(all="ignore"):
        got = apply(name, x)
        truth = truth_of(name, x)
        assert (np.isnan(truth) | (np.signbit(got) == np.signbit(truth))).all(), name
        # A unit in the last place is above 2^-24 times the number: most pass by this alone.
        doubt = ~(np.abs(got - truth) <= most * 2.0**-24 * np.abs(truth))
        x, got, truth = x[doubt], got[doubt], truth[doubt]
        rounded = truth.astype(np.float32)
        ulp = np.maximum(np.spacing(np.abs(rounded)), np.float32(2.0**-149)).astype(np.float64)
        # The spacing above a power of two is twice the one below, where the result may lie.
        ulp = np.where(np.abs(truth) < np.abs(rounded), np.spacing(np.abs(got)), ulp)
        near = np.abs(got - truth) <= most * ulp
    same = (got == rounded) | (np.isnan(got) & np.isnan(truth))
    assert (same | near).all(), (name, x[~(same | near)][:5])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_float32(name: str, isa: str) -> None:
    with force(isa=isa):
        check_every(name, np.arange(0, 2**32, 40009, np.uint64).astype(np.uint32))


@pytest.mark.slow
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_float32_about_one(name: str, isa: str) -> None:
    first, last = np.array([0.5, 2], np.float32).view(np.uint32)
    with force(isa=isa):
        check_every(name, np.arange(first, last, dtype=np.uint32))


def check_all(name: str, step: int) -> None:
    part = step << 22
    for first in range(0, 2**32, part):
        last = min(first + part, 2**32)
        check_every(name, np.arange(first, last, step, np.uint64).astype(np.uint32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_one_float32_in_61(name: str) -> None:
    check_all(name, 61)


@pytest.mark.slow
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_every_float32(name: str) -> None:
    check_all(name, 1)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_float64(name: str, isa: str) -> None:
    x = np.concatenate([np.linspace(-40, 40, 9001), np.geomspace(1e-300, 700, 5001)])
    x = np.abs(x) + 1e-310 if name == "log" else x
    exact = {"erf": math.erf, "sigmoid": lambda v: 1 / (1 + math.exp(-v))}
    truth = np.array([exact.get(name, getattr(math, name, None))(v) for v in x.tolist()])
    with force(isa=isa):
        error = np.abs(apply(name, x) - truth) / np.spacing(np.abs(truth))
    assert error.max() <= ERRORS[name] + 1.5  # the truth may itself be wrong in the last place


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_error_of_gelu(approximate: str, isa: str) -> None:
    """As a share of 1, for numbers beyond 1 of the number; far out the tail is 0."""
    x = np.append(np.linspace(-13, 13, 20001), [-1e3, 1e3, -1e19, 1e19]).astype(np.float32)
    truth = reference.gelu(x, approximate=approximate)
    with force(isa=isa):
        got = F.gelu(x, approximate).numpy()
    assert (np.abs(got - truth) <= 2.0**-22 * np.maximum(1, np.abs(x))).all()
    assert (got[x < -13] == 0).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", UNARY)
def test_special_values(op: str, dtype: Any, isa: str) -> None:
    x = np.array(SPECIAL * 5, dtype)
    options = UNARY[op][0].options
    tensor = pyconv.tensor(x, requires_grad=True)
    with force(isa=isa):
        output = getattr(F, op)(tensor, **options)
        output.backward(np.ones_like(x))
    with np.errstate(all="ignore"):
        expected = getattr(reference, op)(x, **options).astype(dtype)
        gradient = getattr(reference, f"{op}_backward")(np.ones_like(x), x, **options)
        gradient = gradient.astype(dtype)
    eps = 2 * np.finfo(dtype).eps  # as a share of 1: 1 + erf and 1 - y * y cancel
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-6, atol=eps)
    np.testing.assert_allclose(tensor.grad.numpy(), gradient, rtol=1e-6, atol=eps)
    if "relu" not in op and op != "clamp":  # NumPy's maximum of 0 and -0 may be either
        zeros = x == 0
        sign = np.signbit(output.detach().numpy())[zeros]
        np.testing.assert_array_equal(sign, np.signbit(expected)[zeros])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [*UNARY, "softmax", "log_softmax"])
def test_sets_with_fma_give_the_same_bits(op: str, dtype: Any) -> None:
    x = np.random.default_rng(0).standard_normal((40, 33)).astype(dtype) * 5
    options = CASES[op][0].options
    isas = [isa for isa in ISAS if isa in ("avx2", "avx512")]
    if len(isas) < 2:
        pytest.skip("this CPU has one set with fma or none: nothing to compare")
    results = []
    for isa in isas:
        tensor = pyconv.tensor(x, requires_grad=True)
        with force(isa=isa):
            output = getattr(F, op)(tensor, **({"dim": 0} if "softmax" in op else options))
            output.backward(x)
        results.append(output.detach().numpy().tobytes() + tensor.grad.numpy().tobytes())
    assert len(set(results)) == 1


FUNCTIONS: dict[str, Any] = {
    **{op: lambda x, op=op: getattr(F, op)(x, **UNARY[op][0].options) for op in UNARY},
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus_beta": lambda x: F.softplus(x, 2.0, 1.0),
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 0),
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "sum": lambda x: (x * x).sum(0),
    "mean": lambda x: (x * x).mean((0, 1)),
    "broadcast": lambda x: (x[:1] * x + x[:, :1] - x[0, 0]) / (2 + x * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives(name: str) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4)) + 0.01
    if name in ("log", "sqrt"):
        x = np.abs(x) + 0.5
    tensor = pyconv.tensor(x, requires_grad=True)
    assert gradcheck(FUNCTIONS[name], (tensor,))
    assert gradgradcheck(FUNCTIONS[name], (tensor,))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_recorded_gradients_are_the_same(name: str) -> None:
    """The kernel's backward, and the one from recorded operations; at special points too."""
    x = np.append(np.linspace(-8, 8, 40), [0, -1, 1, 3, -3, 6]).reshape(2, 23)
    x = np.abs(x) + 0.5 if name in ("log", "sqrt") else x
    gradients = []
    for create_graph in (False, True):
        tensor = pyconv.tensor(x, requires_grad=True)
        (gradient,) = pyconv.autograd.grad(
            FUNCTIONS[name](tensor).sum(), tensor, create_graph=create_graph
        )
        gradients.append(gradient.detach().numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_arithmetic_keeps_the_layout(order: tuple[int, ...]) -> None:
    a = pyconv.from_numpy(np.random.rand(2, 3, 4, 5).transpose(order))
    other = pyconv.from_numpy(np.random.rand(*a.shape))
    channel = np.random.rand(a.shape[1], 1, 1)
    order_in_memory = np.argsort(a._array.strides).tolist()
    for b in (2.0, a, other, channel, np.random.rand(*a.shape)[::-1]):
        result = a * b
        assert np.argsort(result._array.strides).tolist() == order_in_memory
        np.testing.assert_array_equal(result.numpy(), a.numpy() * np.asarray(b))
        np.testing.assert_array_equal((b - a).numpy(), np.asarray(b) - a.numpy())


@pytest.mark.parametrize("dtype", ["float16", "int32", "uint8", "bool"])
def test_arithmetic_of_other_numbers_is_numpys(dtype: str) -> None:
    a = np.arange(6).reshape(2, 3).astype(dtype)
    x = pyconv.from_numpy(a)
    for got, truth in ((x + x, a + a), (x * x, a * a), (x.sum(0), a.sum(0)), (x + 1, a + 1)):
        np.testing.assert_array_equal(got.numpy(), truth)


def test_a_step_of_0_and_backwards_is_read() -> None:
    a = np.random.rand(4, 6)
    for view in (a[::-1], a[:, ::2], np.broadcast_to(a[:1], (4, 6)), a[:, ::-1].T):
        x = pyconv.from_numpy(view)
        for got, truth in (
            (x + x, view + view),
            (x / (x + 1), view / (view + 1)),
            (-x, -view),
            (x.sum(1), view.sum(1)),
            (F.softmax(x, 0), reference.softmax(view, 0)),
        ):
            np.testing.assert_allclose(got.numpy(), truth, rtol=1e-14)


BAD: list[tuple[str, dict[str, Any], str]] = [
    *[
        (op, {name: value}, rf"{op}: {name} is {shown}")
        for op, name in (
            ("elu", "alpha"),
            ("leaky_relu", "negative_slope"),
            ("softplus", "beta"),
            ("softplus", "threshold"),
            ("clamp", "min"),
            ("clamp", "max"),
        )
        for value, shown in (("a", "'a'"), (math.nan, "nan"), (1j, "1j"), (True, "True"))
    ],
    ("elu", {"alpha": None}, "alpha is None"),
    ("clamp", {}, "min and max are None"),
    ("gelu", {"approximate": "erf"}, "approximate is 'erf'"),
    ("gelu", {"approximate": None}, "approximate is None"),
    ("softmax", {"dim": 2}, "dim is 2"),
    ("sum", {"dim": (0, 2)}, "dim is 2"),
    ("sum", {"dim": (0, -2)}, "dim"),
    ("add", {"other": np.ones(3)}, r"input has shape \(2, 2\) and other \(3,\).*broadcast"),
    ("mul", {"other": "a"}, "other is a str"),
    ("div", {"other": None}, "other"),
]


@pytest.mark.parametrize(("op", "options", "message"), BAD)
def test_bad_input(op: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(F, op)(np.ones((2, 2)), **options)


@pytest.mark.parametrize("op", [op for op in UNARY if op not in ("abs", "neg")])
def test_numbers_that_no_kernel_takes(op: str) -> None:
    options = UNARY[op][0].options
    for bad in (np.ones(2, np.float16), np.ones(2, object), None, "a", [[1], [1, 2]]):
        with pytest.raises((ValueError, TypeError), match=r"input|float"):
            getattr(F, op)(bad, **options)


def test_clamp_of_integers() -> None:
    x = pyconv.arange(5)
    assert F.clamp(x, 1, 3).numpy().tolist() == [1, 1, 2, 3, 3]
    assert F.clamp(x, 1, 3).dtype == np.int64
    assert F.clamp(x, max=2.5).dtype == np.float32
    small = x.to("int8")
    for bounds in ({"max": np.int64(1)}, {"max": 300}, {"min": -(2**70)}):
        assert F.clamp(small, **bounds).dtype == np.int8
    with pytest.raises(ValueError, match="clamp: min is 200, must be at most 127"):
        F.clamp(small, np.uint8(200))
    assert F.clamp([True, False], max=0).dtype == np.int64


def test_layers_are_their_functions() -> None:
    x = pyconv.randn(3, 4)
    nn = pyconv.nn
    pairs = [
        (nn.ELU(0.5), F.elu(x, 0.5)),
        (nn.GELU("tanh"), F.gelu(x, "tanh")),
        (nn.Hardsigmoid(), F.hardsigmoid(x)),
        (nn.Hardswish(), F.hardswish(x)),
        (nn.LeakyReLU(0.3, inplace=True), F.leaky_relu(x, 0.3)),
        (nn.LogSoftmax(1), F.log_softmax(x, 1)),
        (nn.ReLU6(), F.relu6(x)),
        (nn.Sigmoid(), F.sigmoid(x)),
        (nn.SiLU(), F.silu(x)),
        (nn.Softmax(dim=0), F.softmax(x, 0)),
        (nn.Softplus(2), F.softplus(x, 2)),
        (nn.Tanh(), F.tanh(x)),
    ]
    for layer, expected in pairs:
        np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
        assert isinstance(layer(x), Tensor)
    assert repr(nn.LeakyReLU(0.3)) == "LeakyReLU(negative_slope=0.3)"
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"
    assert repr(nn.GELU()) == "GELU(approximate='none')"
