"""What `grad` and `backward` can be asked for, and where gradients go."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv
from pyconv.autograd import backward, grad


def leaf(*numbers):
    return pyconv.tensor(numbers, dtype="float64", requires_grad=True)


def test_zeros_in_place_of_none():
    x, unused = leaf(1.0, 2.0), pyconv.ones(2, 3, requires_grad=True)
    found = grad((x * x).sum(), (x, unused), materialize_grads=True)
    assert [g.tolist() for g in found] == [[2, 4], [[0, 0, 0], [0, 0, 0]]]
    assert found[1].dtype == np.float32
    both = {"create_graph": True, "materialize_grads": True}
    assert all(g.requires_grad for g in grad((x * x).sum(), (x, unused), **both))
    assert grad((x * x).sum(), [unused], None, None, False, True, True) == (None,)


@pytest.mark.parametrize(
    ("outputs", "options", "error", "message"),
    [
        ("sum", {"only_inputs": False}, ValueError, "only_inputs is False"),
        ("sum", {"is_grads_batched": True}, NotImplementedError, "is_grads_batched is True"),
        (
            "sum",
            {"materialize_grads": True, "allow_unused": False},
            ValueError,
            "allow_unused is False",
        ),
        ("sum", {"materialize_grads": "a"}, TypeError, "materialize_grads is 'a'"),
        ("sum", {}, RuntimeError, r"inputs\[1\] was not used to compute outputs"),
        ("each", {}, ValueError, r"outputs of shape \(2,\) needs a gradient: grad_outputs is None"),
        ("each", {"grad_outputs": np.ones(3)}, ValueError, r"grad_outputs has shape \(3,\)"),
        ("each", {"grad_outputs": "a"}, TypeError, "grad_outputs is a str"),
        ("list", {"grad_outputs": 3}, TypeError, "grad_outputs is a int, expected one for each of"),
        ("list", {"grad_outputs": [1, 2, 3]}, ValueError, "grad_outputs has 3 entries and outputs"),
        ("list", {"grad_outputs": [1, "a"]}, TypeError, r"grad_outputs\[1\] is a str"),
        ("ones", {}, RuntimeError, r"outputs\[0\] does not require grad"),
        ("sum", {"retain_graph": "a"}, TypeError, "retain_graph is 'a'"),
    ],
)
def test_errors_name_what_grad_was_given(outputs, options, error, message):
    x = leaf(1.0, 2.0)
    y = x * 2
    given = {"sum": y.sum(), "each": y, "list": [y.sum(), x.sum()], "ones": [pyconv.ones(1)]}
    with pytest.raises(error, match=f"^grad: {message}"):
        grad(given[outputs], [x, leaf(1.0)], **options)


def test_gradients_for_some():
    x, other = leaf(1.0, 2.0), leaf(3.0)
    y = x * 2
    z = (y * y).sum() * other
    y.register_hook(lambda g: g + 1)
    z.sum().backward(inputs=[y, other], retain_graph=True)
    assert y.grad.tolist() == [13, 25]
    assert other.grad.tolist() == [20]
    assert x.grad is None
    z.sum().backward(inputs=x, create_graph=True)
    backward([z.sum()], inputs=(x, x))
    assert x.grad.tolist() == [52, 100]
    assert x.grad.requires_grad
    (x * 1).sum().backward(inputs=[other])  # it was not used
    assert other.grad.tolist() == [20]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], ValueError, "inputs is empty"),
        (3, TypeError, "inputs is a int"),
        ([pyconv.ones(1)], RuntimeError, r"inputs\[0\] does not require grad"),
    ],
)
def test_inputs_that_are_none(inputs, error, message):
    with pytest.raises(error, match=f"backward: {message}"):
        leaf(1.0).sum().backward(inputs=inputs)
    with pytest.raises(error, match=f"grad: {message}"):
        grad(leaf(1.0).sum(), inputs)


def test_retained_gradients_when_some_are_asked_for():
    x, other = leaf(1.0, 2.0), leaf(3.0)
    for ask in (
        lambda z, y: z.backward(inputs=[x]),
        lambda z, y: z.backward(inputs=[x, y]),
        lambda z, y: z.backward(inputs=y),
        lambda z, y: grad(z, x),
        grad,
    ):
        y, aside = x * 2, other * 2
        y.retain_grad()
        aside.retain_grad()
        ask((y * y).sum() + aside.sum(), y)
        assert y.grad.tolist() == [4, 8]
        assert aside.grad is None


def test_recording_is_switched():
    x = leaf(1.0)
    with pyconv.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with pyconv.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not pyconv.is_grad_enabled()

    @pyconv.set_grad_enabled(False)
    def double(x):
        return x * 2

    assert pyconv.is_grad_enabled()
    assert not double(x).requires_grad
    try:
        pyconv.set_grad_enabled(False)
        assert not (x * 2).requires_grad
    finally:
        pyconv.set_grad_enabled(True)
    switch = pyconv.set_grad_enabled(False)
    for _ in range(2):
        with switch:
            assert not pyconv.is_grad_enabled()
        assert pyconv.is_grad_enabled()
    with pytest.raises(TypeError, match="^set_grad_enabled: function is 3"):
        switch(3)
    with pytest.raises(TypeError, match="set_grad_enabled: mode is 'a'"):
        pyconv.set_grad_enabled("a")


@pytest.mark.parametrize("freeze", [lambda x: x.requires_grad_(False), pyconv.Tensor.detach_])
def test_a_leaf_frozen_after_its_use_gets_no_gradient(freeze):
    x, w, hooked = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    seen = []
    hooked.register_hook(lambda g: seen.append(g.tolist()))
    y = (x * w * hooked).sum()
    freeze(w)
    freeze(hooked)
    y.backward()
    assert w.grad is None
    assert hooked.grad is None
    assert seen == [[3, 8]]
    assert x.grad.tolist() == [15, 24]
