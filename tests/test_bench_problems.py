"""The problems of the benchmark: what their lines say, and that every library computes that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyconv import cli

problems, measure, command = map(cli._bench, ("problems", "measure", "command"))


def test_line_is_read() -> None:
    problem = problems.parse("conv2d net.conv 8x3x32x30 16x3x5x3 stride=2,1 padding=1 bias=1 quick")
    assert (problem.op, problem.name, problem.quick) == ("conv2d", "net.conv", True)
    assert problem.shapes == ((8, 3, 32, 30), (16, 3, 5, 3))
    assert problem.arguments == {"stride": (2, 1), "padding": 1}
    assert problem.output_shape == (8, 16, 15, 30)
    assert problem.make_arrays()["bias"].shape == (16,)


def test_line_is_written_as_it_was_read() -> None:
    for problem in problems.load():
        again = problems.parse(str(problem) + " quick" * problem.quick)
        assert again == problem


@pytest.mark.parametrize("line", ["", "conv2d", "bogus a 1x1", "relu a 1x1x1x1 padding=1"])
def test_bad_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"unknown op|needs|has no option"):
        problems.parse(line)


def test_names_are_unique_and_every_op_is_measured() -> None:
    everything = problems.load()
    assert len({problem.name for problem in everything}) == len(everything)
    for kind, selection in (("", everything), ("quick ", [p for p in everything if p.quick])):
        missing = set(problems.OPS) - {problem.op for problem in selection}
        assert not missing, f"bench/shapes has no {kind}line of {missing}"


ONE_IMAGE = [p.with_batch(1) for p in problems.load() if p.op in problems.BATCHED]


@pytest.mark.parametrize(
    "problem", [p for p in ONE_IMAGE if p.flops() < 1e9], ids=lambda problem: problem.name
)
def test_output_shape_is_right(problem: Any) -> None:
    library, arrays = cli._bench("peers.numpy"), problem.make_arrays()
    try:
        prepared = library.prepare(problem, arrays, "forward", "numpy")
    except NotImplementedError:  # it would take too much memory
        prepared = library.prepare(problem, arrays, "forward", "reference")
    assert prepared.fetch(prepared.run())[0].shape == problem.output_shape


def test_batch_is_changed_where_there_is_one() -> None:
    conv = problems.parse("conv2d a 8x3x9x9 4x3x3x3").with_batch(2)
    assert (conv.name, conv.shapes) == ("a@2", ((2, 3, 9, 9), (4, 3, 3, 3)))
    matmul = problems.parse("matmul a 8x3 3x9")
    assert matmul.with_batch(2) == matmul


@pytest.mark.parametrize(
    ("line", "flops", "size"),
    [
        ("conv2d a 2x3x4x4 5x3x3x3", 2 * (2 * 5 * 2 * 2) * 27, 4 * (96 + 135 + 40)),
        ("conv1d a 2x6x9 4x3x3 stride=2 groups=2", 2 * (2 * 4 * 4) * 9, 4 * (108 + 36 + 32)),
        ("conv3d a 1x2x3x3x3 4x2x1x1x1", 2 * (4 * 27) * 2, 4 * (54 + 8 + 108)),
        ("conv_transpose2d a 1x3x2x2 3x5x2x2 stride=2", 2 * 12 * 20, 4 * (12 + 60 + 80)),
        ("unfold a 2x3x4x4 kernel_size=2", 2 * 12 * 9, 4 * (96 + 216)),
        ("fold a 2x12x9 kernel_size=2 output_size=4", 216, 4 * (216 + 96)),
        ("pad a 2x3x4x4 pad=1,2", 168, 4 * (96 + 168)),
        ("matmul a 8x3 9x3 trans=1", 2 * 8 * 9 * 3, 4 * (24 + 27 + 72)),
        ("relu a 1x2x3x4", 24, 4 * 48),
        ("gru a 5x2x3 12x3 12x4", 2 * 10 * (36 + 48), 4 * (30 + 36 + 48 + 40)),
        ("sgd a 100 momentum=0.9", 400, 4 * 500),
        ("adam a 100", 1200, 4 * 700),
    ],
)
def test_cost_is_counted(line: str, flops: int, size: int) -> None:
    problem = problems.parse(line)
    assert problem.flops() == flops
    assert problem.bytes() == size


def test_transposed_convolution_has_the_size_of_the_input() -> None:
    options = "stride=2 padding=1 dilation=2"
    conv = problems.parse(f"conv1d a 1x6x12 4x3x3 groups=2 {options}")
    assert conv.output_shape == (1, 4, 5)
    text = f"conv_transpose1d a 1x4x5 4x3x3 groups=2 output_padding=1 bias=1 {options}"
    transposed = problems.parse(text)
    assert transposed.output_shape == (1, 6, 12)
    assert transposed.make_arrays()["bias"].shape == (6,)


def test_terms_of_sums_are_counted() -> None:
    conv = problems.parse("conv2d a 2x6x5x5 8x3x3x3 groups=2")
    assert [conv.terms(i) for i in range(4)] == [3 * 9, 4 * 9, 2 * 9, 2 * 9]
    transposed = problems.parse("conv_transpose2d a 2x8x5x5 8x3x4x4 groups=2 stride=2")
    assert [transposed.terms(i) for i in range(4)] == [4 * 4, 3 * 16, 2 * 25, 2 * 144]


def test_carried_images_have_their_channels_last() -> None:
    plain = problems.parse("conv2d a 2x3x4x5 6x3x1x1 bias=1")
    carried, arrays = plain.in_mode("carried"), plain.make_arrays("backward")
    for name, array in carried.make_arrays("backward").items():
        np.testing.assert_array_equal(array, arrays[name])
        image = name in ("input", "grad_output")
        assert not image or array.strides[1] == array.itemsize
        assert array.flags.c_contiguous != image


def test_backward_of_a_product_costs_two_more() -> None:
    problem = problems.parse("linear a 8x3 9x3")
    assert problem.flops("backward") == 3 * problem.flops()


# ---- libraries ---------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("peer", command.PEERS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("mode", problems.MODES)
def test_peers_agree_with_the_reference(peer: str, direction: str, mode: str) -> None:
    for module in command.PEERS[peer]:
        pytest.importorskip(module)
    library = cli._bench(f"peers.{peer}")
    compared = 0
    for problem in [p for p in small_problems() if mode == "plain" or p.rank > 0]:
        problem, arrays = problem.in_mode(mode), problem.make_arrays(direction)
        for variant in library.VARIANTS:
            try:
                case = library.prepare(problem, arrays, direction, variant)
            except NotImplementedError:
                continue
            result, truth = case.fetch(case.run()), reference(problem, direction)
            measure.compare(problem, variant, "", result, truth)
            compared += 1
    assert compared or direction == "backward" or mode == "carried"


def small_problems() -> list[Any]:
    lenet = [p.with_batch(2) for p in problems.load() if p.name.startswith("lenet")]
    lines = [
        "conv2d grouped 2x6x7x7 8x3x3x2 stride=2 padding=1 groups=2 bias=1",
        "conv2d oblong 2x6x7x8 8x6x3x2 stride=2,1 padding=1,0 dilation=1,2",
        "conv2d depthwise 2x5x9x9 5x1x3x3 padding=2 dilation=2 groups=5",
        "conv1d sequence 2x4x11 6x2x3 stride=2 padding=1 groups=2 bias=1",
        "conv3d volume 2x4x3x5x6 3x4x1x3x2 stride=1,2,1 padding=0,1,1",
        "conv_transpose1d sequence 2x6x5 6x2x4 stride=2 padding=1 groups=2",
        "conv_transpose2d image 2x4x5x6 4x3x3x2 stride=2,1 padding=1,0 dilation=1,2 bias=1",
        "conv_transpose2d odd 2x4x5x5 4x3x3x3 stride=2 padding=1 output_padding=1",
        "gru sequence 4x3x5 18x5 18x6",
        "lstm sequence 4x3x5 24x5 24x6",
        "rnn sequence 4x3x5 6x5 6x6",
        "conv_transpose3d volume 1x4x2x3x3 4x2x2x2x2 stride=2",
        "max_pool3d volume 1x4x4x6x6 kernel_size=3 stride=2 padding=1",
        "max_unpool2d image 2x4x3x5 kernel_size=2",
        "avg_pool2d image 2x4x9x8 kernel_size=3 stride=2 padding=1",
        "adaptive_avg_pool2d image 2x4x9x8 output_size=3,5",
        "adaptive_max_pool1d sequence 2x4x19 output_size=5",
        "lp_pool2d image 2x4x8x8 norm_type=2 kernel_size=2",
        "interpolate image 2x4x5x6 scale_factor=2 mode=bilinear",
        "max image 2x5x6x7 dim=1",
        "min image 2x5x6x7 dim=3",
    ]
    return [*lenet, *map(problems.parse, lines)]


def reference(problem: Any, direction: str) -> list[Any]:
    arrays = problem.make_arrays(direction)
    case = cli._bench("peers.numpy").prepare(problem, arrays, direction, "reference")
    return case.fetch(case.run())
