"""OpenVINO: a model of one operation, with its weights as constants; NHWC in the carried mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

from ..problems import CONVS, RECURRENT, TRANSPOSED, Problem
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
    image = arrays["input"]
    axes = tuple(range(len(problem.shapes[0])))
    if problem.mode == "carried":
        model = _channels_last(model, problem.rank)
        axes = (0, *axes[2:], 1)
        image = image.transpose(axes)
    # Without these hints it computes in bfloat16 where the CPU can.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", hints).create_infer_request()

    def run() -> Any:  # without copies of the images
        return request.infer({0: image}, share_inputs=True, share_outputs=True)

    return Prepared(run, lambda outputs: [outputs[0].transpose(np.argsort(axes))])


def _channels_last(model: Any, rank: int) -> Any:
    """Let the model take and return images whose channels come last."""
    first, last = (f"NC{'DHW'[3 - rank :]}", f"N{'DHW'[3 - rank :]}C")
    changed = PrePostProcessor(model)
    for end in (changed.input(), changed.output()):
        end.tensor().set_layout(openvino.Layout(last))
        end.model().set_layout(openvino.Layout(first))
    return changed.build()


def _node(problem: Problem, arrays: Arrays, x: Any) -> Any:
    each, option = problem.each, problem.options.get
    if problem.op in CONVS or problem.op in TRANSPOSED:
        return _convolution(problem, arrays, x)
    if problem.op == "linear":
        node = ops.matmul(x, arrays["weight"], False, True)
        return ops.add(node, arrays["bias"]) if "bias" in arrays else node
    if problem.op == "matmul":
        return ops.matmul(x, arrays["other"], False, bool(option("trans")))
    if problem.op == "relu":
        return ops.relu(x)
    if problem.op == "max_pool2d":
        kernel, pad = each("kernel_size"), each("padding", 0)
        step, spread = each("stride", kernel), each("dilation", 1)
        return ops.max_pool(x, step, spread, pad, pad, kernel).output(0)
    if problem.op in RECURRENT:
        return _recurrent(problem, arrays, x)
    raise NotImplementedError(f"{problem.op} is not wired up for openvino")


def _convolution(problem: Problem, arrays: Arrays, x: Any) -> Any:
    each, weight, groups = problem.each, arrays["weight"], problem.options.get("groups", 1)
    if groups > 1:
        weight = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    pad, step, spread = each("padding", 0), each("stride", 1), each("dilation", 1)
    if problem.op in CONVS:
        function = ops.group_convolution if groups > 1 else ops.convolution
        node = function(x, weight, step, pad, pad, spread)
    else:
        backprop = ops.convolution_backprop_data
        function = ops.group_convolution_backprop_data if groups > 1 else backprop
        node = function(
            x,
            weight,
            step,
            pads_begin=pad,
            pads_end=pad,
            dilations=spread,
            output_padding=each("output_padding", 0),
        )
    if "bias" not in arrays:
        return node
    return ops.add(node, arrays["bias"].reshape(-1, *(1,) * problem.rank))


def _recurrent(problem: Problem, arrays: Arrays, x: Any) -> Any:
    """Run over sequences that come, and go, with the batch second; OpenVINO has it first."""
    batch, hidden = problem.shapes[0][1], problem.shapes[2][1]
    order = {"rnn": [0], "lstm": [1, 0, 2, 3], "gru": [1, 0, 2]}[problem.op]
    weights = []
    for name in ("weight_ih", "weight_hh"):
        gates = np.split(arrays[name], len(order))
        weights.append(np.concatenate([gates[i] for i in order])[None])
    states = [np.zeros((batch, 1, hidden), np.float32)] * (2 if problem.op == "lstm" else 1)
    steps = np.full(batch, problem.shapes[0][0], np.int64)
    biases = len(order) + (problem.op == "gru")  # the candidate's are apart
    function = getattr(ops, f"{problem.op}_sequence")
    more = {"linear_before_reset": True} if problem.op == "gru" else {}
    node = function(
        ops.transpose(x, [1, 0, 2]),
        *states,
        steps,
        *weights,
        np.zeros((1, biases * hidden), np.float32),
        hidden,
        "forward",
        **more,
    )
    return ops.transpose(ops.squeeze(node.output(0), 1), [1, 0, 2])
