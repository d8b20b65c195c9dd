"""ONNX Runtime: a model of one node, with its weights as constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ..problems import CONVS, RECURRENT, TRANSPOSED, Problem
from . import Arrays, Prepared

VARIANTS = ("onnxruntime",)
settings = onnxruntime.SessionOptions()


def setup(threads: int) -> None:
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if direction == "backward":
        raise NotImplementedError("onnxruntime has no backward")
    if problem.mode == "carried":
        raise NotImplementedError("onnxruntime takes images in C order alone")
    op, attributes = _node(problem)
    constants = {k: v for k, v in arrays.items() if k in ("weight", "bias", "other")}
    if problem.options.get("trans"):
        constants["other"] = constants["other"].T.copy()
    output_shape = problem.output_shape
    if problem.op in RECURRENT:
        constants = _weights(problem.op, arrays)
        output_shape = (output_shape[0], 1, *output_shape[1:])  # with an axis of directions
    node = helper.make_node(op, ["input", *constants], ["output"], **attributes)
    sizes = {"input": problem.shapes[0], "output": output_shape}
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in sizes.items())
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([node], "problem", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    feed = {"input": arrays["input"]}
    shape = problem.output_shape
    return Prepared(lambda: session.run(None, feed), lambda outputs: [outputs[0].reshape(shape)])


def _node(problem: Problem) -> tuple[str, dict[str, Any]]:
    """Return the name of the ONNX operator and its attributes."""
    if problem.op in CONVS:
        return "Conv", {"group": problem.options.get("groups", 1), **_windows(problem, 1)}
    if problem.op in TRANSPOSED:
        more = {"output_padding": problem.each("output_padding", 0)}
        group = problem.options.get("groups", 1)
        return "ConvTranspose", {"group": group, **more, **_windows(problem, 1)}
    if problem.op == "max_pool2d":
        kernel = problem.each("kernel_size")
        return "MaxPool", {"kernel_shape": kernel, **_windows(problem, kernel)}
    if problem.op in RECURRENT:
        more = {"linear_before_reset": 1} if problem.op == "gru" else {}
        return problem.op.upper(), {"hidden_size": problem.shapes[2][1], **more}
    simple: dict[str, tuple[str, dict[str, Any]]] = {
        "linear": ("Gemm", {"transB": 1}),
        "matmul": ("MatMul", {}),
        "relu": ("Relu", {}),
    }
    if problem.op not in simple:
        raise NotImplementedError(f"{problem.op} is not wired up for onnxruntime")
    return simple[problem.op]


def _weights(op: str, arrays: Arrays) -> Arrays:
    """Return the weights with the gates in ONNX's order, and an axis of directions."""
    order = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}[op]
    weights = {}
    for name in ("weight_ih", "weight_hh"):
        gates = np.split(arrays[name], len(order))
        weights[name] = np.concatenate([gates[i] for i in order])[None]
    return weights


def _windows(problem: Problem, step: Any) -> dict[str, Any]:
    """Return the attributes that convolution and pooling share; `step` is the default stride."""
    each = problem.each
    pads = [*each("padding", 0)] * 2
    return {"strides": each("stride", step), "pads": pads, "dilations": each("dilation", 1)}
