"""Shapes, indices and equations that nobody would write down, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pyconv
import pyconv.functional as F
from pyconv import Tensor, _core
from pyconv.functional.indexing import IndexBackward
from pyconv.functional.rnn import Config, recurrent_steps

settings.register_profile("repeatable", derandomize=True, max_examples=60, deadline=None)
settings.load_profile("repeatable")

SIDES = st.integers(0, 5)
SHAPES = st.lists(SIDES, max_size=4).map(tuple)


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Small integers, so that sums are exact in any order; channels last every other time."""
    array = np.random.default_rng(len(shape)).integers(-4, 5, shape).astype(np.float32)
    return np.asfortranarray(array) if sum(shape) % 2 else array


def check(got: Any, truth: Any) -> None:
    assert isinstance(got, Tensor)
    assert got.shape == np.shape(truth)
    np.testing.assert_array_equal(got.detach().numpy(), truth)


def check_gradient(function: Any, *arrays: np.ndarray, degree: int = 1) -> None:
    """Euler: the gradient of a homogeneous function, times x, is its degree times the function."""
    tensors = [pyconv.tensor(array, requires_grad=True) for array in arrays]
    output = function(*tensors)
    weight = numbers(output.shape)
    output.backward(weight)
    for tensor in tensors:
        assert tensor.grad.shape == tensor.shape
    got = sum(float((t.grad.numpy() * t.detach().numpy()).sum()) for t in tensors)
    assert got == degree * float((output.detach().numpy() * weight).sum())


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=5))
def test_broadcasting(shapes: Any) -> None:
    a, b = (numbers(shape) for shape in shapes.input_shapes)
    x, y = pyconv.from_numpy(a), pyconv.from_numpy(b)
    for got, truth in (
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x / (y * y + 1), a / (b * b + b.dtype.type(1))),
        (x < y, a < b),
        (x == y, a == b),
        (pyconv.where(x > 0, x, y), np.where(a > 0, a, b)),
    ):
        check(got, truth)
    check_gradient(lambda x, y: x * y, a, b, degree=2)


@given(SHAPES, SHAPES)
def test_what_does_not_broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    try:
        np.broadcast_shapes(first, second)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast"):
            pyconv.zeros(first) + pyconv.zeros(second)


@given(st.data(), hnp.array_shapes(max_dims=4, max_side=5))
def test_indexing(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    whole = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4))
    mask = hnp.arrays(bool, shape)
    key = data.draw(basic | whole | mask)
    check(pyconv.from_numpy(a)[key], a[key])
    check_gradient(lambda x: x[key], a)


@given(st.data(), SHAPES)
def test_reshaping(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    x = pyconv.from_numpy(a)
    order = data.draw(st.permutations(range(len(shape))))
    check(x.permute(order), a.transpose(order))
    check(x.permute(order).reshape(-1) if a.size else x.flatten(), a.transpose(order).ravel())
    check(x.squeeze(), a.squeeze())
    check(x.flatten(), a.ravel())
    if shape:
        first, second = data.draw(st.tuples(*[st.integers(-len(shape), len(shape) - 1)] * 2))
        check(x.transpose(first, second), a.swapaxes(first, second))
        low, high = sorted((first % len(shape), second % len(shape)))
        joined = (*shape[:low], int(np.prod(shape[low : high + 1])), *shape[high + 1 :])
        check(x.flatten(low, high), a.reshape(joined))
        check(x.flatten(low, high).reshape(shape), a)
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check(x.unsqueeze(place), np.expand_dims(a, place))
    check(x.expand(3, *shape), np.broadcast_to(a, (3, *shape)))
    check_gradient(lambda x: x.permute(order).expand(3, *(-1 for _ in shape)), a)


@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=5, max_side=5, min_side=0))
def test_reductions(data: Any, shape: tuple[int, ...]) -> None:
    a = numbers(shape)
    x = pyconv.from_numpy(a)
    dims = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    keep = data.draw(st.booleans())
    check(x.sum(dims, keep), a.sum(dims, keepdims=keep))
    check_gradient(lambda x: x.sum(dims, keep), a)
    count = np.prod([shape[i] for i in dims])
    if count:
        np.testing.assert_allclose(x.mean(dims).numpy(), a.mean(dims), rtol=1e-6)
        np.testing.assert_allclose(
            x.var(dims, unbiased=False).numpy(), a.var(dims), rtol=1e-5, atol=1e-6
        )
    dim = data.draw(st.integers(-len(shape), len(shape) - 1)) if shape else 0
    if not shape or shape[dim]:
        check(x.max(dim, keep).values, a.max(dim, keepdims=keep))
        check(x.min(dim, keep).values, a.min(dim, keepdims=keep))
        check(x.min(dim, keep).indices, a.argmin(dim, keepdims=keep))
        check(x.argmax(dim, keep), a.argmax(dim, keepdims=keep))
        check_gradient(lambda x: x.min(dim).values, a)


@given(st.data(), hnp.array_shapes(max_dims=4, max_side=5, min_side=0), st.integers(1, 4))
def test_joining_and_cutting(data: Any, shape: tuple[int, ...], count: int) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    sizes = data.draw(st.lists(SIDES, min_size=count, max_size=count))
    arrays = []
    for size in sizes:
        part = list(shape)
        part[dim] = size
        arrays.append(numbers(tuple(part)))
    joined = pyconv.cat(arrays, dim)
    check(joined, np.concatenate(arrays, dim))
    for got, part in zip(joined.split(sizes, dim), arrays):
        check(got, part)
    check(pyconv.stack([arrays[0]] * count, dim), np.stack([arrays[0]] * count, dim))
    parts = joined.chunk(count, dim)
    assert len(parts) <= count or not sum(sizes)
    check(pyconv.cat(parts, dim), joined.numpy())
    check_gradient(lambda *tensors: pyconv.cat(tensors, dim), *arrays)


TERMS = st.text("abcd", max_size=4)


@given(st.data(), st.lists(TERMS, min_size=1, max_size=3))
def test_einsum(data: Any, terms: list[str]) -> None:
    letters = sorted(set("".join(terms)))
    result = "".join(data.draw(st.permutations(letters)))[: data.draw(st.integers(0, 4))]
    sizes = {c: data.draw(st.integers(1, 4)) for c in letters}
    arrays = [numbers(tuple(sizes[c] for c in term)) for term in terms]
    equation = ",".join(terms) + data.draw(st.sampled_from(["", f"->{result}"]))
    check(pyconv.einsum(equation, *arrays), np.einsum(equation, *arrays))
    check_gradient(lambda *tensors: pyconv.einsum(equation, *tensors), *arrays, degree=len(arrays))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
        ("i...,i->...", [(3, 4, 5), (3,)]),
        ("b...i,bi", [(3, 4, 5), (3, 5)]),
        ("...,...", [(1, 4), (3, 4)]),
        (" i j , j -> i ", [(3, 4), (4,)]),
    ],
)
def test_einsum_of_more_dimensions(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [numbers(shape) for shape in shapes]
    check(pyconv.einsum(equation, *arrays), np.einsum(equation, *arrays))
    listed = [pyconv.from_numpy(array) for array in arrays]
    check(pyconv.einsum(equation, listed), np.einsum(equation, *arrays))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: pyconv.einsum("ij,jk", x), "for 2 operands; got 1"),
        (lambda x: pyconv.einsum("ijk", x), "shape"),
        (lambda x: pyconv.einsum("i", x), "shape"),
        (lambda x: pyconv.einsum("ij->k", x), "names no result"),
        (lambda x: pyconv.einsum("ij->ii", x), "names no result"),
        (lambda x: pyconv.einsum("i1", x), "names no result"),
        (lambda x: pyconv.einsum("ii", x), "'i' is 2 and 3"),
        (lambda x: pyconv.einsum("ij,jk", x, x), "'j' is 3 in one operand and 2"),
        (lambda x: pyconv.einsum(None, x), "equation is None"),
        (lambda x: pyconv.einsum("ij,ij", x, x.to("float64")), "dtype"),
        (lambda x: pyconv.einsum(""), "for 1 operands; got 0"),
        (lambda x: pyconv.einsum("ij,jk", *[x.to(int)] * 2), r"operands have shapes \(2, 3\), \(2"),
        (lambda x: pyconv.einsum("ijk", x.to(int)), r"operands\[0\] has shape \(2, 3\)"),
        (lambda x: x[0].T, r"T: the tensor has shape \(3,\)"),
        (lambda x: x.reshape(6, shape=6), r"reshape: shape is 6, and \(6,\) are given too"),
        (lambda x: pyconv.cat([x, x[0]]), r"tensors\[1\] has shape \(3,\)"),
        (lambda x: pyconv.cat([x, pyconv.ones(2, 4)]), r"tensors\[1\] has shape \(2, 4\)"),
        (lambda x: pyconv.cat(3), "tensors is 3"),
        (lambda x: pyconv.cat([x, None]), r"tensors\[1\]"),
        (lambda x: pyconv.stack([x, pyconv.ones(2, 4)]), r"tensors\[1\] has shape \(2, 4\)"),
        (lambda x: pyconv.stack([x], 3), "dim is 3"),
        (lambda x: x.split(0), "split_size is 0"),
        (lambda x: x.split(-1), "split_size is -1"),
        (lambda x: x.split(1.5), "split_size is 1.5"),
        (lambda x: x.split([1, 2]), "split_size is"),
        (lambda x: x.split([3, -1]), "split_size is"),
        (lambda x: x.split(1, 2), "dim is 2"),
        (lambda x: x.chunk(0), "chunks is 0"),
        (lambda x: x.var(2), "dim is 2"),
        (lambda x: pyconv.arange(3).var(), "int64"),
        (lambda x: pyconv.ones(0).min(), "no minimum"),
        (lambda x: pyconv.ones(0, 2).max(0), "no maximum"),
        (lambda x: pyconv.ones(0, 2).argmax(0), "no maximum"),
        (lambda x: pyconv.linspace(0, 1, -1), "steps is"),
        (lambda x: pyconv.eye(-1), "eye: n is -1"),
        (lambda x: pyconv.from_dlpack([1.0]), "x is a list"),
    ],
)
def test_what_does_not_fit(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call(pyconv.ones(2, 3))


def test_methods_are_functions() -> None:
    x = pyconv.randn(3, 4)
    for name, arguments in {
        "tanh": (),
        "sigmoid": (),
        "softmax": (1,),
        "log_softmax": (0,),
        "clamp": (-1, 0.5),
        "var": (1,),
        "min": (),
        "abs": (),
    }.items():
        expected = getattr(F, name)(x, *arguments).numpy()
        np.testing.assert_array_equal(getattr(x, name)(*arguments).numpy(), expected)
    assert x.var(correction=12).item() == np.inf
    assert x.dim() == 2
    np.testing.assert_array_equal(x.T.numpy(), x.numpy().T)
    assert x.tolist() == x.numpy().tolist()
    assert x.reshape(shape=(12,)).shape == x.view(shape=12).shape == (12,)
    assert x.permute(dims=(1, 0)).shape == (4, 3)
    assert x.expand(size=(2, -1, -1)).shape == (2, 3, 4)
    assert len(F.split(x, split_size_or_sections=2)) == len(x.split(split_size=2)) == 2
    assert x.requires_grad_() is x
    assert x.requires_grad
    copy = x.clone()
    assert not np.shares_memory(copy.detach().numpy(), x.detach().numpy())
    check_gradient(lambda x: x.clone(), x.detach().numpy())
    assert np.isnan(pyconv.ones(1).var().item())


def test_gradients_of_parts_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """None makes an array of the size of the whole, to add it to those of the others."""
    monkeypatch.setattr(IndexBackward, "forward", None)
    x = pyconv.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    first, second, *_ = x.split([1, 2, 0, 1])
    left, right = x.chunk(2, 1)
    (first.sum() * 2 + (second * second).sum() + left.sum() + right.sum() * 3).backward()
    expected = np.array([2, 2, 2, 0])[:, None] * [1, 1, 1] + [1, 1, 3]
    expected[1:3] += 2 * np.arange(3, 9).reshape(2, 3) - 2
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    inputs = pyconv.randn(3, 1, 2, requires_grad=True)
    state, weight = pyconv.zeros(1, 1, 2), pyconv.ones(2, 2)
    weights = [weight, weight, None, None]
    output, *_ = recurrent_steps(inputs, [state], weights, Config("RNN_TANH"))
    output.sum().backward()
    assert inputs.grad.numpy().all()


def test_joining_keeps_the_layout_and_the_blocks() -> None:
    a = np.moveaxis(np.random.rand(2, 5, 6, 3), -1, 1)
    joined = pyconv.cat([a, np.random.rand(2, 4, 5, 6)], 1)
    assert joined._array.strides[1] == joined._array.itemsize
    before = _core.memory_stats()["allocated_bytes"]
    held = pyconv.cat([joined, joined])
    assert _core.memory_stats()["allocated_bytes"] > before
    assert held.shape == (4, 7, 5, 6)


def test_dlpack_shares_memory() -> None:
    array = np.ones(3, np.float32)
    tensor = pyconv.from_dlpack(array)
    array[0] = 2
    assert tensor[0].item() == 2
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.ones(3)
    ours = pyconv.from_dlpack(theirs)
    theirs[1] = 5
    assert ours[1].item() == 5
    assert torch.from_dlpack(pyconv.arange(3.0)).tolist() == [0, 1, 2]
