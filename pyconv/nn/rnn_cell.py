"""Recurrent cells: one step of a recurrent layer."""

from __future__ import annotations

from typing import Any

from ..arguments import flag
from ..creation import as_tensor, empty
from ..functional.rnn import GATES, Config, recurrent, stream_step
from ..tensor import Tensor
from .conv import int_at_least
from .module import Module, Parameter
from .rnn_base import mode_of, reset_recurrent, weights_of


class RNNCellBase(Module):
    """What the cells share."""

    mode: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size = int_at_least(f"{name}: input_size", input_size, 1)
        self.hidden_size = int_at_least(f"{name}: hidden_size", hidden_size, 1)
        self.bias = flag(f"{name}: bias", bias)
        rows = GATES[self.mode] * self.hidden_size
        self.weight_ih = Parameter(empty(rows, self.input_size))
        self.weight_hh = Parameter(empty(rows, self.hidden_size))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again, uniform within ``1 / sqrt(hidden_size)``."""
        reset_recurrent(self)

    def _step(self, input: Any, states: Any) -> list[Tensor]:
        """Check the arguments and return the new states."""
        names, own = ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), self._parameters
        # A name stands for what is no parameter: such a step goes the long way.
        weights = [own.get(name, name) for name in names]
        results = stream_step(self.mode, False, input, states, weights, self.bias)
        if results is not None:
            return results
        weights = weights_of(self, names)
        name, x = type(self).__name__, as_tensor(input, "input")
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: input has shape {x.shape}, expected (B, {self.input_size}) or "
                f"({self.input_size},)"
            )
        if states is not None:
            states = [as_tensor(state, f"{name}: hx") for state in states]
            expected = (*x.shape[:-1], self.hidden_size)
            for state in states:
                if state.shape != expected:
                    raise ValueError(f"{name}: hx has shape {state.shape}, expected {expected}")
        single = x.ndim == 1
        if single:
            x = x.unsqueeze(0)
            states = states and [state.unsqueeze(0) for state in states]
        _, *new = recurrent(x, states, weights, Config(self.mode))
        return [state.squeeze(0) for state in new] if single else new

    def extra_repr(self) -> str:
        """Return the arguments that are not the default."""
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias=False"


class RNNCell(RNNCellBase):
    """One step of `RNN`: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    nonlinearity : {"tanh", "relu"}

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : Parameter
        As those of layer 0 of `RNN`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.RNNCell(3, 5)(pyconv.zeros(2, 3)).shape
    (2, 5)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"
    ) -> None:
        # Modules take attributes only after their own __init__; the mode has to be known in it.
        object.__setattr__(self, "mode", mode_of("RNNCell", nonlinearity))
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """Return the new state, from input (B, input_size) and state (B, hidden_size)."""
        return self._step(input, None if hx is None else (hx,))[0]

    def extra_repr(self) -> str:
        """Return the arguments that are not the default."""
        more = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + more


class GRUCell(RNNCellBase):
    """One step of `GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.GRUCell(3, 5)(pyconv.zeros(2, 3)).shape
    (2, 5)
    """

    mode = "GRU"

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """Return the new state, from input (B, input_size) and state (B, hidden_size)."""
        return self._step(input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import pyconv
    >>> h, c = pyconv.nn.LSTMCell(3, 5)(pyconv.zeros(2, 3))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    mode = "LSTM"

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """Return the new pair (h, c), from input (B, input_size) and a pair like it."""
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            kind = type(hx).__name__
            raise TypeError(f"LSTMCell: hx is a {kind}, expected a pair of tensors, (h, c)")
        h, c = self._step(input, hx)
        return h, c
