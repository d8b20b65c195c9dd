"""The family of convolutions: what ties its members together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import CONVOLUTIONS, DTYPES, ISAS

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import assert_close, force

NAMES = _core.algorithm_names("conv2d")
GENERAL = ["channels_last", "implicit_gemm", "im2col"]  # take every problem
GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": 3, "groups": 2},
    {"dilation": 2, "padding": 2, "groups": 2},
]


def drawn(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def small(op: str) -> tuple[np.ndarray, np.ndarray]:
    """An input and a weight that each of them takes."""
    rank = int(op[-2])
    return drawn(2, 4, *(6,) * rank), drawn(4, 4, *(3,) * rank)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_is_the_adjoint(rank: int, options: dict[str, Any], dtype: Any) -> None:
    """The sums of conv(x) * y and of x * conv_transpose(y) are equal."""
    conv, transpose = getattr(F, f"conv{rank}d"), getattr(F, f"conv_transpose{rank}d")
    groups, size = options.get("groups", 1), (8, 9, 7)[:rank]
    x = drawn(2, 4, *size, dtype=dtype)
    weight = drawn(6, 4 // groups, *(3, 2, 3)[:rank], dtype=dtype)
    there = conv(x, weight, **options).numpy()
    y = drawn(*there.shape, dtype=dtype)
    shortest = transpose(y, weight, **options)
    more = tuple(n - m for n, m in zip(size, shortest.shape[2:]))
    back = transpose(y, weight, output_padding=more, **options).numpy()
    left, right = (there.astype(float) * y).sum(), (x * back.astype(float)).sum()
    terms = there.size * weight[0].size
    assert_close(np.asarray(left, dtype), right, terms)


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_an_algorithm_is_forced_by_the_name_of_the_op(op: str, name: str) -> None:
    def chosen(other: str) -> list[str]:
        rows = pyconv.explain(getattr(F, other), *small(other)).rows
        return [row["algorithm"] for row in rows if row["chosen"]]

    free = {other: chosen(other) for other in CONVOLUTIONS}
    with pyconv.algorithm(**{op: name}):
        for other in CONVOLUTIONS:
            assert chosen(other) == ([name] if other == op else free[other])


def test_direct_is_free_only_of_gradients() -> None:
    x, w = drawn(1, 3, 16, 16), pyconv.tensor(drawn(3, 3, 3, 3), requires_grad=True)
    with pyconv.algorithm(conv2d="direct", conv_transpose2d="direct"):
        F.conv2d(x, w).sum().backward()
        with pytest.raises(ValueError, match="'direct' cannot compute this"):
            F.conv_transpose2d(x, w)


@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_names_of_algorithms(op: str) -> None:
    assert _core.algorithm_names(op) == NAMES
    with pytest.raises(ValueError, match=f"{op} has no 'fastest'"):
        pyconv.algorithm(**{op: "fastest"})


def test_implicit_gemm_writes_no_columns() -> None:
    """What it needs beside the result is a block of them, where all would be 110 MiB."""
    x, w = np.ones((1, 64, 224, 224), np.float32), np.ones((64, 64, 3, 3), np.float32)
    before = _core.memory_stats()["allocated_bytes"]
    with force(algorithm={"conv2d": "implicit_gemm"}, threads=1):
        _core.reset_peak_memory_stats()
        result = F.conv2d(x, w, padding=1).numpy()
    assert _core.memory_stats()["peak_bytes"] - before - result.nbytes < 2**21


def test_winograd_leaves_out_kernels_that_would_need_much_memory() -> None:
    x = drawn(1, 64, 40, 40, dtype=np.float32)
    for size, possible in [(31, True), (61, False)]:
        told = pyconv.explain(F.conv2d, x, drawn(16, 64, size, size, dtype=np.float32), padding=30)
        row = next(row for row in told.rows if row["algorithm"] == "winograd")
        assert (not row["refused"]) == possible
        assert row["chosen"] == possible


def test_explanation_of_a_transposed_convolution() -> None:
    x, weight = drawn(1, 4, 5, 5, dtype=np.float32), drawn(4, 2, 3, 3, dtype=np.float32)
    told = pyconv.explain(F.conv_transpose2d, x, weight, stride=2, output_padding=1)
    assert told.title.startswith("conv_transpose2d 1x4x5x5 * 4x2x3x3 stride 2 output_padding 1, ")
    assert [row["algorithm"] for row in told.rows] == NAMES
    assert told.gflops == pytest.approx(2 * 4 * 25 * 2 * 9 / told.milliseconds / 1e6)


def test_a_convolution_is_unfold_and_a_product() -> None:
    x, weight = drawn(2, 4, 7, 8), drawn(6, 4, 3, 2)
    options = {"stride": 2, "padding": 1, "dilation": (1, 2)}
    columns = F.unfold(x, (3, 2), **options)
    product = pyconv.matmul(weight.reshape(6, -1), columns)
    conv = F.conv2d(x, weight, **options)
    np.testing.assert_allclose(product.numpy().reshape(conv.shape), conv.numpy(), 1e-12, 1e-12)


def test_fold_is_the_adjoint_of_unfold() -> None:
    x, options = drawn(2, 3, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1}
    columns = F.unfold(x, **options)
    y = drawn(*columns.shape)
    left, right = (columns * y).sum(), (F.fold(y, x.shape[2:], **options) * x).sum()
    assert left.item() == pytest.approx(right.item(), rel=1e-12)


def test_fold_of_unfold_counts_the_windows() -> None:
    x, ones = drawn(1, 2, 5, 6), np.ones((1, 2, 5, 6))
    both, seen = (F.fold(F.unfold(a, 3, padding=1), (5, 6), 3, padding=1) for a in (x, ones))
    np.testing.assert_allclose(both.numpy(), x * seen.numpy(), 1e-12)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_unfold_of_rows_that_overlap(step: int, isa: str) -> None:
    for columns, rows in [(1, 40), (step, 40), (5, 7), (5, 70), (9, 70)]:
        line = np.arange(rows * step + columns, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(line, columns)[: rows * step : step]
        image = windows.T[None, :, :, None]
        with force(isa=isa):
            got = F.unfold(pyconv.from_numpy(image), 1).numpy()
        np.testing.assert_array_equal(got[0], windows.T)


@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.parametrize("name", [None, *GENERAL])
def test_one_image_may_stand_for_several(op: str, name: str | None) -> None:
    """The input and the gradient of the output repeat an image without a copy."""
    rank, transposed = int(op[-2]), "transpose" in op
    sizes = (5, 4, 3)[:rank]
    x, g = (np.moveaxis(drawn(1, *sizes, channels), -1, 1) for channels in (6, 2))
    w = drawn(*((6, 2) if transposed else (2, 6)), *(1,) * rank)
    results = []
    for several in (np.broadcast_to, lambda a, shape: np.tile(a, (shape[0],) + (1,) * (rank + 1))):
        input, grad = (pyconv.from_numpy(several(a, (3, *a.shape[1:]))) for a in (x, g))
        weight = pyconv.tensor(w, requires_grad=True)
        input.requires_grad = True
        with pyconv.algorithm(**({op: name} if name else {})):
            output = getattr(F, op)(input, weight)
            output.backward(grad)
        results.append((output.detach(), input.grad, weight.grad))
    for one, copied in zip(*results):
        np.testing.assert_allclose(one.numpy(), copied.numpy(), 1e-12, 1e-12)


@pytest.mark.parametrize("name", [None, *GENERAL])
def test_a_single_tap_may_shift(name: str | None) -> None:
    """Padding on one side and as much output_padding on the other keep the size."""
    x, w = drawn(2, 3, 7, 6), drawn(3, 4, 1, 1)
    options = {"padding": (1, 1), "output_padding": (2, 2), "dilation": 3}
    weight = pyconv.tensor(w, requires_grad=True)
    input = pyconv.tensor(x, requires_grad=True)
    grad = drawn(2, 4, 7, 6)
    with pyconv.algorithm(**({"conv_transpose2d": name} if name else {})):
        output = F.conv_transpose2d(input, weight, **options)
        output.backward(pyconv.from_numpy(grad))
    inside = x[:, :, 1:, 1:]  # what of the input does not fall into the padding
    truth = np.zeros_like(grad)
    truth[:, :, :-1, :-1] = np.einsum("nchw,co->nohw", inside, w[:, :, 0, 0])
    np.testing.assert_allclose(output.detach().numpy(), truth, 1e-12, 1e-12)
    weight_truth = np.einsum("nchw,nohw->co", inside, grad[:, :, :-1, :-1])
    np.testing.assert_allclose(weight.grad.numpy()[:, :, 0, 0], weight_truth, 1e-12, 1e-12)


@pytest.mark.parametrize("name", [None, "channels_last", "implicit_gemm", "im2col", "grouped"])
@pytest.mark.parametrize(("stride", "dilation"), [(6, 4), (4, 6), (5, 3), (3, 6), (7, 5)])
def test_phases_of_strides_meet_every_few_taps(
    name: str | None, stride: int, dilation: int
) -> None:
    groups = 2 if name == "grouped" else 1
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 67))
    w = rng.standard_normal((4, 4 // groups, 9))
    options = {"stride": stride, "dilation": dilation, "padding": 11, "groups": groups}
    inputs = [pyconv.tensor(array, requires_grad=True) for array in (x, w)]
    with force(algorithm={"conv1d": name} if name else {}):
        y = F.conv1d(*inputs, **options)
        g = rng.standard_normal(y.shape)
        y.backward(g)
    expected = pyconv.reference.conv1d_backward(g, x, w, **options)
    for tensor, truth in zip(inputs, expected):
        assert tensor.grad is not None
        assert_close(tensor.grad.numpy(), truth, 400)


def test_long_kernels_that_do_not_overlap() -> None:
    """Each has as many phases as taps: 65536 of both must not be looked through for each other."""
    length = 2**16
    x = pyconv.tensor(np.arange(2.0)[None, None], requires_grad=True)
    w = pyconv.tensor(np.arange(float(length))[None, None], requires_grad=True)
    y = F.conv_transpose1d(x, w, stride=length)
    truth = np.kron([0.0, 1.0], np.arange(float(length)))
    np.testing.assert_array_equal(y.detach().numpy()[0, 0], truth)
    back = F.conv1d(y, w, stride=length)
    back.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), (np.arange(float(length)) ** 2).sum(), rtol=1e-12)


def test_unfold_of_an_empty_batch() -> None:
    assert F.unfold(np.zeros((0, 2, 3, 3)), 2).shape == (0, 8, 4)
    for channels, kernel in ((2**44, (1, 2**20)), (2**43, (1, 2**20)), (16, (2**30, 2**30))):
        empty = np.zeros((0, channels, 1, 1), np.float32)
        with pytest.raises(ValueError, match=r"unfold: input has \d+ channels and a window has"):
            F.unfold(empty, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class Emptying:
    """An integer that takes its list apart when it is looked at."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries = entries
        entries += [self, 1]

    def __index__(self) -> int:
        self.entries.clear()
        return 1


def test_a_list_of_sizes_may_change_while_it_is_read() -> None:
    entries: list[Any] = []
    Emptying(entries)
    image = np.ones((1, 1, 1, 1))
    assert F.conv2d(image, image, stride=entries).shape == (1, 1, 1, 1)
    assert not entries
