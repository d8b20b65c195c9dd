"""Changes in place: what they are recorded as, and what they put out of date."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from derivatives import drawn

import pyconv
import pyconv.functional as F


@pytest.mark.parametrize("of_view", [False, True])
def test_what_shares_memory_with_a_recorded_change_is_out_of_date(of_view):
    x = drawn(3)
    base = x * 1
    view = base.reshape(3, 1)[:2]
    changed, other = (view, base) if of_view else (base, view)
    changed *= 2
    with pytest.raises(RuntimeError, match="shares its memory"):
        other.sum()
    changed.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 0] if of_view else [2, 2, 2])


@pytest.mark.parametrize(
    "view_of",
    [
        lambda t: t.reshape(2, 1),
        lambda t: t.permute(0),
        lambda t: t[None, :2],
        lambda t: t.split(1)[0],
        lambda t: t.detach(),
    ],
)
def test_changes_through_a_view_are_seen(view_of):
    x = drawn(2)
    y = x * 2
    z = y * y
    with pyconv.no_grad():
        view = view_of(y)
        view *= 2
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()


def test_products_in_place_keep_what_they_were_made_of():
    x, w = drawn(2), drawn(2)
    y = x * 1
    y *= w
    y /= x
    y **= 2
    y.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * w.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.linear(x, np.ones((3, 2))),
        lambda x: x @ np.ones((2, 3)),
        lambda x: -x,
    ],
)
def test_what_no_gradient_needs_is_not_saved(function):
    x = drawn(4, 2)
    y = x * 1
    z = function(y)
    y += 1
    z.sum().backward()
    assert x.grad.shape == (4, 2)


def test_a_reshaped_result_can_be_changed_in_place():
    layer = pyconv.nn.Linear(4, 5)
    y = layer(pyconv.ones(2, 3, 4))
    y += 1.0
    y.sum().backward()
    np.testing.assert_array_equal(layer.bias.grad.numpy(), np.full(5, 6))


@pytest.mark.parametrize("make", [pyconv.tensor, list, lambda key: pyconv.tensor(key).numpy()])
def test_an_index_may_change_after_its_use(make):
    x = drawn(3)
    index = make([0, 1])
    y = x[index]
    index[0] = 2
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 0])


@pytest.mark.parametrize("key", [slice, lambda n: (..., slice(None, n))])
def test_a_bound_may_change_after_its_use(key):
    x, n = drawn(3), pyconv.tensor(1)
    y = x[key(n)]
    n += 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0, 0])


@pytest.mark.parametrize("make", [pyconv.nn.Parameter, copy.copy])
def test_a_twin_shares_the_version_of_its_tensor(make):
    a = pyconv.tensor([1.0, 2.0])
    p = make(a)
    x = pyconv.tensor([3.0, 4.0], requires_grad=True)
    y = a * x
    with pyconv.no_grad():
        p += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_single_element_is_a_view():
    x = pyconv.tensor([[1.0, 2.0], [3.0, 4.0]])
    element, other = x[1, 0], x[0][1]
    x += 1
    assert (element.item(), other.item()) == (4, 3)


def test_masks_in_place():
    x = pyconv.tensor([True, True, False])
    alias = x
    x &= pyconv.tensor([True, False, False])
    x |= pyconv.tensor([False, False, True])
    x ^= True
    assert alias is x
    assert x.tolist() == [False, True, False]
    with pytest.raises(TypeError, match="bool cannot hold int64"):
        x |= 1


@pytest.mark.parametrize(
    ("place", "key", "shape"),
    [
        ((2,), 0, (1,)),
        ((2,), 0, (1, 1)),
        ((2, 3), 0, (1, 1, 3)),
        ((3,), [0, 2], (1, 2)),
        ((2, 3), 1, (1,)),
    ],
)
def test_values_with_leading_ones(place, key, shape):
    x, value = pyconv.zeros(place), pyconv.ones(shape)
    x[key] = value
    assert x.sum().item() == np.ones(place)[key].size


@pytest.mark.parametrize("value", [300, -1, np.nan, 1e30, [1, 256]])
def test_numbers_that_a_place_cannot_hold(value):
    x = pyconv.ones(2, dtype="uint8")
    with pytest.raises(ValueError, match="value holds a number that is not possible in uint8"):
        x[:] = value
    with pytest.raises(ValueError, match=r"value is 1e\+300, not possible in float32"):
        pyconv.ones(2)[0] = 1e300
    assert x.tolist() == [1, 1]


@pytest.mark.filterwarnings("error")
def test_tensors_are_cast_to_a_place():
    x = pyconv.ones(2)
    x[0] = pyconv.tensor(1e300, dtype="float64")
    assert x.tolist() == [np.inf, 1]
    pyconv.arange(2)[0] = pyconv.tensor(np.nan)


def test_leaves_are_not_written_while_recording():
    x = drawn(2)
    for change in (
        x.zero_,
        lambda: x.fill_(1),
        lambda: x.copy_([1.0, 2.0]),
        lambda: x.__setitem__(0, 1),
    ):
        with pytest.raises(RuntimeError, match=r"a leaf .* changed in place; use pyconv.no_grad"):
            change()


@pytest.mark.parametrize(
    "view_of",
    [
        lambda x: x[0],
        lambda x: x.reshape(4)[1:].reshape(3),
        lambda x: x.T.split(1)[0],
        lambda x: x.expand(1, 2, 2),
    ],
)
def test_views_of_leaves_are_not_written_while_recording(view_of):
    x = drawn(2, 2)
    before = x.tolist()
    view = view_of(x)
    for change in (lambda: view.__iadd__(1), view.zero_):
        with pytest.raises(RuntimeError, match=r"a leaf .* or a view of it, was changed in place"):
            change()
    assert x.tolist() == before
    with pyconv.no_grad():
        view += 1
    (x * x).sum().backward()
    assert x.grad.tolist() == (2 * x).tolist()
    y = x * 1
    y[0].__iadd__(x[0])  # of what was computed, a view may be changed


def test_retain_grad_follows_a_change():
    x = drawn(2)
    y = x * 2
    y.retain_grad()
    y *= 3
    y.sum().backward()
    assert y.grad.tolist() == [1, 1]
    assert x.grad.tolist() == [6, 6]


def test_filled_tensors_go_on_in_the_graph():
    x, other = drawn(2), drawn(2, seed=1)
    y, z = x * 2, x * 2
    y.zero_()
    z.copy_(other)
    (y + z * z).sum().backward()
    assert x.grad.tolist() == [0, 0]
    np.testing.assert_array_equal(other.grad.numpy(), 2 * other.detach().numpy())


def test_fill_and_copy():
    x = pyconv.zeros(2, 2, dtype="int8")
    assert x.fill_(3) is x
    assert x.copy_(pyconv.tensor([1.5, -2.5])).tolist() == [[1, -2], [1, -2]]
    assert x.fill_(pyconv.tensor(4)).zero_().tolist() == [[0, 0], [0, 0]]
    for call, message in {
        lambda: x.fill_(300): "fill_: value holds a number that is not possible in int8",
        lambda: x.fill_([1, 2]): r"fill_: value has shape \(2,\), expected a number",
        lambda: x.copy_([1, 2, 3]): r"copy_: src has shape \(3,\), .* broadcasts to \(2, 2\)",
        lambda: x.copy_([1, 300]): "copy_: src holds a number",
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_steps_by_hand():
    """As courses write them."""
    x = pyconv.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.data -= 0.25 * x.grad
    x.data[:] -= 0.25 * x.grad
    assert x.grad.zero_().tolist() == [0, 0]
    assert x.data.fill_(5).tolist() == x.tolist() == [5, 5]
    state = x * 2
    assert state.detach_() is state
    assert state.is_leaf
    assert not state.requires_grad
    assert x.is_leaf


def test_second_derivatives_need_what_was_cut_off():
    x = pyconv.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = (y * y * y).sum()
    y.detach_()
    with pytest.raises(RuntimeError, match=r"Mul saved .* cut off by detach_\(\)"):
        pyconv.autograd.grad(z, x, create_graph=True)
    assert pyconv.autograd.grad(z, x)[0].tolist() == [24, 96]
    w = pyconv.tensor([1.0, 2.0], requires_grad=True)
    y = x * w
    z = (y * w).sum()
    y.detach_()
    with pytest.raises(RuntimeError, match="Mul saved"):
        pyconv.autograd.grad(z, w, create_graph=True)


@pytest.mark.parametrize("create_graph", [False, True])
def test_steps_through_time_are_cut_in_place(create_graph):
    x, state, before = pyconv.tensor(3.0, requires_grad=True), pyconv.tensor(1.0), 1.0
    for _ in range(3):
        state = state * x
        (gradient,) = pyconv.autograd.grad(state * state, x, create_graph=create_graph)
        assert gradient.item() == 2 * before**2 * 3
        before = state.detach_().item()


def test_data_of_others_is_not_spoiled():
    x, a, b = drawn(2), drawn(2, seed=1).detach(), pyconv.zeros(2, dtype="float64")
    y = (a * x).sum()
    b.data = a
    y.backward()
    assert x.grad.tolist() == a.tolist()


def test_data_is_held():
    x, saved = drawn(2), drawn(2, seed=1)
    y, before = x * saved, saved.data
    saved.data = before * 2
    assert saved.tolist() == (before * 2).tolist()  # what was held before is as it was
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    saved.data = before
    before += 1
    assert saved.tolist() == before.tolist()
    for wrong in (np.ones(3), np.ones(2, np.float32)):
        with pytest.raises(ValueError, match=r"data has shape .*expected those of the tensor, \(2"):
            saved.data = wrong


@pytest.mark.parametrize("view", [lambda x: x.squeeze(), lambda x: x.transpose(0, 0)])
def test_what_drops_nothing_is_a_view(view):
    for x in (pyconv.ones(2), pyconv.tensor(1.0)):
        y = view(x)
        y += 1
        y.requires_grad_()
        assert x.tolist() == y.tolist()
        assert not x.requires_grad


def test_values_of_a_wrong_shape():
    x = pyconv.ones(2, 3)
    for key, shape in ((0, "(3,)"), ((0, 0), "()"), (x > 0, "(6,)")):
        with pytest.raises(
            ValueError, match=re.escape(f"shape (2,), expected one that broadcasts to {shape}")
        ):
            x[key] = pyconv.ones(2)


def test_read_only_memory():
    x = pyconv.ones(1).expand(3)
    with pytest.raises(ValueError, match="in place: the tensor is read-only"):
        x += 1
    with pytest.raises(ValueError, match=r"x\[key\] = value: the tensor is read-only"):
        x[0] = 1
    copy = x.clone()
    copy += 1
    assert copy.tolist() == [2, 2, 2]
    same = copy.expand(1, 3)  # repeats nothing
    same[0, 0] = 5
    assert copy.tolist() == [5, 2, 2]


def test_nothing_is_written_where_there_are_only_shapes():
    with pyconv.shapes_only():
        weight = pyconv.nn.Linear(2, 3).weight
        assert weight.data.zero_().fill_(1).copy_(pyconv.tensor(2)).shape == (3, 2)
        with pytest.raises(ValueError, match="copy_: src has shape"):
            weight.data.copy_([1, 2, 3])
        assert pyconv.tensor([1.0]).fill_(2).item() == 2


@pytest.mark.parametrize(
    "make",
    [lambda x: x.max(0).values, lambda x: x.min(-1).values, lambda x: pyconv.einsum("->", x)],
)
def test_results_that_are_no_views(make):
    x = pyconv.tensor(2)
    y = make(x)
    y += 1
    assert x.item() == 2
    matrix = pyconv.tensor([[1, 2], [3, 4]])
    turned = pyconv.einsum("ij->ji", matrix)
    turned += 1
    assert matrix.tolist() == [[1, 2], [3, 4]]


def test_a_detached_tensor_may_become_a_leaf():
    x = drawn(2)
    y = x * 1
    leaf = y.detach()
    y += x
    leaf.requires_grad = True
    (leaf * 2).sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), 2)
