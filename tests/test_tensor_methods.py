"""`Tensor.to`, methods that stand for it or for functions, and functions of `pyconv` itself."""

from __future__ import annotations

import numpy as np
import pytest

import pyconv
import pyconv.functional as F


@pytest.mark.parametrize(
    ("arguments", "names", "message"),
    [
        (("cuda",), {}, "to: device is 'cuda', the only one is 'cpu'"),
        (("cuda:0", "float64"), {}, "to: device is 'cuda:0'"),
        ((), {"device": "mps"}, "to: device is 'mps'"),
        (("cpu",), {"device": "cpu"}, "to: device is 'cpu' and 'cpu'"),
        (("float64",), {"dtype": "float32"}, "to: dtype is 'float64' and 'float32'"),
        (("float64", "float32"), {}, "to: dtype is 'float32' and 'float64'"),
        (("float64", "cpu", "cpu"), {}, "to: non_blocking is 'cpu'"),
        (("float64", True, "a"), {}, "to: copy is 'a'"),
        (("f8", True, True, 1), {}, r"to: \('f8', True, True, 1\) are given, expected a device"),
        ((True,), {}, "to: dtype is True"),
        (("foo",), {}, "to: dtype is 'foo'"),
        ((), {"non_blocking": "a"}, "to: non_blocking is 'a'"),
    ],
)
def test_places_that_are_none(arguments, names, message):
    for x in (pyconv.ones(2), pyconv.nn.Linear(2, 2)):
        with pytest.raises((TypeError, ValueError), match=message):
            x.to(*arguments, **names)


def test_ways_to_name_a_place():
    x, other = pyconv.ones(2), pyconv.ones(1, dtype="float64")
    ways = [("f8",), ("cpu", "f8"), (None, "f8", True), ("f8", False), (other,), ("f8", "cpu")]
    for arguments in [*ways, ("f8", True, True), ("cpu", "f8", False, True)]:
        assert x.to(*arguments).dtype == np.float64
        assert pyconv.nn.Linear(2, 2).to(*arguments).weight.dtype == np.float64
    for names in ({"dtype": "f8"}, {"dtype": "f8", "device": "cpu", "non_blocking": True}):
        assert x.to(**names).dtype == pyconv.nn.Linear(2, 2).to(**names).bias.dtype == "f8"
    assert pyconv.nn.Linear(2, 2).to(None, dtype="f8").weight.dtype == np.float64
    assert x.to() is x.to(device="cpu") is x
    assert x.to(None) is x.to("cpu", None) is x.to(None, dtype=None) is x
    assert x.to("cpu", copy=True) is not x
    assert x.to("float32", True, True) is not x
    with pytest.raises(TypeError, match="to: copy is 'a'"):
        x.to(copy="a")


def test_conversions():
    x = pyconv.tensor([0.0, 2.5], requires_grad=True)
    kinds = {"float": "f4", "double": "f8", "int": "i4", "long": "i8", "bool": "?"}
    for name, kind in kinds.items():
        assert getattr(x, name)().tolist() == np.array([0.0, 2.5]).astype(kind).tolist()
        assert getattr(x, name)().dtype == kind
    assert x.float() is x.cpu() is x.contiguous() is x
    for gaps in (pyconv.arange(6.0)[::2], pyconv.ones(2, 3).t()[0], pyconv.ones(1).expand(3)):
        whole = gaps.contiguous()
        assert whole._array.flags.c_contiguous
        assert not np.shares_memory(whole._array, gaps._array)
        assert whole.tolist() == gaps.tolist()
    x.double().sum().backward()
    assert x.grad.tolist() == [1, 1]
    assert x.new_zeros(2, 3).dtype == np.float32
    assert x.new_zeros((2,), dtype="int64", requires_grad=False).tolist() == [0, 0]
    assert x.nelement() == 2


def test_methods_of_shapes():
    x = pyconv.arange(6.0).reshape(2, 3)
    x.requires_grad = True
    turned = x.t()
    assert turned.tolist() == x.T.tolist()
    assert [pyconv.ones(*shape).t().shape for shape in ((), (2,))] == [(), (2,)]
    with pytest.raises(
        ValueError, match=r"t: the tensor has shape \(1, 2, 3\), expected at most 2"
    ):
        x[None].t()
    straight = turned.contiguous()
    assert straight._array.flags.c_contiguous
    assert straight.tolist() == turned.tolist()
    straight += 1  # a copy
    straight.view_as(x).sum().backward()
    assert x.grad.tolist() == [[1] * 3] * 2
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_methods_of_two_operands():
    x, y = pyconv.tensor([1.0, 4.0]), pyconv.tensor([2.0, 4.0])
    for name in ("add", "sub", "mul", "div", "pow", "matmul", "lt", "le", "gt", "ge", "eq", "ne"):
        assert getattr(x, name)(y).tolist() == getattr(F, name)(x, y).tolist()
    with pytest.raises(TypeError, match=r"^Tensor.add\(\) missing"):
        x.add()
    assert x.pow(exponent=2).tolist() == [1, 16]
    assert x.view_as([[1, 2]]).shape == (1, 2)


def test_masked_fill():
    x = pyconv.tensor([1.0, 2.0, 3.0], requires_grad=True)
    value = pyconv.tensor(5.0, requires_grad=True)
    filled = x.masked_fill([True, False, True], value)
    assert filled.tolist() == [5, 2, 5]
    filled.sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    assert value.grad.item() == 2
    assert x.masked_fill(x > 2, -np.inf).tolist() == [1, 2, -np.inf]
    whole = pyconv.tensor([1, 2]).masked_fill(pyconv.tensor([True, False]), 1.5)
    assert whole.dtype == np.int64
    assert whole.tolist() == [1, 2]
    with pytest.raises(TypeError, match="value is a str"):
        x.masked_fill([True, False, True], "a")
    with pytest.raises(TypeError, match="masked_fill: mask.dtype is float32, expected bools"):
        x.masked_fill(x.detach(), 1)
    with pytest.raises(ValueError, match="masked_fill: .* mask has shape"):
        x.masked_fill([True, False], 1)


def test_names_of_pyconv_itself():
    names = set(F.__all__) & set(pyconv.__all__)
    assert {"abs", "clamp", "exp", "flatten", "max", "relu", "sigmoid", "softmax", "sum"} <= names
    for name in names:
        assert getattr(pyconv, name) is getattr(F, name)
    for name in ("float32", "float64", "int32", "int64", "uint8"):
        assert pyconv.zeros(1, dtype=getattr(pyconv, name)).dtype == name
