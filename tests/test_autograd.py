"""The backward pass: derivatives of every operation, accumulation, errors."""

from __future__ import annotations

import array

import numpy as np
import pytest
from derivatives import OPERATIONS, drawn

import pyconv
import pyconv.functional as F
from pyconv.autograd import Function, grad, gradcheck, gradgradcheck

# ---- derivatives, first and second -------------------------------------------------------------


@pytest.fixture(autouse=True)
def double_weights(monkeypatch):
    """Class weights in the cases above follow the logits, as a model's buffers would."""
    original = F.cross_entropy

    def cross_entropy(input, target, weight=None, **options):
        weight = None if weight is None else np.asarray(weight, input.dtype)
        return original(input, target, weight, **options)

    monkeypatch.setattr(F, "cross_entropy", cross_entropy)


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives(name):
    function, *inputs = OPERATIONS[name]()
    assert gradcheck(function, inputs)


@pytest.mark.parametrize("name", OPERATIONS)
def test_second_derivatives(name):
    pyconv.manual_seed(0)
    function, *inputs = OPERATIONS[name]()
    assert gradgradcheck(function, inputs)


def test_gradients_have_the_dtype_of_their_leaf():
    x, y = pyconv.ones(2, requires_grad=True), drawn(2)
    (x * y).sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_max_shares_its_gradient_among_ties():
    x = pyconv.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward()
    assert x.grad.numpy().tolist() == [0, 0.5, 0.5]


def test_pow_at_zero():
    x = pyconv.zeros(1, requires_grad=True)
    (x**0).sum().backward()
    assert x.grad.item() == 0


def test_an_input_that_is_not_used_has_no_gradient():
    inputs = drawn(2), drawn(3)
    assert gradcheck(lambda a, b: (a * a).sum(), inputs)
    assert gradgradcheck(lambda a, b: (a * a).sum(), inputs)


def test_gradcheck_of_a_list():
    assert gradcheck(lambda x: [x, -x], drawn(2))


def test_sums_of_infinite_gradients_warn_of_nothing():
    x = pyconv.ones(1, requires_grad=True)
    for factor in (np.inf, -np.inf):
        (x * factor).backward()
    assert np.isnan(x.grad.item())


def test_gradcheck_finds_a_wrong_gradient():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    with pytest.raises(RuntimeError, match="analytic"):
        gradcheck(Wrong.apply, drawn(2))
    assert not gradcheck(Wrong.apply, drawn(2), raise_exception=False)
    with pytest.raises(ValueError, match="float64"):
        gradcheck(Wrong.apply, pyconv.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match="func returned a float"):
        gradcheck(lambda x: 3.0, drawn(2))


# ---- accumulation ------------------------------------------------------------------------------


def test_gradients_add_up():
    x = drawn(3)
    for _ in range(2):
        (x * 2).sum().backward()
    assert x.grad.numpy().tolist() == [4, 4, 4]
    y = x * 1
    (y + y * y + y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 + 2 + 2 * x.detach().numpy())


def test_gradients_of_two_leaves_share_no_memory():
    a, b = drawn(3), drawn(3, seed=1)
    (a + b).backward(np.ones(3))
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    given = pyconv.tensor(np.ones(3))
    c = drawn(3)
    (c + 0).backward(given)
    assert not np.shares_memory(c.grad.numpy(), given.numpy())


MEMORY_OF_OTHERS = {
    "tensor": lambda kept: kept,
    "array": lambda kept: pyconv.from_numpy(kept.numpy()),
    "view": lambda kept: pyconv.from_numpy(kept.numpy().reshape(3, 1).reshape(3)),
    "buffer": lambda kept: pyconv.from_numpy(np.asarray(memoryview(kept.numpy()))),
    "strided": lambda kept: pyconv.from_numpy(
        np.lib.stride_tricks.as_strided(kept.numpy(), (3,), (8,))
    ),
    "read-only": lambda kept: pyconv.from_numpy(np.broadcast_to(kept.numpy(), 3)),
}


@pytest.mark.parametrize("see", MEMORY_OF_OTHERS.values(), ids=MEMORY_OF_OTHERS)
def test_gradient_is_not_what_a_function_keeps(see):
    kept = pyconv.tensor(np.ones(3))

    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return see(kept)

    x = drawn(3)
    for _ in range(2):
        Constant.apply(x).sum().backward()
    assert kept.numpy().tolist() == [1, 1, 1]
    assert x.grad.numpy().tolist() == [2, 2, 2]


def test_gradient_of_sum_can_be_written():
    x = drawn(2, 3)
    x.sum().backward()
    x.grad.numpy()[0, 0] = 5
    assert x.grad.numpy().sum() == 10


def test_only_wanted_gradients_are_computed():
    asked = []

    class Product(Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            asked.append(ctx.needs_input_grad)
            a, b = ctx.saved_tensors
            return tuple(g * x if need else None for need, x in zip(ctx.needs_input_grad, (b, a)))

    a, b = drawn(2), drawn(2, seed=1)
    Product.apply(a, b.detach()).sum().backward()
    Product.apply(a, b).sum().backward()
    y = Product.apply(a, b).sum()
    (only_b,) = grad(y, b, retain_graph=True)
    np.testing.assert_array_equal(only_b.numpy(), a.detach().numpy())
    grad(y, [a, b])
    assert asked == [(True, False), (True, True), (False, True), (True, True)]


def test_grad_leaves_dot_grad_alone_and_takes_inner_tensors():
    x = drawn(3)
    y = x * x
    z = (y * 3).sum()
    gy, gx = grad(z, [y, x])
    assert gy.numpy().tolist() == [3, 3, 3]
    np.testing.assert_allclose(gx.numpy(), 6 * x.detach().numpy())
    assert x.grad is None
    (same,) = grad(x, x, np.ones(3))
    assert same.numpy().tolist() == [1, 1, 1]


def test_grad_of_what_was_not_used():
    x, y = drawn(1), drawn(1)
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad(x.sum(), y)
    assert grad(x.sum(), [x, y], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require grad"):
        grad(x.sum(), pyconv.ones(1))
    layer = pyconv.nn.Linear(2, 3)
    assert len(grad(layer(pyconv.ones(2)).sum(), layer.parameters())) == 2


def test_create_graph_in_backward():
    x = pyconv.tensor(2.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = grad(x.grad, x)
    assert second.item() == 12


def test_gradients_that_are_read_only():
    x = drawn(3)
    x.sum().backward(create_graph=True)
    x.grad = pyconv.ones(1, dtype="float64").expand(3)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]
    x.grad = pyconv.ones(1, dtype="float64").expand(3)
    pyconv.optim.SGD([x], lr=1.0).zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0, 0, 0]


# ---- errors ------------------------------------------------------------------------------------


def test_backward_of_what_was_not_recorded():
    with pytest.raises(RuntimeError, match="does not require grad"):
        pyconv.ones(1).backward()


def test_backward_needs_a_gradient():
    with pytest.raises(ValueError, match=r"shape \(2,\) needs a gradient"):
        drawn(2).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\)"):
        drawn(2).backward(np.ones(3))
    with pytest.raises(TypeError, match="gradient"):
        drawn(2).backward("text")


def test_backward_a_second_time():
    x = drawn(2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.detach().numpy())
    with pytest.raises(RuntimeError, match="second time.*retain_graph"):
        y.backward()
    y = (-x).sum()  # keeps nothing
    y.backward()
    y.backward()


@pytest.mark.parametrize("change", ["iadd", "setitem", "output", "sgd"])
def test_change_in_place_of_what_was_saved(change):
    x = drawn(2)
    saved = x * 1
    y = (saved.exp() if change == "output" else saved * saved * x).sum()
    with pyconv.no_grad():
        if change == "iadd":
            saved += 1
        elif change == "setitem":
            saved[0] = 7
        elif change == "sgd":
            x.grad = pyconv.ones(2, dtype="float64")
            pyconv.optim.SGD([x], lr=1.0).step()
    if change == "output":
        z = saved.exp()
        y = z.sum()
        with pyconv.no_grad():
            z += 1
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*changed in place"):
        y.backward()


def test_change_in_place_is_recorded():
    x = drawn(2)
    y = x * 1
    y += x * x
    y *= 3
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 + 6 * x.detach().numpy())


def test_changes_in_place_that_cannot_be_recorded():
    x = drawn(2)
    with pytest.raises(RuntimeError, match="leaf.*no_grad"):
        x += 1
    base = pyconv.zeros(2, dtype="float64")
    view = base[:1]
    with pytest.raises(RuntimeError, match="view"):
        view += x[:1]
    y = x * 1
    with pytest.raises(NotImplementedError, match="where"):
        y[0] = 1
    with pyconv.no_grad():
        x += 1
        x[0] = 0
    assert x.is_leaf
    assert x.requires_grad


@pytest.mark.parametrize("key", [[0, 0, 1], ((0, 0, 1),), array.array("l", [0, 0, 1])])
def test_repeated_indices_add_up(key):
    x = drawn(3)
    x[key].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 1, 0])


@pytest.mark.parametrize(
    "given", [pyconv.tensor([2.0, 3.0]), [2.0, 3.0], [pyconv.tensor([2.0, 3.0])]]
)
def test_gradient_of_one_output_may_be_listed(given):
    x = pyconv.ones(2, requires_grad=True)
    (gradient,) = grad(x * 2, [x], given)
    assert gradient.numpy().tolist() == [4, 6]


@pytest.mark.parametrize("upstream", [np.inf, np.nan])
def test_gradient_of_the_maximum_goes_nowhere_else(upstream):
    x = pyconv.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.max().backward(pyconv.tensor(upstream))
    np.testing.assert_array_equal(x.grad.numpy(), [0, upstream, upstream])


@pytest.mark.parametrize("count", [41, 47, 55])  # whose reciprocals are not exact
def test_mean_divides(count):
    x = pyconv.ones(2, count, requires_grad=True)
    y = x.mean(1)
    assert y.tolist() == [1, 1]
    y.backward(pyconv.full((2,), float(count)))
    assert (x.grad == 1).numpy().all()


def test_gradient_of_the_maximum_goes_to_nan():
    x = pyconv.tensor([1.0, np.nan, 3.0], requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 1, 0])


@pytest.mark.parametrize(
    ("base", "exponent", "derivative"), [(-2, 2, np.nan), (0, -1, -np.inf), (0, 2, 0), (0, 0, 0)]
)
def test_gradient_of_an_exponent(base, exponent, derivative):
    b = pyconv.tensor(float(exponent), requires_grad=True)
    (pyconv.tensor(float(base)) ** b).backward()
    np.testing.assert_array_equal(b.grad.numpy(), derivative)


def test_gradient_of_a_tiny_divisor():
    n = pyconv.tensor([1e-23, 1e25], dtype="float32", requires_grad=True)
    (pyconv.tensor([0.0, 1e30], dtype="float32") / n).sum().backward()
    np.testing.assert_allclose(n.grad.numpy(), [0, -1e-20], rtol=1e-6)


def test_no_grad_of_functions():
    @pyconv.no_grad()
    def steps():
        got = yield pyconv.is_grad_enabled()
        yield got, pyconv.is_grad_enabled()

    @pyconv.no_grad
    def plain():
        return pyconv.is_grad_enabled()

    running = steps()
    assert next(running) is False
    assert pyconv.is_grad_enabled()
    assert running.send(3) == (3, False)
    assert list(steps()) == [False, (None, False)]

    @pyconv.no_grad()
    def catching():
        try:
            yield 1
        except KeyError:
            yield pyconv.is_grad_enabled()

    running = catching()
    next(running)
    assert running.throw(KeyError()) is False
    assert plain() is False


def test_requires_grad_of_computed_tensors():
    with pytest.raises(ValueError, match="detach"):
        (drawn(1) * 1).requires_grad = False
    with pytest.raises(ValueError, match="int64"):
        pyconv.arange(1).requires_grad = True
