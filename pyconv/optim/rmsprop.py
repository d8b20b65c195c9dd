"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import _core
from ..tensor import Tensor
from .optimizer import Optimizer, check_flags, check_not_negative, run


class RMSprop(Optimizer):
    """Divides the gradient by a running root of its mean square.

    With ``g = grad + weight_decay * param``, each step does ``v = alpha * v + (1 - alpha) * g**2``
    and ``param -= lr * g / (sqrt(v) + eps)``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train, see `Optimizer`.
    lr : float
        Learning rate.
    alpha : float
        Share of v that is kept.
    eps : float
        Keeps the denominator from 0.
    weight_decay : float
        Factor of an L2 penalty.
    momentum : float
        Share of the last move that is added to a move; 0 uses none.
    centered : bool
        Whether to divide by the standard deviation: a running mean of g, squared, is taken from v.
    maximize : bool
        Whether to go up instead of down.

    Raises
    ------
    ValueError
        If a number is negative.

    References
    ----------
    Tieleman and Hinton, *Neural networks for machine learning*, lecture 6e, 2012; `centered` as in
    Graves, *Generating sequences with recurrent neural networks*, arXiv:1308.0850.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([1.0])
    >>> optimizer = pyconv.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9])
    """

    arrays = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        check_not_negative("RMSprop", group, "lr", "alpha", "eps", "weight_decay", "momentum")
        check_flags("RMSprop", group, "centered", "maximize")

    def update_all(self, params: list[Tensor], group: Mapping[str, Any]) -> None:
        """Change the parameters of a group that have gradients."""
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        states = [self.state_of(param, names) for param in params]
        kept = dict(zip(names, map(list, zip(*states))))
        run(
            _core.rmsprop_step,
            params,
            kept.get("square_avg", []),
            kept.get("momentum_buffer"),
            kept.get("grad_avg"),
            group["lr"],
            group["alpha"],
            group["eps"],
            group["weight_decay"],
            group["momentum"],
            group["maximize"],
        )
