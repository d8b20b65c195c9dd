"""Optimizers: groups, state, steps."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.optim import SGD, Adam, Optimizer, RMSprop


def param(*values):
    return nn.Parameter(pyconv.tensor(list(values), dtype="float64"))


def steps(optimizer, p, grads):
    for g in grads:
        p.grad = pyconv.tensor([g], dtype="float64")
        optimizer.step()
    return p.item()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1 - 0.001 * (1 + 2)),
        ({"lr": 0.1}, 1 - 0.1 * (1 + 2)),
        ({"lr": 0.1, "momentum": 0.5}, 1 - 0.1 * (1 + 2.5)),
        ({"lr": 0.1, "momentum": 0.5, "dampening": 0.5}, 1 - 0.1 * (1 + 1.5)),
        ({"lr": 0.1, "momentum": 0.5, "nesterov": True}, 1 - 0.1 * (1.5 + 3.25)),
        ({"lr": 0.1, "maximize": True}, 1 + 0.1 * (1 + 2)),
        ({"lr": 0.1, "weight_decay": 0.5}, 0.85 - 0.1 * (2 + 0.425)),
    ],
)
def test_two_steps(settings, expected):
    p = param(1.0)
    assert steps(SGD([p], **settings), p, [1, 2]) == pytest.approx(expected, rel=1e-14)


def test_positional_order():
    group = SGD([param(1.0)], 0.1, 0.2, 0.0, 0.4, True).param_groups[0]
    assert group["lr"] == 0.1
    assert group["momentum"] == 0.2
    assert group["weight_decay"] == 0.4
    assert group["nesterov"] is True


def test_groups_have_settings_of_their_own():
    a, b = param(1.0), param(1.0)
    optimizer = SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    for p in (a, b):
        p.grad = pyconv.ones(1, dtype="float64")
    optimizer.step()
    assert a.item() == pytest.approx(0.9)
    assert b.item() == 0.5
    optimizer.param_groups[0]["lr"] = 0.4
    optimizer.step()
    assert a.item() == pytest.approx(0.5)
    assert "lr: 0.4" in repr(optimizer)


def test_printed_as_pytorch_does():
    optimizer = SGD([{"params": [param(1.0)]}, {"params": [param(1.0)], "lr": 0.5}], lr=0.1)
    settings = "    dampening: 0\n    lr: {}\n    maximize: False\n    momentum: 0\n"
    settings += "    nesterov: False\n    weight_decay: 0\n"
    groups = [f"Parameter Group {i}\n{settings.format(lr)}" for i, lr in enumerate((0.1, 0.5))]
    assert repr(optimizer) == "SGD (\n" + "\n".join(groups) + ")"


def test_named_parameters():
    net = nn.Linear(2, 3)
    for given in (net.named_parameters(), [{"params": net.named_parameters()}]):
        optimizer = SGD(given, lr=0.1)
        (group,) = optimizer.param_groups
        assert group["params"] == [net.weight, net.bias]
        assert group["param_names"] == ["weight", "bias"]
        assert "    param_names: ['weight', 'bias']\n" in repr(optimizer)


def test_states_with_and_without_names():
    p, q = param(1.0), param(2.0)
    named, plain = (lambda: SGD([("p", p), ("q", q)])), (lambda: SGD([p, q]))
    for make, state in ((named, plain()), (plain, named()), (named, SGD([("a", p), ("b", q)]))):
        optimizer = make()
        optimizer.load_state_dict(state.state_dict())
        names = (state if "param_names" in state.param_groups[0] else make()).param_groups[0]
        assert optimizer.param_groups[0]["param_names"] == names["param_names"]


def test_parameters_without_gradient_stay():
    a, b = param(1.0), param(1.0)
    b.grad = pyconv.ones(1, dtype="float64")
    SGD([a, b], lr=1.0).step()
    assert (a.item(), b.item()) == (1, 0)


def test_zero_grad():
    p = param(1.0)
    optimizer = SGD([p])
    p.grad = pyconv.ones(1, dtype="float64")
    grad = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad
    assert grad.item() == 0
    optimizer.zero_grad()
    assert p.grad is None


def test_closure():
    p = param(3.0)
    optimizer = SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with pyconv.no_grad():
        assert optimizer.step(closure).item() == 9
    assert p.item() == 0


def test_state_dict_round_trip():
    def train(p, optimizer, count):
        return steps(optimizer, p, range(1, count + 1))

    p, q = param(1.0), param(1.0)
    whole = SGD([p], lr=0.1, momentum=0.9)
    train(p, whole, 2)
    state = whole.state_dict()
    assert state["param_groups"][0]["params"] == [0]
    assert state["state"][0]["momentum_buffer"].shape == (1,)
    resumed = SGD([q], lr=7.0)
    with pyconv.no_grad():
        q[...] = p.detach()
    resumed.load_state_dict(state)
    assert train(p, whole, 3) == train(q, resumed, 3)
    assert p.item() != 1
    with pytest.raises(ValueError, match=r"groups of \[1\] parameters, expected \[2\]"):
        SGD([param(1.0), param(1.0)]).load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", {"momentum": 0.9}), ("Adam", {"amsgrad": True}), ("RMSprop", {"centered": True})],
)
def test_parameters_in_any_order(name, settings):
    values = np.random.default_rng(0).standard_normal((3, 4))
    results = []
    for array in (values.copy(), np.asfortranarray(values), np.repeat(values, 2, 1)[:, ::2]):
        p = nn.Parameter(pyconv.from_numpy(array))
        optimizer = getattr(pyconv.optim, name)([p], **settings)
        for step in range(3):
            p.grad = pyconv.from_numpy(values * step)
            optimizer.step()
        assert p._array is array
        results.append(array)
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    assert (results[0] != values).any()


def test_numbers_of_arrays():
    lr, betas = pyconv.tensor(0.5), np.array([0.5, 0.75])
    (group,) = pyconv.optim.Adam([param(1.0)], lr=lr, betas=betas).param_groups
    assert (group["lr"], group["betas"]) == (0.5, [0.5, 0.75])
    betas = pyconv.tensor(0.5), pyconv.tensor([0.75])
    (group,) = Adam([param(1.0)], lr=pyconv.tensor([0.25]), betas=betas).param_groups
    assert (group["lr"], group["betas"]) == (0.25, (0.5, 0.75))


def test_settings_that_are_no_number():
    itself: list = []
    itself.append(itself)
    for lr in (itself, [0.1], np.ones(2), np.broadcast_to(np.float32(1), (10**9, 10**3))):
        with pytest.raises(TypeError, match="SGD: lr is "):
            SGD([param(1.0)], lr=lr)


@pytest.mark.parametrize("kind", [SGD, Adam, RMSprop])
def test_state_of_another_dtype_than_the_parameter(kind):
    net = nn.Linear(1, 1)
    optimizer = kind(net.parameters(), **({"momentum": 0.9} if kind is SGD else {}))
    net(pyconv.ones(1, 1)).backward()
    optimizer.step()
    net.double()
    with pytest.raises(TypeError, match="is float32 and that of its parameter is float64"):
        optimizer.step()


def test_state_of_bfloat16_is_not_blamed():
    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    narrow = nn.Parameter(pyconv.ones(1, dtype="bfloat16"))
    optimizer = Adam([narrow, p := nn.Parameter([1.0])])
    for dtype in ("float32", "float64"):
        p._array = p._array.astype(dtype)
        for x in (narrow, p):
            x.grad = pyconv.ones(1, dtype=x.dtype)
        wrong = pytest.raises(TypeError, match="parameter is float64, expected float64")
        with nullcontext() if dtype == "float32" else wrong:
            optimizer.step()


def test_loaded_settings_are_copies():
    a, b = (pyconv.optim.Adam([param(1.0)], betas=[0.5, 0.5]) for _ in range(2))
    b.load_state_dict(a.state_dict())
    a.param_groups[0]["betas"][0] = 0.75
    assert b.param_groups[0]["betas"] == [0.5, 0.5]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "settings"), [("SGD", {"momentum": 0.9}), ("Adam", {})])
def test_goes_on_from_a_state_of_pytorch(name, settings):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    p, w = param(1.0), torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    ours, theirs = (
        getattr(lib.optim, name)([x], **settings) for lib, x in ((pyconv, p), (torch, w))
    )
    w.grad = torch.ones(1, dtype=torch.float64)
    theirs.step()
    with pyconv.no_grad():
        p[0] = w.item()
    ours.load_state_dict(theirs.state_dict())
    p.grad = pyconv.ones(1, dtype="float64")
    ours.step()
    theirs.step()
    assert p.item() == pytest.approx(w.item(), rel=1e-14)


def test_steps_are_not_recorded():
    p = param(1.0)
    (p * 2).sum().backward()
    SGD([p]).step()
    assert p.is_leaf
    assert p.requires_grad


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD([]), ValueError, "params is empty"),
        (lambda: SGD(param(1.0)), TypeError, "iterable"),
        (lambda: SGD([1.0]), TypeError, "float"),
        (lambda: SGD([(param(1.0), param(2.0))]), TypeError, "params holds a tuple"),
        (lambda: SGD([param(1.0) * 2]), ValueError, "leaves"),
        (lambda: SGD([param(1.0)] * 2 + [param(2.0)]), ValueError, "twice"),
        (lambda: SGD([(p := param(1.0)), p]), ValueError, "twice"),
        (lambda: SGD([("p", param(1.0)), param(2.0)]), ValueError, "some with names"),
        (
            lambda: SGD([{"params": [("p", param(1.0))]}, {"params": [param(2.0)]}]),
            ValueError,
            "some with names",
        ),
        (lambda: SGD([param(1.0)], lr=-1), ValueError, "lr is -1"),
        (lambda: SGD([param(1.0)], lr=float("nan")), ValueError, "lr is nan"),
        (lambda: SGD([param(1.0)], momentum=-0.1), ValueError, "momentum is -0.1"),
        (lambda: SGD([param(1.0)], weight_decay=-2), ValueError, "weight_decay is -2"),
        (lambda: SGD([param(1.0)], nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: SGD([param(1.0)], 0.1, 0.9, 0.5, 0, True), ValueError, "dampening 0.5"),
        (lambda: SGD([{"params": [param(1.0)], "lr": -3}]), ValueError, "lr is -3"),
        (lambda: SGD([param(1.0)], lr="0.1"), TypeError, "lr is '0.1', expected a number"),
        (lambda: SGD([param(1.0)]).load_state_dict({}), TypeError, "'param_groups'"),
        (lambda: SGD([param(1.0)]).load_state_dict(None), TypeError, "state_dict is None"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_optimizer_of_ones_own():
    class SignDescent(Optimizer):
        def update(self, p, group, state):
            state["count"] = state.get("count", 0) + 1
            p -= group["lr"] * (p.grad / p.grad.abs())

    p = param(1.0)
    optimizer = SignDescent([p], {"lr": 0.25})
    assert steps(optimizer, p, [9, 9]) == 0.5
    assert optimizer.state[p] == {"count": 2}
    with pytest.raises(NotImplementedError, match="update"):
        steps(Optimizer([p], {}), p, [1])


def test_state_is_empty_at_first():
    class Counting(Optimizer):
        def update_all(self, params, group):
            for p in params:
                state = self.state[p]
                if len(state) == 0:
                    state["count"] = 0
                state["count"] += 1

    p, unused = param(1.0), param(2.0)
    optimizer = Counting([p, unused], {})
    steps(optimizer, p, [1, 1])
    assert optimizer.state[unused] == {}
    assert optimizer.state_dict()["state"] == {0: {"count": 2}}
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[unused] == {}
    steps(optimizer, p, [1])
    assert optimizer.state[p] == {"count": 3}


def test_training_lowers_the_loss():
    pyconv.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 1, 6, 6)).astype(np.float32)
    target = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(60):
        loss = nn.CrossEntropyLoss()(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_other_entries_of_a_group_are_kept():
    mask = pyconv.ones(3)
    optimizer = SGD([{"params": [nn.Parameter([1.0])], "mask": mask}], lr=pyconv.tensor(0.5))
    assert optimizer.param_groups[0]["mask"] is mask
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("kind", [SGD, Adam, RMSprop])
def test_parameters_that_share_memory_in_another_order_are_refused(kind):
    a = nn.Parameter(pyconv.ones(3, 3))
    b = nn.Parameter(a.detach().T)
    optimizer = kind([a, b], lr=0.1, **({"momentum": 0.9} if kind is SGD else {}))
    a.grad = b.grad = pyconv.ones(3, 3)
    with pytest.raises(ValueError, match="not in C order shares its memory"):
        optimizer.step()
    assert not optimizer.state


def test_blocks_of_one_array_share_no_memory():
    array = np.ones((4, 6), np.float32)
    blocks = [array[:, :2], array[:, 2:4], array[:, :3:-1], np.ones((2, 0), np.float32).T]
    params = [nn.Parameter(pyconv.from_numpy(block)) for block in blocks]
    for p in params:
        p.grad = pyconv.ones(*p.shape)
    SGD(params, lr=1.0).step()
    assert not array.any()
    params.append(nn.Parameter(pyconv.from_numpy(array[:, 1:3])))
    params[-1].grad = pyconv.ones(4, 2)
    with pytest.raises(ValueError, match="not in C order shares its memory with another"):
        SGD(params, lr=1.0).step()


def test_memory_of_many_parameters_is_compared_by_place(monkeypatch):
    pairs = []
    monkeypatch.setattr(np, "may_share_memory", lambda *pair: pairs.append(pair))
    params = [nn.Parameter(pyconv.ones(3, 2).T) for _ in range(50)]
    for p in params:
        p.grad = pyconv.ones(2, 3)
    SGD(params).step()
    assert not pairs


def test_a_step_that_fails_does_not_count():
    p = param(1.0)
    p.grad = pyconv.ones(1, dtype="float64")
    optimizer = Adam([p])
    for writeable in (False, True):
        p._array.flags.writeable = writeable
        with nullcontext() if writeable else pytest.raises(ValueError, match="read-only"):
            optimizer.step()
    assert optimizer.state[p]["step"] == 1
