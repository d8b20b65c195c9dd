"""What PyTorch allows the methods of a Function."""

from __future__ import annotations

import pytest

import pyconv
from pyconv.autograd import Function, grad


def leaf(*numbers):
    return pyconv.tensor(numbers, dtype="float64", requires_grad=True)


class Twice(Function):
    """Two times the argument, between what is no Tensor."""

    @staticmethod
    def forward(ctx, x, factor):
        return None, x * factor, 5

    @staticmethod
    def backward(ctx, none, g, five):
        assert none is None
        assert five is None
        return g * 2, None


def test_what_is_no_tensor_is_handed_through():
    x = leaf(1.0, 2.0)
    none, y, five = Twice.apply(x, 2)
    assert (none, five) == (None, 5)
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pyconv.no_grad():
        assert Twice.apply(x, 2)[2] == 5


class Wide(Function):
    """The sum with a matrix; its gradients have the shape and dtype of the result."""

    @staticmethod
    def forward(ctx, x, matrix):
        return x + matrix

    @staticmethod
    def backward(ctx, g):
        return g.to("float32"), None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), 6), ((2,), [3, 3]), ((1,), [6]), ((3, 1), [[2]] * 3), ((3, 2), [[1, 1]] * 3)],
)
def test_gradients_are_summed_over_what_was_repeated(shape, expected):
    x = pyconv.zeros(*shape, dtype="float64", requires_grad=True)
    matrix = pyconv.ones(3, 2, dtype="float64")
    for argument in (x, x * 1):
        x.grad = None
        Wide.apply(argument, matrix).sum().backward()
        assert x.grad.dtype == "float64"
        assert x.grad.tolist() == expected


class Product(Function):
    @staticmethod
    def forward(x, factor):
        return x * factor, x + factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.factor = inputs
        ctx.save_for_backward(x, output[0])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, g, _):
        x, y = ctx.saved_tensors
        assert y.tolist() == (x * ctx.factor).tolist()
        return g * ctx.factor, None


def test_a_context_may_be_set_up_apart():
    x = leaf(1.0, 2.0)
    y, marked = Product.apply(x, 3)
    assert not marked.requires_grad
    assert grad(y.sum(), x)[0].tolist() == [3, 3]
    assert not Product.apply(x.detach(), 3)[0].requires_grad


def test_a_context_set_up_apart_is_inherited():
    class Plain(Function):
        @staticmethod
        def forward(x, factor):
            return x * factor

    class Inherits(Plain):
        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.factor = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    class Calls(Inherits):
        @staticmethod
        def forward(x, factor):
            return Inherits.forward(x, factor) + 1

    for function, expected in ((Inherits, 6), (Calls, 7)):
        x = leaf(2.0)
        y = function.apply(x, 3)
        assert y.item() == expected
        assert grad(y, x)[0].item() == 3


def test_arguments_cannot_be_marked_as_changed():
    class Dirty(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    with pytest.raises(NotImplementedError, match="mark_dirty"):
        Dirty.apply(leaf(1.0))
