"""OpenVINO: a model of one operation, with its weights as constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from ..problems import Problem, pair
from . import Arrays, Prepared

VARIANTS = ("openvino",)
core = openvino.Core()


def setup(threads: int) -> None:
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads})


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if direction == "backward":
        raise NotImplementedError("openvino has no backward")
    x = ops.parameter(problem.shapes[0], np.float32)
    model = openvino.Model([_node(problem, arrays, x)], [x])
    # Without these hints it computes in bfloat16 where the CPU can.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    image = arrays["input"]

    def run() -> Any:  # without copies of the images
        return request.infer({0: image}, share_inputs=True, share_outputs=True)

    return Prepared(run, lambda outputs: [outputs[0].copy()])


def _node(problem: Problem, arrays: Arrays, x: Any) -> Any:
    option = problem.options.get
    if problem.op == "conv2d":
        if option("groups", 1) != 1:
            raise NotImplementedError("groups are not wired up for openvino")
        pad = pair(option("padding", 0))
        geometry = pair(option("stride", 1)), pad, pad, pair(option("dilation", 1))
        node = ops.convolution(x, arrays["weight"], *geometry)
        return ops.add(node, arrays["bias"].reshape(-1, 1, 1)) if "bias" in arrays else node
    if problem.op == "linear":
        node = ops.matmul(x, arrays["weight"], False, True)
        return ops.add(node, arrays["bias"]) if "bias" in arrays else node
    if problem.op == "matmul":
        return ops.matmul(x, arrays["other"], False, bool(option("trans")))
    if problem.op == "relu":
        return ops.relu(x)
    if problem.op == "max_pool2d":
        kernel, pad = pair(option("kernel_size")), pair(option("padding", 0))
        step, spread = pair(option("stride", kernel)), pair(option("dilation", 1))
        return ops.max_pool(x, step, spread, pad, pad, kernel).output(0)
    raise NotImplementedError(f"{problem.op} is not wired up for openvino")
