"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import _core
from ..arguments import number
from ..tensor import Tensor
from .optimizer import Optimizer, check_flags, check_not_negative, run


class SGD(Optimizer):
    """Stochastic gradient descent.

    With ``g = grad + weight_decay * param`` each step does ``buffer = momentum * buffer +
    (1 - dampening) * g`` (the first time ``buffer = g``) and ``param -= lr * buffer``; Nesterov's
    variant uses ``g + momentum * buffer`` in the end.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train, see `Optimizer`.
    lr : float
        Learning rate.
    momentum : float
        Share of the buffer that is kept; 0 uses none.
    dampening : float
        Share of the gradient that does not enter the buffer.
    weight_decay : float
        Factor of an L2 penalty.
    nesterov : bool
        Whether to look ahead; needs momentum and no dampening.
    maximize : bool
        Whether to go up instead of down.

    Raises
    ------
    ValueError
        If a number is negative, or `nesterov` is set without momentum or with dampening.

    References
    ----------
    Sutskever et al., *On the importance of initialization and momentum in deep learning*, 2013.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([1.0])
    >>> optimizer = pyconv.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8])
    """

    arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        check_not_negative("SGD", group, "lr", "momentum", "weight_decay")
        check_flags("SGD", group, "nesterov", "maximize")
        number("SGD: dampening", group["dampening"])
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum and no dampening, got momentum "
                f"{group['momentum']!r} and dampening {group['dampening']!r}"
            )

    def update_all(self, params: list[Tensor], group: Mapping[str, Any]) -> None:
        """Change the parameters of a group that have gradients."""
        if group["momentum"] == 0:
            self._step(params, group, False)
            return
        known = [p for p in params if "momentum_buffer" in self.state.get(p, ())]
        if len(known) < len(params):
            new = set(params).difference(known)
            self._step([p for p in params if p in new], group, True)
        self._step(known, group, False)

    def _step(self, params: list[Tensor], group: Mapping[str, Any], first: bool) -> None:
        buffers = [self.state_of(p, self.arrays)[0] for p in params] if group["momentum"] else None
        run(
            _core.sgd_step,
            params,
            buffers,
            group["lr"],
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
            first,
        )
