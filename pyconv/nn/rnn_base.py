"""What the recurrent layers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..arguments import flag, integer, probability
from ..creation import as_tensor, empty, zeros
from ..functional import cat, dropout
from ..functional.rnn import (
    GATES,
    Config,
    lengths_of,
    recurrent,
    recurrent_steps,
    state_sizes,
    stream_step,
)
from ..tensor import Tensor
from . import init
from .conv import int_at_least
from .module import Module, Parameter

MOST_LAYERS = 10_000  # far more than anyone trains


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the weights, and the way through layers and directions."""

    mode: str
    proj_size = 0
    reset_after = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self._name = name = type(self).__name__
        self.input_size = int_at_least(f"{name}: input_size", input_size, 1)
        self.hidden_size = int_at_least(f"{name}: hidden_size", hidden_size, 1)
        self.num_layers = integer(f"{name}: num_layers", num_layers, 1, MOST_LAYERS)
        self.bias = flag(f"{name}: bias", bias)
        self.batch_first = flag(f"{name}: batch_first", batch_first)
        self.bidirectional = flag(f"{name}: bidirectional", bidirectional)
        self.dropout = probability(f"{name}: dropout", dropout)

    # ---- weights -----------------------------------------------------------------------------

    def _make_weights(self) -> None:
        rows, width = GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        # Per layer and direction, the names of its weights; "" stands for one that it lacks.
        self._names: list[list[str]] = []
        for layer in range(self.num_layers):
            for direction in ("", "_reverse")[: 1 + self.bidirectional]:
                inputs = width * (1 + self.bidirectional) if layer else self.input_size
                shapes = {
                    "weight_ih": (rows, inputs),
                    "weight_hh": (rows, width),
                    "bias_ih": (rows,) if self.bias else None,
                    "bias_hh": (rows,) if self.bias else None,
                    "weight_hr": (width, self.hidden_size) if self.proj_size else None,
                }
                names = []
                for key, shape in shapes.items():
                    names.append(f"{key}_l{layer}{direction}" if shape else "")
                    if shape:
                        setattr(self, names[-1], Parameter(empty(*shape)))
                self._names.append(names)
        # A step of a stream may take the short way, which is for one layer in one direction.
        self._streams = len(self._names) == 1 and self.reset_after and not self.proj_size
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again, uniform within ``1 / sqrt(hidden_size)``."""
        reset_recurrent(self)

    @property
    def all_weights(self) -> list[list[Any]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names if name] for names in self._names]

    def flatten_parameters(self) -> None:
        """Do nothing: in PyTorch it orders the memory of the weights, which need no order here."""

    # ---- what goes in ------------------------------------------------------------------------

    def _check_input(self, x: Tensor) -> None:
        shape = x._array.shape
        if len(shape) in (2, 3) and shape[-1] == self.input_size:
            if 0 < shape[len(shape) == 3 and self.batch_first] < 2**31:
                return
            raise ValueError(
                f"{self._name}: input has shape {shape}, expected 1 to {2**31 - 1} steps"
            )
        batched = "(B, T, {})" if self.batch_first else "(T, B, {})"
        expected = f"{batched} or (T, {{0}})".replace("{}", "{0}").format(self.input_size)
        raise ValueError(f"{self._name}: input has shape {shape}, expected {expected}")

    # ---- the layers --------------------------------------------------------------------------

    def _run(
        self, input: Any, hx: Any, lengths: Any, gates: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Go through the layers and return the output and the last states; fill `gates`."""
        if self._streams and lengths is None and gates is None:
            own = self._parameters
            # A name stands for what is no parameter: such a step goes the long way.
            *weights, _ = [own.get(name, name or None) for name in self._names[0]]
            states = hx if hx is None or self.mode == "LSTM" else (hx,)
            results = stream_step(self.mode, True, input, states, weights, self.bias)
            if results is not None:
                return results[0], results[1:]
        if hasattr(input, "batch_sizes"):
            raise TypeError(
                f"{self._name}: input is a {type(input).__name__}, expected a Tensor; what is "
                "packed elsewhere is padded here, see lengths"
            )
        x = as_tensor(input, "input")
        self._check_input(x)
        batched = x.ndim == 3
        if not batched:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        states = states_of(self, hx, x, batched)
        if lengths is not None:
            lengths = lengths_of(self._name, lengths, x)
        output, last = self._layers(x, states, lengths, gates)
        if not batched:
            if gates is not None:
                gates[:] = [gate.squeeze(1) for gate in gates]
            return output.squeeze(1), [state.squeeze(1) for state in last]
        return output.transpose(0, 1) if self.batch_first else output, last

    def _layers(
        self, x: Tensor, states: list[Tensor] | None, lengths: Any, gates: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        directions = 1 + self.bidirectional
        count = directions * self.num_layers
        ends: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            outputs = []
            for reverse in range(directions):
                number = layer * directions + reverse
                config = Config(self.mode, lengths, reverse == 1, self.reset_after)
                begin = states
                if states is not None and count > 1:
                    begin = [state[number : number + 1] for state in states]
                output, end = self._direction(x, begin, number, config, gates)
                outputs.append(output)
                ends.append(end)
            x = outputs[0] if directions == 1 else cat(outputs, 2)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = dropout(x, self.dropout)
        return x, ends[0] if count == 1 else [cat(each) for each in zip(*ends)]

    def _direction(
        self,
        x: Tensor,
        states: list[Tensor] | None,
        number: int,
        config: Config,
        gates: list[Tensor] | None,
    ) -> tuple[Tensor, list[Tensor]]:
        *weights, weight_hr = weights_of(self, self._names[number])
        if gates is None and self.reset_after:
            output, *end = recurrent(x, states, weights, config, weight_hr)
            return output, end
        if states is None:
            sizes = state_sizes(self.mode, weights[1])
            states = [zeros(1, x.shape[1], size, dtype=x.dtype) for size in sizes]
        output, end, found = recurrent_steps(x, states, weights, config, weight_hr)
        if gates is not None:
            gates.append(found)
        return output, end

    def extra_repr(self) -> str:
        """Return the arguments that are not the default."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False, "reset_after": True,
        }  # fmt: skip
        for name, default in defaults.items():
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text


def states_of(rnn: Any, hx: Any, x: Tensor, batched: bool = True) -> list[Tensor] | None:
    """Return the states as (layers * directions, B, size), or None for zeros.

    `rnn` is a recurrent layer, or what has its sizes, and `x` its input, with the steps first.
    """
    if hx is None:
        return None
    sizes = [rnn.proj_size or rnn.hidden_size]
    names = ["hx"]
    if rnn.mode == "LSTM":
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            kind = type(hx).__name__
            raise TypeError(f"{rnn._name}: hx is a {kind}, expected a pair of tensors, (h_0, c_0)")
        sizes, names = [*sizes, rnn.hidden_size], ["hx[0]", "hx[1]"]
    states = []
    for name, size, value in zip(names, sizes, hx if len(sizes) == 2 else (hx,)):
        state = as_tensor(value, f"{rnn._name}: {name}")
        shape = (rnn.num_layers * (1 + rnn.bidirectional), x._array.shape[1], size)
        if state._array.shape != (shape if batched else (shape[0], size)):
            raise ValueError(
                f"{rnn._name}: {name} has shape {state.shape}, expected "
                f"{shape if batched else (shape[0], size)}"
            )
        if state._array.dtype.num != x._array.dtype.num:
            raise TypeError(
                f"{rnn._name}: {name}.dtype is {state.dtype} and input.dtype is {x.dtype}, "
                "expected the same"
            )
        states.append(state if batched else state.unsqueeze(1))
    return states


def weights_of(module: Module, names: Sequence[str]) -> list[Any]:
    """Return weights by name, parameters or other tensors; TypeError where one is missing."""
    weights = [getattr(module, name, None) for name in names]
    for name, weight in zip(names, weights):
        absent = weight is None and (not name or (name.startswith("bias") and not module.bias))
        if not absent and not isinstance(weight, Tensor):
            kind = "None" if weight is None else f"a {type(weight).__name__}"
            raise TypeError(f"{type(module).__name__}: {name} is {kind}, expected a Tensor")
    return weights


def reset_recurrent(module: Any) -> None:
    """Draw all parameters of a recurrent layer or cell."""
    bound = 1 / math.sqrt(module.hidden_size)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


def mode_of(name: str, nonlinearity: Any) -> str:
    """Return the mode of a plain recurrent network."""
    modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
    if not isinstance(nonlinearity, str) or nonlinearity not in modes:
        raise ValueError(f"{name}: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
    return modes[nonlinearity]
