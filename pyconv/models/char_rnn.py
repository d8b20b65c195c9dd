"""A recurrent network that writes text, character after character."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..arguments import integer, one_of
from ..tensor import Tensor


class CharRNN(nn.Module):
    """Characters to vectors, recurrent layers, and scores for the next character.

    Parameters
    ----------
    vocabulary : int
        How many different characters there are.
    hidden_size : int
        Length of the vectors and of the recurrent state.
    num_layers : int
        Recurrent layers.
    cell : {"LSTM", "GRU", "RNN"}
        Their kind.
    dropout : float
        Share that is dropped in training between layers.

    References
    ----------
    Karpathy, *The unreasonable effectiveness of recurrent neural networks*, 2015; dropout as in
    Zaremba, Sutskever and Vinyals, arXiv:1409.2329.

    Examples
    --------
    >>> import pyconv
    >>> scores, state = pyconv.models.char_rnn(65, 16)([[5, 3, 60]])
    >>> scores.shape
    (1, 3, 65)
    """

    def __init__(
        self,
        vocabulary: int,
        hidden_size: int = 512,
        num_layers: int = 2,
        cell: str = "LSTM",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        cell = one_of("CharRNN: cell", cell, ("LSTM", "GRU", "RNN"))
        vocabulary = integer("CharRNN: vocabulary", vocabulary, 1)
        self.embedding = nn.Embedding(vocabulary, hidden_size)
        options = {"batch_first": True, "dropout": dropout}
        self.rnn = getattr(nn, cell)(hidden_size, hidden_size, num_layers, **options)
        self.head = nn.Linear(hidden_size, vocabulary)

    def forward(self, characters: Any, state: Any = None) -> tuple[Tensor, Any]:
        """Return scores (N, T, vocabulary) for characters (N, T), and the state behind them."""
        x, state = self.rnn(self.embedding(characters), state)
        return self.head(x), state


def char_rnn(vocabulary: int, hidden_size: int = 512, **options: Any) -> CharRNN:
    """See `CharRNN` for the options."""
    return CharRNN(vocabulary, hidden_size, **options)
