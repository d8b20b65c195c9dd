"""For recurrent layers: sequences as one tensor, steps written out, training over windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...arguments import flag, integer, number
from ...creation import as_tensor, full, shapes_only
from ...functional import cat, stack
from ...tensor import Tensor
from ..container import ModuleList
from ..conv import int_at_least
from ..module import Module
from ..rnn import GRU, LSTM, RNN
from ..rnn_base import RNNBase, states_of
from ..rnn_cell import GRUCell, LSTMCell, RNNCell, RNNCellBase

MOST_CELLS = 10**5  # making more takes minutes


class Unrolled(Module):
    """A recurrent layer as the feed-forward network that it is over T steps; see `unroll`.

    Attributes
    ----------
    steps : ModuleList of T ModuleList
        The cells of each step, one per layer. All steps share their parameters.
    """

    _name, proj_size, bidirectional = "unroll", 0, False

    def __init__(self, rnn: RNNBase, T: int) -> None:
        super().__init__()
        for name in ("bidirectional", "proj_size", "dropout"):
            if getattr(rnn, name):
                raise ValueError(f"unroll: rnn has {name}={getattr(rnn, name)}, expected none")
        if not rnn.reset_after:
            raise ValueError("unroll: rnn has reset_after=False, expected True")
        self.batch_first, self.mode = rnn.batch_first, rnn.mode
        self.num_layers, self.hidden_size = rnn.num_layers, rnn.hidden_size
        self.steps = ModuleList(
            [
                ModuleList([_cell(rnn, layer) for layer in range(rnn.num_layers)])
                for _ in range(integer("unroll: T", T, 1, MOST_CELLS // rnn.num_layers))
            ]
        )

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return what the recurrent layer does for an input of T steps and 3 dimensions."""
        x = as_tensor(input, "input")
        axis = 1 if self.batch_first else 0
        if x.ndim != 3 or x.shape[axis] != len(self.steps):
            raise ValueError(
                f"unroll: input has shape {x.shape}, expected 3 dimensions, {len(self.steps)} steps"
            )
        if self.batch_first:
            x = x.transpose(0, 1)
        states: list[Any] = [None] * self.num_layers
        given = states_of(self, hx, x)
        if given is not None:
            states = list(zip(*given) if self.mode == "LSTM" else given[0])
        outputs = []
        for t, cells in enumerate(self.steps):
            y = x[t]
            for layer, cell in enumerate(cells):
                states[layer] = cell(y, states[layer])
                y = states[layer][0] if self.mode == "LSTM" else states[layer]
            outputs.append(y)
        if self.mode == "LSTM":
            return stack(outputs, axis), tuple(stack(part) for part in zip(*states))
        return stack(outputs, axis), stack(states)


def _cell(rnn: RNNBase, layer: int) -> RNNCellBase:
    size = rnn.hidden_size if layer else rnn.input_size
    cell: RNNCellBase
    with shapes_only():  # draws no numbers
        if isinstance(rnn, RNN):
            cell = RNNCell(size, rnn.hidden_size, rnn.bias, rnn.nonlinearity)
        else:
            cell = (GRUCell if isinstance(rnn, GRU) else LSTMCell)(size, rnn.hidden_size, rnn.bias)
    for name in list(cell._parameters):
        delattr(cell, name)  # a plain tensor may take the place of a parameter
        setattr(cell, name, getattr(rnn, f"{name}_l{layer}", None))
    return cell


def unroll(rnn: RNN | GRU | LSTM, T: int) -> Unrolled:
    """Write a recurrent layer out in time: a feed-forward network of T steps with shared weights.

    Parameters
    ----------
    rnn : RNN, GRU or LSTM
        In one direction, without dropout and projection.
    T : int
        How many steps.

    Returns
    -------
    Unrolled
        A module that takes and returns what `rnn` does for T steps. Its parameters are those of
        `rnn`, which backward through it therefore fills.

    Raises
    ------
    ValueError
        If `rnn` has what cannot be written out.

    Examples
    --------
    >>> import pyconv
    >>> rnn = pyconv.nn.GRU(3, 5)
    >>> net = pyconv.nn.utils.rnn.unroll(rnn, 7)
    >>> len(net.steps), len(list(net.parameters()))
    (7, 4)
    """
    if not isinstance(rnn, RNNBase):
        raise TypeError(f"unroll: rnn is a {type(rnn).__name__}, expected an RNN, GRU or LSTM")
    return Unrolled(rnn, T)


def tbptt(
    rnn: RNN | GRU | LSTM, input: Any, k1: int, k2: int | None = None, hx: Any = None
) -> Iterator[tuple[slice, Tensor]]:
    """Go through a long sequence for truncated backpropagation through time.

    Every `k1` steps it hands out the output of those steps, from which gradients reach back over
    `k2` steps and no further: memory and time of a backward pass do not grow with the sequence.

    Parameters
    ----------
    rnn : RNN, GRU or LSTM
        In one direction.
    input : array_like of shape (T, B, input_size), or (B, T, input_size) if batch_first
        A Tensor must not be computed by recorded operations, as by an embedding: the first backward
        pass frees their graph. Detach it, or train the layers before in a loop of your own.
    k1 : int
        Steps between two backward passes; the last may have fewer.
    k2 : int, optional
        Steps that a gradient goes back: `k1`, or a multiple of it, for whose sake steps are
        computed again.
    hx : as the rnn takes it, optional
        The initial state; no gradient reaches it.

    Yields
    ------
    steps : slice
        Which steps the output is of.
    output : Tensor
        To be used, for a loss and `backward`, before the next one is asked for; parameters may
        change in between.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; once the first output is asked for.

    References
    ----------
    Williams and Peng, *An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories*, Neural Computation 2, 1990.

    Examples
    --------
    >>> import pyconv
    >>> rnn, x = pyconv.nn.GRU(3, 5), pyconv.randn(10, 1, 3)
    >>> for steps, output in pyconv.nn.utils.rnn.tbptt(rnn, x, 4):
    ...     (output * output).mean().backward()
    ...     print(steps.start, steps.stop, output.shape)
    0 4 (4, 1, 5)
    4 8 (4, 1, 5)
    8 10 (2, 1, 5)
    """
    if not isinstance(rnn, RNNBase):
        raise TypeError(f"tbptt: rnn is a {type(rnn).__name__}, expected an RNN, GRU or LSTM")
    if rnn.bidirectional:
        raise ValueError("tbptt: rnn has bidirectional=True, expected one direction")
    k1 = int_at_least("tbptt: k1", k1, 1)
    k2 = k1 if k2 is None else int_at_least("tbptt: k2", k2, 1)
    if k2 % k1:
        raise ValueError(f"tbptt: k2 is {k2}, expected k1, which is {k1}, or a multiple of it")
    x = as_tensor(input, "input")
    if x.ndim != 3:
        raise ValueError(f"tbptt: input has shape {x.shape}, expected 3 dimensions")
    if not x.is_leaf:
        raise ValueError(
            "tbptt: input was computed by recorded operations, whose graph the first backward pass "
            "frees; expected an array or a leaf, such as input.detach()"
        )
    rnn._check_input(x)
    axis = 1 if rnn.batch_first else 0
    states = states_of(rnn, hx, x.transpose(0, axis))
    # The states before each piece of k1 steps that the next gradients go through.
    begins: list[Any] = [states and _detached(states[0] if len(states) == 1 else tuple(states))]
    for first in range(0, x.shape[axis], k1):
        last = min(first + k1, x.shape[axis])
        state, outputs = begins[0], []
        for i in range(len(begins)):
            begin = first - (len(begins) - 1 - i) * k1
            piece = slice(begin, min(begin + k1, last))
            output, state = rnn(x[:, piece] if axis else x[piece], state)
            outputs.append(output)
        yield slice(first, last), outputs[-1]
        begins = [*begins, _detached(state)][-(k2 // k1) :]


def _detached(state: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0
) -> Tensor:
    """Join sequences of different lengths in one tensor; a recurrent layer takes their lengths.

    Parameters
    ----------
    sequences : list of array_like of shape (steps, *), the same but for the steps
    batch_first : bool
        Whether the result is (B, T, *).
    padding_value : float
        What stands behind the end of each but the longest.

    Returns
    -------
    Tensor of shape (T, B, *)

    Raises
    ------
    ValueError, TypeError
        If there are no sequences, or one has no dimensions or other sizes than the first.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.utils.rnn.pad_sequence([[1, 2, 3], [4]], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    batch_first = flag("pad_sequence: batch_first", batch_first)
    padding_value = number("pad_sequence: padding_value", padding_value, nan=True)
    if not isinstance(sequences, (tuple, list)) or not sequences:
        raise TypeError(f"pad_sequence: sequences is {sequences!r}, expected a list of tensors")
    parts = [as_tensor(part, f"sequences[{i}]") for i, part in enumerate(sequences)]
    for i, part in enumerate(parts):
        if not part.ndim or part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"pad_sequence: sequences[{i}] has shape {part.shape} and sequences[0] "
                f"{parts[0].shape}, expected one dimension or more, the same but for the first"
            )
    longest = max(map(len, parts))
    padded = [
        cat([x, full((longest - len(x), *x.shape[1:]), padding_value, dtype=x.dtype)])
        for x in parts
    ]
    return stack(padded, 0 if batch_first else 1)
