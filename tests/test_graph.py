"""Functions of one's own, grad mode, threads, and graphs that are long or wide."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import ClassVar

import numpy as np
import pytest
from harness import in_threads

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.autograd import Function


def drawn(*shape, seed=0):
    values = np.random.default_rng(seed).uniform(-1, 1, shape)
    return pyconv.tensor(values, requires_grad=True)


# ---- Function ----------------------------------------------------------------------------------


class TwoOutputs(Function):
    @staticmethod
    def forward(ctx, x):
        kept, dropped = x * 2, x * 3
        ctx.mark_non_differentiable(dropped)
        return kept, dropped, pyconv.arange(2), x * 5

    @staticmethod
    def backward(ctx, *grads):
        ctx.seen = grads
        assert [g.numpy().tolist() for g in grads[1:]] == [[0, 0], [0, 0], [0, 0]]
        return grads[0] * 2


def test_function_with_many_outputs():
    x = drawn(2)
    outputs = TwoOutputs.apply(x)
    assert [y.requires_grad for y in outputs] == [True, False, False, True]
    outputs[0].sum().backward()
    assert x.grad.numpy().tolist() == [2, 2]


def test_function_that_does_not_fill_in_zeros():
    class Pair(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, first, second):
            assert first is None
            return second * 2

    x = drawn(2)
    Pair.apply(x)[1].sum().backward()
    assert x.grad.numpy().tolist() == [2, 2]


def test_function_that_returns_its_input():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = drawn(2)
    y = Same.apply(x)
    assert x.is_leaf
    assert y is not x
    y.sum().backward()
    assert x.grad.numpy().tolist() == [7, 7]


def test_nothing_is_recorded_in_forward():
    class Inner(Function):
        @staticmethod
        def forward(ctx, x):
            assert not pyconv.is_grad_enabled()
            y = x * 2
            assert not y.requires_grad
            return y

        @staticmethod
        def backward(ctx, g):
            assert not pyconv.is_grad_enabled()
            return g

    Inner.apply(drawn(1)).backward()
    Inner.apply(pyconv.ones(1))
    assert pyconv.is_grad_enabled()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda g: (g, g), "returned 2 gradients for 1"),
        (lambda g: g.reshape(2, 1), r"shape \(2, 1\) for an argument of shape \(2,\)"),
    ],
)
def test_function_with_a_wrong_backward(result, message):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return result(g)

    with pytest.raises(RuntimeError, match=message):
        Wrong.apply(drawn(2)).sum().backward()


def test_function_that_returns_none_for_more_than_its_arguments():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g, None, None

    x = drawn(2)
    Same.apply(x).sum().backward()
    assert x.grad.numpy().tolist() == [1, 1]


def test_function_that_returns_no_tensor():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return 3

    with pytest.raises(TypeError, match="Wrong.forward must return Tensors, got int"):
        Wrong.apply(drawn(2))
    assert pyconv.is_grad_enabled()
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(1)


# ---- grad mode ---------------------------------------------------------------------------------


def test_grad_mode():
    x = drawn(1)
    with pyconv.no_grad():
        assert not (x * 2).requires_grad
        with pyconv.enable_grad():
            assert (x * 2).requires_grad
        assert not pyconv.is_grad_enabled()
    with pytest.raises(KeyError), pyconv.no_grad():
        raise KeyError
    assert pyconv.is_grad_enabled()


def test_one_grad_mode_entered_twice():
    off, on = pyconv.no_grad(), pyconv.enable_grad()
    with off, on, off, on:
        assert pyconv.is_grad_enabled()
    assert pyconv.is_grad_enabled()
    with pyconv.no_grad():
        with on, on:
            pass
        assert not pyconv.is_grad_enabled()


def test_grad_mode_as_decorator():
    @pyconv.no_grad()
    def twice(x, depth=1):
        return x * 2 if depth == 0 else twice(x, depth - 1)

    assert not twice(drawn(1)).requires_grad
    assert twice.__name__ == "twice"
    assert pyconv.is_grad_enabled()


def test_grad_mode_belongs_to_the_thread():
    seen = []
    with pyconv.no_grad():
        thread = threading.Thread(target=lambda: seen.append(pyconv.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_backward_in_several_threads():
    results = []

    def work(seed):
        x = drawn(5, seed=seed)
        for _ in range(20):
            x.grad = None
            (x * x).sum().backward()
        results.append(np.array_equal(x.grad.numpy(), 2 * x.detach().numpy()))

    in_threads(work, [(i,) for i in range(4)])
    assert results == [True] * 4


# ---- long graphs, memory -----------------------------------------------------------------------


def long_chain(length):
    x = pyconv.ones(1, requires_grad=True)
    y = x
    for _ in range(length):
        y = y * 1.0
    return x, y


def test_a_graph_of_100000_nodes():
    x, y = long_chain(100_000)
    y.backward()
    assert x.grad.item() == 1
    del y  # freed after backward
    _, y = long_chain(100_000)
    start = time.perf_counter()
    del y  # freed without backward
    gc.collect()
    assert time.perf_counter() - start < 30


def test_a_wide_graph_is_walked_once():
    x = pyconv.ones(1, requires_grad=True)
    y = x
    for _ in range(60):  # 2 ** 60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2**60


@pytest.mark.parametrize("operation", [F.relu, lambda x: x.exp(), lambda x: F.softmax(x, 0)])
def test_graphs_are_freed_without_the_garbage_collector(operation):
    gc.collect()
    gc.disable()
    try:
        output = operation(drawn(3))
        node = weakref.ref(output._node)
        del output
        assert node() is None
        x = drawn(3)
        y = operation(x)
        array = weakref.ref(y._array)
        y.sum().backward()
        del y
        assert array() is None
    finally:
        gc.enable()


def test_backward_frees_what_was_saved():
    x = drawn(3)
    middle = x * 1
    array = weakref.ref(middle._array)
    y = (middle * middle).sum()
    del middle
    assert array() is not None
    y.backward()
    assert array() is None


# ---- misuse of what is compiled ----------------------------------------------------------------


class ReturnsArray(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.numpy()


class SavesArray(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.detach().numpy())
        return x * 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: ReturnsArray.apply(x).sum().backward(), "ReturnsArray.backward must return"),
        (lambda x: SavesArray.apply(x=x), "SavesArray.apply takes .* without names, got 'x'"),
        (SavesArray.apply, "save_for_backward: argument 1 is of type numpy.ndarray"),
        (lambda x: F.elementwise.Exp.forward(None, x), "forward needs ctx and a Tensor"),
        (lambda x: F.arithmetic.Add.forward(x, x, x), "forward takes ctx, a Tensor"),
    ],
)
def test_misuse_is_an_error(call, words):
    with pytest.raises(TypeError, match=words):
        call(drawn(2))


def test_tensor_of_what_is_no_array():
    assert (pyconv.Tensor([1.0, 2.0]) + 1).numpy().tolist() == [2, 3]
    with pytest.raises(TypeError, match="array is a NoneType"):
        pyconv.Tensor(None)
    assert F.relu(pyconv.Tensor.__new__(pyconv.Tensor)).shape == (0,)


class Ctx(Function):
    """Twice the input; writes to its ctx what others than this one have there."""

    seen: ClassVar[list[tuple[bool, ...]]] = []

    @staticmethod
    def forward(ctx, x):
        Ctx.seen.append(ctx.needs_input_grad)
        ctx.edges, ctx.function, ctx.sequence, ctx.outputs = 3, Ctx, [4], (x,)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        assert (ctx.edges, ctx.function, ctx.sequence) == (3, Ctx, [4])
        return g * 2


def test_attributes_of_ctx_are_the_users():
    x = pyconv.ones(2, requires_grad=True)
    Ctx.apply(x).sum().backward()
    assert x.grad.numpy().tolist() == [2, 2]
    with pytest.raises(AttributeError):
        _core.NodeBase().needs_input_grad = (True,)


def test_needs_input_grad_has_an_entry_for_each_argument():
    Ctx.seen.clear()
    x = pyconv.ones(2, requires_grad=True)
    Ctx.apply(x)
    with pyconv.no_grad():
        Ctx.apply(x)
    Ctx.apply(x.detach())
    assert Ctx.seen == [(True,), (False,), (False,)]


def test_gradients_share_no_memory():
    """Neither with one another nor with the one that backward was given."""
    given = pyconv.ones(2)
    for create_graph in (False, True):
        x, y = (pyconv.ones(2, requires_grad=True) for _ in range(2))
        a, b = x.view(2), y.view(2)
        a.retain_grad()
        b.retain_grad()
        (a + b).backward(given, create_graph=create_graph)
        with pyconv.no_grad():
            for n, grad in enumerate((x.grad, y.grad, a.grad, b.grad)):
                grad += n + 1
        gradients = [t.grad.detach().numpy()[0] for t in (x, y, a, b)]
        assert gradients == [2, 3, 4, 5]
        assert given.numpy().tolist() == [1, 1]


def test_what_a_function_marks_is_looked_at_first():
    class Odd(Function):
        @staticmethod
        def forward(ctx, x):
            ctx._non_differentiable, ctx.caller = 5.0, x * 2
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * ctx.caller

    x = pyconv.tensor([1.0, 2.0], requires_grad=True)
    with pyconv.autograd.detect_anomaly():
        Odd.apply(x).sum().backward()
    assert x.grad.numpy().tolist() == [2, 4]
