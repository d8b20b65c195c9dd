"""MNN: a module of one layer, loaded from a file, so that it prepares the weights beforehand.

In the carried mode images are in its own format, NC4HW4: four channels together.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from MNN import expr, nn

from ..problems import Problem
from . import Arrays, Prepared

VARIANTS = ("mnn",)
FUNCTIONS = {"conv2d": expr.conv2d, "conv_transpose2d": expr.conv2d_transpose}
threads = 1


def setup(count: int) -> None:
    global threads
    threads = count


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.op not in FUNCTIONS or any(problem.each("output_padding", 0)):
        raise NotImplementedError(f"{problem.op} is not wired up for mnn")
    if direction == "backward":
        raise NotImplementedError("mnn has no backward")
    groups, depthwise = problem.options.get("groups", 1), (problem.shapes[0][1], 1)
    if groups > 1 and problem.shapes[1][:2] != depthwise:
        raise NotImplementedError("mnn, by its Python interface, computes such groups wrong")
    carried = problem.mode == "carried"
    module = _module(problem, arrays, expr.NC4HW4 if carried else expr.NCHW)
    image = _constant(arrays["input"])
    if carried:
        image = expr.convert(image, expr.NC4HW4)
        image.fix_as_const()

    def fetch(outputs: list[Any]) -> list[Any]:
        return [expr.convert(outputs[0], expr.NCHW).read()]

    return Prepared(lambda: module.forward([image]), fetch)


def _module(problem: Problem, arrays: Arrays, format: Any) -> Any:
    """Save the layer and load it; images come and go in the format."""
    image = expr.placeholder(list(problem.shapes[0]), format)
    image.name = "input"
    zeros = np.zeros(problem.output_shape[1], np.float32)
    output = FUNCTIONS[problem.op](
        expr.convert(image, expr.NC4HW4),
        _constant(arrays["weight"]),
        _constant(arrays.get("bias", zeros)),
        problem.each("stride", 1)[::-1],  # width first
        problem.each("padding", 0)[::-1],
        problem.each("dilation", 1)[::-1],
        problem.options.get("groups", 1),
        expr.Padding_Mode.CAFFE,  # the padding as it is given
    )
    output = expr.convert(output, format)
    output.name = "output"
    config = {"backend": "CPU", "precision": "normal", "numThread": threads}  # normal: float32
    runtime = nn.create_runtime_manager((config,))
    with tempfile.NamedTemporaryFile(suffix=".mnn") as file:
        expr.save([output], file.name)
        return nn.load_module_from_file(
            file.name, ["input"], ["output"], runtime_manager=runtime, shape_mutable=False
        )


def _constant(array: Any) -> Any:
    array = np.ascontiguousarray(array)
    return expr.const(array, list(array.shape), expr.NCHW)
