"""Bad input gives a ValueError or TypeError that names the argument and its value."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import bad_conv
import bad_loss
import bad_norm
import bad_pool
import numpy as np
import pytest
from bad_values import TOO_LARGE, Bad, not_ints, ones
from fresh import python

import pyconv
import pyconv.functional as F

ERRORS = (ValueError, TypeError)


GOOD: dict[str, dict[str, Any]] = {
    **bad_conv.GOOD,
    **bad_loss.GOOD,
    **bad_norm.GOOD,
    **bad_pool.GOOD,
    "pad": {"input": ones(2, 4, 8), "pad": (1, 1)},
    "linear": {"input": ones(5, 4), "weight": ones(6, 4)},
    "matmul": {"input": ones(5, 4), "other": ones(4, 6)},
    "cross_entropy": {"input": ones(5, 4), "target": np.zeros(5, np.int64)},
    "relu": {"input": ones(5)},
}

PAD: list[Bad] = [
    *[("pad", {"pad": (1, value)}, "pad", shown) for value, shown in not_ints(2)],
    *[("pad", {"pad": value}, "pad", "") for value in (1, None, "12", 1.5, {1: 2}, object())],
    *[("pad", {"pad": (n, 0)}, "pad", str(n)) for n in (*TOO_LARGE, -9, -(2**31), -(2**63))],
    *[("pad", {"pad": (2**31 - 1,) * 8}, "pad", str(2**31 - 1))],
    *[("pad", {"pad": (20, -9), "mode": mode}, "pad", "-9") for mode in ("constant", "reflect")],
    *[("pad", {"pad": (1,) * n}, "pad", "1, 1" if n > 1 else "(1,)") for n in (1, 3, 10)],
    *[("pad", {"mode": mode}, "mode", str(mode)) for mode in ("wrap", "", None, 3, ["reflect"])],
    ("pad", {"value": "a"}, "value", "str"),
    ("pad", {"value": 1j}, "value", "complex"),
    ("pad", {"value": [1.0, 2.0]}, "value", "[1.0, 2.0]"),
    ("pad", {"input": ones(8, dtype=np.int64), "value": 1.5}, "value", "1.5"),
    ("pad", {"input": ones(8, dtype=np.int8), "value": 300}, "value", "300"),
    ("pad", {"input": ones(8, dtype=np.int64), "value": float("nan")}, "value", "nan"),
    ("pad", {"mode": "reflect", "value": 1.0}, "value", "1.0"),
    ("pad", {"mode": "reflect", "pad": (8, 0)}, "pad", "8"),
    ("pad", {"mode": "reflect", "pad": (0, 0, 0, 8)}, "pad", "8"),
    ("pad", {"mode": "circular", "pad": (9, 0)}, "pad", "9"),
    ("pad", {"mode": "circular", "pad": (-4, 5)}, "pad", "5"),
    *[
        ("pad", {"mode": mode, "pad": (1, 1), "input": ones(*shape)}, "input", str(shape))
        for mode in ("reflect", "replicate", "circular")
        for shape in ((8,), (2, 2, 8, 8), (2, 2, 8, 0))
    ],
    ("pad", {"mode": "replicate", "input": ones(2, 2, 0)}, "input", "0"),
    ("pad", {"mode": "replicate", "pad": ()}, "pad", "0"),
    ("pad", {"mode": "replicate", "pad": (1,) * 8, "input": ones(1, 1, 1, 1, 2)}, "pad", "8"),
]

LINEAR: list[Bad] = [
    ("linear", {"input": ones(5, 3)}, "input", "3"),
    ("linear", {"input": np.float32(3)}, "input", "()"),
    ("linear", {"weight": ones(6, 3)}, "weight", "3"),
    ("linear", {"weight": ones(6, 4, 1)}, "weight", "(6, 4, 1)"),
    ("linear", {"bias": ones(5)}, "bias", "5"),
    ("linear", {"bias": ones(1, 6)}, "bias", "(1, 6)"),
    ("linear", {"weight": ones(6, 4, dtype=np.float64)}, "weight", "float64"),
    ("linear", {"bias": ones(6, dtype=np.float64)}, "bias", "float64"),
    ("linear", {"weight": None}, "weight", "None"),
    ("matmul", {"other": ones(5, 6)}, "other", "5"),
    ("matmul", {"input": np.float32(3)}, "input", "()"),
    ("matmul", {"other": ones(4, 6, dtype=np.float64)}, "other", "float64"),
]

LOSS: list[Bad] = [
    ("cross_entropy", {"target": np.array([0, 1, 2, 3, 4])}, "target", "4"),
    ("cross_entropy", {"target": np.array([0, 1, 2, 3, -1])}, "target", "-1"),
    ("cross_entropy", {"target": np.array([0, 1, 2, 3, 2**40])}, "target", str(2**40)),
    (
        "cross_entropy",
        {"target": np.array([0, 1, 2, 3, -(2**63)])},
        "target",
        str(-(2**63)),
    ),
    ("cross_entropy", {"target": np.zeros(4, np.int64)}, "target", "(4,)"),
    ("cross_entropy", {"target": np.zeros((5, 1), np.int64)}, "target", "(5, 1)"),
    ("cross_entropy", {"target": np.zeros(5, np.bool_)}, "target", "bool"),
    ("cross_entropy", {"target": np.zeros(5)}, "target", "float"),
    ("cross_entropy", {"target": None}, "target", "None"),
    ("cross_entropy", {"weight": ones(5)}, "weight", "5"),
    ("cross_entropy", {"weight": ones(4, 1)}, "weight", "(4, 1)"),
    ("cross_entropy", {"weight": ones(4, dtype=np.float64)}, "weight", "float64"),
    ("cross_entropy", {"reduction": "max"}, "reduction", "max"),
    ("cross_entropy", {"reduction": None}, "reduction", "None"),
    ("cross_entropy", {"label_smoothing": -0.1}, "label_smoothing", "-0.1"),
    ("cross_entropy", {"label_smoothing": 1.1}, "label_smoothing", "1.1"),
    ("cross_entropy", {"label_smoothing": float("nan")}, "label_smoothing", "nan"),
    ("cross_entropy", {"label_smoothing": "a"}, "label_smoothing", "a"),
    ("cross_entropy", {"ignore_index": 1.5}, "ignore_index", "1.5"),
    ("cross_entropy", {"ignore_index": 2**63}, "ignore_index", str(2**63)),
    ("cross_entropy", {"input": np.float32(1)}, "input", "()"),
    ("cross_entropy", {"input": ones(5, 0)}, "input", "0"),
]

# Arrays that no op takes, and the word of the message that says why.
WRONG_ARRAYS: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "int64": (lambda a: a.astype(np.int64), "int64"),
    "uint8": (lambda a: a.astype(np.uint8), "uint8"),
    "bool": (lambda a: a.astype(bool), "bool"),
    "complex": (lambda a: a.astype(np.complex64), "complex64"),
    "float16": (lambda a: a.astype(np.float16), "float16"),
    "longdouble": (lambda a: a.astype(np.longdouble), str(np.dtype(np.longdouble))),
    "object": (lambda a: a.astype(object), "object"),
    "text": (lambda a: a.astype(str), "str"),
    "datetime": (lambda a: a.astype("datetime64[s]"), "datetime64"),
    "record": (lambda a: a.astype([("a", "f4")]), "f4"),
    "None": (lambda a: None, "None"),
    "ragged": (lambda a: [[1.0], [1.0, 2.0]], ""),
    "a type": (lambda a: float, "type"),
}

OTHER_NUMBERS = ("int64", "uint8", "bool", "float16", "longdouble")


@pytest.mark.parametrize(
    ("op", "wrong", "name", "shown"),
    [
        pytest.param(*row, id="-".join([row[0], row[2], str(i)]))
        for i, row in enumerate(
            bad_conv.CONV
            + bad_loss.LOSS
            + bad_norm.NORM
            + bad_pool.POOL
            + bad_pool.RESIZE
            + PAD
            + LINEAR
            + LOSS
        )
    ],
)
def test_message_names_argument_and_value(
    op: str, wrong: dict[str, Any], name: str, shown: str
) -> None:
    with pytest.raises(ERRORS) as caught:
        getattr(F, op)(**(GOOD[op] | wrong))
    message = str(caught.value)
    assert name in message, message
    assert shown in message, message


@pytest.mark.parametrize("kind", WRONG_ARRAYS)
@pytest.mark.parametrize(
    ("op", "name"),
    [
        (op, name)
        for op, arguments in GOOD.items()
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and name != "target"
    ],
)
def test_arrays_of_wrong_type(op: str, name: str, kind: str) -> None:
    if op in ("pad", "pixel_shuffle", "pixel_unshuffle") and kind in OTHER_NUMBERS:
        pytest.skip("it moves numbers of every dtype")
    if name == "indices" and kind == "int64":
        pytest.skip("int64 is what indices are")
    make, shown = WRONG_ARRAYS[kind]
    with pytest.raises(ERRORS) as caught:
        getattr(F, op)(**(GOOD[op] | {name: make(GOOD[op][name])}))
    assert name in str(caught.value), caught.value
    assert shown in str(caught.value), caught.value


@pytest.mark.parametrize("op", GOOD)
def test_missing_and_unknown_arguments(op: str) -> None:
    function = getattr(F, op)
    with pytest.raises(TypeError):
        function()
    with pytest.raises(TypeError):
        function(**GOOD[op], strides=1)


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
@pytest.mark.parametrize("value", [np.int64(1), np.uint8(1), np.array(1), [1, 1], (np.int32(1), 1)])
def test_integers_of_every_kind_are_taken(name: str, value: Any) -> None:
    assert F.conv2d(**GOOD["conv2d"], **{name: value}).ndim == 4


SIZES_BEYOND_MEMORY = [
    "F.conv2d(image, kernel, padding=2**20)",
    "F.conv2d(image, kernel, padding=(2**30, 0))",
    "F.conv2d(image, kernel, padding=2**30)",
    "F.conv2d(image, kernel, padding=2**30, stride=(1, 2**20))",
    "F.conv2d(image, kernel, padding=2**29, dilation=2**28)",
    "F.conv2d(claim(2**20, 1, 2**20, 2**20), claim(1, 1, 1, 1))",
    "F.conv2d(claim(1, 1, 2, 2), claim(2**40, 1, 1, 1))",
    "F.conv1d(claim(1, 2**31 - 1), claim(2**28, 1, 1))",
    "F.conv3d(np.ones((1, 2, 2, 2), np.float32), claim(1, 1, 1, 1, 1), padding=2**20)",
    "F.conv_transpose1d(claim(1, 2**27), claim(1, 2**28, 1))",
    "F.conv_transpose2d(image, claim(4, 1, 1, 1), stride=2**27)",
    "F.conv_transpose2d(image, claim(4, 2**40, 1, 1))",
    "F.conv_transpose2d(image, claim(4, 1, 1, 1), dilation=2**30, output_padding=2**29)",
    "F.conv_transpose3d(np.ones((1, 2, 2, 2), np.float32), claim(1, 1, 1, 1, 1), stride=2**29)",
    "F.unfold(image, 1, padding=2**29)",
    "F.unfold(claim(2**20, 2**20, 8, 8), 3)",
    "F.fold(claim(2**26, 2**20, 64), 8, 1)",
    "F.fold(claim(9, 2**34), 2**17 + 2, 3)",
    "F.pad(image, (2**30, 2**30))",
    "F.pad(image, (2**30, 2**30), 'replicate')",
    "F.pad(claim(2**20, 2**20), (1, 1))",
    "F.max_pool2d(claim(2**20, 1, 2**20, 2**20), 1)",
    "F.avg_pool2d(claim(2**20, 1, 2**20, 2**20), 1)",
    "F.adaptive_avg_pool2d(image, 2**31 - 1)",
    "F.adaptive_max_pool2d(image, (1, 2**31 - 1))",
    "F.max_unpool2d(image, claim(2, 4, 8, 8).astype(np.int64), 2**30)",
    "F.interpolate(image, size=2**31 - 1)",
    "F.interpolate(image, scale_factor=2**27, mode='bilinear')",
    "F.interpolate(claim(2**20, 1, 2**20, 2**20), scale_factor=1)",
    "F.matmul(claim(2**31, 1), claim(1, 2**31))",
    "F.linear(claim(2**31, 2**20), claim(2**31, 2**20))",
    "F.relu(claim(2**30, 2**30))",
    "F.batch_norm(claim(2**30, 2**30), None, None, training=True)",
    "F.group_norm(claim(2**20, 2**20, 2**20), 2**10)",
    "F.layer_norm(claim(2**30, 2**30), 2**30)",
    "F.cross_entropy(claim(2**40, 4), np.broadcast_to(np.int64(0), 2**40))",
]


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="AddressSanitizer maps terabytes itself")
@pytest.mark.parametrize("call", SIZES_BEYOND_MEMORY)
def test_sizes_beyond_memory(call: str) -> None:
    """Arrays of stride 0 claim any size. The limit keeps a system that overcommits from trying."""
    code = f"""
import resource
import numpy as np
import pyconv.functional as F

resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
image, kernel = np.ones((2, 4, 8, 8), np.float32), np.ones((6, 4, 3, 3), np.float32)
claim = lambda *shape: np.broadcast_to(np.float32(1), shape)
try:
    {call}
except (ValueError, MemoryError) as error:
    print("refused:", error)
"""
    ran = python(code)
    assert ran.stdout.startswith("refused:"), (ran.returncode, ran.stdout, ran.stderr)


def test_a_huge_stride_is_one_window() -> None:
    assert F.conv2d(**GOOD["conv2d"], stride=2**31 - 1).shape == (2, 6, 1, 1)
    one = np.ones((2, 4, 1, 1), np.float32)
    assert F.conv_transpose2d(one, ones(4, 6, 3, 3), stride=2**31 - 1).shape == (2, 6, 3, 3)
    assert F.max_pool2d(**GOOD["max_pool2d"], stride=2**31 - 1).shape == (2, 4, 1, 1)
    assert F.max_pool2d(**GOOD["max_pool2d"], stride=2**31 - 1, ceil_mode=True).shape == (
        2,
        4,
        1,
        1,
    )


@pytest.mark.parametrize("op", GOOD)
def test_a_gradient_of_wrong_shape(op: str) -> None:
    arguments = dict(GOOD[op])
    arguments["input"] = pyconv.tensor(arguments["input"], requires_grad=True)
    output = getattr(F, op)(**arguments)
    with pytest.raises(ERRORS):
        output.backward(np.ones((3, 1, 2), np.float32))


@pytest.mark.parametrize("op", GOOD)
def test_an_error_leaves_nothing_broken(op: str) -> None:
    before = getattr(F, op)(**GOOD[op])
    with pytest.raises(ERRORS):
        getattr(F, op)(**(GOOD[op] | {"input": None}))
    after = getattr(F, op)(**GOOD[op])
    np.testing.assert_array_equal(before.numpy(), after.numpy())


@pytest.mark.parametrize("dim", ["a", 1.5, (0, 1), np.ones(2)])
def test_dimensions(dim):
    for op in (F.softmax, F.log_softmax):
        with pytest.raises(TypeError, match=f"{op.__name__}: dim is .*, expected an integer"):
            op(ones(2, 2), dim)
