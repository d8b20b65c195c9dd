"""Checkpoints, whose inner results are computed again in backward."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.autograd import (
    checkpoint,
    checkpoint_sequential,
    grad,
    gradgradcheck,
)


def leaf(*values):
    return pyconv.tensor(list(values), dtype="float64", requires_grad=True)


def network():
    pyconv.manual_seed(3)
    layers = [nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(4)]
    return nn.Sequential(*layers).double()


def gradients_of(net, run):
    net.zero_grad()
    x = pyconv.tensor(np.random.default_rng(0).standard_normal((5, 8)), requires_grad=True)
    y = run(net, x)
    (y * y).sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in net.parameters())]


@pytest.mark.parametrize(
    "run",
    [
        checkpoint,
        lambda net, x: checkpoint(lambda a, b: net(a) + 0 * b, x, b=x),
        lambda net, x: checkpoint(lambda y: checkpoint(net[1:], net[0](y)), x),
        checkpoint_sequential,
        lambda net, x: checkpoint_sequential(net, x, budget_mb=0.0015),
        lambda net, x: checkpoint_sequential(net, x, budget_mb=1e6),
    ],
)
def test_checkpoints_change_no_bit(run):
    net = network()
    for ours, theirs in zip(gradients_of(net, run), gradients_of(net, lambda net, x: net(x))):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    with pyconv.no_grad():
        assert not run(net, pyconv.ones(1, 8, dtype="float64")).requires_grad


def test_checkpoints_train_parameters_without_gradient_of_the_input():
    net = network()
    checkpoint(net, np.ones((1, 8))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    (first,) = grad(checkpoint(net, np.ones((1, 8))).sum(), net[0][0].weight)
    np.testing.assert_array_equal(first.numpy(), net[0][0].weight.grad.numpy())


def test_checkpoints_keep_less():
    calls, bytes_of = [], []

    def run(x):
        calls.append(1)
        for _ in range(10):
            x = (x * x).relu()
        return x

    x = pyconv.ones(1 << 18, requires_grad=True)
    for kept in (True, False):
        before = pyconv.memory_stats()["allocated_bytes"]
        y = run(x) if kept else checkpoint(run, x)
        bytes_of.append(pyconv.memory_stats()["allocated_bytes"] - before)
        y.sum().backward()
        del y
    assert bytes_of[1] <= 2 * x._array.nbytes < 5 * x._array.nbytes < bytes_of[0]
    assert len(calls) == 3


def test_a_budget_decides_what_is_kept():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return (x * 0.1).exp() * 2  # keeps one array of x's size

    x = pyconv.ones(1000, 25, requires_grad=True)  # 0.1 MB
    for budget, again in ((0, 4), (0.15, 3), (0.25, 2), (1.0, 0)):
        calls.clear()
        checkpoint_sequential([Counted() for _ in range(4)], x, budget).sum().backward()
        assert len(calls) == 4 + again, budget
    with pytest.raises(ValueError, match="budget_mb is -1"):
        checkpoint_sequential([], x, -1)


def test_checkpoints_draw_the_same_numbers_again():
    def noisy(x):
        return x * pyconv.rand(4, dtype="float64") * x

    x = leaf(1.0, 2.0, 3.0, 4.0)
    results = []
    for run in (noisy, lambda x: checkpoint(noisy, x)):
        pyconv.manual_seed(7)
        x.grad = None
        y = run(x)
        drawn = pyconv.rand(1).item()
        y.sum().backward()
        results.append((y.detach().numpy().tolist(), x.grad.numpy().tolist(), drawn,
                        pyconv.rand(1).item()))  # fmt: skip
    assert results[0] == results[1]


def test_checkpoints_have_second_derivatives():
    assert gradgradcheck(lambda x: checkpoint(lambda y: (y * y).exp() * y, x), leaf(0.3, -0.5))


def test_graph_of_a_checkpoint_is_kept_or_freed():
    x = leaf(2.0)
    y = checkpoint(lambda a: a * a * a, x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.item() == 24
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_checkpoints_notice_changes():
    weight = leaf(3.0)
    for change in ("argument", "parameter"):
        x = pyconv.tensor([2.0], dtype="float64")
        y = checkpoint(lambda a: (a * weight).exp() * weight, x)
        with pyconv.no_grad():
            (x if change == "argument" else weight)[0] = 1.0
        with pytest.raises(RuntimeError, match="changed in place since forward"):
            y.sum().backward()
    other = iter([lambda a: a * a, lambda a: a + a])
    y = checkpoint(lambda a: next(other)(a), leaf(2.0))  # noqa: PLW0108
    with pytest.raises(RuntimeError, match="recorded 1 operations .* and 0 when"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("pack", "take"),
    [
        (lambda h: (h, None), lambda packed: packed[0]),
        (lambda h: {"a": [h]}, lambda packed: packed["a"][0]),
        (lambda h: (around := [h]).append(around) or around, lambda packed: packed[0]),
    ],
)
def test_checkpoints_notice_changes_within_an_argument(pack, take):
    h, weight = pyconv.tensor([2.0], dtype="float64"), leaf(3.0)
    y = checkpoint(lambda packed: take(packed) * weight, pack(h))
    h += 1
    with pytest.raises(RuntimeError, match="an argument was changed in place"):
        y.backward()


def test_a_checkpoint_runs_again_after_an_error():
    weight, fail = leaf(3.0), iter([False, True, False])

    def run(x):
        y = (x * weight).exp()
        if next(fail):
            raise KeyError
        return y * weight

    y = checkpoint(run, pyconv.zeros(1, dtype="float64"))
    with pytest.raises(KeyError):
        y.backward(retain_graph=True)
    y.backward()
    assert weight.grad.item() == 1
