"""ncnn: a net of one layer; an image at a time, for it knows no batches.

In the carried mode images are packed as its layers pass them on: 16, 8 or 4 channels together.
"""

from __future__ import annotations

import tempfile
from itertools import starmap
from typing import Any

import ncnn
import numpy as np

from pyconv import _core

from ..problems import CONVS, TRANSPOSED, Problem
from . import Arrays, Prepared

VARIANTS = ("ncnn",)
PACKS = {"avx512": 16, "avx2": 8}  # channels together at most; 4 with other instruction sets
# The numbers by which a layer's parameters are called: for width, height and depth.
KEYS = {
    "kernel": (1, 11, 21),
    "dilation": (2, 12, 22),
    "stride": (3, 13, 23),
    "padding": (4, 14, 24),
    "output_padding": (18, 19, 20),
}
threads = 1


def setup(count: int) -> None:
    global threads
    threads = count


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    if problem.op not in CONVS.keys() | TRANSPOSED.keys():
        raise NotImplementedError(f"{problem.op} is not wired up for ncnn")
    if direction == "backward":
        raise NotImplementedError("ncnn has no backward")
    net = _net(problem, arrays)
    batch = np.ascontiguousarray(arrays["input"])
    # Clones, for a Mat made of an array does not keep the array's memory.
    images = [ncnn.Mat(image).clone() for image in batch]
    carried = problem.mode == "carried"
    if carried:
        images = [_packed(image, _pack(problem.shapes[0][1]), net) for image in images]

    def compute(image: Any) -> Any:
        extractor = net.create_extractor()
        extractor.input("in", image)
        return extractor.extract("out", int(carried))[1]  # 1: as packed as it is

    def fetch(outputs: list[Any]) -> list[Any]:
        if carried:
            outputs = [_packed(output, 1, net) for output in outputs]
        first = np.ascontiguousarray(outputs[0])  # no copy, mostly
        return [first[None] if len(outputs) == 1 else np.stack(list(map(np.asarray, outputs)))]

    return Prepared(lambda: list(map(compute, images)), fetch)


def _net(problem: Problem, arrays: Arrays) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = threads
    for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{kind}", False)
    groups, weight = problem.options.get("groups", 1), arrays["weight"]
    if problem.op in TRANSPOSED:  # to filters in the order of a convolution's
        weight = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    values: dict[int, Any] = {0: problem.output_shape[1], 5: int("bias" in arrays), 6: weight.size}
    if groups > 1:
        values[7] = groups
    numbers = {
        "kernel": problem.shapes[1][2:],
        "dilation": problem.each("dilation", 1),
        "stride": problem.each("stride", 1),
        "padding": problem.each("padding", 0),
        "output_padding": problem.each("output_padding", 0),
    }
    for name, keys in KEYS.items():
        values |= zip(keys, reversed(numbers[name]))
    layer = "Deconvolution" if problem.op in TRANSPOSED else "Convolution"
    layer += ("DepthWise" if groups > 1 else "") + {1: "1D", 2: "", 3: "3D"}[problem.rank]
    text = " ".join(starmap("{}={}".format, values.items()))
    net.load_param_mem(f"7767517\n2 2\nInput in 0 1 in\n{layer} layer 1 1 in out {text}\n")
    with tempfile.NamedTemporaryFile() as file:  # it loads weights from files alone
        file.write(bytes(4) + weight.tobytes())  # 4 zeros: in float32
        file.write(arrays["bias"].tobytes() if "bias" in arrays else b"")
        file.flush()
        if net.load_model(file.name) != 0:
            raise NotImplementedError(f"ncnn cannot load {problem}")
    return net


def _pack(channels: int) -> int:
    """Return how many of the channels ncnn would pack together on this machine."""
    widest = PACKS.get(_core.isa(), 4)
    return next(pack for pack in (16, 8, 4, 1) if pack <= widest and channels % pack == 0)


def _packed(image: Any, pack: int, net: Any) -> Any:
    result = ncnn.Mat()
    ncnn.convert_packing(image, result, pack, net.opt)
    return result
