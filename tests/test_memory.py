"""Memory: blocks are aligned, reused and counted; arrays are shared, never copied unasked."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import force

MIB = 2**20


@pytest.fixture(autouse=True)
def _from_empty() -> None:
    gc.collect()
    _core.empty_cache()
    _core.reset_peak_memory_stats()


def stats() -> dict[str, int]:
    return pyconv.memory_stats()


@pytest.mark.parametrize("bytes", [1, 63, 64, 65, 4096, MIB, 3 * MIB + 5])
def test_blocks_are_aligned(bytes: int) -> None:
    array = _core.empty((bytes,), np.uint8)
    assert array.ctypes.data % 64 == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[:] = 7
    assert array[-1] == 7


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_shape_and_type(shape: tuple[int, ...], dtype: type) -> None:
    array = _core.empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)


def test_a_freed_block_is_used_again() -> None:
    array = _core.empty((4 * MIB,), np.uint8)
    address, hits = array.ctypes.data, stats()["hits"]
    del array
    again = _core.empty((4 * MIB,), np.uint8)
    assert again.ctypes.data == address
    assert stats()["hits"] == hits + 1


def test_a_training_loop_asks_the_system_for_nothing_new() -> None:
    w = pyconv.tensor(np.ones((8, 4, 3, 3), np.float32), requires_grad=True)
    x = pyconv.tensor(np.ones((4, 4, 32, 32), np.float32))

    def step() -> None:
        w.grad = None
        F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2).sum().backward()

    with force(threads=1):  # how many need scratch memory at once is else a matter of chance
        for _ in range(3):
            step()
        gc.collect()  # blocks in other tests' cycles are not to be freed in between
        misses, live = stats()["misses"], stats()["allocated_bytes"]
        for _ in range(10):
            step()
        assert stats()["misses"] == misses
        assert stats()["allocated_bytes"] == live


def test_live_and_peak_bytes() -> None:
    start = stats()["allocated_bytes"]
    first = _core.empty((8 * MIB,), np.uint8)
    second = _core.empty((8 * MIB,), np.uint8)
    assert 16 * MIB <= stats()["allocated_bytes"] - start <= 18 * MIB + 2**17
    del first
    assert 8 * MIB <= stats()["allocated_bytes"] - start <= 9 * MIB + 2**16
    assert stats()["peak_bytes"] - start >= 16 * MIB
    _core.reset_peak_memory_stats()
    assert stats()["peak_bytes"] == stats()["allocated_bytes"]
    del second
    assert stats()["allocated_bytes"] == start


def test_the_cache_is_bounded_and_can_be_emptied() -> None:
    del_me = [_core.empty((MIB,), np.uint8) for _ in range(20)]
    del del_me
    assert 0 < stats()["cached_bytes"] <= stats()["cache_limit_bytes"]
    _core.empty_cache()
    assert stats()["cached_bytes"] == 0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_shapes() -> None:
    """Blocks of all sizes are kept for later ones; their number does not grow without end."""
    rng = np.random.default_rng(0)
    start, seen = stats()["allocated_bytes"], []

    def step() -> None:
        images, channels, height, width = map(int, rng.integers(1, (9, 17, 33, 33)))
        x = pyconv.ones(images, channels, height, width)
        w = pyconv.tensor(np.ones((channels, channels, 3, 3)), dtype=x.dtype, requires_grad=True)
        y = F.max_pool2d(F.conv_transpose2d(F.conv2d(x, w, padding=1), w, stride=2), 2)
        y.sum().backward()
        layer = pyconv.nn.GRU(channels, width)
        layer(x[:, :, 0].permute(2, 0, 1))[0].sum().backward()

    with force(threads=1):
        for _ in range(2):
            for _ in range(5000):
                step()
            gc.collect()
            seen.append((stats()["cached_bytes"], resident_bytes()))
    (cached, resident), (cached_later, resident_later) = seen
    assert stats()["allocated_bytes"] == start
    assert cached_later < 1.25 * cached
    assert cached_later < 20 * (stats()["peak_bytes"] - start)
    assert resident_later - resident < 2**25


def test_views_keep_memory_alive() -> None:
    output = F.relu(np.arange(MIB, dtype=np.float32)).numpy()
    view = output[::2].reshape(2, -1)[1]
    expected = view.copy()
    del output
    gc.collect()
    others = [F.relu(np.full(MIB, -1, np.float32)) for _ in range(5)]
    np.testing.assert_array_equal(view, expected)
    assert len(others) == 5


def test_a_result_outlives_the_thread_that_made_it() -> None:
    made: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: made.append(F.relu(np.ones(MIB)).numpy()))
    thread.start()
    thread.join()
    assert made[0].sum() == MIB
    made.clear()
    assert F.relu(np.ones(MIB)).numpy().sum() == MIB


def test_numpy_arrays_are_shared_both_ways() -> None:
    array = np.zeros((3, 4), np.float32)
    tensor = pyconv.from_numpy(array)
    array[1, 2] = 5
    assert tensor.numpy()[1, 2] == 5
    tensor.numpy()[0, 0] = 7
    assert array[0, 0] == 7
    assert np.shares_memory(tensor.numpy(), array)
    assert np.shares_memory(np.asarray(tensor), array)
    assert not np.shares_memory(pyconv.tensor(array).numpy(), array)


def test_a_kernel_takes_a_plain_array_without_a_copy() -> None:
    x = np.ones((16, 64, 32, 32), np.float32)
    kernel = np.ones((1, 64, 1, 1), np.float32)
    before = stats()["allocated_bytes"]
    with pyconv.algorithm(conv2d="im2col"):  # its columns are the images
        F.conv2d(x, kernel)
    F.max_pool2d(x, 32)
    assert stats()["peak_bytes"] - before < x.nbytes // 2


def test_results_are_not_written_again() -> None:
    """A cached block must not be handed out while an array still stands in it."""
    kept = [F.relu(np.full(1000, i, np.float32)).numpy() for i in range(50)]
    for i, array in enumerate(kept):
        assert (array == i).all()


def last_cache_bytes() -> int:
    size = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    return min(int(size.read_text()[:-2]) * 1024 if size.exists() else 32 * MIB, 32 * MIB)


def convolution(algorithm: str, *weight: int) -> Callable[[np.ndarray], pyconv.Tensor]:
    drawn = np.random.default_rng(1).standard_normal(weight, np.float32)

    def compute(x: np.ndarray) -> pyconv.Tensor:
        with pyconv.algorithm(conv2d=algorithm):
            return F.conv2d(x, drawn, padding=weight[2] // 2)

    return compute


def normalised(x: np.ndarray) -> pyconv.Tensor:
    numbers = np.linspace(0.5, 2, x.shape[1], dtype=np.float32)
    return F.batch_norm(x, -numbers, numbers, numbers, numbers, training=False)


def gradient_of_relu(x: np.ndarray) -> pyconv.Tensor:
    leaf = pyconv.tensor(x, requires_grad=True)
    F.relu(leaf).backward(pyconv.tensor(x))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize(
    ("channels", "compute"),
    [
        (16, F.relu),
        (16, lambda x: pyconv.tensor(x) - x[:, :1]),
        (16, normalised),
        (16, gradient_of_relu),
        (16, lambda x: F.avg_pool2d(x, 3, 1, 1)),
        (16, lambda x: pyconv.from_numpy(_core.copy(np.asarray(x)))),
        (16, convolution("channels_last", 16, 16, 1, 1)),
        (16, convolution("winograd", 16, 16, 3, 3)),
        (3, convolution("direct", 16, 3, 3, 3)),
    ],
)
def test_results_past_the_last_cache(
    channels: int, compute: Callable[[np.ndarray], pyconv.Tensor]
) -> None:
    """They are written in another way, and the same."""
    width = 1000
    height = last_cache_bytes() // (2 * 4 * 16 * width) + 2  # two images are too large, one is not
    x = np.random.default_rng(0).standard_normal((2, channels, height, width), np.float32)
    for images in (x, np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)):
        result = compute(images)
        for i in range(2):
            part = compute(images[i : i + 1])
            np.testing.assert_array_equal(result[i : i + 1].numpy(), part.numpy())
