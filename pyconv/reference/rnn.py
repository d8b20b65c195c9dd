"""Recurrent layers: `rnn`, `lstm` and `gru`, one layer in one direction.

Elman, *Finding structure in time*, Cognitive Science 14, 1990; Hochreiter and Schmidhuber, *Long
short-term memory*, Neural Computation 9, 1997, with the forget gate of Gers et al., 2000; Cho et
al., *Learning phrase representations using RNN encoder-decoder*, arXiv:1406.1078. The gradients are
those of backpropagation through time: Werbos, Proceedings of the IEEE 78, 1990.

A sequence is (T, B, input), its states are (B, hidden). `lengths` says how many steps of each
sequence count: what lies behind is padding, which changes no state and whose output is zero. With
`reverse` a sequence is read from its last element to its first. ``weight_ih`` holds the weights of
the gates one below the other, in PyTorch's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
States = tuple[Array, ...]  # h, or h and c

# ---- time ------------------------------------------------------------------------------------


def _times(input: Array, lengths: ArrayLike | None, reverse: bool) -> list[tuple[int, Any]]:
    """List the steps in the order in which they are taken, each with who takes part in it."""
    steps, batch = input.shape[:2]
    until = np.full(batch, steps) if lengths is None else np.asarray(lengths)
    times = [(t, (t < until)[:, None]) for t in range(steps)]
    return times[::-1] if reverse else times


def _forward(
    step: Callable[..., States], input: Array, states: States, lengths: Any, reverse: bool
) -> tuple[Array, States, list[States]]:
    """Take all steps; also return the states that each step began with."""
    output = np.zeros((len(input), *states[0].shape))
    began = []
    for t, active in _times(input, lengths, reverse):
        began.append(states)
        new = step(input[t], *states)
        states = tuple(np.where(active, n, s) for n, s in zip(new, states))
        output[t] = np.where(active, states[0], 0)
    return output, states, began


def _backward(
    step: Callable[..., States],
    step_backward: Callable[..., tuple[Any, ...]],
    grad_output: Array,
    grad_states: States,
    input: Array,
    states: States,
    lengths: Any,
    reverse: bool,
) -> tuple[Array, ...]:
    """Go back through all steps; return the gradients of input, states, and weights.

    ``step_backward(grads of the new states, x, old states)`` returns the gradients of x, of the old
    states and of the weights. Those of the weights add up over the steps.
    """
    _, _, began = _forward(step, input, states, lengths, reverse)
    grad_input = np.zeros_like(input)
    weights: Any = 0
    for (t, active), before in reversed(
        list(zip(_times(input, lengths, reverse), began, strict=True))
    ):
        through = (grad_states[0] + grad_output[t], *grad_states[1:])
        x = np.where(active, input[t], 0)  # padding may be anything, also NaN
        taken = tuple(np.where(active, g, 0) for g in through)
        grad_input[t], grads, terms = step_backward(taken, x, before)
        grad_states = tuple(np.where(active, g, s) for g, s in zip(grads, grad_states))
        weights = [w + term for w, term in zip(weights, terms)] if weights else list(terms)
    return (grad_input, *grad_states, *weights)


def _floats(*arrays: ArrayLike | None) -> Iterator[Any]:
    return (None if a is None else np.asarray(a, float) for a in arrays)


def _affine(x: Array, weight: Array, bias: Array | None) -> Array:
    product: Array = x @ weight.T
    return product if bias is None else product + bias


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


# ---- the plain recurrent network ---------------------------------------------------------------


def rnn(
    input: ArrayLike,
    hx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    nonlinearity: str = "tanh",
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Elman's network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    input : array of shape (T, B, input)
    hx : array of shape (B, hidden)
    weight_ih, weight_hh : arrays of shape (hidden, input) and (hidden, hidden)
    bias_ih, bias_hh : arrays of shape (hidden,), optional
    nonlinearity : "tanh" or "relu"
    lengths : array of B integers, optional
    reverse : bool

    Returns
    -------
    output, h_n : arrays of shape (T, B, hidden) and (B, hidden)

    Examples
    --------
    >>> output, h = rnn([[[1.0]], [[2.0]]], [[0.0]], [[1.0]], [[1.0]], nonlinearity="relu")
    >>> output.ravel()
    array([1., 3.])
    """
    x, h, *weights = _floats(input, hx, weight_ih, weight_hh, bias_ih, bias_hh)
    step = _rnn_step(weights, nonlinearity)
    output, (h_n,), _ = _forward(step, x, (h,), lengths, reverse)
    return output, h_n


def _rnn_step(weights: Any, nonlinearity: str) -> Callable[..., States]:
    w_ih, w_hh, b_ih, b_hh = weights
    known: dict[str, Callable[[Array], Array]] = {
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
    }
    apply = known[nonlinearity]

    def step(x: Array, h: Array) -> States:
        return (apply(_affine(x, w_ih, b_ih) + _affine(h, w_hh, b_hh)),)

    return step


def rnn_backward(
    grad_output: ArrayLike,
    grad_h_n: ArrayLike,
    input: ArrayLike,
    hx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    nonlinearity: str = "tanh",
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, ...]:
    """Gradients of `rnn`: of input, hx, weight_ih, weight_hh, bias_ih, bias_hh.

    ``d_pre = d_h (1 - h^2)``, or for "relu" ``d_h`` where h is above 0; then as in `linear`.

    Examples
    --------
    >>> grads = rnn_backward([[[0.0]], [[1.0]]], [[0.0]], [[[1.0]], [[2.0]]], [[0.0]],
    ...                      [[1.0]], [[1.0]], nonlinearity="relu")
    >>> grads[2]
    array([[3.]])
    """
    x, h, *weights = _floats(input, hx, weight_ih, weight_hh, bias_ih, bias_hh)
    step = _rnn_step(weights, nonlinearity)
    w_ih, w_hh = weights[:2]

    def step_backward(grads: States, x: Array, before: States) -> tuple[Any, ...]:
        (new,) = step(x, *before)
        pre = grads[0] * (1 - new**2 if nonlinearity == "tanh" else new > 0)
        terms = pre.T @ x, pre.T @ before[0], pre.sum(0), pre.sum(0)
        return pre @ w_ih, (pre @ w_hh,), terms

    d_output, d_h = _floats(grad_output, grad_h_n)
    return _backward(step, step_backward, d_output, (d_h,), x, (h,), lengths, reverse)


# ---- long short-term memory --------------------------------------------------------------------


def lstm(
    input: ArrayLike,
    hx: ArrayLike,
    cx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    weight_hr: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """Long short-term memory: gates i, f, g, o; ``c = f c + i g`` and ``h = o tanh(c)``.

    Arguments as in `rnn`, with 4 * hidden rows in weights and biases, and the initial cell cx. With
    `weight_hr` of shape (width, hidden), ``h = W_hr (o tanh(c))`` (Sak et al., arXiv:1402.1128).

    Returns
    -------
    output, h_n, c_n : arrays of shape (T, B, width), (B, width) and (B, hidden)

    Examples
    --------
    >>> output, h, c = lstm([[[0.0]]], [[0.0]], [[2.0]], [[0.0]] * 4, [[0.0]] * 4)
    >>> c
    array([[1.]])
    """
    x, h, c, *weights = _floats(input, hx, cx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    output, (h_n, c_n), _ = _forward(_lstm_step(weights), x, (h, c), lengths, reverse)
    return output, h_n, c_n


def _lstm_gates(weights: Any, x: Array, h: Array) -> list[Array]:
    w_ih, w_hh, b_ih, b_hh, _ = weights
    i, f, g, o = np.split(_affine(x, w_ih, b_ih) + _affine(h, w_hh, b_hh), 4, axis=1)
    return [_sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)]


def _lstm_step(weights: Any) -> Callable[..., States]:
    def step(x: Array, h: Array, c: Array) -> States:
        i, f, g, o = _lstm_gates(weights, x, h)
        c = f * c + i * g
        return _projected(o * np.tanh(c), weights[-1]), c

    return step


def _projected(whole: Array, weight_hr: Array | None) -> Array:
    return whole if weight_hr is None else _affine(whole, weight_hr, None)


def lstm_backward(
    grad_output: ArrayLike,
    grad_h_n: ArrayLike,
    grad_c_n: ArrayLike,
    input: ArrayLike,
    hx: ArrayLike,
    cx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    weight_hr: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, ...]:
    """Gradients of `lstm`: of input, hx, cx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr.

    The last is 0 without `weight_hr`.

    Examples
    --------
    >>> grads = lstm_backward([[[0.0]]], [[0.0]], [[1.0]],
    ...                       [[[0.0]]], [[0.0]], [[2.0]], [[0.0]] * 4, [[0.0]] * 4)
    >>> grads[2]
    array([[0.5]])
    """
    x, h, c, *weights = _floats(input, hx, cx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    w_ih, w_hh, *_, w_hr = weights

    def step_backward(grads: States, x: Array, before: States) -> tuple[Any, ...]:
        h, c = before
        i, f, g, o = _lstm_gates(weights, x, h)
        tanh_c = np.tanh(f * c + i * g)
        d_h, d_w_hr = grads[0], 0
        if w_hr is not None:
            d_h, d_w_hr = d_h @ w_hr, d_h.T @ (o * tanh_c)
        d_c = grads[1] + d_h * o * (1 - tanh_c**2)
        pre = np.concatenate(
            [
                d_c * g * i * (1 - i),
                d_c * c * f * (1 - f),
                d_c * i * (1 - g**2),
                d_h * tanh_c * o * (1 - o),
            ],
            axis=1,
        )
        terms = pre.T @ x, pre.T @ h, pre.sum(0), pre.sum(0), d_w_hr
        return pre @ w_ih, (pre @ w_hh, d_c * f), terms

    d_output, d_h, d_c = _floats(grad_output, grad_h_n, grad_c_n)
    step = _lstm_step(weights)
    return _backward(step, step_backward, d_output, (d_h, d_c), x, (h, c), lengths, reverse)


# ---- gated recurrent unit ----------------------------------------------------------------------


def gru(
    input: ArrayLike,
    hx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    reset_after: bool = True,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Gated recurrent unit: gates r, z, n; ``h = (1 - z) n + z h``.

    With `reset_after`, as in PyTorch, ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``; without, as
    in Cho et al., ``n = tanh(W_in x + b_in + W_hn (r h) + b_hn)``.

    Arguments and results as in `rnn`, with 3 * hidden rows in weights and biases.

    Examples
    --------
    >>> output, h = gru([[[0.0]]], [[4.0]], [[0.0]] * 3, [[0.0]] * 3)
    >>> h
    array([[2.]])
    """
    x, h, *weights = _floats(input, hx, weight_ih, weight_hh, bias_ih, bias_hh)
    output, (h_n,), _ = _forward(_gru_step(weights, reset_after), x, (h,), lengths, reverse)
    return output, h_n


def _gru_gates(weights: Any, reset_after: bool, x: Array, h: Array) -> list[Array]:
    """Return r, z, n, and what r is multiplied by."""
    w_ih, w_hh, b_ih, b_hh = weights
    size = h.shape[1]
    x_r, x_z, x_n = np.split(_affine(x, w_ih, b_ih), 3, axis=1)
    h_r, h_z, h_n = np.split(_affine(h, w_hh, b_hh), 3, axis=1)
    r, z = _sigmoid(x_r + h_r), _sigmoid(x_z + h_z)
    if reset_after:
        return [r, z, np.tanh(x_n + r * h_n), h_n]
    h_n = _affine(r * h, w_hh[2 * size :], None if b_hh is None else b_hh[2 * size :])
    return [r, z, np.tanh(x_n + h_n), h]


def _gru_step(weights: Any, reset_after: bool) -> Callable[..., States]:
    def step(x: Array, h: Array) -> States:
        _, z, n, _ = _gru_gates(weights, reset_after, x, h)
        return ((1 - z) * n + z * h,)

    return step


def gru_backward(
    grad_output: ArrayLike,
    grad_h_n: ArrayLike,
    input: ArrayLike,
    hx: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    reset_after: bool = True,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, ...]:
    """Gradients of `gru`: of input, hx, weight_ih, weight_hh, bias_ih, bias_hh.

    Examples
    --------
    >>> grads = gru_backward([[[0.0]]], [[1.0]], [[[0.0]]], [[4.0]], [[0.0]] * 3, [[0.0]] * 3)
    >>> grads[1]
    array([[0.5]])
    """
    x, h, *weights = _floats(input, hx, weight_ih, weight_hh, bias_ih, bias_hh)
    w_ih, w_hh = weights[:2]
    w_hn = w_hh[2 * h.shape[1] :]

    def step_backward(grads: States, x: Array, before: States) -> tuple[Any, ...]:
        (h,) = before
        r, z, n, reset = _gru_gates(weights, reset_after, x, h)
        pre_n = grads[0] * (1 - z) * (1 - n**2)
        pre_z = grads[0] * (h - n) * z * (1 - z)
        to_reset = pre_n if reset_after else pre_n @ w_hn
        pre_r = to_reset * reset * r * (1 - r)
        # What went into the hidden weights of n, and its gradient.
        into, pre_hn = (h, pre_n * r) if reset_after else (r * h, pre_n)
        pre = np.concatenate([pre_r, pre_z, pre_n], axis=1)
        pre_h = np.concatenate([pre_r, pre_z], axis=1)
        d_h = grads[0] * z + pre_h @ w_hh[: pre_h.shape[1]]
        d_h += pre_hn @ w_hn if reset_after else to_reset * r
        d_w_hh = np.concatenate([pre_h.T @ h, pre_hn.T @ into])
        d_b_hh = np.concatenate([pre_h, pre_hn], axis=1).sum(0)
        return pre @ w_ih, (d_h,), (pre.T @ x, d_w_hh, pre.sum(0), d_b_hh)

    d_output, d_h = _floats(grad_output, grad_h_n)
    step = _gru_step(weights, reset_after)
    return _backward(step, step_backward, d_output, (d_h,), x, (h,), lengths, reverse)
