"""What the cases do not reach: NaN, infinities, sums of nothing; and steps of the optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harness import DTYPES, ISAS, algorithms, applies, check, fill, run
from ops import CASES
from ops.case import Case

import pyconv
import pyconv.functional as F
from pyconv import _core, reference
from pyconv.testing import assert_close, force


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_special_values(isa: str, dtype: Any) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1e-40, np.finfo(dtype).tiny] * 9, dtype)
    with force(isa=isa):
        result = run("relu", {"input": x}, {}, np.ones_like(x))
    np.testing.assert_array_equal(result.output, reference.relu(x))
    np.testing.assert_array_equal(
        result.grads["input"], reference.relu_backward(np.ones_like(x), x)
    )


def _with_specials(value: float, share: float, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.where(rng.random(shape) < share, value, rng.standard_normal(shape))


MAXIMA: list[tuple[str, dict[str, Any]]] = [
    ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", {"kernel_size": 2}),
    ("adaptive_max_pool2d", {"output_size": (5, 7)}),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize(("op", "options"), MAXIMA)
def test_max_pool_special_values(
    op: str, options: dict[str, Any], isa: str, dtype: Any, share: float, value: float
) -> None:
    """In both layouts, with places and without."""
    x = _with_specials(value, share, (2, 17, 21, 19))
    truth, places = getattr(reference, op)(x, **options, return_indices=True)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    for images in (x.astype(dtype), last.astype(dtype)):
        with force(isa=isa):
            output, indices = getattr(F, op)(images, **options, return_indices=True)
            alone = getattr(F, op)(images, **options)
        np.testing.assert_array_equal(output.numpy(), truth.astype(dtype))
        np.testing.assert_array_equal(indices.numpy(), places)
        np.testing.assert_array_equal(alone.numpy(), output.numpy())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("divisor", [3, 6, 7, 9, 49, 1000, 99_999, -12])
def test_averages_are_divided_as_by_a_division(isa: str, dtype: Any, divisor: int) -> None:
    """Of any size, infinities, NaN and zeros of both signs, in both layouts."""
    rng = np.random.default_rng(abs(divisor))
    info = np.finfo(dtype)
    size = rng.uniform(info.minexp, info.maxexp, (2, 32, 40, 24))
    x = (rng.uniform(-1, 1, size.shape) * 2.0**size).astype(dtype)
    x[:, :5, 3] = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0]).reshape(5, 1)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    for images in (x, last):
        with force(isa=isa):
            output = F.avg_pool2d(images, 1, divisor_override=divisor).numpy()
        np.testing.assert_array_equal(output, x / dtype(divisor))
        np.testing.assert_array_equal(np.signbit(output[:, 3:5]), np.signbit(x[:, 3:5] / divisor))


MAX_POOLS = [f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("op", "case"),
    [pytest.param(op, c, id=f"{op}-{c.name}") for op in MAX_POOLS for c in CASES[op]],
)
def test_max_pool_indices(op: str, case: Case, isa: str) -> None:
    arrays, options = fill(case, np.float32)
    truth, places = getattr(reference, op)(**arrays, **options, return_indices=True)
    with force(isa=isa):
        output, indices = getattr(F, op)(**arrays, **options, return_indices=True)
    np.testing.assert_array_equal(output.numpy(), truth.astype(np.float32))
    np.testing.assert_array_equal(indices.numpy(), places)
    assert indices.dtype == np.int64


LINEAR_MAPS: list[tuple[str, dict[str, Any]]] = [
    ("avg_pool2d", {"kernel_size": 2}),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("adaptive_avg_pool2d", {"output_size": (5, 7)}),
    ("adaptive_avg_pool2d", {"output_size": 1}),
    ("interpolate", {"scale_factor": 2}),
    ("interpolate", {"scale_factor": 2, "mode": "bilinear"}),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("op", "options"), LINEAR_MAPS, ids=str)
def test_nan_and_infinity_stay_in_their_windows(
    op: str, options: dict[str, Any], value: float, isa: str
) -> None:
    """What a special element reaches is what a change of it reaches, in both directions."""
    x = _with_specials(0, 1, (1, 17, 18, 20))
    x[0, 3, 4, 5] = x[0, 16, 17, 19] = 1
    for images in (x, np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)):
        reached = getattr(reference, op)(images, **options) != 0
        with force(isa=isa):
            output = getattr(F, op)(np.where(images == 1, value, images), **options)
        np.testing.assert_array_equal(~np.isfinite(output.numpy()), reached)


def test_nearest_copies_every_bit() -> None:
    x = np.array([[[[-0.0, np.nan, np.inf, 0.0] * 9]]], np.float32)
    for images in (x, np.moveaxis(np.repeat(x, 16, 1).swapaxes(1, 3).copy(), 3, 1)):
        output = F.interpolate(images, scale_factor=2).numpy()
        expected = np.repeat(np.repeat(images, 2, 2), 2, 3)
        np.testing.assert_array_equal(np.signbit(output), np.signbit(expected))
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("op", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_adaptive_pool_to_nothing(op: str) -> None:
    options = {"output_size": (0, 4)}
    for channels in (3, 20):
        arrays = {"input": np.ones((2, channels, 5, 6), np.float32)}
        result = run(op, arrays, options, np.ones((2, channels, 0, 4), np.float32))
        assert result.output.shape == (2, channels, 0, 4)
        assert not result.grads["input"].any()


def test_max_pool2d_window_without_input() -> None:
    """Dilation 2 and padding 1 on two rows: the windows see only padding, before and after."""
    x = np.ones((1, 1, 2, 1), np.float32)
    options = {
        "kernel_size": (2, 1),
        "padding": (1, 0),
        "dilation": (3, 1),
        "stride": 1,
    }
    result = run("max_pool2d", {"input": x}, options, np.ones((1, 1, 1, 1), np.float32))
    assert result.output.item() == -np.inf
    assert not result.grads["input"].any()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_huge_logits(isa: str, dtype: Any) -> None:
    """Nothing overflows, and a class that cannot be (minus infinity) costs nothing elsewhere."""
    x = np.array(
        [[1e30, -1e30, 0], [1000, 1001, 999], [-np.inf, 0, 0], [-1e4, -1e4, -1e4]],
        dtype,
    )
    options = {"target": np.array([0, 1, 2, 0]), "reduction": "none"}
    with force(isa=isa):
        check("cross_entropy", {"input": x}, options)


def test_cross_entropy_of_nothing() -> None:
    """The mean of no samples is NaN, and passes no gradient."""
    for x, target in ((np.ones((2, 3)), [-100, -100]), (np.ones((0, 3)), [])):
        options = {"target": np.array(target, np.int64)}
        result = run("cross_entropy", {"input": x}, options, np.ones(()))
        assert np.isnan(result.output)
        assert not result.grads["input"].any()


@pytest.fixture
def strict() -> Iterator[None]:
    pyconv.set_precision("strict")
    yield
    pyconv.set_precision("fast")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", [c for c in CASES["conv2d"] if c.name in ("3x3", "depthwise")])
def test_conv2d_nan_reaches_only_its_windows(case: Case, isa: str, strict: None) -> None:
    """In plain sums; with Winograd's algorithm it reaches the tiles that it meets."""
    arrays, options = fill(case, np.float32)
    arrays["input"][0, 1, 3, 3] = np.nan
    truth = np.isnan(reference.conv2d(**arrays, **options))
    for name in algorithms("conv2d"):
        with force(isa=isa):
            possible = applies("conv2d", name, arrays, options)
        if possible:
            with force(isa=isa, algorithm={"conv2d": name} if name else None):
                output = F.conv2d(**arrays, **options).numpy()
            np.testing.assert_array_equal(np.isnan(output), truth)


# ---- the product under them all ----------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_matmul_algorithm(dtype: Any, isa: str) -> None:
    """Each takes some order of the operands in memory, alone and with a bias, on any threads."""
    ran = set()
    for case in CASES["matmul"]:
        arrays, _ = fill(case, dtype)
        a, b = arrays["input"], arrays["other"]
        if a.ndim > 2 or b.ndim > 2:
            continue  # stacks
        bias = np.arange(b.shape[1]).astype(dtype)
        truth, terms = reference.matmul(a, b) + bias, a.shape[1] + 1
        for left, right in ((a, b), (a, np.asfortranarray(b)), (np.asfortranarray(a), b)):
            for name in [
                row["algorithm"] for row in _core.matmul_explain(left, right) if not row["refused"]
            ]:
                ran.add(name)
                results = []
                for threads in (1, 2, 7):
                    with force(isa=isa, algorithm={"matmul": name}, threads=threads):
                        results.append(_core.matmul(left, right, bias))
                assert_close(results[0], truth, terms, allow_empty=truth.size == 0)
                assert len({result.tobytes() for result in results}) == 1
    assert ran == set(_core.algorithm_names("matmul"))


def test_relu_of_many_dimensions() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 1, 2, 3, 2, 2)).astype(np.float32)
    x = x.transpose(6, 1, 2, 3, 4, 5, 0)
    np.testing.assert_array_equal(
        _core.unary_forward(_core.unary_index("relu"), x, 0.0, 0.0), np.maximum(x, 0)
    )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logits", [False, True])
def test_binary_cross_entropy_at_the_ends(logits: bool, dtype: Any, isa: str) -> None:
    """Logarithms of 0 are cut off; logits that exp would overflow are not."""
    op = "binary_cross_entropy_with_logits" if logits else "binary_cross_entropy"
    x = [-1000, 1000, -80, 80, 0, 1e-30, -0.0] if logits else [0, 1, 1e-30, 0.5, 1, 0, 1e-7]
    arrays = {"input": np.tile(np.array(x, dtype), 9)}
    arrays["target"] = np.tile(np.array([0, 1, 0.5], dtype), 21)
    options = {"reduction": "none"}
    grad = np.ones(63, dtype)
    with force(isa=isa):
        result = run(op, arrays, options, grad)
    with np.errstate(divide="ignore"):
        truth = getattr(reference, op)(**arrays, **options)
        grad_input = getattr(reference, f"{op}_backward")(grad, **arrays, **options)[0]
    rtol = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(result.output, truth, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(result.grads["input"], grad_input, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_local_response_norm_stays_in_its_window(value: float, isa: str) -> None:
    x = np.ones((2, 9, 3, 7), np.float32)
    x[1, 4, 2, 5] = value
    for images in (x, np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)):
        with np.errstate(invalid="ignore"):
            expected = reference.local_response_norm(images, 3)
            zeros = images * 0
        with force(isa=isa):
            output = F.local_response_norm(images, 3).numpy()
            same = F.local_response_norm(zeros, 3, k=0.0, beta=0.0).numpy()  # 0 ** 0 is 1
        np.testing.assert_allclose(output, expected, rtol=1e-6)
        np.testing.assert_array_equal(same, zeros)


def test_long_sides_of_an_empty_result() -> None:
    widths = (2**31 - 1, 2**31 - 1)
    assert F.pad(np.ones((0, 3), np.float32), widths).shape == (0, 2**32 + 1)
    image = pyconv.zeros(0, 1, 4, 4, requires_grad=True)
    large = F.interpolate(image, (2**28, 7), mode="bilinear")
    assert large.shape == (0, 1, 2**28, 7)
    large.sum().backward()
    assert image.grad is not None
    assert image.grad.shape == (0, 1, 4, 4)
    grad = pyconv.tensor(np.ones((1, 0), np.float32), requires_grad=True)
    F.pad(grad, (0, 0, 2, 3)).sum().backward()
    assert grad.grad is not None
    assert grad.grad.shape == (1, 0)


BEYOND = [
    lambda: pyconv.tensor(1e300),
    lambda: pyconv.tensor(np.array([1e300])).to(np.float32),
    lambda: pyconv.where([True], 1e300, pyconv.ones(1)),
    lambda: pyconv.linspace(0, 1e300, 2)[1],
]


@pytest.mark.parametrize("make", BEYOND)
@pytest.mark.filterwarnings("error")
def test_numbers_beyond_a_dtype_are_infinite_without_a_warning(make: Any) -> None:
    assert make().item() == np.inf


def test_numbers_that_a_dtype_cannot_hold_are_refused() -> None:
    for call in (
        lambda: pyconv.full((2,), 1e300),
        lambda: pyconv.full((2,), 300, dtype=np.uint8),
        lambda: pyconv.tensor([1, np.nan], dtype=np.int64),
        lambda: pyconv.nn.init.constant_(pyconv.empty(1), 1e300),
        lambda: F.pad(np.zeros(3, np.float32), (1, 1), value=1e300),
    ):
        with pytest.raises(ValueError, match="not possible in"):
            call()
    assert F.pad(np.zeros(1), (1, 0), value=1e300)[0].item() == 1e300


TENTH = np.float32(0.1)
LONG = [
    lambda x: x.sum() / x.numel(),
    lambda x: x.view(-1, 2).mean(0),
    lambda x: F.adaptive_avg_pool1d(x.view(1, 2, -1), 1),
    lambda x: F.adaptive_avg_pool1d(x.view(1, -1, 2).permute(0, 2, 1), 1),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("mean", LONG)
def test_long_sums_are_made_of_short_ones(isa: str, mean: Any) -> None:
    """Additions of equal numbers err in one direction: 2**18 in turn would by 0.01."""
    with force(isa=isa):
        found = mean(pyconv.full((2**19,), TENTH)).numpy()
    np.testing.assert_allclose(found, TENTH, rtol=2e-5)


def test_resizing_to_the_same_size_reads_no_neighbours() -> None:
    x = np.array([[[[1.0, 2.0], [-np.inf, 4.0]]]])
    np.testing.assert_array_equal(F.interpolate(x, (2, 2), mode="bilinear").numpy(), x)
    wide = F.interpolate(x, (2, 4), mode="bilinear").numpy()
    np.testing.assert_array_equal(wide[0, 0, 0], [1, 1.25, 1.75, 2])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_sure_logits_keep_their_digits(isa: str, create_graph: bool) -> None:
    logits = np.array([-10, -17, -20, -60, 12.0, 30.0], np.float32)
    for target in (0.0, 1.0):
        x = pyconv.tensor(logits, requires_grad=True)
        with force(isa=isa):
            t = np.full_like(logits, target)
            loss = F.binary_cross_entropy_with_logits(x, t, reduction="sum")
            (grad,) = pyconv.autograd.grad(loss, [x], create_graph=create_graph)
        z = logits.astype(float)
        truth = np.exp(-np.logaddexp(0, -z)) if target == 0 else -np.exp(-np.logaddexp(0, z))
        np.testing.assert_allclose(grad.detach().numpy(), truth, rtol=1e-5)
        twin = reference.binary_cross_entropy_with_logits_backward(1, z, t, reduction="sum")
        np.testing.assert_allclose(twin[0], truth, rtol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_no_loss_is_minus_0(reduction: str) -> None:
    for loss in (
        F.nll_loss([[0.0, -1.0]], [0], reduction=reduction),
        F.binary_cross_entropy([1.0, 0.0], [1.0, 0.0], reduction=reduction),
        F.cross_entropy([[1.0]], [[1.0]], reduction=reduction),
        F.cross_entropy([[1e9, 0.0]], [0], reduction=reduction),
    ):
        assert str(loss) == "tensor(0.)"


def test_classes_of_probabilities_are_not_ignored() -> None:
    loss = pyconv.nn.CrossEntropyLoss(ignore_index=1)
    with pytest.raises(ValueError, match="cross_entropy: ignore_index is 1, expected none"):
        loss(pyconv.zeros(1, 2), pyconv.ones(1, 2))
    assert loss(pyconv.zeros(1, 2), [0]).item() > 0
