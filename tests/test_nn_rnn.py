"""The recurrent modules: as PyTorch's, layer by layer; bad input; what PyTorch lacks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import pyconv
from pyconv import nn, reference
from pyconv.testing import assert_close, force

LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
CELLS = {"RNNCell": nn.RNNCell, "GRUCell": nn.GRUCell, "LSTMCell": nn.LSTMCell}
ERRORS = (ValueError, TypeError)


def pair(name: str, size: tuple[int, ...], rng: Any) -> Any:
    """Draw a state: a tensor, or two of them for the LSTM."""
    states = [pyconv.tensor(rng.standard_normal(size)) for _ in range(1 + ("LSTM" in name))]
    return states[0] if len(states) == 1 else tuple(states)


def flat(results: Any) -> list[Any]:
    """List the tensors in what a layer returns."""
    if isinstance(results, (tuple, list)):
        return [tensor for part in results for tensor in flat(part)]
    return [results]


# ---- PyTorch as second opinion -----------------------------------------------------------------


def drawn(name: str, rng: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "input_size": int(rng.integers(1, 9)),
        "hidden_size": int(rng.integers(1, 40)),
        "num_layers": int(rng.integers(1, 4)),
        "bias": bool(rng.integers(4)),
        "batch_first": bool(rng.integers(2)),
        "bidirectional": bool(rng.integers(2)),
    }
    if name == "RNN":
        options["nonlinearity"] = str(rng.choice(["tanh", "relu"]))
    if name == "LSTM" and options["hidden_size"] > 2 and rng.integers(3) == 0:
        options["proj_size"] = int(rng.integers(1, options["hidden_size"]))
    return options


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", LAYERS)
def test_agrees_with_pytorch(name: str, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(seed)
    options = drawn(name, rng)
    other = getattr(torch.nn, name)(**options).double()
    layer = LAYERS[name](**options).to("float64")
    assert list(layer.state_dict()) == list(other.state_dict())
    layer.load_state_dict({key: value.numpy() for key, value in other.state_dict().items()})
    assert repr(layer) == repr(other)

    steps, batch = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    x = rng.standard_normal((steps, batch, options["input_size"]))
    if options["batch_first"]:
        x = x.swapaxes(0, 1)
    directions = options["num_layers"] * (1 + options["bidirectional"])
    sizes = [options.get("proj_size") or options["hidden_size"], options["hidden_size"]]
    states = [rng.standard_normal((directions, batch, s)) for s in sizes[: 1 + (name == "LSTM")]]
    lengths = rng.integers(1, steps + 1, batch) if seed % 2 else None

    ours = [pyconv.tensor(a, requires_grad=True) for a in (x, *states)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    mine, yours = (
        None if seed % 3 == 2 else tuple(all_[1:]) if name == "LSTM" else all_[1]
        for all_ in (ours, theirs)
    )
    results = flat(layer(ours[0], mine, lengths))
    expected = flat(in_pytorch(torch, other, theirs[0], yours, lengths))
    grads = [rng.standard_normal(tuple(r.shape)) for r in results]
    pyconv.autograd.backward(results, grads)
    torch.autograd.backward(expected, [torch.tensor(g) for g in grads])

    terms = (options["hidden_size"] + options["input_size"]) * steps * batch * directions
    for result, truth in zip(results, expected, strict=True):
        assert_close(result.detach().numpy(), truth.detach().numpy(), terms)
    used = slice(0, 1) if mine is None else slice(None)
    for result, truth in zip(ours[used], theirs[used], strict=True):
        assert_close(result.grad.numpy(), truth.grad.numpy(), terms)
    for (key, result), truth in zip(layer.named_parameters(), other.parameters(), strict=True):
        assert result.grad is not None, key
        assert_close(result.grad.numpy(), truth.grad.numpy(), terms)


def in_pytorch(torch: Any, other: Any, x: Any, hx: Any, lengths: Any) -> Any:
    if lengths is None:
        return other(x, hx)
    rnn, first = torch.nn.utils.rnn, other.batch_first
    packed = rnn.pack_padded_sequence(x, torch.tensor(lengths), first, enforce_sorted=False)
    output, last = other(packed, hx)
    steps = x.shape[1 if first else 0]
    return rnn.pad_packed_sequence(output, first, total_length=steps)[0], last


@pytest.mark.torch
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (5,), (0, 5)])
@pytest.mark.parametrize("name", CELLS)
def test_cells_agree_with_pytorch(name: str, shape: Any, bias: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    other, rng = getattr(torch.nn, name)(5, 7, bias=bias).double(), np.random.default_rng(0)
    cell = CELLS[name](5, 7, bias=bias).to("float64")
    assert repr(cell) == repr(other)
    cell.load_state_dict({key: value.numpy() for key, value in other.state_dict().items()})
    for hx in (None, pair(name, (*shape[:-1], 7), rng)):
        x = pyconv.tensor(rng.standard_normal(shape), requires_grad=True)
        theirs = torch.tensor(x.detach().numpy(), requires_grad=True)
        states = None if hx is None else [torch.tensor(h.numpy()) for h in flat(hx)]
        results = flat(cell(x, hx))
        expected = flat(other(theirs, states and (states[0] if len(states) == 1 else states)))
        sum(r.sum() for r in results).backward()
        sum(r.sum() for r in expected).backward()
        for result, truth in zip(results, expected, strict=True):
            assert_close(result.detach().numpy(), truth.detach().numpy(), 24, allow_empty=True)
        assert_close(x.grad.numpy(), theirs.grad.numpy(), 24 * 4, allow_empty=True)


# ---- what a layer is ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_initial_values(name: str) -> None:
    pyconv.manual_seed(0)
    module = (LAYERS | CELLS)[name](3, 100)
    for parameter in module.parameters():
        assert 0.08 < float(parameter.abs().max()) <= 0.1
        assert abs(float(parameter.mean())) < 0.02


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_one_sequence_without_batch(name: str, batch_first: bool) -> None:
    layer = LAYERS[name](3, 5, num_layers=2, batch_first=batch_first, bidirectional=True)
    rng = np.random.default_rng(0)
    x, hx = pyconv.randn(6, 3), pair(name, (4, 5), rng)
    hx = hx.to("float32") if name != "LSTM" else tuple(h.to("float32") for h in hx)
    batched = hx.unsqueeze(1) if name != "LSTM" else tuple(h.unsqueeze(1) for h in hx)
    axis = 0 if batch_first else 1
    results = flat(layer(x, hx, lengths=[4]))
    expected = flat(layer(x.unsqueeze(axis), batched, lengths=[4]))
    assert results[0].shape == (6, 10)
    assert results[1].shape == (4, 5)
    for i, (result, truth) in enumerate(zip(results, expected)):
        truth = truth.squeeze(1 if i else axis)
        np.testing.assert_array_equal(result.detach().numpy(), truth.detach().numpy())
    if name != "RNN":
        gates = layer(x, return_gates=True)[2]
        assert [gate.shape for gate in gates] == [(6, 3 + (name == "LSTM"), 5)] * 4


@pytest.mark.parametrize("name", LAYERS)
def test_no_sequences_and_lengths_of_every_kind(name: str) -> None:
    layer = LAYERS[name](3, 5)
    output, *_ = layer(pyconv.zeros(4, 0, 3))
    assert output.shape == (4, 0, 5)
    assert layer(pyconv.zeros(2**31 - 1, 0, 3))[0].shape == (2**31 - 1, 0, 5)
    x = pyconv.randn(4, 2, 3)
    expected = layer(x, lengths=[4, 2])[0].detach().numpy()
    for lengths in ((4, 2), np.array([4, 2], np.uint8), pyconv.tensor([4, 2])):
        np.testing.assert_array_equal(layer(x, lengths=lengths)[0].detach().numpy(), expected)


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_byte_order_does_not_matter(name: str) -> None:
    module = (LAYERS | CELLS)[name](3, 5)
    batch = (1,) if name in CELLS else (1, 1)
    x, hx = pyconv.randn(*batch, 3), pair(name, (*batch, 5), np.random.default_rng(0))
    states = [state.to("float32") for state in flat(hx)]
    swapped = [state.to(">f4") for state in states]
    for grad_mode in (pyconv.enable_grad, pyconv.no_grad):
        with grad_mode():
            expected, results = (
                flat(module(x, tuple(s) if "LSTM" in name else s[0])) for s in (states, swapped)
            )
        for result, truth in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result.detach().numpy(), truth.detach().numpy())


def test_all_weights() -> None:
    layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True, bias=False, proj_size=2)
    layer.flatten_parameters()
    assert [len(weights) for weights in layer.all_weights] == [3] * 4
    assert [w for weights in layer.all_weights for w in weights] == list(layer.parameters())


def test_dropout_is_between_layers_and_in_training() -> None:
    pyconv.manual_seed(0)
    x = pyconv.randn(5, 3, 4)
    layer, single = nn.GRU(4, 6, num_layers=2, dropout=0.5), nn.GRU(4, 6, dropout=0.5)
    assert not (layer(x)[0] == layer(x)[0]).detach().numpy().all()
    np.testing.assert_array_equal(single(x)[0].detach().numpy(), single(x)[0].detach().numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    layer.train()
    layer.dropout = 1.0
    blank, _ = layer(x)
    assert np.ptp(blank.detach().numpy()[0], axis=0).max() == 0


# ---- what PyTorch lacks ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("GRU", 3), ("LSTM", 4)])
def test_gates_are_those_of_the_output(name: str, count: int) -> None:
    layer = LAYERS[name](3, 5, num_layers=2, bidirectional=True)
    x = pyconv.randn(6, 2, 3)
    output, last, gates = layer(x, lengths=[6, 4], return_gates=True)
    plain, plain_last = layer(x, lengths=[6, 4])
    for a, b in zip(flat((output, last)), flat((plain, plain_last))):
        assert_close(a.detach().numpy(), b.detach().numpy(), 100)
    assert [g.shape for g in gates] == [(6, 2, count, 5)] * 4
    g = gates[2].detach().numpy()
    assert not g[4:, 1].any()
    if name == "GRU":  # h = (1 - z) n + z h, of the last layer, from the start
        h = np.zeros((2, 5), np.float32)
        for t in range(4):
            _, z, n = np.moveaxis(g[t], 1, 0)
            h = (1 - z) * n + z * h
            assert_close(output.detach().numpy()[t, :, :5], h, 20)
    gates[0].sum().backward()
    assert layer.weight_ih_l0.grad is not None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", pyconv._core.available_isas())
def test_an_update_gate_of_one_keeps_the_state(isa: str, dtype: str) -> None:
    """To the last bit, for any number of steps: in the kernel, and where gates are asked for."""
    layer, h = nn.GRU(3, 21).to(dtype), pyconv.randn(1, 2, 21, dtype=dtype)
    with pyconv.no_grad():
        layer.bias_ih_l0[21:42] = 1000.0
    for steps, options in ((1000, {}), (50, {"return_gates": True})):
        with force(isa=isa):
            _, h_n, *_ = layer(pyconv.randn(steps, 2, 3, dtype=dtype), h, **options)
        np.testing.assert_array_equal(h_n.detach().numpy(), h.numpy())


def test_reset_before_the_product() -> None:
    layer, x = nn.GRU(3, 5, reset_after=False).to("float64"), np.random.rand(6, 2, 3)
    weights = [p.detach().numpy() for p in layer.parameters()]
    output, h_n = layer(pyconv.tensor(x))
    truth = reference.gru(x, np.zeros((2, 5)), *weights, reset_after=False)
    assert_close(output.detach().numpy(), truth[0], 20)
    assert_close(h_n.detach().numpy()[0], truth[1], 20)
    assert repr(layer) == "GRU(3, 5, reset_after=False)"


# ---- bad input ---------------------------------------------------------------------------------

X = np.ones((4, 2, 3), np.float32)


class Packed(NamedTuple):
    """As PyTorch packs sequences."""

    data: Any
    batch_sizes: Any


BAD: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"input_size": 0}, {}, "input_size", "0"),
    ({"hidden_size": 0}, {}, "hidden_size", "0"),
    ({"hidden_size": -3}, {}, "hidden_size", "-3"),
    ({"hidden_size": 2.5}, {}, "hidden_size", "2.5"),
    ({"hidden_size": None}, {}, "hidden_size", "None"),
    ({"num_layers": 0}, {}, "num_layers", "0"),
    ({"num_layers": True}, {}, "num_layers", "True"),
    ({"num_layers": 2**31 - 1}, {}, "num_layers", "at most 10000"),
    ({"dropout": 1.5}, {}, "dropout", "1.5"),
    ({"dropout": float("nan")}, {}, "dropout", "nan"),
    ({"dropout": "a"}, {}, "dropout", "a"),
    ({}, {"input": X[..., :2]}, "input", "(4, 2, 2)"),
    ({}, {"input": X[0, 0]}, "input", "(3,)"),
    ({}, {"input": X[None]}, "input", "(1, 4, 2, 3)"),
    ({}, {"input": X[:0]}, "input", "(0, 2, 3)"),
    ({}, {"input": pyconv.zeros(2**59, 0, 3)}, "input", str(2**59)),
    ({}, {"input": (pyconv.zeros(4, 2, 3), None)}, "input", "tuple that holds Tensors"),
    ({}, {"input": Packed(X, [4, 3])}, "lengths", "Packed"),
    ({"batch_first": True}, {"input": X[:, :0]}, "input", "(4, 0, 3)"),
    ({}, {"input": None}, "input", "None"),
    ({}, {"input": X.astype(np.int64)}, "input", "int64"),
    ({}, {"input": X.astype(np.float64)}, "input", "float64"),
    ({}, {"lengths": [4, 0]}, "lengths[1]", "0"),
    ({}, {"lengths": [4, -1]}, "lengths[1]", "-1"),
    ({}, {"lengths": [5, 4]}, "lengths[0]", "5"),
    ({}, {"lengths": [2**62, 4]}, "lengths[0]", str(2**62)),
    ({}, {"lengths": [2**63, 4]}, "lengths", str(2**63)),
    ({}, {"lengths": [4]}, "lengths", "(1,)"),
    ({}, {"lengths": [[4, 4]]}, "lengths", "(1, 2)"),
    ({}, {"lengths": 4}, "lengths", "()"),
    ({}, {"lengths": [4, float("nan")]}, "lengths", "nan"),
    ({}, {"lengths": [4.0, 2.0]}, "lengths", "float64"),
    ({}, {"lengths": [4, None]}, "lengths", "None"),
    ({}, {"lengths": [[4], [1, 2]]}, "lengths", "[1, 2]"),
    ({}, {"lengths": [2**70, 1]}, "lengths", str(2**70)),
    ({}, {"lengths": "ab"}, "lengths", "ab"),
]
BAD_STATES: list[tuple[Any, str]] = [
    (np.ones((2, 2, 5), np.float32), "(2, 2, 5)"),
    (np.ones((1, 3, 5), np.float32), "(1, 3, 5)"),
    (np.ones((1, 2, 4), np.float32), "(1, 2, 4)"),
    (np.ones((1, 5), np.float32), "(1, 5)"),
    (np.ones((1, 2, 5), np.float64), "float64"),
    (np.ones((1, 2, 5), np.int64), "int64"),
    ("state", "str"),
]


@pytest.mark.parametrize(("made", "called", "argument", "shown"), BAD)
@pytest.mark.parametrize("name", LAYERS)
def test_message_names_argument_and_value(
    name: str, made: Any, called: Any, argument: str, shown: str
) -> None:
    with pytest.raises(ERRORS) as caught:
        LAYERS[name](**({"input_size": 3, "hidden_size": 5} | made))(**({"input": X} | called))
    assert argument in str(caught.value), caught.value
    assert shown in str(caught.value), caught.value


@pytest.mark.parametrize(("state", "shown"), BAD_STATES)
@pytest.mark.parametrize("name", LAYERS)
def test_wrong_initial_state(name: str, state: Any, shown: str) -> None:
    good = np.ones((1, 2, 5), np.float32)
    for hx in [state] if name != "LSTM" else [(state, good), (good, state)]:
        with pytest.raises(ERRORS) as caught:
            LAYERS[name](3, 5)(X, hx)
        assert "hx" in str(caught.value), caught.value
        assert shown in str(caught.value), caught.value


@pytest.mark.parametrize("module", [nn.LSTM(3, 5), nn.LSTMCell(3, 5)])
def test_an_lstm_needs_both_states(module: Any) -> None:
    with pytest.raises(TypeError, match="hx is a ndarray, expected a pair"):
        module(X if isinstance(module, nn.LSTM) else X[0], np.ones((1, 2, 5), np.float32))


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: nn.RNN(3, 5, nonlinearity="sigmoid"), "sigmoid"),
        (lambda: nn.RNN(3, 5, nonlinearity=["tanh"]), "tanh"),
        (lambda: nn.RNNCell(3, 5, nonlinearity=None), "None"),
        (lambda: nn.LSTM(3, 5, proj_size=5), "5"),
        (lambda: nn.LSTM(3, 5, proj_size=-1), "-1"),
        (lambda: nn.GRUCell(3, 0), "hidden_size"),
        (lambda: nn.GRU(3, 5)(X, (pyconv.zeros(1, 2, 5),)), "GRU: hx is a tuple that holds"),
        (lambda: nn.RNNCell(3, 5)(X[0], (pyconv.zeros(2, 5),)), "RNNCell: hx is a tuple that"),
        (lambda: nn.GRUCell(3, 5)(X), "(4, 2, 3)"),
        (lambda: nn.GRUCell(3, 5)(X[0], np.ones((2, 4), np.float32)), "(2, 4)"),
        (lambda: nn.GRUCell(3, 5)(X[0], np.ones((2, 5))), "float64"),
        (lambda: nn.LSTMCell(3, 5)(X[0, :, :2]), "(2, 2)"),
        (lambda: nn.GRU(3, 5, reset_after=False)(pyconv.zeros(2**24 + 1, 0, 3)), "one by one"),
        (lambda: nn.Sequential(nn.LSTM(3, 5), nn.Linear(5, 2))(X), "tuple that holds Tensors"),
    ],
)
def test_other_mistakes(make: Any, shown: str) -> None:
    with pytest.raises(ERRORS) as caught:
        make()
    assert shown in str(caught.value), caught.value


def test_a_gradient_of_wrong_shape() -> None:
    output, _ = nn.GRU(3, 5)(X)
    with pytest.raises(ERRORS):
        output.backward(np.ones((4, 2, 4), np.float32))
