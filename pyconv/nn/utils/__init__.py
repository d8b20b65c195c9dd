"""What works on the parameters and layers of a network from outside."""

from . import rnn

__all__ = ["rnn"]
