"""Settings: threads, forced algorithms; what the library says of itself."""

from __future__ import annotations

import re

import pytest

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import force


def test_threads():
    with force(threads=2):
        assert pyconv.get_num_threads() == 2
    with pytest.raises(ValueError, match="0"):
        pyconv.set_num_threads(0)


def test_show_config_and_memory_stats():
    text = pyconv.show_config()
    for word in ("pyconv", pyconv.__version__, "instruction set", "threads", "caches", "CUDA"):
        assert word in text
    assert {"peak_bytes"} <= pyconv.memory_stats().keys()


def test_algorithm_names_what_exists():
    with pytest.raises(ValueError, match="im2col"):
        pyconv.algorithm(conv2d="magic")
    with pytest.raises(ValueError, match="conv2d"):
        pyconv.algorithm(convolution="im2col")


def test_algorithm_is_restored_after_an_error():
    with pytest.raises(KeyError), pyconv.algorithm(conv2d="im2col"):
        raise KeyError
    assert _core.force_algorithm("conv2d", None) is None


def test_one_algorithm_entered_twice():
    im2col = pyconv.algorithm(conv2d="im2col")
    with im2col, im2col:
        pass
    assert _core.force_algorithm("conv2d", None) is None


def test_explain():
    a, b = pyconv.ones(4, 5), pyconv.ones(5, 6)
    result = pyconv.explain(F.matmul, a, b)
    assert repr(result).startswith("matmul 4x5 @ 5x6, float32, ")
    assert "chosen" in repr(result)
    assert result.milliseconds > 0
    assert 0 < result.share_of_peak < 2
    assert "linear 4x5 @ 5x6" in repr(pyconv.explain(F.linear, a, pyconv.ones(6, 5)))
    image, weight = pyconv.ones(1, 2, 5, 5), pyconv.ones(3, 2, 3, 3)
    assert "conv2d 1x2x5x5 * 3x2x3x3 stride 2, float32" in repr(
        pyconv.explain(F.conv2d, image, weight, stride=2)
    )
    relu = pyconv.explain(F.relu, a)
    assert re.search(r"one kernel, .* GB/s, \d+% of the peak$", repr(relu), re.DOTALL)
    assert relu.gbytes_per_second == pytest.approx(2 * 4 * 20 / relu.milliseconds / 1e6)
    assert pyconv.explain(F.reshape, a, (5, 4)).gbytes_per_second is None  # a view
    nothing = pyconv.explain(F.linear, pyconv.ones(2, 0), pyconv.ones(4, 0))
    assert (nothing.title[:16], nothing.gflops) == ("linear 2x0 @ 0x4", 0)
    with pytest.raises(ValueError, match="shape"):
        pyconv.explain(F.matmul, a, a)


def test_explain_of_gradients():
    x, w = pyconv.ones(1, 2, 5, 5), pyconv.ones(3, 2, 3, 3)
    w.requires_grad = True
    table = pyconv.explain(F.conv2d, x, w).calls
    assert list(table) == ["conv2d 1x2x5x5 * 3x2x3x3, float32, gradient of weight"]
    assert [row["chosen"] for row in next(iter(table.values()))].count(True) == 1
    with pyconv.no_grad():
        assert not pyconv.explain(F.conv2d, x, w).calls
    step = pyconv.explain(lambda: F.conv2d(x, w).sum().backward())
    assert list(step.calls) == ["conv2d 1x2x5x5 * 3x2x3x3, float32", *table]
    assert str(w.grad.shape) == "(3, 2, 3, 3)"


def test_explain_of_layers():
    layers = pyconv.nn.Sequential(pyconv.nn.Conv2d(2, 3, 3, padding=1), pyconv.nn.ReLU())
    with pyconv.no_grad():
        found = pyconv.explain(layers, pyconv.ones(1, 2, 5, 5))
    (title,) = found.calls
    assert title == "conv2d 1x2x5x5 * 3x2x3x3 padding (1, 1), float32"
    assert f"\n{title}\n  fully_connected" in repr(found)
    assert (found.title[:10], found.gflops) == ("Sequential", None)
    with pyconv.backend("reference"):
        assert not pyconv.explain(layers, pyconv.ones(1, 2, 5, 5)).calls


def test_explain_what_has_no_choice_as_a_whole():
    class Callable(dict):  # which has no hash
        def __call__(self, fn):
            return fn

    a, b = pyconv.ones(2, 4, 5), pyconv.ones(5, 6)
    assert "matmul: timed as a whole" in repr(pyconv.explain(F.matmul, a, b))
    assert "Callable: timed as a whole" in repr(pyconv.explain(Callable(), fn=a))
    with pyconv.backend("reference"):
        assert "matmul: its twin in NumPy" in repr(pyconv.explain(F.matmul, b, pyconv.ones(6, 2)))
        assert "reshape: one kernel" in repr(pyconv.explain(F.reshape, a, (-1,)))
