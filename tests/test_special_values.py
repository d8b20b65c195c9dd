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


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_max_pool2d_special_values(isa: str, dtype: Any, share: float, value: float) -> None:
    rng = np.random.default_rng(3)
    x = np.where(rng.random((2, 5, 21, 19)) < share, value, rng.standard_normal((2, 5, 21, 19)))
    options = {"kernel_size": 3, "stride": 2, "padding": 1}
    truth, places = reference.max_pool2d(x, **options, return_indices=True)
    with force(isa=isa):
        output, indices = F.max_pool2d(x.astype(dtype), **options, return_indices=True)
    np.testing.assert_array_equal(output.numpy(), truth.astype(dtype))
    np.testing.assert_array_equal(indices.numpy(), places)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES["max_pool2d"]])
def test_max_pool2d_indices(case: Case, isa: str) -> None:
    arrays, options = fill(case, np.float32)
    truth, places = reference.max_pool2d(**arrays, **options, return_indices=True)
    with force(isa=isa):
        output, indices = F.max_pool2d(**arrays, **options, return_indices=True)
    np.testing.assert_array_equal(output.numpy(), truth.astype(np.float32))
    np.testing.assert_array_equal(indices.numpy(), places)
    assert indices.dtype == np.int64


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
    np.testing.assert_array_equal(_core.relu_forward(x), np.maximum(x, 0))
