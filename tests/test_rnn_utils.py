"""What belongs to recurrent layers: `unroll`, `tbptt`, `pad_sequence`; and their networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_nn_rnn import ERRORS, LAYERS, X, flat, pair

import pyconv
from pyconv import nn
from pyconv.nn.utils.rnn import pad_sequence, tbptt, unroll
from pyconv.testing import assert_close

# ---- written out, and over windows of steps ----------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_unrolled_is_the_same_network(name: str, batch_first: bool) -> None:
    layer = LAYERS[name](3, 5, num_layers=2, batch_first=batch_first).to("float64")
    net, rng = unroll(layer, 6), np.random.default_rng(0)
    x = pyconv.tensor(rng.standard_normal((2, 6, 3) if batch_first else (6, 2, 3)))
    for hx in (None, pair(name, (2, 2, 5), rng)):
        gradients = []
        for module in (net, layer):
            layer.zero_grad()
            results = flat(module(x, hx))
            sum((result * result).sum() for result in results).backward()
            gradients.append([p.grad.numpy() for p in layer.parameters()])
            gradients[-1] += [result.detach().numpy() for result in results]
        for a, b in zip(*gradients, strict=True):
            assert_close(a, b, 12 * 8)
    assert {id(p) for p in net.parameters()} == {id(p) for p in layer.parameters()}


@pytest.mark.parametrize("k1", [3, 4, 10, 12])
@pytest.mark.parametrize("name", LAYERS)
def test_truncated_backpropagation(name: str, k1: int) -> None:
    """From the first state on it is backpropagation through time; cut, it starts at a state."""
    layer = LAYERS[name](3, 5).to("float64")
    x = pyconv.tensor(np.random.default_rng(0).standard_normal((10, 2, 3)))
    whole, _ = layer(x)
    for times in (1, 2, 4):
        for steps, output in tbptt(layer, x, k1, times * k1):
            layer.zero_grad()
            (output * output).sum().backward()
            found = [p.grad.numpy() for p in layer.parameters()]
            assert_close(output.detach().numpy(), whole[steps].detach().numpy(), 80)
            begin = max(0, steps.start - (times - 1) * k1)
            state = None
            if begin:
                with pyconv.no_grad():
                    _, state = layer(x[:begin])
            layer.zero_grad()
            expected = layer(x[begin : steps.stop], state)[0][steps.start - begin :]
            (expected * expected).sum().backward()
            for parameter, grad in zip(layer.parameters(), found, strict=True):
                assert_close(grad, parameter.grad.numpy(), 200)


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda: unroll(nn.GRU(3, 5, bidirectional=True), 2), "bidirectional"),
        (lambda: unroll(nn.LSTM(3, 5, proj_size=2), 2), "proj_size"),
        (lambda: unroll(nn.GRU(3, 5, reset_after=False), 2), "reset_after"),
        (lambda: unroll(nn.GRU(3, 5), 0), "T is 0"),
        (lambda: unroll(nn.Linear(3, 5), 2), "Linear"),
        (lambda: unroll(nn.GRU(3, 5), 2)(X), "(4, 2, 3)"),
        (lambda: next(tbptt(nn.GRU(3, 5, bidirectional=True), X, 2)), "bidirectional"),
        (lambda: next(tbptt(nn.GRU(3, 5), X, 0)), "k1 is 0"),
        (lambda: next(tbptt(nn.GRU(3, 5), X, 2, 3)), "k2 is 3"),
        (lambda: next(tbptt(nn.GRU(3, 5), X[0], 2)), "(2, 3)"),
        (lambda: next(tbptt(nn.GRU(3, 5), X[:0], 2)), "(0, 2, 3)"),
        (lambda: next(tbptt(nn.GRU(3, 5), X, 2, hx=X)), "hx has shape (4, 2, 3)"),
        (lambda: next(tbptt(nn.Linear(3, 5), X, 2)), "rnn is a Linear"),
        (lambda: next(tbptt(nn.GRU(3, 5), nn.Linear(3, 3)(X), 2)), "input was computed by"),
        (lambda: unroll(nn.RNN(3, 5), 2**31 - 1), "at most 100000"),
        (lambda: unroll(nn.RNN(3, 5, num_layers=4), 25_001), "at most 25000"),
    ],
)
def test_windows_that_cannot_be(call: Any, shown: str) -> None:
    with pytest.raises(ERRORS) as caught:
        call()
    assert shown in str(caught.value), caught.value


def test_unroll_draws_no_numbers() -> None:
    layer, found = nn.GRU(3, 5), []
    for steps in (None, 4):
        pyconv.manual_seed(0)
        if steps:
            unroll(layer, steps)
        found.append(pyconv.randn(3).numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("bias", [True, False])
def test_unrolled_weights_may_be_plain_tensors(bias: bool) -> None:
    layer = nn.LSTM(3, 5, bias=bias)
    weight = layer.weight_hh_l0
    del layer.weight_hh_l0
    layer.weight_hh_l0 = weight * 0.5
    result, expected = unroll(layer, 4)(X)[0], layer(X)[0]
    assert_close(result.detach().numpy(), expected.detach().numpy(), 36)
    result.sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("k2", [2, 4])
@pytest.mark.parametrize("name", LAYERS)
def test_no_gradient_reaches_the_initial_state_of_tbptt(name: str, k2: int) -> None:
    layer, start = LAYERS[name](3, 5).double(), pyconv.ones(1, 2, 5, dtype="float64")
    start.requires_grad = True
    hx = (start * 2, start * 3) if name == "LSTM" else start * 2
    for _, output in tbptt(layer, X.astype(np.float64), 2, k2, hx):
        output.sum().backward()
    assert start.grad is None


# ---- sequences of different lengths ------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("batch_first", [False, True])
def test_pad_sequence_agrees_with_pytorch(batch_first: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, 2)) for n in (3, 5, 0, 1)]
    ours = [pyconv.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    pads = (pad_sequence, torch.nn.utils.rnn.pad_sequence)
    results = [p(xs, batch_first, -1.5) for p, xs in zip(pads, (ours, theirs))]
    np.testing.assert_array_equal(*(r.detach().numpy() for r in results))
    for result in results:
        (result * result).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_a_recurrent_layer_takes_what_is_padded() -> None:
    layer, sequences = nn.GRU(3, 5, bidirectional=True), [pyconv.randn(n, 3) for n in (4, 2)]
    output, _ = layer(pad_sequence(sequences, padding_value=np.nan), lengths=[4, 2])
    for i, sequence in enumerate(sequences):
        expected = layer(sequence)[0].detach().numpy()
        assert_close(output[: len(sequence), i].detach().numpy(), expected, 36)


@pytest.mark.parametrize(
    ("sequences", "shown"),
    [
        ([], "sequences is []"),
        (X, "sequences is"),
        ([X, X[0]], r"sequences[1] has shape (2, 3)"),
        ([X[0], 3.0], r"sequences[1] has shape ()"),
        ([3.0], r"sequences[0] has shape ()"),
        ([X, "a"], "sequences[1] is a str"),
    ],
)
def test_sequences_that_cannot_be_padded(sequences: Any, shown: str) -> None:
    with pytest.raises(ERRORS) as caught:
        pad_sequence(sequences)
    assert shown in str(caught.value), caught.value
