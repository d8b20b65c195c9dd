"""max, min and argmax along a dimension: NumPy's places, first of equal ones, NaN before all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import fill
from ops import extreme
from ops.case import Case

import pyconv
import pyconv.functional as F
from pyconv import _core, reference
from pyconv.testing import force

ISAS = _core.available_isas()
SHAPES = [pytest.param(c.arrays["input"], c.options["dim"], id=c.name) for c in extreme.ALONG]


def draw(shape: tuple[int, ...], dtype: Any, special: bool) -> np.ndarray:
    """Whole numbers, many of them equal, with NaN and infinities among them if `special`."""
    rng = np.random.default_rng(len(shape))
    x = rng.integers(-3, 4, shape).astype(dtype)
    if special:
        x = rng.choice(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]), shape).astype(dtype)
    return np.asarray(x)


def layouts(x: np.ndarray) -> list[np.ndarray]:
    """Return x in C order, in the opposite order, with gaps, and with dimension 1 innermost."""
    wide = np.zeros((*x.shape, 2), x.dtype)
    wide[..., 0] = x
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if x.ndim > 1 else x
    return [x, np.asfortranarray(x), wide[..., 0], last]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_equals_numpy(shape: Any, dim: int, special: bool, dtype: Any, isa: str) -> None:
    x = draw(shape, dtype, special)
    for array in layouts(x):
        for threads in (1, 3):
            with force(isa=isa, threads=threads):
                largest, smallest = F.max(array, dim), F.min(array, dim)
                places = F.argmax(array, dim)
            np.testing.assert_array_equal(largest.indices, np.argmax(x, dim))
            np.testing.assert_array_equal(places, np.argmax(x, dim))
            np.testing.assert_array_equal(smallest.indices, np.argmin(x, dim))
            np.testing.assert_array_equal(largest.values, np.max(x, dim))
            np.testing.assert_array_equal(smallest.values, np.min(x, dim))
            assert largest.indices.dtype == np.int64
            assert largest.values.dtype == dtype
    assert F.argmax(x, dim, keepdim=True).shape == np.max(x, dim, keepdims=True).shape


@pytest.mark.parametrize(("shape", "dim"), [s for s in SHAPES if s.values[0]])
def test_gradient(shape: Any, dim: int) -> None:
    x = draw(shape, np.float64, False)
    upstream = np.arange(1.0, 1 + np.max(x, dim).size).reshape(np.max(x, dim).shape)
    expected = np.zeros(shape)
    places = np.expand_dims(np.argmin(x, dim), dim)
    np.put_along_axis(expected, places, np.expand_dims(upstream, dim), dim)
    for array in layouts(x):
        tensor = pyconv.tensor(array, requires_grad=True)
        tensor.min(dim).values.backward(pyconv.tensor(upstream))
        np.testing.assert_array_equal(tensor.grad, expected)


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("case", extreme.ALL, ids=lambda case: case.name)
def test_equals_reference(case: Case, op: str) -> None:
    """Values, places and gradients; the places are those of argmax too."""
    arrays, options = fill(case, np.float32)
    truth = getattr(reference, op)(**arrays, **options)
    tensor = pyconv.tensor(arrays["input"], requires_grad=True)
    result = getattr(F, op)(tensor, **options)
    if options["dim"] is not None:
        np.testing.assert_array_equal(result.indices, truth[1], strict=True)
        result, truth = result.values, truth[0]
    places = F.argmax(tensor, **options)
    np.testing.assert_array_equal(places, reference.argmax(**arrays, **options), strict=True)
    upstream = np.arange(1.0, 1 + truth.size, dtype=np.float32).reshape(truth.shape)
    result.backward(pyconv.tensor(upstream))
    np.testing.assert_array_equal(result.detach(), truth.astype(np.float32), strict=True)
    grad = getattr(reference, f"{op}_backward")(upstream, **arrays, **options)
    np.testing.assert_allclose(tensor.grad, grad, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("op", ["max", "min"])
def test_special_values_as_the_reference_has_them(op: str, dim: Any, value: float) -> None:
    x = np.array([[value, 1, value], [2, 2, value]])
    tensor = pyconv.tensor(x, requires_grad=True)
    result = getattr(F, op)(tensor, dim)
    truth = getattr(reference, op)(x, dim)
    for ours, theirs in [(result, truth)] if dim is None else zip(result, truth):
        np.testing.assert_array_equal(ours.detach(), theirs)
    (result if dim is None else result.values.sum()).backward()
    grad = getattr(reference, f"{op}_backward")(np.ones_like(x.max(dim)), x, dim)
    np.testing.assert_array_equal(tensor.grad, grad)


@pytest.mark.torch
@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("case", extreme.ALL, ids=lambda case: case.name)
def test_reference_agrees_with_pytorch(case: Case, op: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    arrays, options = fill(case, np.float64)
    truth = getattr(reference, op)(**arrays, **options)
    tensor = torch.tensor(arrays["input"], requires_grad=True)
    along = options if options["dim"] is not None else {}
    result = getattr(torch, op)(tensor, **along)
    if along:
        np.testing.assert_array_equal(result.indices, truth[1])
        result, truth = result.values, truth[0]
    np.testing.assert_array_equal(result.detach(), truth)
    upstream = np.arange(1.0, 1 + truth.size).reshape(truth.shape)
    result.backward(torch.tensor(upstream))
    grad = getattr(reference, f"{op}_backward")(upstream, **arrays, **options)
    np.testing.assert_allclose(tensor.grad, grad)
    places = torch.argmax(torch.tensor(arrays["input"]), **options)
    np.testing.assert_array_equal(places, reference.argmax(**arrays, **options))


def test_second_derivative() -> None:
    x = pyconv.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    (first,) = pyconv.autograd.grad((x.max(1).values ** 3).sum(), [x], create_graph=True)
    (second,) = pyconv.autograd.grad(first.sum(), [x])
    np.testing.assert_array_equal(second, [[0, 18, 0]])


def test_places_that_were_changed_are_refused() -> None:
    x = pyconv.randn(4, 5, requires_grad=True)
    values, places = x.max(1)
    places.numpy()[0] = 7
    with pytest.raises(ValueError, match="indices holds 7, which was changed: expected from 0 to"):
        values.sum().backward()
