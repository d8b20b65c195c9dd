"""max, min and argmax along a dimension: NumPy's places, first of equal ones, NaN before all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import force

ISAS = _core.available_isas()
SHAPES = [
    ((), 0), ((1,), 0), ((7,), 0), ((3, 1), 1), ((3, 16), 1), ((5, 17), 1), ((4, 33), -1),
    ((40, 1000), 1), ((9, 5), 0), ((2, 3, 31), 1), ((2, 21, 9, 7), 1), ((3, 4, 1, 5), 2),
    ((300, 2, 65), 1), ((0, 4), 1), ((4, 0, 3), 0),
]  # fmt: skip


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


@pytest.mark.parametrize(("shape", "dim"), [s for s in SHAPES if s[0]])
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
