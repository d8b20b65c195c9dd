"""Tensor: creation, sharing of memory, operators, indexing, text."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import Tensor


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1, 2.5], np.float32),
        ([[1, 2]], np.int64),
        (True, np.bool_),
        ([], np.float32),
        (np.float64(2), np.float64),
        (np.zeros(2), np.float64),
        ([np.float64(1)], np.float64),
        ([pyconv.tensor(1.0), 2], np.float32),
        ([[pyconv.tensor(1.0, dtype="float64")], [2]], np.float64),
        ([np.zeros(2, np.float32)], np.float32),
        (np.zeros(2, np.uint8), np.uint8),
    ],
)
def test_dtype_of_data(data, dtype):
    assert pyconv.tensor(data).dtype == dtype


@pytest.mark.parametrize("data", ["text", None, [object()], 1j, [b"x"], {"a": 1}])
def test_not_numbers(data):
    with pytest.raises(TypeError, match="data is a .*expected numbers"):
        pyconv.tensor(data)


def test_ragged_list_names_the_argument():
    with pytest.raises(ValueError, match="data holds lists of unequal lengths"):
        pyconv.tensor([[1], [1, 2]])
    loop = [pyconv.ones(1, requires_grad=True)]
    loop.append(loop)
    with pytest.raises(ValueError, match="data is a list that holds itself"):
        pyconv.tensor(loop)


def test_tensor_copies_and_from_numpy_shares():
    array = np.zeros(3, np.float32)
    copied, shared = pyconv.tensor(array), pyconv.from_numpy(array)
    array[0] = 1
    assert copied[0].item() == 0
    assert shared[0].item() == 1
    assert shared.numpy() is array
    with pytest.raises(TypeError, match="list"):
        pyconv.from_numpy([1.0])


def test_other_device():
    with pytest.raises(NotImplementedError, match="cuda"):
        pyconv.tensor(1.0, device="cuda")
    assert pyconv.tensor(1.0).device == "cpu"


def test_numpy_of_a_tensor_that_requires_grad():
    x = pyconv.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(x)
    assert np.shares_memory(x.detach().numpy(), x.detach().numpy())


def test_array_protocols():
    x = pyconv.arange(3)
    assert np.asarray(x) is x.numpy()
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.array(x) is not x.numpy()
    assert np.shares_memory(np.from_dlpack(x), x.numpy())
    assert (np.ones(3) + x).dtype == np.float64
    assert isinstance(np.ones(3) + x, Tensor)


def test_python_numbers():
    x = pyconv.tensor([2.5])
    assert float(x) == 2.5
    assert int(x) == 2
    assert bool(x)
    assert [0, 1, 2][pyconv.tensor(1)] == 1
    for kind, call in {"bool": bool, "float": float, "int": int, "item": Tensor.item}.items():
        with pytest.raises(ValueError, match=rf"{kind} of a tensor of shape \(2,\): one element"):
            call(pyconv.ones(2))


def test_length_and_iteration():
    x = pyconv.arange(6).reshape(3, 2)
    assert len(x) == 3
    assert [row.numpy().tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert reversed(x).tolist() == [[4, 5], [2, 3], [0, 1]]
    assert reversed(pyconv.tensor(1)).item() == 1
    assert x.numel() == 6
    assert x.size() == (3, 2)
    assert x.size(1) == 2
    with pytest.raises(TypeError, match="len"):
        len(pyconv.tensor(1))
    with pytest.raises(TypeError, match="iteration over a tensor without dimensions"):
        iter(pyconv.tensor(1))


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (np.float32, np.float32, np.float32),
        (np.float32, np.int64, np.float32),
        (np.int64, np.bool_, np.int64),
        (np.float32, np.float64, np.float64),
        (np.uint8, np.int64, np.int64),
    ],
)
def test_common_dtype(a, b, dtype):
    x, y = pyconv.ones(2, dtype=a), pyconv.ones(2, dtype=b)
    assert (x + y).dtype == (y * x).dtype == dtype


def test_numbers_do_not_change_the_dtype():
    assert (pyconv.ones(2) * 2).dtype == np.float32
    assert (2.5 * pyconv.tensor(1.0)).dtype == np.float32
    assert (pyconv.arange(2) + 1).dtype == np.int64
    assert (pyconv.arange(2) * 0.5).dtype == np.float32
    assert (pyconv.arange(2) / 2).dtype == np.float32
    assert (pyconv.ones(2) * pyconv.tensor(2.0, dtype="float64")).dtype == np.float32
    for x in (pyconv.tensor(1.0), pyconv.arange(2)):  # to PyTorch np.float64 is Python's float
        assert (x * np.float64(2)).dtype == (np.float64(2) - x).dtype == np.float32
        assert (x.to("float32") ** np.float64(2)).dtype == np.float32


def test_operators_equal_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1, 4)), rng.standard_normal((3, 1)) + 5
    x, y = pyconv.from_numpy(a), pyconv.from_numpy(b)
    pairs = [
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x / y, a / b),
        (y**x, b**a),
        (2 - x, 2 - a),
        (1 / y, 1 / b),
        (2**x, 2**a),
        (-x, -a),
        (abs(x), abs(a)),
        (x < y, a < b),
        (x <= y, a <= b),
        (x > y, a > b),
        (x >= y, a >= b),
        (x == a[0], a == a[0]),
        (x != a[0], a != a[0]),
        (pyconv.where(x > 0, x, y), np.where(a > 0, a, b)),
        (y.sqrt(), np.sqrt(b)),
        (x.sum(), a.sum()),
        (x.sum((0, -1)), a.sum((0, -1))),
        (x.sum(1, keepdim=True), a.sum(1, keepdims=True)),
        (x.argmax(2), a.argmax(2)),
        (x.argmax(), a.argmax()),
        (x.max(), a.max()),
        (x.max(0).values, a.max(0)),
        (x.max(2, keepdim=True).indices, a.argmax(2, keepdims=True)),
    ]
    for result, truth in pairs:
        np.testing.assert_array_equal(result.numpy(), truth)
    for result, truth in [(x.exp(), np.exp(a)), (y.log(), np.log(b)), (x.mean(2), a.mean(2))]:
        np.testing.assert_allclose(result.numpy(), truth, rtol=1e-14)
    assert (pyconv.tensor([True, False]).mean()).item() == 0.5


def test_operators_that_do_not_fit():
    with pytest.raises(ValueError, match="broadcast"):
        pyconv.ones(2) + pyconv.ones(3)
    with pytest.raises(ValueError, match="dim is 2"):
        pyconv.ones(2, 2).sum(2)
    with pytest.raises(ValueError, match="no maximum"):
        pyconv.ones(0).max()
    with pytest.raises(TypeError, match="expected numbers"):
        pyconv.ones(2) + "a"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((0, 2, 3), (3, 4)),
    ],
)
def test_matmul_of_stacks(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-4, 5, a).astype(float), rng.integers(-4, 5, b).astype(float)
    np.testing.assert_array_equal((pyconv.from_numpy(x) @ y).numpy(), x @ y)
    np.testing.assert_array_equal((x @ pyconv.from_numpy(y)).numpy(), x @ y)


def test_matmul_of_many_matrices_without_elements():
    many = pyconv.matmul(pyconv.ones(2**20, 1, 0, 1), pyconv.ones(1, 2**20, 1, 0))
    assert many.shape == (2**20, 2**20, 0, 0)
    sums = pyconv.matmul(pyconv.ones(2**10, 1, 2, 0), pyconv.ones(2**10, 0, 1))
    assert sums.shape == (2**10, 2**10, 2, 1)
    assert not sums.numpy().any()
    with pytest.raises(ValueError, match=r"matmul: input has shape \(1024, 1024, 0\) and other"):
        pyconv.matmul(pyconv.ones(2**10, 2**10, 0), pyconv.ones(0, 2**25))


@pytest.mark.parametrize("other", [(256,), (256, 2)])
def test_matmul_of_a_matrix_that_repeats(other):
    stack = pyconv.ones(1, 256, 256).expand(64, 256, 256)
    tracemalloc.start()
    try:
        product = stack @ pyconv.ones(*other)
        assert tracemalloc.get_traced_memory()[1] < 2**20  # 16 MiB if the matrix is copied
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(product.numpy(), np.full((64, 256, *other[1:]), 256))


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3), (2, 0, 3)])
def test_products_are_of_native_byte_order(shape):
    matrix = pyconv.tensor(np.ones((2, 3, 2)), dtype=">f4")
    assert (pyconv.ones(*shape, dtype=">f4") @ matrix).dtype.isnative


def test_shapes():
    x = pyconv.arange(24).reshape(2, 3, 4)
    assert x.view(-1, 6).shape == (4, 6)
    assert x.reshape((24,)).shape == x.flatten().shape == (24,)
    assert x.flatten(1).shape == (2, 12)
    assert x.flatten(0, 1).shape == (6, 4)
    assert pyconv.tensor(1).flatten().shape == (1,)
    assert x.transpose(0, 2).shape == (4, 3, 2)
    assert x.permute(2, 0, 1).shape == x.permute((-1, 0, 1)).shape == (4, 2, 3)
    assert x.unsqueeze(-1).shape == (2, 3, 4, 1)
    assert x.unsqueeze(0).squeeze().shape == x.unsqueeze(0).squeeze(0).shape == (2, 3, 4)
    assert x.squeeze(1).shape == (2, 3, 4)
    assert pyconv.ones(1, 3).expand(2, -1).shape == (2, 3)
    assert pyconv.cat([x, x], 1).shape == (2, 6, 4)
    assert pyconv.cat([pyconv.tensor([1]), pyconv.tensor([1.0])]).dtype == np.float32
    assert pyconv.stack([x, x], -1).shape == (2, 3, 4, 2)
    assert np.shares_memory(x.flatten(1).numpy(), x.numpy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.reshape(5), "reshape"),
        (lambda x: x.flatten(2), "flatten: start_dim is 2"),
        (lambda x: x.flatten(1, 0), "end_dim is 0"),
        (lambda x: x.transpose(0, 2), "transpose: dim1 is 2"),
        (lambda x: x.permute(0), "dims"),
        (lambda x: x.permute(0, 0), "dims"),
        (lambda x: x.permute(0, 3), "dims"),
        (lambda x: x.unsqueeze(3), "unsqueeze: dim is 3"),
        (lambda x: x.squeeze(2), "squeeze: dim is 2"),
        (lambda x: pyconv.cat([]), "tensors is empty"),
        (lambda x: pyconv.cat([x], 2), "cat: dim is 2"),
        (lambda x: pyconv.stack([]), "tensors is empty"),
        (lambda x: pyconv.stack([x, pyconv.ones(1)]), "dimensions"),
        (lambda x: F.softmax(x, 2), "softmax: dim is 2"),
    ],
)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(pyconv.ones(2, 3))


def test_indexing_equals_numpy():
    a = np.arange(24).reshape(2, 3, 4)
    x = pyconv.from_numpy(a)
    index = np.array([1, 0, 1])
    keys = [1, -1, (0, 2), slice(None, None, -1), (..., 1), None, ([0, 1], 1), a > 5, index]
    for key in keys:
        np.testing.assert_array_equal(x[key].numpy(), a[key])
    np.testing.assert_array_equal(x[pyconv.from_numpy(index)].numpy(), a[index])
    np.testing.assert_array_equal(x[x > 5].numpy(), a[a > 5])
    assert np.shares_memory(x[1].numpy(), a)
    with pytest.raises(IndexError):
        x[2]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients_of_indexing_add_up_in_order(dtype):
    rng = np.random.default_rng(0)
    rows, columns, mask = (
        np.array([[2, -1, 2], [0, -3, -4]]),
        np.array([1, -4, 1]),
        np.eye(4, 5) > 0,
    )
    keys = [
        rows, (rows, columns), (slice(None), columns), (rows[:, :2], slice(1, 3), 2, ...),
        (columns, slice(None), columns), (..., columns), (None, rows, None), (mask, columns[:1]),
        (0, mask[0, :5]), (rows, ..., 0), (True, rows), rows[:0], (slice(0), columns),
        (-1, columns),
    ]  # fmt: skip
    a = rng.standard_normal((4, 5, 4, 4)).astype(dtype)
    for key in keys:
        x = pyconv.tensor(a, requires_grad=True)
        g, expected = rng.standard_normal(a[key].shape).astype(dtype), np.zeros_like(a)
        x[key].backward(g)
        np.add.at(expected, key, g)
        np.testing.assert_array_equal(x.grad.numpy(), expected)
    x = pyconv.zeros(0, 3, requires_grad=True)
    x[:, [0, 0]].sum().backward()
    assert x.grad.shape == (0, 3)


def test_ragged_index():
    with pytest.raises(IndexError, match="one shape"):
        pyconv.ones(3)[[0, [1]]]


def test_assignment():
    x = pyconv.zeros(2, 3)
    x[0] = 1
    x[x == 0] = pyconv.tensor(2.0)
    assert x.numpy().tolist() == [[1, 1, 1], [2, 2, 2]]


def test_arithmetic_in_place_keeps_the_memory():
    x = pyconv.arange(3.0)
    alias, array = x, x.numpy()
    x += 1
    x *= pyconv.tensor(2.0)
    x -= [1.0, 1.0, 1.0]
    x /= 2
    assert alias is x
    assert array.tolist() == [0.5, 1.5, 2.5]
    with pytest.raises(ValueError, match="cannot hold"):
        x += pyconv.ones(2, 3)
    integers = pyconv.arange(2)
    with pytest.raises(TypeError, match="int64 cannot hold float32"):
        integers += 0.5
    x **= 2
    assert alias is x
    assert array.tolist() == [0.25, 2.25, 6.25]


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (pyconv.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (pyconv.tensor(3), "tensor(3)"),
        (pyconv.tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
        (pyconv.zeros(0, 3), "tensor([], shape=(0, 3))"),
        (pyconv.zeros(1, dtype="float64"), "tensor([0.], dtype=float64)"),
        (pyconv.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (pyconv.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=Mul)"),
    ],
)
def test_repr(tensor, text):
    assert repr(tensor) == text


def test_copies_and_pickles():
    x = pyconv.ones(2, requires_grad=True)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad
        assert twin.numpy is not x.numpy
        assert not np.shares_memory(twin.detach().numpy(), x.detach().numpy())
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)


def test_to_dtype():
    x = pyconv.arange(2)
    assert x.to("float64").dtype == np.float64
    assert x.to(np.int64) is x
    assert x.to("cpu") is x.to(x.device) is x
    with pytest.raises(TypeError, match="to: dtype is"):
        x.to(object)


def test_softmax_of_integers():
    for op in (F.softmax, F.log_softmax):
        with pytest.raises(TypeError, match="int64"):
            op(pyconv.arange(3), 0)


def test_functions_take_what_numpy_takes():
    assert F.add([1.0, 2.0], 1).dtype == np.float32
    assert F.sub(1, [1, 2]).numpy().tolist() == [0, -1]
    assert F.mul(2, 3).item() == 6
    assert F.gt(1, [0, 2]).numpy().tolist() == [True, False]
