"""The schedule that a function of one's own gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...arguments import number
from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_optimizer


class LambdaLR(LRScheduler):
    """Multiplies the initial rate by a function of the number of steps.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    lr_lambda : callable or sequence of callable
        Gets the number of steps, from 0 on, and returns the factor, of all groups or of each. It is
        no part of `state_dict`.

    Raises
    ------
    TypeError
        If `lr_lambda` is no function, or, in a step, if it returns no number.
    ValueError
        If there is not one function per group.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> warm = pyconv.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1, (epoch + 1) / 4))
    >>> warm.step()
    >>> warm.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        count = len(optimizer.param_groups)
        self.lr_lambdas: list[Any] = (
            list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * count
        )
        if len(self.lr_lambdas) != count:
            raise ValueError(
                f"LambdaLR: lr_lambda has {len(self.lr_lambdas)} functions for {count} groups"
            )
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"LambdaLR: lr_lambda is {function!r}, expected a function")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch``."""
        factors = [function(self.last_epoch) for function in self.lr_lambdas]
        what = "LambdaLR: what lr_lambda returned"
        return [lr * number(what, factor) for lr, factor in zip(self.base_lrs, factors)]

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return all but the optimizer and the functions."""
        return {**super().state_dict(), "lr_lambdas": [None] * len(self.lr_lambdas)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; the functions stay."""
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = functions
