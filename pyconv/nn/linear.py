"""The linear layer, and the layer that does nothing."""

from __future__ import annotations

from typing import Any

from ..arguments import flag
from ..creation import empty
from ..functional import linear
from ..tensor import Tensor
from .conv import int_at_least, reset_uniform
from .module import Module, Parameter


class Linear(Module):
    """A learned matrix product: ``input @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last dimension of input and output.
    bias : bool
        Whether to add a learned vector.

    Attributes
    ----------
    weight : Parameter of shape (out_features, in_features)
        Initially uniform within ``1 / sqrt(in_features)``.
    bias : Parameter of shape (out_features,) or None
        Initially uniform within the same bound.

    Raises
    ------
    ValueError
        If a size is not positive.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Linear(4, 2)(pyconv.zeros(3, 4)).shape
    (3, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = int_at_least("Linear: in_features", in_features, 1)
        self.out_features = int_at_least("Linear: out_features", out_features, 1)
        self.weight = Parameter(empty(self.out_features, self.in_features))
        with_bias = flag("Linear: bias", bias)
        self.bias = Parameter(empty(self.out_features)) if with_bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values again."""
        reset_uniform(self.weight, self.bias)

    def forward(self, input: Any) -> Tensor:
        """Transform the last dimension of (..., in_features)."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Returns its input; any arguments are ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Identity()(pyconv.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input
