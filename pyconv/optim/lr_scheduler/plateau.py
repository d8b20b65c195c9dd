"""The schedule that watches a measure of success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arguments import integer, number, one_of
from ...tensor import Tensor
from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_optimizer


class ReduceLROnPlateau(LRScheduler):
    """Lowers the rate when a measure has not improved for some steps.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether the measure should fall or rise.
    factor : float
        What the rate is multiplied by, below 1.
    patience : int
        How many steps without improvement are borne.
    threshold : float
        How much better counts as an improvement.
    threshold_mode : {"rel", "abs"}
        Whether `threshold` is a share of the best measure so far.
    cooldown : int
        How many steps to wait after lowering the rate before counting again.
    min_lr : float or sequence of float
        Below which the rate does not go, of all groups or of each.
    eps : float
        A change that is not larger is not made.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(self, optimizer)
        what = "ReduceLROnPlateau: {}".format
        self.factor = number(what("factor"), factor)
        if not self.factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}, must be below 1")
        each = min_lr if isinstance(min_lr, Sequence) else None
        self.min_lrs = [number(what("min_lr"), least) for least in each or ()]
        self.default_min_lr = number(what("min_lr"), min_lr) if each is None else None
        self.optimizer = optimizer
        self._limit_all()
        self.mode = one_of(what("mode"), mode, ("min", "max"))
        self.patience = integer(what("patience"), patience, 0)
        self.threshold = number(what("threshold"), threshold)
        self.threshold_mode = one_of(what("threshold_mode"), threshold_mode, ("rel", "abs"))
        self.cooldown = integer(what("cooldown"), cooldown, 0)
        self.eps = number(what("eps"), eps)
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Note a measure, and lower the rates if it is time."""
        if isinstance(metrics, (Tensor, np.ndarray)) and math.prod(metrics.shape) == 1:
            metrics = metrics.item()
        value = number("ReduceLROnPlateau: metrics", metrics, nan=True)
        self._limit_all()
        self.last_epoch += 1
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _is_better(self, value: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            bound = self.best * (1.0 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return value < bound if self.mode == "min" else value > bound

    def _limit_all(self) -> None:
        """Give groups that were added their least rate."""
        have, count = len(self.min_lrs), len(self.optimizer.param_groups)
        if self.default_min_lr is not None:
            self.min_lrs = self.min_lrs + [self.default_min_lr] * (count - have)
        elif have != count:
            raise ValueError(f"ReduceLROnPlateau: min_lr has {have} values for {count} groups")

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs):
            lower = max(group["lr"] * self.factor, least)
            if group["lr"] - lower > self.eps:
                group["lr"] = lower
