"""Recurrent layers within a graph: arguments that depend on each other, and hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.testing import assert_close


def tied(module: Any, name: str, other: str) -> Any:
    setattr(module, name, getattr(module, other))
    return module


def feedback(cell: Any, x: Any) -> Any:
    """Take three steps in which the input comes from the state."""
    h = x[0]
    for _ in range(3):
        h = cell(h * 0.5, h)
    return h


# Modules, of either library, one argument of which is another or comes from it.
CONNECTED: dict[str, tuple[Any, Any]] = {
    "state-from-input": (lambda nn: nn.LSTM(4, 4), lambda m, x: m(x, (x[:1] * 2, x[:1] * 6))[0]),
    "projected": (lambda nn: nn.LSTM(4, 4, proj_size=2), lambda m, x: m(x)[0]),
    "input-from-state": (lambda nn: nn.GRU(4, 4), lambda m, x: m((h := x[:1]) * x, h)[0]),
    "one-state": (lambda nn: nn.LSTM(4, 4), lambda m, x: m(x, (s := x[:1] * 2, s))[0]),
    "input-is-state": (lambda nn: nn.RNNCell(4, 4), lambda m, x: m(h := x[0], h)),
    "feedback": (lambda nn: nn.GRUCell(4, 4), feedback),
    "one-weight": (
        lambda nn: tied(nn.RNN(4, 4), "weight_hh_l0", "weight_ih_l0"),
        lambda m, x: m(x)[0],
    ),
    "one-bias": (
        lambda nn: tied(nn.GRU(4, 4), "bias_hh_l0", "bias_ih_l0"),
        lambda m, x: m(x)[0],
    ),
}


@pytest.mark.parametrize("name", CONNECTED)
def test_connected_arguments_have_one_gradient(name: str) -> None:
    make, call = CONNECTED[name]
    module, x = make(nn).double(), pyconv.randn(5, 2, 4, dtype="float64", requires_grad=True)
    wanted = [x, *module.parameters()]
    loss = (call(module, x) ** 2).sum()
    found = pyconv.autograd.grad(loss, wanted, retain_graph=True)
    recorded = pyconv.autograd.grad(loss, wanted, create_graph=True)
    for a, b in zip(found, recorded, strict=True):
        assert_close(b.detach().numpy(), a.numpy(), 400)


@pytest.mark.torch
@pytest.mark.parametrize("name", CONNECTED)
def test_second_derivatives_of_connected_arguments_agree_with_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    make, call = CONNECTED[name]
    ours, theirs = make(nn).double(), make(torch.nn).double()
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    ours.load_state_dict(state)
    array, seconds = np.random.default_rng(0).standard_normal((5, 2, 4)), []
    for lib, module in ((pyconv, ours), (torch, theirs)):
        x = lib.tensor(array, requires_grad=True)
        wanted = [x, *module.parameters()]
        first = lib.autograd.grad((call(module, x) ** 2).sum(), wanted, create_graph=True)
        second = lib.autograd.grad(sum((g * g).sum() for g in first), wanted)
        seconds.append([g.numpy() for g in second])
    for a, b in zip(*seconds, strict=True):
        assert_close(a, b, 4000)


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_of_arguments_run_once(create_graph: bool) -> None:
    layer, x, seen = nn.GRU(3, 4), pyconv.randn(5, 2, 3, requires_grad=True), []
    y = x * 1.0
    for name, tensor in (("x", x), ("y", y), ("weight", layer.weight_hh_l0)):
        tensor.register_hook(lambda grad, name=name: seen.append(name))
    layer(y)[0].sum().backward(create_graph=create_graph)
    assert sorted(seen) == ["weight", "x", "y"]
