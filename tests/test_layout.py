"""Results may lie with their channels last; nothing that a user sees depends on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import _core


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)


def convolved() -> pyconv.Tensor:
    """A result with its channels last."""
    with pyconv.algorithm(conv2d="channels_last"):
        result = F.conv2d(np.random.rand(2, 3, 5, 6), np.random.rand(4, 3, 3, 3))
    assert not result._array.flags.c_contiguous
    return result


def test_numpy_gives_c_order_and_shares_memory() -> None:
    tensor = convolved()
    before = np.array(tensor._array)
    array = tensor.numpy()
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, before)
    array[0, 0, 0, 0] = 7
    assert tensor[0, 0, 0, 0].item() == 7
    assert tensor.numpy() is array


def test_an_array_that_others_hold_stays() -> None:
    tensor = convolved()
    other = tensor.detach()
    array = tensor.numpy()
    array[...] = 3
    assert (other.numpy() == 3).all()
    view = convolved()
    part = view[0]
    view.numpy()[...] = 5
    assert (part.numpy() == 5).all()


def test_what_a_user_hands_in_is_shared() -> None:
    array = channels_last(np.random.rand(2, 3, 4, 5))
    tensor = pyconv.from_numpy(array)
    assert tensor.numpy() is array


def test_functions_of_elements_and_pools_keep_the_layout() -> None:
    for function in (
        F.relu,
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
        lambda x: F.adaptive_max_pool2d(x, (2, 3)),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: x + 1,
        lambda x: x * x,
        lambda x: F.pixel_shuffle(x, 2),
        lambda x: F.pixel_unshuffle(x[:, :, 1:], 2),
    ):
        tensor = function(convolved())
        assert tensor._array.strides[1] == tensor._array.itemsize, function


@pytest.mark.parametrize(("algorithm", "groups"), [("depthwise", 32), ("grouped", 8)])
@pytest.mark.parametrize("lay", [np.array, channels_last])
def test_grouped_convolutions_keep_the_layout(
    algorithm: str, groups: int, lay: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The result lies as the images, and their gradient as that of the result."""
    images = pyconv.from_numpy(lay(np.random.rand(2, 32, 6, 5).astype(np.float32)))
    images.requires_grad = True
    weight = np.random.rand(32, 32 // groups, 3, 3).astype(np.float32)
    with pyconv.algorithm(conv2d=algorithm):
        result = F.conv2d(images, weight, padding=1, groups=groups)
        result.backward(pyconv.from_numpy(lay(np.random.rand(*result.shape).astype(np.float32))))
    assert result._array.strides == images._array.strides
    assert images.grad._array.strides == images._array.strides


@pytest.mark.parametrize("shape", [(2, 12, 3, 5), (4, 1, 2), (2, 3, 36, 4, 1), (0, 4, 3, 3)])
def test_pixel_shuffle_means_the_same_with_channels_last(shape: tuple[int, ...]) -> None:
    array = np.random.rand(*shape)
    last = np.moveaxis(np.moveaxis(array, -3, -1).copy(), -1, -3)
    shuffled = F.pixel_shuffle(array, 2)
    np.testing.assert_array_equal(F.pixel_shuffle(last, 2).numpy(), shuffled.numpy())
    back = F.pixel_unshuffle(F.pixel_shuffle(last, 2), 2)
    np.testing.assert_array_equal(back.numpy(), array)


@pytest.mark.parametrize("pool", [F.adaptive_avg_pool2d, F.adaptive_max_pool2d])
def test_the_gradient_of_one_pixel_lies_as_the_input(pool: Callable[..., pyconv.Tensor]) -> None:
    """The result of a global pool has one pixel, and lies in both layouts."""
    plain = np.random.rand(2, 5, 3, 4)
    for x in (plain, channels_last(plain)):
        leaf = pyconv.from_numpy(x)
        leaf.requires_grad = True
        pool(leaf, 1).backward(np.ones((2, 5, 1, 1)))
        assert leaf.grad._array.strides == x.strides


@pytest.mark.parametrize("shape", [(2, -1), (8, 3, 4), (-1,), (2, 4, 12)])
def test_reshape_means_the_same(shape: tuple[int, ...]) -> None:
    tensor = convolved()
    expected = np.ascontiguousarray(tensor._array).reshape(shape)
    np.testing.assert_array_equal(tensor.reshape(shape).numpy(), expected)


def test_reshape_that_does_not_fit_copies_nothing() -> None:
    array = np.broadcast_to(np.arange(10**6, dtype=np.float32), (10**6, 10**6))
    for shape in [(10**6,), (10**6, 10), (-1, -1)]:
        with pytest.raises(ValueError, match="reshape: shape is"):
            pyconv.from_numpy(array).reshape(shape)


def test_reshape_keeps_the_order_of_bytes() -> None:
    array = np.arange(12, dtype=">f4").reshape(3, 4)
    result = pyconv.from_numpy(array.T).reshape(12).numpy()
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array.T.reshape(12))


def test_a_reshaped_result_is_in_c_order() -> None:
    tensor = convolved().reshape(2, 4, -1)
    assert tensor.numpy().flags.c_contiguous


def test_reshape_shares_memory_where_numpys_does() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        sizes = random.choice([1, 2, 3, 4], random.integers(1, 6))
        array = np.arange(np.prod(sizes), dtype=np.float32).reshape(sizes)
        array = array.transpose(random.permutation(sizes.size))
        steps = random.choice([1, 1, 2, -1], sizes.size)
        array = array[tuple(slice(None, None, step) for step in steps)]
        factors = [int(n) for n in random.permutation([2, 2, 2, 3, 3, 1])]
        shape, rest = [-1], array.size
        for n in factors:
            if rest % n == 0:
                shape.insert(random.integers(len(shape) + 1), n)
                rest //= n
        expected, result = array.reshape(shape), pyconv.from_numpy(array).reshape(shape)
        np.testing.assert_array_equal(result.numpy(), expected)
        assert np.shares_memory(result.numpy(), array) == np.shares_memory(expected, array)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_copies_between_layouts(order: tuple[int, ...], dtype: type) -> None:
    """Squares, rests of squares, few rows, axes of one element."""
    several = [(3, 5, 7, 11), (2, 33, 1, 40), (1, 3, 20, 17), (0, 4, 2, 3), (2, 1, 1, 70)]
    for shape in [*several, (1, 53, 1, 29), (2, 150, 1, 23)]:
        array = np.random.rand(*shape).astype(dtype).transpose(order)
        held = _core.unary_forward(_core.unary_index("relu"), array, 0.0, 0.0)  # keeps the layout
        copy = _core.in_c_order(held)
        assert copy.flags.c_contiguous
        np.testing.assert_array_equal(copy, array)


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_copies_of_many_axes(order: tuple[int, ...]) -> None:
    for shape in [(2, 3, 4, 5, 6), (17, 2, 3, 2, 33), (2, 1, 70, 3, 2)]:
        array = np.random.rand(*shape)
        for part in (array.transpose(order), array[::-1, :, ::2].transpose(order)):
            np.testing.assert_array_equal(_core.c_ordered(part), part)


def test_explain_tells_of_copies() -> None:
    x, w = np.zeros((1, 16, 8, 8), np.float32), np.zeros((16, 16, 3, 3), np.float32)
    notes = {
        layout: [row["note"] for row in pyconv.explain(F.conv2d, images, w).rows if row["note"]]
        for layout, images in (("plain", x), ("last", channels_last(x)))
    }
    assert set(notes["plain"]) == {"copies what it reads to channels last"}
    assert not notes["last"]


# ---- precision ---------------------------------------------------------------------------------


def algorithm_of_3x3() -> str:
    x, w = pyconv.zeros(8, 64, 56, 56), pyconv.zeros(64, 64, 3, 3)
    (chosen,) = (
        row["algorithm"] for row in pyconv.explain(F.conv2d, x, w, padding=1).rows if row["chosen"]
    )
    return chosen


def test_strict_precision_leaves_winograd_out() -> None:
    assert pyconv.get_precision() == "fast"
    assert algorithm_of_3x3() == "winograd"
    pyconv.set_precision("strict")
    try:
        assert pyconv.get_precision() == "strict"
        assert algorithm_of_3x3() != "winograd"
        x, w = pyconv.ones(1, 16, 8, 8), pyconv.ones(16, 16, 3, 3)
        assert (F.conv2d(x, w).numpy() == 144).all()  # small integers are exact
        with (
            pyconv.algorithm(conv2d="winograd"),
            pytest.raises(ValueError, match="precision is set to 'strict'"),
        ):
            F.conv2d(x, w)
    finally:
        pyconv.set_precision("fast")


@pytest.mark.parametrize("wrong", ["exact", "", None, 1])
def test_unknown_precision(wrong: object) -> None:
    with pytest.raises(ValueError, match="precision is"):
        pyconv.set_precision(wrong)
    assert pyconv.get_precision() == "fast"
