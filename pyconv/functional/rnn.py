"""Recurrent layers: one layer in one direction, under `nn.RNN`, `nn.GRU` and `nn.LSTM`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..autograd.engine import grad as gradients
from ..autograd.function import Function
from ..autograd.grad_mode import is_grad_enabled
from ..autograd.grad_mode import state as graph
from ..tensor import Array, Tensor
from .activation import relu
from .arithmetic import where
from .comparison import lt
from .elementwise import sigmoid, tanh
from .joining import chunk, split, stack
from .linear import linear

CELLS = {"RNN_TANH": 0, "RNN_RELU": 1, "LSTM": 2, "GRU": 3}
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def state_sizes(mode: str, weight_hh: Tensor) -> list[int]:
    """Return the features of h and, of the LSTM, of c."""
    rows, width = weight_hh.shape
    return [width, rows // GATES[mode]] if mode == "LSTM" else [width]


class Config(NamedTuple):
    """What a layer does, besides its arrays."""

    mode: str  # a key of CELLS
    lengths: Tensor | None = None  # int64, one per sequence; None: all steps
    reverse: bool = False
    reset_after: bool = True  # GRU


class Recurrent(Function):
    """All steps in one kernel: output, h_n and, for the LSTM, c_n."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        hx: Tensor | None,
        cx: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
        weight_hr: Tensor | None,
        config: Config,
    ) -> tuple[Tensor, ...]:
        output, h_n, c_n, *kept = _core.rnn_forward(
            CELLS[config.mode],
            input._array,
            _array(hx),
            _array(cx),
            weight_ih._array,
            weight_hh._array,
            _array(bias_ih),
            _array(bias_hh),
            _array(weight_hr),
            _array(config.lengths),
            config.reverse,
            any(ctx.needs_input_grad),
        )
        results = Tensor(output), Tensor(h_n)
        if any(ctx.needs_input_grad):
            arguments = input, hx, cx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr
            tensors = (None if array is None else Tensor(array) for array in kept)
            ctx.save_for_backward(*arguments, results[0], *tensors)
            ctx.config = config
            ctx.set_materialize_grads(False)
        return results if c_n is None else (*results, Tensor(c_n))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        *arguments, output, gates, extra, whole = ctx.saved_tensors
        if is_grad_enabled():
            return (*_by_steps(ctx, arguments, grads), None)
        x, hx, cx, weight_ih, weight_hh, bias_ih, _, weight_hr = arguments
        grad_output, grad_h_n, grad_c_n = (*grads, None)[:3]
        need = ctx.needs_input_grad
        found = _core.rnn_backward(
            CELLS[ctx.config.mode],
            x._array,
            _array(hx),
            _array(cx),
            weight_ih._array,
            weight_hh._array,
            _array(weight_hr),
            _array(ctx.config.lengths),
            ctx.config.reverse,
            output._array,
            gates._array,
            _array(extra),
            _array(whole),
            _array(grad_output),
            _array(grad_h_n),
            _array(grad_c_n),
            need[0],
            need[1] or need[2],
            need[3] or need[4] or need[7],
            bias_ih is not None and (need[5] or need[6]),
        )
        return (*(None if g is None else Tensor(g) for g in found), None)


def _array(tensor: Tensor | None) -> Array | None:
    return None if tensor is None else tensor._array


def _by_steps(ctx: Any, arguments: Any, grads: Any) -> list[Tensor | None]:
    """Gradients that can be differentiated again: those of the steps one by one."""
    # Each has a place of its own in the graph, so that what goes through one of them is not counted
    # as another's too: they may be the same tensor, or one may come from another.
    arguments = [a if a is None else a.view(a.shape) for a in arguments]
    x, hx, cx, *weights, weight_hr = arguments
    if hx is None:
        sizes = state_sizes(ctx.config.mode, weights[1])
        states = [Tensor(np.zeros((1, x.shape[-2], size), x.dtype)) for size in sizes]
    else:
        states = [hx, cx] if ctx.config.mode == "LSTM" else [hx]
    if x.ndim == 2:
        x, grads = x.unsqueeze(0), [g if g is None else g.unsqueeze(0) for g in grads]
        states = [s if s.ndim == 3 else s.unsqueeze(0) for s in states]
    output, new, _ = recurrent_steps(x, states, weights, ctx.config, weight_hr)
    given = [(o, g) for o, g in zip((output, *new), grads) if g is not None]
    wanted = [a for a, need in zip(arguments, ctx.needs_input_grad) if need]
    found = iter(
        gradients([o for o, _ in given], wanted, [g for _, g in given], create_graph=True,
                  allow_unused=True)
    )  # fmt: skip
    return [next(found) if need else None for need in ctx.needs_input_grad[:-1]]


def recurrent(
    x: Tensor,
    states: list[Tensor] | None,
    weights: list[Any],
    config: Config,
    weight_hr: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Run one layer in one direction.

    Parameters
    ----------
    x : Tensor of shape (T, B, input), or (B, input) for one step
    states : [h], or [h, c] for the LSTM, each of shape (1, B, hidden), or (B, hidden) for one step;
        None for zeros
    weights : weight_ih, weight_hh, bias_ih, bias_hh; the biases may be None
    config : Config
    weight_hr : Tensor of shape (proj_size, hidden), optional
        The projection of the LSTM's output; h then has proj_size features.

    Returns
    -------
    output, h_n, and for the LSTM c_n
    """
    h, c = (*(states or ()), None, None)[:2]
    return Recurrent.apply(x, h, c, *weights, weight_hr, config)  # type: ignore[return-value]


def stream_step(
    mode: str, layer: bool, x: Any, states: Any, weights: Sequence[Any], bias: bool
) -> list[Tensor] | None:
    """Take one step of one sequence, of a layer or a cell, where nothing is recorded.

    Input and states, ``(h,)`` or ``(h, c)`` or None, are as the user gave them; `bias` says whether
    there should be one. Returns output (of a layer), h and, for the LSTM, c. For whatever is not
    plain it returns None: that is left to the way that checks and explains.
    """
    if is_grad_enabled() or graph.observer is not None or not isinstance(x, Tensor):
        return None
    if (weights[2] is None) == bias:
        return None
    h = c = None
    if states is not None:
        if not isinstance(states, (tuple, list)) or len(states) != 1 + (mode == "LSTM"):
            return None
        h, c = states if mode == "LSTM" else (states[0], None)
        if h is None:
            return None
    arrays: list[Any] = [
        tensor._array if isinstance(tensor, Tensor) else tensor for tensor in (h, c, *weights)
    ]
    results = _core.rnn_stream_step(CELLS[mode], layer, x._array, *arrays)
    return None if results is None else [Tensor(result) for result in results]


# ---- step by step: for what the kernel does not do ---------------------------------------------

MOST_STEPS = 2**24  # more take a quarter of an hour


def recurrent_steps(
    x: Tensor,
    states: list[Tensor],
    weights: list[Any],
    config: Config,
    weight_hr: Tensor | None = None,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Run one layer in one direction by an operation per step and gate, all of them recorded.

    Returns
    -------
    output, the last states, and the gates: (T, B, gates, hidden)
    """
    if x.shape[0] > MOST_STEPS:
        raise ValueError(
            f"{config.mode}: input has {x.shape[0]} steps, expected at most {MOST_STEPS} where "
            "they run one by one"
        )
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    states = [state.squeeze(0) for state in states]
    cell = _STEPS[config.mode]
    if config.mode == "GRU" and not config.reset_after:
        cell = _gru_reset_before
    times = range(x.shape[0])
    if config.lengths is not None:
        active = lt(np.arange(len(times))[:, None, None], config.lengths.unsqueeze(1))  # (T, B, 1)
        # What lies behind a length may be NaN, and 0 * NaN would enter the gradients.
        x = where(active, x, 0.0)
    inputs = split(linear(x, weight_ih, bias_ih), 1)  # not x[t], whose gradient has all steps
    outputs, gates = [], []
    for t in reversed(times) if config.reverse else times:
        new, gate = cell(inputs[t].squeeze(0), states, weight_hh, bias_hh)
        if weight_hr is not None:
            new[0] = linear(new[0], weight_hr)
        output = new[0]
        if config.lengths is not None:
            now = active[t]
            output = where(now, output, 0.0)
            gate = where(now.unsqueeze(1), gate, 0.0)
            new = [where(now, n, s) for n, s in zip(new, states)]
        states = new
        outputs.append(output)
        gates.append(gate)
    order = slice(None, None, -1 if config.reverse else 1)
    last = [state.unsqueeze(0) for state in states]
    return stack(outputs[order]), last, stack(gates[order])


Step = Callable[[Tensor, list[Tensor], Tensor, Any], tuple[list[Tensor], Tensor]]


def _plain(activation: Callable[[Tensor], Tensor]) -> Step:
    def step(x: Tensor, states: list[Tensor], w: Tensor, b: Any) -> tuple[list[Tensor], Tensor]:
        h = activation(x + linear(states[0], w, b))
        return [h], h.unsqueeze(1)

    return step


def _lstm(x: Tensor, states: list[Tensor], w: Tensor, b: Any) -> tuple[list[Tensor], Tensor]:
    i, f, g, o = chunk(x + linear(states[0], w, b), 4, -1)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * states[1] + i * g
    return [o * tanh(c), c], stack([i, f, g, o], 1)


def _gru(x: Tensor, states: list[Tensor], w: Tensor, b: Any) -> tuple[list[Tensor], Tensor]:
    x_r, x_z, x_n = chunk(x, 3, -1)
    h_r, h_z, h_n = chunk(linear(states[0], w, b), 3, -1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = tanh(x_n + r * h_n)
    return [(1 - z) * n + z * states[0]], stack([r, z, n], 1)


def _gru_reset_before(
    x: Tensor, states: list[Tensor], w: Tensor, b: Any
) -> tuple[list[Tensor], Tensor]:
    h, size = states[0], states[0].shape[1]
    x_r, x_z, x_n = chunk(x, 3, -1)
    h_r, h_z = chunk(linear(h, w[: 2 * size], None if b is None else b[: 2 * size]), 2, -1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = tanh(x_n + linear(r * h, w[2 * size :], None if b is None else b[2 * size :]))
    return [(1 - z) * n + z * h], stack([r, z, n], 1)


_STEPS: dict[str, Step] = {
    "RNN_TANH": _plain(tanh),
    "RNN_RELU": _plain(relu),
    "LSTM": _lstm,
    "GRU": _gru,
}


def lengths_of(op: str, lengths: Any, x: Tensor) -> Tensor:
    """Check lengths and copy them: for each sequence of `x`, (T, B, input), from 1 to T."""
    steps, batch = x.shape[:2]
    expected = "expected integers, one per sequence"
    try:
        array = np.asarray(lengths._array if isinstance(lengths, Tensor) else lengths)
    except NotImplementedError:  # of `compile`
        raise
    except (RuntimeError, TypeError, ValueError):  # the first of Tensors that require grad
        raise TypeError(f"{op}: lengths is {lengths!r}, {expected}") from None
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{op}: lengths is {lengths!r} of {array.dtype}, {expected}")
    if array.shape != (batch,):
        raise ValueError(
            f"{op}: lengths has shape {array.shape}, expected ({batch},), one per sequence"
        )
    for i, n in enumerate(array.tolist()):
        if not 1 <= n <= steps:
            raise ValueError(
                f"{op}: lengths[{i}] is {n}, expected 1 to {steps}, the steps of input"
            )
    return Tensor(array.astype(np.int64))
