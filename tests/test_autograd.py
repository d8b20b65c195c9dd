"""The backward pass: derivatives of every operation, accumulation, errors."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv.autograd import Function, grad, gradcheck, gradgradcheck


def drawn(*shape, low=-1.0, high=1.0, seed=0):
    values = np.random.default_rng(seed).uniform(low, high, shape)
    return pyconv.tensor(values, requires_grad=True)


# ---- derivatives, first and second -------------------------------------------------------------

A, B, POSITIVE = (2, 3), (3,), {"low": 0.5, "high": 2.0}

OPERATIONS = {
    "add": lambda: (lambda a, b: a + b, drawn(*A), drawn(*B, seed=1)),
    "sub": lambda: (lambda a, b: b - a, drawn(*A), drawn(2, 1, seed=1)),
    "mul": lambda: (lambda a, b: a * b, drawn(*A), drawn(*B, seed=1)),
    "mul-self": lambda: (lambda a: a * a, drawn(*A)),
    "div": lambda: (lambda a, b: a / b, drawn(*A), drawn(*B, seed=1, **POSITIVE)),
    "pow": lambda: (lambda a, b: a**b, drawn(*A, **POSITIVE), drawn(*B, seed=1)),
    "pow-number": lambda: (lambda a: a**3 + 2**a, drawn(*A)),
    "neg": lambda: (lambda a: -a, drawn(*A)),
    "exp": lambda: (lambda a: a.exp(), drawn(*A)),
    "log": lambda: (lambda a: a.log(), drawn(*A, **POSITIVE)),
    "sqrt": lambda: (lambda a: a.sqrt(), drawn(*A, **POSITIVE)),
    "abs": lambda: (lambda a: a.abs() * a, drawn(*A)),
    "relu": lambda: (lambda a: F.relu(a) * a, drawn(*A)),
    "where": lambda: (
        lambda a, b: pyconv.where(np.eye(3) > 0, a * b, b),
        drawn(3),
        drawn(1, seed=1),
    ),
    "sum": lambda: (lambda a: a.sum(1) * a.sum(), drawn(*A)),
    "mean": lambda: (lambda a: a.mean(0, keepdim=True) * a, drawn(*A)),
    "max": lambda: (lambda a: a.max() * a.max(1).values, drawn(*A)),
    "max-ties": lambda: (lambda a: (a * a).max(), pyconv.tensor(np.ones(1), requires_grad=True)),
    "softmax": lambda: (lambda a: F.softmax(a, 0), drawn(*A)),
    "log_softmax": lambda: (lambda a: F.log_softmax(a, -1), drawn(*A)),
    "reshape": lambda: (lambda a: a.reshape(3, 2) ** 2, drawn(*A)),
    "permute": lambda: (lambda a: a.permute(2, 0, 1) ** 2, drawn(2, 3, 1)),
    "expand": lambda: (lambda a: a.expand(2, 4, 3) ** 2, drawn(4, 1)),
    "index": lambda: (lambda a: a[1:, ::2] * a[0, 0], drawn(*A)),
    "index-array": lambda: (lambda a: a[[0, 1, 0, 0]] ** 2, drawn(*A)),
    "index-mask": lambda: (lambda a: a[a > 0] ** 2, drawn(*A)),
    "cat": lambda: (lambda a, b: pyconv.cat([a, b, a]) ** 2, drawn(2, 2), drawn(1, 2, seed=1)),
    "stack": lambda: (lambda a, b: pyconv.stack([a, b], 1) ** 2, drawn(2), drawn(2, seed=1)),
    "matmul": lambda: (lambda a, b: a @ b, drawn(2, 3), drawn(3, 4, seed=1)),
    "matmul-vectors": lambda: (lambda a, b: a @ b, drawn(3), drawn(3, seed=1)),
    "matmul-stacks": lambda: (lambda a, b: a @ b, drawn(2, 1, 2, 3), drawn(2, 3, 2, seed=1)),
    "linear": lambda: (F.linear, drawn(2, 2, 3), drawn(4, 3, seed=1), drawn(4, seed=2)),
    "linear-vector": lambda: (F.linear, drawn(3), drawn(4, 3, seed=1)),
    "conv2d": lambda: (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), 1, (1, 2), 2),
        drawn(1, 4, 4, 5),
        drawn(2, 2, 3, 2, seed=1),
        drawn(2, seed=2),
    ),
    "conv2d-same-unbatched": lambda: (
        lambda x, w: F.conv2d(x, w, padding="same"),
        drawn(2, 3, 4),
        drawn(1, 2, 2, 3, seed=1),
    ),
    "conv1d": lambda: (
        lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2),
        drawn(2, 2, 6),
        drawn(3, 2, 2, seed=1),
        drawn(3, seed=2),
    ),
    "conv3d": lambda: (
        lambda x, w: F.conv3d(x, w, None, (1, 2, 1), 1, groups=2),
        drawn(1, 2, 2, 3, 2),
        drawn(2, 1, 2, 2, 3, seed=1),
    ),
    "conv_transpose1d": lambda: (
        lambda x, w: F.conv_transpose1d(x, w, None, 3, 1, 2),
        drawn(2, 4),
        drawn(2, 3, 2, seed=1),
    ),
    "conv_transpose2d": lambda: (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 1), 1, (1, 0), 2, (1, 2)),
        drawn(1, 4, 3, 2),
        drawn(4, 1, 2, 3, seed=1),
        drawn(2, seed=2),
    ),
    "conv_transpose2d-output-padding-over-stride": lambda: (
        lambda x, w: F.conv_transpose2d(x, w, None, 1, 1, 2, 1, 3),
        drawn(2, 2, 3),
        drawn(2, 1, 2, 2, seed=1),
    ),
    "conv_transpose3d": lambda: (
        lambda x, w, b: F.conv_transpose3d(x, w, b, 2, (1, 0, 0), (0, 1, 0)),
        drawn(1, 1, 2, 1, 2),
        drawn(1, 2, 2, 1, 2, seed=1),
        drawn(2, seed=2),
    ),
    "unfold": lambda: (lambda x: F.unfold(x, (2, 1), 2, (1, 0), (1, 2)) ** 2, drawn(2, 3, 3)),
    "fold": lambda: (lambda x: F.fold(x, (3, 2), 2, padding=(0, 1)) ** 2, drawn(1, 4, 6)),
    "pad": lambda: (lambda x: F.pad(x, (1, -1, 0, 2), value=2.0) ** 2, drawn(2, 3)),
    "pad-reflect": lambda: (lambda x: F.pad(x, (2, 1, -1, 1), "reflect") ** 2, drawn(1, 3, 3)),
    "pad-replicate": lambda: (lambda x: F.pad(x, (2, 0, 0, 3), "replicate") ** 2, drawn(1, 2, 2)),
    "pad-circular": lambda: (lambda x: F.pad(x, (2, 1, 1, 2), "circular") ** 2, drawn(1, 2, 2)),
    "max_pool2d": lambda: (lambda x: F.max_pool2d(x, 2, 1, 1) ** 2, drawn(1, 2, 3, 3)),
    "max_pool2d-unbatched": lambda: (lambda x: F.max_pool2d(x, 2) ** 2, drawn(2, 4, 2)),
    "max_pool1d": lambda: (lambda x: F.max_pool1d(x, 3, 1, 1) ** 2, drawn(2, 2, 5)),
    "max_pool3d": lambda: (lambda x: F.max_pool3d(x, 2, 1) ** 2, drawn(1, 2, 2, 3, 2)),
    "max_unpool2d": lambda: (
        lambda x: F.max_unpool2d(x, np.array([[[1, 0], [15, 6]]]), 2) ** 2,
        drawn(1, 2, 2),
    ),
    "avg_pool2d": lambda: (
        lambda x: F.avg_pool2d(x, 2, 1, 1, count_include_pad=False) ** 2,
        drawn(1, 2, 3, 3),
    ),
    "avg_pool3d": lambda: (lambda x: F.avg_pool3d(x, 2, 1) ** 2, drawn(1, 1, 2, 3, 2)),
    "adaptive_avg_pool2d": lambda: (
        lambda x: F.adaptive_avg_pool2d(x, (2, 1)) ** 2,
        drawn(2, 3, 3),
    ),
    "adaptive_max_pool2d": lambda: (
        lambda x: F.adaptive_max_pool2d(x, (2, 1)) ** 2,
        drawn(2, 3, 3),
    ),
    "lp_pool2d": lambda: (lambda x: F.lp_pool2d(x.abs(), 3, 2), drawn(1, 2, 4)),
    "interpolate": lambda: (lambda x: F.interpolate(x, scale_factor=1.5) ** 2, drawn(1, 2, 3)),
    "interpolate-bicubic": lambda: (
        lambda x: F.interpolate(x, (3, 4), mode="bicubic") ** 2,
        drawn(1, 1, 2, 3),
    ),
    "pixel_shuffle": lambda: (lambda x: F.pixel_shuffle(x, 2) ** 2, drawn(4, 2, 1)),
    "pixel_unshuffle": lambda: (lambda x: F.pixel_unshuffle(x, 2) ** 2, drawn(2, 2, 4)),
    "cross_entropy": lambda: (
        lambda x: F.cross_entropy(x, [0, 2, -100], [1.0, 2.0, 0.5], label_smoothing=0.2),
        drawn(3, 3),
    ),
    "cross_entropy-image": lambda: (
        lambda x: F.cross_entropy(x, np.array([[[0, 1]], [[2, 2]]]), reduction="none"),
        drawn(2, 3, 1, 2),
    ),
    "cross_entropy-unbatched": lambda: (lambda x: F.cross_entropy(x, 1), drawn(3)),
    "cross_entropy-probabilities": lambda: (
        lambda x, t: F.cross_entropy(x, t.abs(), [1.0, 2.0, 3.0], label_smoothing=0.1),
        drawn(2, 3),
        drawn(2, 3, seed=1),
    ),
}


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


def test_gradient_is_not_what_a_function_keeps():
    kept = pyconv.tensor(np.ones(3))

    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return kept

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


def test_create_graph_in_backward():
    x = pyconv.tensor(2.0, requires_grad=True)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = grad(x.grad, x)
    assert second.item() == 12


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
    y = x * 1
    view = y[:1]
    with pytest.raises(RuntimeError, match="view"):
        view += x[:1]
    with pytest.raises(NotImplementedError, match="where"):
        y[0] = 1
    with pyconv.no_grad():
        x += 1
        x[0] = 0
    assert x.is_leaf
    assert x.requires_grad


def test_requires_grad_of_computed_tensors():
    with pytest.raises(ValueError, match="detach"):
        (drawn(1) * 1).requires_grad = False
    with pytest.raises(ValueError, match="int64"):
        pyconv.arange(1).requires_grad = True
