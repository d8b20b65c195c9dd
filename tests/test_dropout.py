"""Dropout: the numbers of the reference, their statistics, seeds, gradients, layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import DTYPES, ISAS, fill
from ops.case import Case
from ops.dropout import DROPOUT

import pyconv
import pyconv.functional as F
from pyconv import nn, reference
from pyconv.autograd import gradgradcheck
from pyconv.random import drop, drop_channels, manual_seed
from pyconv.testing import force


def seeds(seed: int) -> int:
    """Return what dropout draws first after `manual_seed(seed)`; start there again."""
    first = int(manual_seed(seed).integers(2**64, dtype=np.uint64))
    manual_seed(seed)
    return first


ALL = [pytest.param(op, c, id=f"{op}-{c.name}") for op, cases in DROPOUT.items() for c in cases]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "case"), ALL)
@pytest.mark.parametrize("p", [0, 0.1, 0.5, 0.999, 1])
def test_equals_reference(p: float, op: str, case: Case, dtype: Any, isa: str) -> None:
    (x,) = fill(case, dtype)[0].values()
    seed = seeds(7)
    truth = getattr(reference, op)(x, p, seed=seed)
    grad = getattr(reference, f"{op}_backward")(x, np.zeros_like(x), p, seed=seed)
    for threads in (1, 2, 7):
        manual_seed(7)
        tensor = pyconv.tensor(x, requires_grad=True)
        with force(isa=isa, threads=threads):
            output = getattr(F, op)(tensor, p)
            output.backward(x)
        np.testing.assert_allclose(output.detach(), truth, rtol=1e-6)
        np.testing.assert_allclose(tensor.grad, grad, rtol=1e-6)
        np.testing.assert_array_equal(tensor.grad, output.detach())
        assert output.dtype == dtype


def test_philox_is_that_of_the_paper() -> None:
    """Known answers of Random123, the authors' library."""
    words = reference.philox(0, 0)
    assert [int(word) for word in words] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_share_of_zeros_and_mean() -> None:
    manual_seed(0)
    result = F.dropout(np.ones(10**6), 0.3).numpy()
    assert abs((result == 0).mean() - 0.3) < 0.003
    assert abs(result.mean() - 1) < 0.005
    kept = result[:-1] != 0
    assert abs(np.corrcoef(kept, result[1:] != 0)[0, 1]) < 0.005


def test_seed_decides_and_every_call_differs() -> None:
    x = np.ones(1000, np.float32)
    manual_seed(1)
    first, second = F.dropout(x).numpy(), F.dropout(x).numpy()
    assert (first != second).any()
    manual_seed(1)
    np.testing.assert_array_equal(F.dropout(x).numpy(), first)


def test_layout_does_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    moved = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    np.testing.assert_array_equal(drop(x, 0.5, 3), drop(moved, 0.5, 3))
    dropped = drop_channels(moved, 0.5, 3, 2)
    assert dropped.strides == moved.strides
    factors = drop(np.ones((2, 3, 1, 1)), 0.5, 3)
    np.testing.assert_array_equal(dropped, x * factors)
    np.testing.assert_array_equal(
        drop_channels(x[:, ::-1, :, ::2], 0.5, 3, 2), x[:, ::-1, :, ::2] * factors
    )


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (F.dropout1d, (4, 500, 3)),
        (F.dropout2d, (4, 500, 3, 2)),
        (F.dropout2d, (500, 3, 2)),
        (F.dropout3d, (4, 500, 3, 2, 2)),
    ],
)
def test_whole_channels_are_dropped(function: Any, shape: tuple[int, ...]) -> None:
    manual_seed(0)
    result = function(np.ones(shape), 0.25).numpy()
    channels = result.reshape(-1, np.prod(shape[shape.index(500) + 1 :]))
    assert (channels == channels[:, :1]).all()
    assert 0.15 < (channels[:, 0] == 0).mean() < 0.35
    assert set(np.unique(result)) == {0, 1 / 0.75}


def test_without_training_it_is_the_input() -> None:
    x = pyconv.ones(3)
    assert F.dropout(x, training=False) is x
    layer = nn.Dropout(0.9)
    assert (layer.eval()(x).numpy() == 1).all()
    assert repr(layer) == "Dropout(p=0.9, inplace=False)"


def test_layers_take_inplace() -> None:
    x = pyconv.ones(2, 3)
    nn.Dropout(1.0, inplace=True)(x)
    np.testing.assert_array_equal(x.numpy(), np.ones((2, 3)))
    assert repr(nn.Dropout3d(0.2, True)) == "Dropout3d(p=0.2, inplace=True)"


def test_second_derivative() -> None:
    x = pyconv.tensor(np.arange(6.0), requires_grad=True)

    def function(x: Any) -> Any:
        manual_seed(2)
        return F.dropout(x * x, 0.4)

    assert gradgradcheck(function, [x])


BAD_P = [-0.1, 1.1, float("nan"), float("inf"), None, "a", 2**100]


@pytest.mark.parametrize("p", BAD_P)
@pytest.mark.parametrize("make", [lambda p: F.dropout(np.ones(2), p), nn.Dropout2d])
def test_bad_p(make: Any, p: Any) -> None:
    with pytest.raises(ValueError if isinstance(p, (int, float)) else TypeError, match="p is"):
        make(p)


def test_numbers_of_numpy() -> None:
    assert nn.Dropout(np.float32(0.5)).p == 0.5
    assert F.batch_norm(np.ones((2, 3)), None, None, training=True, eps=np.float32(1)).shape == (
        2,
        3,
    )


@pytest.mark.parametrize("x", [np.ones(3, int), np.ones(3, bool), np.ones(3, np.float16)])
def test_bad_dtype(x: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"input\.dtype is"):
        F.dropout(x)


def test_bad_rank() -> None:
    with pytest.raises(ValueError, match=r"input has shape \(3, 4\)"):
        F.dropout2d(np.ones((3, 4)))
