"""PyTorch: NCHW in the plain mode, channels_last in the carried one."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..problems import RECURRENT, STEPS, Problem
from . import LEARNING_RATE, Arrays, Prepared, first

VARIANTS = ("torch",)
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _recurrent(op: str) -> Any:
    """Return a layer of one direction, from zeros, without biases."""
    function = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[op]

    def layer(input: Any, *weights: Any) -> Any:
        state = input.new_zeros(1, input.shape[1], weights[1].shape[1])
        states = (state, state) if op == "lstm" else state
        training = any(weight.requires_grad for weight in weights)
        return function(input, states, weights, False, 1, 0.0, training, False, False)[0]

    return layer


FUNCTIONS = {
    **{op: _recurrent(op) for op in RECURRENT},
    "matmul": torch.matmul,
    "batch_norm_relu": lambda *args, **options: F.relu(F.batch_norm(*args, **options)),
}


def setup(threads: int) -> None:
    torch.set_num_threads(threads)


def prepare(problem: Problem, arrays: Arrays, direction: str, variant: str) -> Prepared:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if problem.mode == "carried":
        tensors = {name: _channels_last(tensor) for name, tensor in tensors.items()}
    if problem.op in STEPS:
        return _step(problem, tensors)
    leaves = [t for name, t in tensors.items() if name not in problem.constants]
    function = (
        FUNCTIONS.get(problem.op) or getattr(F, problem.op, None) or getattr(torch, problem.op)
    )
    options = problem.arguments

    def forward() -> Any:
        arguments = [tensor for name, tensor in tensors.items() if name != "grad_output"]
        if problem.options.get("trans"):
            arguments[1] = arguments[1].T
        return first(function(*arguments, **options))

    if direction == "forward":
        return Prepared(torch.inference_mode()(forward), lambda output: [output.numpy()])
    for leaf in leaves:
        leaf.requires_grad_()

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        output = forward()
        output.backward(tensors["grad_output"])
        return output

    def fetch(output: Any) -> list[Any]:
        return [output.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    return Prepared(run, fetch)


def _channels_last(tensor: Any) -> Any:
    """Mark images and filters as channels_last; PyTorch has no such format for sequences."""
    format = CHANNELS_LAST.get(tensor.ndim, torch.preserve_format)
    return tensor.clone(memory_format=format)


def _step(problem: Problem, tensors: Arrays) -> Prepared:
    param = torch.nn.Parameter(tensors["param"].clone())
    param.grad = tensors["grad"]
    optimizer = getattr(torch.optim, STEPS[problem.op])(
        [param], lr=LEARNING_RATE, **problem.arguments
    )
    return Prepared(optimizer.step, lambda _: [param.detach().numpy()])
