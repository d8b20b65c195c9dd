"""Functions that make tensors from a size, drawn ones too."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv
import pyconv.functional as F


def test_creation_functions():
    assert pyconv.zeros(2, 3).shape == pyconv.zeros((2, 3)).shape == (2, 3)
    assert pyconv.ones(2, dtype=np.int64).numpy().tolist() == [1, 1]
    assert pyconv.full((2,), 7).dtype == np.int64
    assert pyconv.full((2,), 1.5).dtype == np.float32
    assert pyconv.empty(4, 5).shape == (4, 5)
    assert pyconv.arange(5).numpy().tolist() == [0, 1, 2, 3, 4]
    assert pyconv.arange(1, 2, 0.5).numpy().tolist() == [1, 1.5]
    assert pyconv.arange(1.0).dtype == np.float32
    assert pyconv.zeros_like(np.ones(2)).dtype == np.float64
    assert pyconv.ones_like(pyconv.zeros(2, 1)).shape == (2, 1)
    with pytest.raises(ValueError, match="size is"):
        pyconv.zeros(-1)
    with pytest.raises(ValueError, match="step"):
        pyconv.arange(0, 1, 0)
    with pytest.raises(ValueError, match="requires_grad"):
        pyconv.zeros(2, dtype=np.int64, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "arguments", "default"),
    [
        *[(make, ((2, 3),), "f4") for make in ("zeros", "ones", "empty", "rand", "randn")],
        *[(make, (np.ones(2, "f2"),), "f2") for make in ("zeros_like", "ones_like", "tensor")],
        ("full", ((2,), 7), "i8"),
        ("arange", (3,), "i8"),
        ("linspace", (0, 1, 3), "f4"),
        ("eye", (2,), "f4"),
        ("randint", (0, 3, (2,)), "i8"),
    ],
)
def test_dtype_and_device_of_what_is_made(make, arguments, default):
    make = getattr(pyconv, make)
    assert make(*arguments, dtype=None, device=None).dtype == make(*arguments).dtype == default
    assert make(*arguments, dtype="f8", device="cpu").dtype == np.float64
    with pytest.raises(NotImplementedError, match=f"{make.__name__}: device is 'cuda', only 'cpu'"):
        make(*arguments, device="cuda")
    if default == "f4" and isinstance(arguments[0], tuple):
        assert make(size=(2, 3)).shape == make(size=[2, 3]).shape == (2, 3)
        with pytest.raises(TypeError, match=r"size is \(2, 3\), and \(4,\) are given too"):
            make(4, size=(2, 3))


def test_random_functions_repeat_after_manual_seed():
    def draw():
        pyconv.manual_seed(3)
        return [
            pyconv.rand(2),
            pyconv.randn(2, 3),
            pyconv.randint(0, 9, (4,)),
            pyconv.randint(5, 2),
        ]

    for a, b in zip(draw(), draw()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert pyconv.rand(1000).max().item() < 1
    assert pyconv.rand(2, dtype="float64").dtype == np.float64
    drawn = pyconv.rand(2, generator=np.random.default_rng(0)).numpy()
    np.testing.assert_array_equal(drawn, np.random.default_rng(0).random(2, np.float32))
    with pytest.raises(ValueError, match="high is 3"):
        pyconv.randint(3, 3, (1,))
    with pytest.raises(ValueError, match="seed is -1"):
        pyconv.manual_seed(-1)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 2**40, "i4"), (0, 129, "i1"), (-5, 5, "u1"), (0, 3, "?"), (0, 70000, "f2")],
)
def test_random_integers_beyond_a_dtype(low, high, dtype):
    pyconv.manual_seed(0)
    kind = np.dtype(dtype)
    with pytest.raises(ValueError, match=f"low is {low} and high is {high}, beyond what {kind} ho"):
        pyconv.randint(low, high, (3,), dtype=dtype)
    drawn = pyconv.rand(1).item()
    pyconv.manual_seed(0)
    assert pyconv.rand(1).item() == drawn
    limit = np.iinfo(kind).max + 1 if kind.kind in "iu" else 2
    assert pyconv.randint(limit - 1, limit, (), dtype=dtype).item() == limit - 1


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "?"])
def test_bools_become_numbers_of_every_dtype(dtype):
    x = pyconv.zeros(2, dtype=dtype)
    x[0] = True
    results = [
        pyconv.tensor([True, False], dtype=dtype),
        pyconv.zeros(2, dtype=dtype).copy_([True, False]),
        pyconv.full((2,), True, dtype=dtype) * pyconv.tensor([1, 0], dtype=dtype),
        pyconv.zeros(2, dtype=dtype).fill_(True) * pyconv.tensor([1, 0], dtype=dtype),
        x,
    ]
    assert [result.tolist() for result in results] == [[1, 0]] * 5
    assert {result.dtype for result in results} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, -1), "start is 0, end is 5 and step is -1, expected a step that leads to the end"),
        ((5, 0), "start is 5, end is 0 and step is 1"),
        ((5.0, 4.5, 0.5), "start is 5.0, end is 4.5"),
        ((0, 5, 0.5, "i8"), "step is 0.5, expected one that is not 0 in int64"),
        ((0, 2.0**70, 1, "i8"), "arange: end is 1180591620717411303424, must be at most"),
    ],
)
def test_ranges_that_lead_nowhere(arguments, message):
    numbers, dtype = arguments[:3], arguments[3:] or (None,)
    with pytest.raises(ValueError, match=message):
        pyconv.arange(*numbers, dtype=dtype[0])
    for step in (1, -1, 0.5):
        assert pyconv.arange(5, 5, step).shape == (0,)


@pytest.mark.torch
def test_ranges_of_integers_cut_off_their_arguments():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for start, end, step in [
        (0, 10, 2.5),
        (0.5, 5.5, 1),
        (-2.5, 2.5, 1),
        (0, 0.5, 1),
        (9, 0.9, -2),
    ]:
        truth = torch.arange(start, end, step, dtype=torch.int64).tolist()
        assert pyconv.arange(start, end, step, dtype="int64").tolist() == truth
    for start, end, steps in [(0.9, 10.9, 4), (-0.9, 10.9, 5), (-5, 5, 4), (10, 0, 4), (0.9, 2, 1)]:
        truth = torch.linspace(start, end, steps, dtype=torch.int64).tolist()
        assert pyconv.linspace(start, end, steps, dtype="int64").tolist() == truth
    with pytest.raises(ValueError, match="linspace: start is 0 and end is 300, beyond what uint8"):
        pyconv.linspace(0, 300, 4, dtype="uint8")
    for infinite in (pyconv.arange, lambda *ends, dtype: pyconv.linspace(*ends, 2, dtype=dtype)):
        with pytest.raises(TypeError, match="end is inf, expected an integer"):
            infinite(0, np.inf, dtype="int64")


@pytest.mark.parametrize(("sizes", "message"), [((-1,), "eye: n is -1"), ((2, -1), "eye: m is -1")])
def test_eye_names_its_sizes(sizes, message):
    with pytest.raises(ValueError, match=message):
        pyconv.eye(*sizes)


def test_as_tensor():
    x, array = pyconv.ones(2, requires_grad=True), np.ones(2, np.float32)
    assert pyconv.as_tensor(x) is pyconv.as_tensor(x, "float32") is x
    assert pyconv.as_tensor(array).numpy() is array
    assert pyconv.as_tensor([1, 2], np.float64, "cpu").dtype == np.float64
    assert pyconv.as_tensor([True], "int64").tolist() == [1]
    pyconv.as_tensor(x, dtype="float64").sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(TypeError, match="as_tensor: dtype is 'data'"):
        pyconv.as_tensor(array, "data")


def test_lists_of_tensors_that_require_grad():
    x = pyconv.tensor([1.0, 2.0], requires_grad=True)
    for make in (pyconv.tensor, pyconv.as_tensor):
        made = make([[x.sum()], (x[0] * 5,)])
        assert made.tolist() == [[3], [5]]
        assert made.is_leaf
        assert not made.requires_grad
        with pytest.raises(TypeError, match="data is a list of object_"):
            make([x.sum(), None])
    for call, name in [(F.relu, "relu: input"), (lambda y: x + y, "other")]:
        with pytest.raises(TypeError, match=f"{name} holds Tensors that require grad: join.*stack"):
            call([x.sum(), x.sum()])


class Joins(pyconv.nn.Module):
    def forward(self, x):
        return pyconv.tensor([x.sum()])


def test_compile_says_that_elements_are_read():
    with pytest.raises(NotImplementedError, match="compile: the model calls"):
        pyconv.compile(Joins(), (2,))


class Broken:
    """An array of another library."""

    def __array__(self, *args, **kwargs):
        raise ZeroDivisionError("there is none")


class BrokenNumber:
    def __float__(self):
        raise ZeroDivisionError


def test_arrays_and_numbers_that_cannot_be_read():
    for call, name in [(pyconv.tensor, "data"), (F.relu, "relu: input")]:
        with pytest.raises(TypeError, match=f"{name} is a Broken that does not .*: there is none"):
            call(Broken())
    for numbers in ([BrokenNumber()], [BrokenNumber(), 1]):
        with pytest.raises(ValueError, match="data holds a number that is not possible in float32"):
            pyconv.tensor(numbers, dtype="float32")


@pytest.mark.torch
def test_tensors_of_pytorch_that_numpy_cannot_have():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for x in (torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16)):
        with pytest.raises(TypeError, match="data is a Tensor that does not become an array"):
            pyconv.tensor(x)
        with pytest.raises(TypeError, match="data is a list that does not become an array"):
            pyconv.tensor([x])


@pytest.mark.parametrize("dtype", ["(1,", {"names": ["a"], "formats": ["f4"], "offsets": [2**70]}])
def test_dtypes_that_numpy_cannot_read(dtype):
    with pytest.raises(TypeError, match="ones: dtype is .*, expected a dtype of NumPy's"):
        pyconv.ones(2, dtype=dtype)
