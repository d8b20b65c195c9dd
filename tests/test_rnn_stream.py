"""A step of a stream: the short way gives what the long way gives, and takes only what is plain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import DTYPES
from test_nn_rnn import CELLS, ERRORS, LAYERS, flat

import pyconv
from pyconv import nn
from pyconv.testing import assert_close

MODULES = {**LAYERS, **CELLS, "relu": lambda *sizes: nn.RNN(*sizes, nonlinearity="relu")}


def shape_of(name: str, batched: bool) -> tuple[int, ...]:
    """Return the shape of a step, but for the features."""
    dims = (1,) if name in CELLS else (1, 1)
    return dims if batched else dims[1:]


def draw(name: str, batched: bool, dtype: Any, sizes: tuple[int, int]) -> tuple[Any, Any]:
    """Return an input and a state, which is a pair for the LSTM."""
    rng = np.random.default_rng(0)
    x, h, c = (
        pyconv.tensor(rng.standard_normal((*shape_of(name, batched), n)), dtype=dtype)
        for n in (sizes[0], sizes[1], sizes[1])
    )
    return x, (h, c) if "LSTM" in name else h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_both_ways_give_the_same_bits(
    name: str, batched: bool, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sizes in ((3, 5), (40, 70)):
        for options in ({}, {"bias": False}) if name != "relu" else ({},):
            module = MODULES[name](*sizes, **options).to(dtype)
            x, hx = draw(name, batched, dtype, sizes)
            for state in (None, hx):
                expected = flat(module(x, state))
                with monkeypatch.context() as patch, pyconv.no_grad():
                    for part in ("rnn_base", "rnn_cell"):
                        patch.delattr(f"pyconv.nn.{part}.recurrent")  # the long way
                    results = flat(module(x, state))
                for result, truth in zip(results, expected, strict=True):
                    assert result.dtype == dtype
                    assert result.shape == truth.shape
                    np.testing.assert_array_equal(result.numpy(), truth.detach().numpy())
                assert not np.shares_memory(results[0].numpy(), results[-1].numpy()) or (
                    len(results) == 1
                )


@pytest.mark.parametrize("name", MODULES)
def test_what_is_not_plain_goes_the_long_way(name: str) -> None:
    module = MODULES[name](3, 5)
    x, hx = draw(name, True, np.float32, (3, 5))
    expected = flat(module(x, hx))
    strided = pyconv.from_numpy(np.repeat(x.numpy(), 2, axis=-1)[..., ::2])
    with pyconv.no_grad():
        for other in (strided, x.numpy(), x.numpy().tolist()):
            for result, truth in zip(flat(module(other, hx)), expected, strict=True):
                np.testing.assert_array_equal(result.numpy(), truth.detach().numpy())
        deep = LAYERS[name](3, 5, num_layers=2, bidirectional=True) if name in LAYERS else module
        assert flat(deep(x))[0].shape[-1] == (10 if name in LAYERS else 5)


@pytest.mark.parametrize("name", MODULES)
def test_mistakes_are_explained(name: str) -> None:
    module = MODULES[name](3, 5)
    x, _ = draw(name, True, np.float32, (3, 5))
    good = pyconv.zeros(*shape_of(name, True), 5)
    wrong = [pyconv.zeros(*shape_of(name, True), 4), good.unsqueeze(0), good.to("float64"), "state"]
    with pyconv.no_grad():
        for state in wrong:
            for hx in [(state, good), (good, state)] if "LSTM" in name else [state]:
                with pytest.raises(ERRORS):
                    module(x, hx)
        for bad in (x[..., :2], x.unsqueeze(0), x.to("int64"), x.reshape(3)[:0], None):
            with pytest.raises(ERRORS):
                module(bad)
        if "LSTM" in name:
            for hx in (good, (good,), (good, None), (None, good), (None, None)):
                with pytest.raises(ERRORS):
                    module(x, hx)


def test_a_replaced_weight_counts_at_once() -> None:
    cell, x = nn.GRUCell(3, 5), pyconv.ones(1, 3)
    with pyconv.no_grad():
        before = cell(x).numpy()
        cell.weight_ih = nn.Parameter(-cell.weight_ih)
        assert (cell(x).numpy() != before).any()


@pytest.mark.parametrize("grad_mode", [pyconv.enable_grad, pyconv.no_grad])
@pytest.mark.parametrize("name", MODULES)
def test_weights_may_be_plain_tensors(name: str, grad_mode: Any) -> None:
    """As those that another network computes, or that dropout has passed."""
    module = MODULES[name](3, 5)
    x, hx = draw(name, True, np.float32, (3, 5))
    parameters = dict(module.named_parameters())
    with grad_mode():
        expected = flat(module(x, hx))
        for key, parameter in parameters.items():
            delattr(module, key)
            setattr(module, key, parameter * 2.0 - parameter)
            for result, truth in zip(flat(module(x, hx)), expected, strict=True):
                assert_close(result.detach().numpy(), truth.detach().numpy(), 9)
    if grad_mode is pyconv.enable_grad:
        flat(module(x, hx))[0].sum().backward()
        assert all(parameter.grad is not None for parameter in parameters.values())


@pytest.mark.parametrize("grad_mode", [pyconv.enable_grad, pyconv.no_grad])
@pytest.mark.parametrize("missing", [None, 3.0])
@pytest.mark.parametrize("name", MODULES)
def test_a_missing_bias_is_an_error(name: str, missing: Any, grad_mode: Any) -> None:
    module = MODULES[name](3, 5)
    for key in [key for key, _ in module.named_parameters() if "bias" in key]:
        delattr(module, key)
        setattr(module, key, missing)
    shown = "None" if missing is None else "a float"
    with grad_mode(), pytest.raises(TypeError, match=rf"bias_ih\w* is {shown}, expected a Tensor"):
        module(draw(name, True, np.float32, (3, 5))[0])
