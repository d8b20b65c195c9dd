"""Hooks on tensors, gradcheck, and the search for NaN."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.autograd import (
    Function,
    checkpoint,
    checkpoint_sequential,
    detect_anomaly,
    grad,
    gradcheck,
    gradgradcheck,
)
from pyconv.autograd.grad_mode import state


def leaf(*values):
    return pyconv.tensor(list(values), dtype="float64", requires_grad=True)


# ---- hooks -------------------------------------------------------------------------------------


def test_hooks_see_whole_gradients_once():
    x, seen = leaf(2.0), []
    y = x * 3
    for name, tensor in (("x", x), ("y", y)):
        tensor.register_hook(lambda g, name=name: seen.append((name, g.item())))
    (y * y + y + x).sum().backward()
    assert seen == [("y", 13), ("x", 40)]
    assert x.grad.item() == 40


def test_hooks_replace_gradients_and_end():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    handle = y.register_hook(lambda g: g * 10)
    last = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert (y.grad.item(), x.grad.item()) == (10, 31)
    handle.remove()
    last.remove()
    y.sum().backward()
    assert (y.grad.item(), x.grad.item()) == (11, 34)


def test_hooks_work_within_grad():
    x = leaf(2.0)
    y = x * x
    for tensor, factor in ((x, 3), (y, 5)):
        tensor.register_hook(lambda g, factor=factor: g * factor)
    y.retain_grad()
    assert [g.item() for g in grad((y * 2).sum(), (x, y), retain_graph=True)] == [120, 10]
    assert grad((y * 2).sum(), y, retain_graph=True)[0].item() == 10
    assert grad((y * 2).sum(), x)[0].item() == 120
    assert x.grad is None
    assert y.grad.item() == 30  # of three times


def test_hooks_of_recorded_gradients():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g * g)
    (x * x * x).sum().backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.detach().numpy(), [9, 144])
    x.grad.sum().backward()  # adds (9 x^4)' = 36 x^3, squared by the hook
    np.testing.assert_array_equal(x.grad.detach().numpy(), [9 + 36**2, 144 + 288**2])


def test_hooks_that_cannot_be():
    with pytest.raises(RuntimeError, match="register_hook: the tensor does not require grad"):
        pyconv.ones(1).register_hook(print)
    with pytest.raises(RuntimeError, match="retain_grad: the tensor does not require grad"):
        pyconv.ones(1).retain_grad()
    for wrong in (3, pyconv.ones(3)):
        x = leaf(1.0)
        x.register_hook(lambda g, wrong=wrong: wrong)
        with pytest.raises(ValueError, match="a hook returned"):
            x.sum().backward()


@pytest.mark.parametrize(
    "register",
    [
        lambda hook: (x := leaf(1.0), x.register_hook(hook)),
        lambda hook: (y := leaf(1.0) * 2, y.register_hook(hook)),
        lambda hook: (module := nn.ReLU(), module.register_forward_pre_hook(hook)),
        lambda hook: (module := nn.ReLU(), module.register_forward_hook(hook)),
        lambda hook: (module := nn.ReLU(), module.register_full_backward_hook(hook)),
    ],
)
def test_hooks_die_with_what_they_hang_on(register):
    class Kept:
        pass

    gc.collect()
    gc.disable()
    try:
        kept = Kept()
        seen = weakref.ref(kept)
        owner, handle = register(lambda *args, kept=kept: None)
        del kept
        assert seen() is not None
        del owner
        assert seen() is None
        handle.remove()  # of nothing
    finally:
        gc.enable()
    with pytest.raises(TypeError, match="hook is a int, expected a function"):
        register(3)


# ---- what is looked at, and what is refused ----------------------------------------------------


def test_grad_looks_at_nothing_older_than_what_is_wanted():
    y = x = leaf(1.0)
    for _ in range(2000):
        y = y * 1
    z = y * 3
    tracemalloc.start()
    try:
        assert grad(z, y, retain_graph=True)[0].item() == 3
        assert tracemalloc.get_traced_memory()[1] < 2**16  # less than a set of all nodes takes
    finally:
        tracemalloc.stop()
    assert [g.item() for g in grad(z, (y, x))] == [3, 3]


def test_gradgradcheck_of_one_gradient():
    assert gradgradcheck(lambda x: x.exp(), leaf(1.0, 2.0), grad_outputs=leaf(3.0, 4.0))


def test_gradcheck_of_what_is_infinite():
    assert not gradcheck(lambda x: x / 0, leaf(1.0), raise_exception=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: checkpoint(5), "checkpoint: function is 5"),
        (lambda x: checkpoint_sequential(5, x), "layers is a int"),
        (lambda x: checkpoint_sequential([nn.Tanh(), 5], x), "layers holds 5"),
        (lambda x: gradcheck(5, x), "func is 5"),
        (lambda x: gradcheck(np.exp, None), "inputs is None"),
        (lambda x: gradgradcheck(pyconv.functional.exp, None), "inputs is None"),
        (lambda x: gradcheck(pyconv.functional.exp, x, eps="a"), "eps is 'a'"),
        (lambda x: gradcheck(pyconv.functional.exp, x, atol="a"), "atol is 'a'"),
        (lambda x: gradcheck(pyconv.functional.exp, x, raise_exception="no"), "exception is 'no'"),
        (lambda x: grad(x.sum(), x, allow_unused="x"), "allow_unused is 'x'"),
        (lambda x: detect_anomaly(check_nan="x"), "check_nan is 'x'"),
        (lambda x: pyconv.no_grad(5), "no_grad: function is 5"),
        (lambda x: pyconv.enable_grad()(None), "enable_grad: function is None"),
        (lambda x: nn.ReLU().register_forward_hook(print, prepend="x"), "prepend is 'x'"),
        (lambda x: nn.ReLU().register_forward_hook(print, with_kwargs="x"), "with_kwargs is 'x'"),
    ],
)
def test_arguments_of_another_type(call, message):
    with pytest.raises(TypeError, match=message):
        call(leaf(1.0))


# ---- anomalies ---------------------------------------------------------------------------------


class BadBackward(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * float("nan")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_first_nan_is_found():
    x = leaf(-1.0, 4.0)
    with pytest.raises(RuntimeError, match="forward of Log made a NaN"), detect_anomaly():
        (x * 2).log().exp()
    with detect_anomaly():
        with pytest.raises(RuntimeError, match="backward of Sqrt made a NaN"):
            (leaf(0.0).sqrt() * 0).backward()
        y = BadBackward.apply(x * 3).sum()
        with pytest.raises(
            RuntimeError, match="backward of BadBackward made a NaN, called in .*_tools"
        ):
            y.backward()
        with pyconv.no_grad(), pytest.raises(RuntimeError, match="Mul was given a NaN"):
            leaf(np.nan) * 2
        assert (leaf(np.inf) / 2).item() == np.inf
        big = pyconv.tensor([np.inf, -np.inf]) * 1.0  # their sum is NaN, they are not
        assert big.shape == (2,)
    assert np.isnan((x * 2).log().detach().numpy()[0])


def test_the_search_is_for_nan():
    with pytest.raises(NotImplementedError, match="check_nan is False"):
        detect_anomaly(check_nan=False)


def test_the_search_ends_with_the_last_that_asked_for_it():
    one, other = detect_anomaly(), detect_anomaly()
    one.__enter__()
    with other, other:
        one.__exit__()  # as another thread may
        assert state.observer is not None
    assert state.observer is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_other_threads_are_searched_during_a_backward():
    found = []

    def work():
        try:
            leaf(-1.0).log()
        except RuntimeError as error:
            found.append(str(error))

    class Waiting(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return g

    with detect_anomaly():
        Waiting.apply(leaf(1.0)).backward()
    assert found == ["detect_anomaly: forward of Log made a NaN"]
