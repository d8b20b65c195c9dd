"""Recurrent layers: RNN, LSTM and GRU over whole sequences."""

from __future__ import annotations

from typing import Any

from ..arguments import flag
from ..tensor import Tensor
from .conv import int_at_least
from .rnn_base import RNNBase, mode_of


class RNN(RNNBase):
    """Elman's network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` for each step.

    Parameters
    ----------
    input_size, hidden_size : int
        Features of an input and of a state.
    num_layers : int
        Each layer after the first takes the output of the one before.
    nonlinearity : {"tanh", "relu"}
    bias : bool
    batch_first : bool
        Input and output are (B, T, features); states stay (layers, B, features).
    dropout : float
        Share of the values between layers that is zeroed in training.
    bidirectional : bool
        Each layer also reads the sequence from its end; the outputs of both are joined.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 : Parameter
        Of shapes (hidden_size, input_size), (hidden_size, hidden_size), (hidden_size,) and
        (hidden_size,), initially uniform within ``1 / sqrt(hidden_size)``; then ``_l1`` and so on,
        and ``_l0_reverse`` where bidirectional.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import pyconv
    >>> output, h_n = pyconv.nn.RNN(3, 5)(pyconv.zeros(7, 2, 3))
    >>> output.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.nonlinearity, self.mode = nonlinearity, mode_of("RNN", nonlinearity)
        self._make_weights()

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """Run over whole sequences.

        Parameters
        ----------
        input : array_like of shape (T, B, input_size), or (T, input_size) of one sequence
        hx : array_like of shape (layers * directions, B, hidden_size), optional
            The initial state, zeros if left out; without B where the input has none.
        lengths : B integers, optional
            How many steps of each sequence count, 1 to T, in any order. What lies behind is not
            read, its output is zero, and the reverse direction starts at each sequence's own end.

        Returns
        -------
        output : Tensor of shape (T, B, directions * hidden_size)
            The state of the last layer after each step.
        h_n : Tensor of shape (layers * directions, B, hidden_size)
            The state of each layer and direction after each sequence's last step.

        Raises
        ------
        ValueError
            If a shape does not fit, there are no steps, or a length is not from 1 to T.
        TypeError
            If dtypes differ, lengths are no integers, or a weight is missing.
        """
        output, (h_n,) = self._run(input, hx, lengths)
        return output, h_n


class GRU(RNNBase):
    """Gated recurrent units: ``h = (1 - z) n + z h`` for each step.

    The gates are ``r, z = sigmoid(W x + b + W' h + b')``, each with rows of its own, and
    ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``.

    Parameters
    ----------
    reset_after : bool
        False takes the formula of the first paper, ``n = tanh(W_in x + b_in + W_hn (r h) +
        b_hn)``, step by step and more slowly.

    The other parameters are those of `RNN`; weights have ``3 * hidden_size`` rows, in the order r,
    z, n.

    References
    ----------
    Cho et al., *Learning phrase representations using RNN encoder-decoder*, arXiv:1406.1078.

    Examples
    --------
    >>> import pyconv
    >>> output, h_n = pyconv.nn.GRU(3, 5, bidirectional=True)(pyconv.zeros(7, 2, 3), lengths=[4, 7])
    >>> output.shape, h_n.shape
    ((7, 2, 10), (2, 2, 5))
    """

    mode = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        reset_after: bool = True,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.reset_after = flag("GRU: reset_after", reset_after)
        self._make_weights()

    def forward(
        self, input: Any, hx: Any = None, lengths: Any = None, return_gates: bool = False
    ) -> Any:
        """Run over whole sequences: arguments, results and errors are those of `RNN`.

        With `return_gates`, a third result: a list with a Tensor of shape (T, B, 3, hidden_size),
        without B where the input has none, per layer and direction, in the order of the weights: r,
        z and n after their nonlinearity. They are part of the graph; the steps then run one by one,
        which is slow.
        """
        return_gates = flag("GRU: return_gates", return_gates)
        gates: list[Tensor] | None = [] if return_gates else None
        output, (h_n,) = self._run(input, hx, lengths, gates)
        return (output, h_n, gates) if return_gates else (output, h_n)


class LSTM(RNNBase):
    """Long short-term memory: ``c = f c + i g`` and ``h = o tanh(c)`` for each step.

    The gates are ``i, f, o = sigmoid(W x + b + W' h + b')`` and ``g = tanh(...)``, each with rows
    of its own.

    Parameters
    ----------
    proj_size : int
        If not 0, ``h = W_hr (o tanh(c))`` has this many features: less than `hidden_size`.

    The other parameters are those of `RNN`; weights have ``4 * hidden_size`` rows, in the order i,
    f, g, o. The state is a pair, ``(h, c)``.

    References
    ----------
    Hochreiter and Schmidhuber, *Long short-term memory*, Neural Computation 9, 1997. Sak et al.,
    arXiv:1402.1128 (projection).

    Examples
    --------
    >>> import pyconv
    >>> output, (h_n, c_n) = pyconv.nn.LSTM(3, 5, num_layers=2)(pyconv.zeros(7, 2, 3))
    >>> output.shape, h_n.shape, c_n.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    mode = "LSTM"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.proj_size = int_at_least("LSTM: proj_size", proj_size, 0)
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"LSTM: proj_size is {proj_size}, expected less than hidden_size, {hidden_size}"
            )
        self._make_weights()

    def forward(
        self, input: Any, hx: Any = None, lengths: Any = None, return_gates: bool = False
    ) -> Any:
        """Run over whole sequences: arguments, results and errors are those of `RNN`.

        ``hx`` and the second result are pairs, ``(h, c)``. With `return_gates`, a third result: a
        list with a Tensor of shape (T, B, 4, hidden_size), without B where the input has none, per
        layer and direction, in the order of the weights: i, f, g and o after their nonlinearity.
        They are part of the graph; the steps then run one by one, which is slow.
        """
        return_gates = flag("LSTM: return_gates", return_gates)
        gates: list[Tensor] | None = [] if return_gates else None
        output, last = self._run(input, hx, lengths, gates)
        return (output, tuple(last), gates) if return_gates else (output, tuple(last))
