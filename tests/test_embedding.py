"""Embedding beyond the cases: bad input, second derivatives, the layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn, reference
from pyconv.autograd import gradgradcheck

TABLE = np.ones((5, 3), np.float32)


@pytest.mark.parametrize(
    ("wrong", "name", "shown"),
    [
        *[({"input": [0, n]}, "input", str(n)) for n in (5, -1, 2**40, -(2**63))],
        ({"input": np.array([2**64 - 1], np.uint64)}, "input", str(2**63 - 1)),
        ({"input": [0.0]}, "input", "float32"),
        ({"input": [True]}, "input", "bool"),
        ({"input": None}, "input", "None"),
        ({"weight": np.ones(5, np.float32)}, "weight", "(5,)"),
        ({"weight": np.ones((5, 3), int)}, "weight", "int64"),
        ({"weight": None}, "weight", "None"),
        *[({"padding_idx": n}, "padding_idx", str(n)) for n in (5, -6, 2**63, 1.5, "a", True)],
    ],
)
def test_bad_input(wrong: dict[str, Any], name: str, shown: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        F.embedding(**({"input": [0, 1], "weight": TABLE} | wrong))
    assert name in str(caught.value)
    assert shown in str(caught.value)


@pytest.mark.parametrize("padding_idx", [2, -1])
def test_padding_gets_no_gradient(padding_idx: int) -> None:
    """On purpose the gradient is not that of finite differences."""
    weight = pyconv.tensor(np.ones((3, 4)), requires_grad=True)
    indices, grad = np.array([[2, 0], [1, 2]]), np.random.default_rng(0).random((2, 2, 4))
    F.embedding(indices, weight, padding_idx).backward(grad)
    truth = reference.embedding_backward(grad, indices, weight.detach().numpy(), padding_idx)
    np.testing.assert_array_equal(weight.grad, truth)
    assert not weight.grad.numpy()[2].any()


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_second_derivative(padding_idx: Any) -> None:
    weight = pyconv.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    indices = [[0, 1], [1, 2]]
    assert gradgradcheck(lambda w: F.embedding(indices, w * w, padding_idx), [weight])


def test_indices_that_change_before_backward_are_checked_again() -> None:
    indices = pyconv.tensor([0, 2, 1])
    output = F.embedding(indices, pyconv.ones(3, 4, requires_grad=True))
    indices.numpy()[:] = 10**9
    with pytest.raises((IndexError, ValueError), match="input holds 1000000000"):
        output.sum().backward()


def test_layer() -> None:
    layer = nn.Embedding(4, 3, padding_idx=-1)
    assert repr(layer) == "Embedding(4, 3, padding_idx=3)"
    assert not layer.weight.detach().numpy()[3].any()
    layer([[0, 3]]).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy()[:, 0], [1, 0, 0, 0])


def test_an_embedding_starts_again() -> None:
    layer = nn.Embedding(3, 50, padding_idx=1)
    before = layer.weight.detach().numpy().copy()
    nn.init.ones_(layer.weight)
    layer.reset_parameters()
    assert not layer.weight[1].detach().numpy().any()
    assert np.unique(np.concatenate([before, layer.weight.detach().numpy()])).size == 201


def test_layer_of_a_given_table() -> None:
    layer = nn.Embedding.from_pretrained(TABLE, padding_idx=-1)
    assert np.shares_memory(layer.weight.numpy(), TABLE)
    assert layer.padding_idx == len(TABLE) - 1
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(TABLE, freeze=False).weight.requires_grad
    with pyconv.shapes_only():
        nn.Embedding(3, 2, padding_idx=0)
