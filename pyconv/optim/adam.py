"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import _core
from ..arguments import number
from ..tensor import Tensor
from .optimizer import Optimizer, check_flags, check_not_negative, run


class Adam(Optimizer):
    """Adaptive moments.

    With ``g = grad + weight_decay * param``, each step ``t`` keeps averages of g and of its square,
    ``m = beta1 * m + (1 - beta1) * g`` and ``v = beta2 * v + (1 - beta2) * g**2``, and does
    ``param -= lr * m' / (sqrt(v') + eps)`` with ``m' = m / (1 - beta1**t)`` and v' likewise.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train, see `Optimizer`.
    lr : float
        Learning rate.
    betas : tuple of two floats
        Shares of the two averages that are kept, in [0, 1).
    eps : float
        Keeps the denominator from 0.
    weight_decay : float
        Factor of an L2 penalty.
    amsgrad : bool
        Whether to divide by the largest v so far.
    maximize : bool
        Whether to go up instead of down.

    Raises
    ------
    ValueError
        If a number is negative, or a beta not below 1.

    References
    ----------
    Kingma and Ba, *Adam: a method for stochastic optimization*, arXiv:1412.6980. Reddi, Kale and
    Kumar, *On the convergence of Adam and beyond*, 2018, for `amsgrad`.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([1.0])
    >>> optimizer = pyconv.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9])
    """

    arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    counts = ("step",)
    _decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        name = type(self).__name__
        check_not_negative(name, group, "lr", "eps", "weight_decay")
        check_flags(name, group, "amsgrad", "maximize")
        betas = group["betas"]
        if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
            raise ValueError(f"{name}: betas is {betas!r}, expected two numbers")
        if not all(0 <= number(f"{name}: an entry of betas", beta) < 1 for beta in betas):
            raise ValueError(f"{name}: betas is {betas!r}, expected numbers in [0, 1)")

    def update_all(self, params: list[Tensor], group: Mapping[str, Any]) -> None:
        """Change the parameters of a group that have gradients."""
        # The corrections depend on a parameter's own number of steps; as a rule it is one for all.
        by_step: dict[int, list[Tensor]] = {}
        for param in params:
            count = self.state.setdefault(param, {}).get("step", 0) + 1
            by_step.setdefault(count, []).append(param)
        for count, some in by_step.items():
            self._step(some, group, count)
            for param in some:
                self.state[param]["step"] = count

    def _step(self, params: list[Tensor], group: Mapping[str, Any], count: int) -> None:
        names = self.arrays if group["amsgrad"] else self.arrays[:2]
        states = [self.state_of(param, names) for param in params]
        run(
            _core.adam_step,
            params,
            [state[0] for state in states],
            [state[1] for state in states],
            [state[2] for state in states] if group["amsgrad"] else None,
            group["lr"],
            group["betas"][0],
            group["betas"][1],
            group["eps"],
            group["weight_decay"],
            self._decoupled,
            group["maximize"],
            count,
        )


class AdamW(Adam):
    """Adam with a weight decay that does not pass through the averages.

    Each step does ``param *= 1 - lr * weight_decay`` first, and then Adam's without decay.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        As in `Adam`.
    weight_decay : float
        Share of a parameter, times `lr`, that a step takes away.

    Raises
    ------
    ValueError
        If a number is negative, or a beta not below 1.

    References
    ----------
    Loshchilov and Hutter, *Decoupled weight decay regularization*, arXiv:1711.05101.

    Examples
    --------
    >>> import pyconv
    >>> w = pyconv.nn.Parameter([1.0])
    >>> optimizer = pyconv.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.85])
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
