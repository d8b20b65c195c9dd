"""Functions that make tensors from a size, drawn ones too."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv


def test_creation_functions():
    assert pyconv.zeros(2, 3).shape == pyconv.zeros((2, 3)).shape == (2, 3)
    assert pyconv.ones(2, dtype=np.int64).numpy().tolist() == [1, 1]
    assert pyconv.full((2,), 7).dtype == np.int64
    assert pyconv.full((2,), 1.5).dtype == np.float32
    assert pyconv.empty(4, 5).shape == (4, 5)
    assert pyconv.arange(5).numpy().tolist() == [0, 1, 2, 3, 4]
    assert pyconv.arange(1, 2, 0.5).numpy().tolist() == [1, 1.5]
    assert pyconv.arange(1.0).dtype == np.float32
    assert pyconv.zeros_like(np.ones(2)).dtype == np.float64
    assert pyconv.ones_like(pyconv.zeros(2, 1)).shape == (2, 1)
    with pytest.raises(ValueError, match="size is"):
        pyconv.zeros(-1)
    with pytest.raises(ValueError, match="step"):
        pyconv.arange(0, 1, 0)
    with pytest.raises(ValueError, match="requires_grad"):
        pyconv.zeros(2, dtype=np.int64, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "arguments", "default"),
    [
        *[(make, ((2, 3),), "f4") for make in ("zeros", "ones", "empty", "rand", "randn")],
        *[(make, (np.ones(2, "f2"),), "f2") for make in ("zeros_like", "ones_like", "tensor")],
        ("full", ((2,), 7), "i8"),
        ("arange", (3,), "i8"),
        ("linspace", (0, 1, 3), "f4"),
        ("eye", (2,), "f4"),
        ("randint", (0, 3, (2,)), "i8"),
    ],
)
def test_dtype_and_device_of_what_is_made(make, arguments, default):
    make = getattr(pyconv, make)
    assert make(*arguments, dtype=None, device=None).dtype == make(*arguments).dtype == default
    assert make(*arguments, dtype="f8", device="cpu").dtype == np.float64
    with pytest.raises(NotImplementedError, match=f"{make.__name__}: device is 'cuda', only 'cpu'"):
        make(*arguments, device="cuda")
    if default == "f4" and isinstance(arguments[0], tuple):
        assert make(size=(2, 3)).shape == make(size=[2, 3]).shape == (2, 3)
        with pytest.raises(TypeError, match=r"size is \(2, 3\), and \(4,\) are given too"):
            make(4, size=(2, 3))


def test_random_functions_repeat_after_manual_seed():
    def draw():
        pyconv.manual_seed(3)
        return [
            pyconv.rand(2),
            pyconv.randn(2, 3),
            pyconv.randint(0, 9, (4,)),
            pyconv.randint(5, 2),
        ]

    for a, b in zip(draw(), draw()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert pyconv.rand(1000).max().item() < 1
    assert pyconv.rand(2, dtype="float64").dtype == np.float64
    drawn = pyconv.rand(2, generator=np.random.default_rng(0)).numpy()
    np.testing.assert_array_equal(drawn, np.random.default_rng(0).random(2, np.float32))
    with pytest.raises(ValueError, match="high is 3"):
        pyconv.randint(3, 3, (1,))
    with pytest.raises(ValueError, match="seed is -1"):
        pyconv.manual_seed(-1)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 2**40, "i4"), (0, 129, "i1"), (-5, 5, "u1"), (0, 3, "?"), (0, 70000, "f2")],
)
def test_random_integers_beyond_a_dtype(low, high, dtype):
    pyconv.manual_seed(0)
    kind = np.dtype(dtype)
    with pytest.raises(ValueError, match=f"low is {low} and high is {high}, beyond what {kind} ho"):
        pyconv.randint(low, high, (3,), dtype=dtype)
    drawn = pyconv.rand(1).item()
    pyconv.manual_seed(0)
    assert pyconv.rand(1).item() == drawn
    limit = np.iinfo(kind).max + 1 if kind.kind in "iu" else 2
    assert pyconv.randint(limit - 1, limit, (), dtype=dtype).item() == limit - 1
