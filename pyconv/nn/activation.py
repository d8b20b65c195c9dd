"""Activation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import functional as F
from ..arguments import flag
from ..tensor import Tensor
from .module import Module


class _Activation(Module):
    """A function of `pyconv.functional` whose options are attributes of the layer."""

    _function: Callable[..., Tensor]
    _passed: tuple[str, ...] = ()  # to it, in its order
    inplace = False

    def forward(self, input: Any) -> Tensor:
        """Apply the function."""
        return type(self)._function(input, *[getattr(self, name) for name in self._passed])

    def extra_repr(self) -> str:
        """Return the arguments."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self._passed]
        return ", ".join([*shown, "inplace=True"] if self.inplace else shown)


class _InPlace(_Activation):
    """One that takes ``inplace``, so that existing models run; the result is a new tensor."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = flag(f"{type(self).__name__}: inplace", inplace)


class ELU(_InPlace):
    """Applies `pyconv.functional.elu`.

    Parameters
    ----------
    alpha : float
        Minus the limit for small numbers.
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ELU()(pyconv.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.    ])
    """

    _function = staticmethod(F.elu)
    _passed = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha


class GELU(_Activation):
    """Applies `pyconv.functional.gelu`.

    Parameters
    ----------
    approximate : str
        ``"none"`` or ``"tanh"``.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.GELU()(pyconv.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    _function = staticmethod(F.gelu)
    _passed = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate


class Hardsigmoid(_InPlace):
    """Applies `pyconv.functional.hardsigmoid`.

    Parameters
    ----------
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Hardsigmoid()(pyconv.tensor([-4.0, 1.5]))
    tensor([0.  , 0.75])
    """

    _function = staticmethod(F.hardsigmoid)


class Hardswish(_InPlace):
    """Applies `pyconv.functional.hardswish`.

    Parameters
    ----------
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Hardswish()(pyconv.tensor([1.5, 4.0]))
    tensor([1.125, 4.   ])
    """

    _function = staticmethod(F.hardswish)


class LeakyReLU(_InPlace):
    """Applies `pyconv.functional.leaky_relu`.

    Parameters
    ----------
    negative_slope : float
        What negative elements are multiplied by.
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LeakyReLU(0.1)(pyconv.tensor([-1.0, 2.0]))
    tensor([-0.1,  2. ])
    """

    _function = staticmethod(F.leaky_relu)
    _passed = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope


class LogSoftmax(_Activation):
    """Applies `pyconv.functional.log_softmax`.

    Parameters
    ----------
    dim : int
        Along which the exponentials sum to 1.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LogSoftmax(dim=0)(pyconv.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """

    _function = staticmethod(F.log_softmax)
    _passed = ("dim",)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


class ReLU(_InPlace):
    """Applies `pyconv.functional.relu`.

    Parameters
    ----------
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ReLU()(pyconv.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    _function = staticmethod(F.relu)


class ReLU6(_InPlace):
    """Applies `pyconv.functional.relu6`.

    Parameters
    ----------
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ReLU6()(pyconv.tensor([-1.0, 7.0]))
    tensor([0., 6.])
    """

    _function = staticmethod(F.relu6)


class SiLU(_InPlace):
    """Applies `pyconv.functional.silu`.

    Parameters
    ----------
    inplace : bool
        Accepted and ignored.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.SiLU()(pyconv.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    _function = staticmethod(F.silu)


class Sigmoid(_Activation):
    """Applies `pyconv.functional.sigmoid`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Sigmoid()(pyconv.tensor([0.0, 2.0]))
    tensor([0.5   , 0.8808])
    """

    _function = staticmethod(F.sigmoid)


class Softmax(_Activation):
    """Applies `pyconv.functional.softmax`.

    Parameters
    ----------
    dim : int
        Along which the result sums to 1.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Softmax(dim=0)(pyconv.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """

    _function = staticmethod(F.softmax)
    _passed = ("dim",)

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


class Softplus(_Activation):
    """Applies `pyconv.functional.softplus`.

    Parameters
    ----------
    beta : float
        The larger, the closer to ReLU.
    threshold : float
        Where ``beta * x`` is above it, the result is ``x``.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Softplus()(pyconv.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """

    _function = staticmethod(F.softplus)
    _passed = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold


class Tanh(_Activation):
    """Applies `pyconv.functional.tanh`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Tanh()(pyconv.tensor([0.0, 1.0]))
    tensor([0.    , 0.7616])
    """

    _function = staticmethod(F.tanh)
