"""The one-cycle policy."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from ...arguments import flag, integer, number, one_of, probability
from ..optimizer import Optimizer
from .scheduler import LRScheduler, check_optimizer


class OneCycleLR(LRScheduler):
    """Raises the rate to a peak and lowers it far below its start; momentum goes the other way.

    It is meant to `step` after every batch.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    max_lr : float or sequence of float
        The peak, of all groups or of each.
    total_steps : int, optional
        Length of the cycle; `epochs` times `steps_per_epoch` if left out.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        Share of the cycle that rises.
    anneal_strategy : {"cos", "linear"}
        How a value goes from one end of a phase to the other.
    cycle_momentum : bool
        Whether momentum (Adam's first beta) moves between `max_momentum` and `base_momentum`.
    base_momentum, max_momentum : float or sequence of float
        The momentum at the peak of the rate, and at its ends.
    div_factor : float
        The peak divided by the first rate.
    final_div_factor : float
        The first rate divided by the last.
    three_phase : bool
        Whether to go down as it went up, and to end in a phase of its own.

    Raises
    ------
    ValueError
        If an argument is out of range, or `step` is called beyond the cycle.

    References
    ----------
    Smith and Topin, *Super-convergence*, arXiv:1708.07120.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0, momentum=0.9)
    >>> schedule = pyconv.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([1.0], 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            batches = integer("OneCycleLR: steps_per_epoch", steps_per_epoch, 1)
            total_steps = integer("OneCycleLR: epochs", epochs, 1) * batches
        if total_steps is None:
            raise ValueError(
                "OneCycleLR: total_steps is None, expected an int, or epochs and steps_per_epoch"
            )
        self.pct_start = probability("OneCycleLR: pct_start", pct_start)
        div_factor = _positive("div_factor", div_factor)
        final_div_factor = _positive("final_div_factor", final_div_factor)
        self.total_steps = integer("OneCycleLR: total_steps", total_steps, 1)
        self.anneal_strategy = one_of(
            "OneCycleLR: anneal_strategy", anneal_strategy, ("cos", "linear")
        )
        self.cycle_momentum = flag("OneCycleLR: cycle_momentum", cycle_momentum)
        self.three_phase = flag("OneCycleLR: three_phase", three_phase)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, _each("max_lr", optimizer, max_lr)):
                group["initial_lr"] = peak / div_factor
                group["max_lr"] = peak
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            self._prepare_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _prepare_momentum(self, optimizer: Any, base: Any, top: Any, last_epoch: int) -> None:
        if not optimizer.defaults.keys() & {"betas", "momentum"}:
            raise ValueError("OneCycleLR: cycle_momentum needs an optimizer with momentum or betas")
        if last_epoch == -1:
            bases = _each("base_momentum", optimizer, base)
            tops = _each("max_momentum", optimizer, top)
            for group, low, high in zip(optimizer.param_groups, bases, tops):
                group.update(base_momentum=low, max_momentum=high)
                self._set_momentum(group, high)

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        return self.get_lr()

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch``, and set the momentum."""
        number = self.last_epoch
        if number > self.total_steps:
            raise ValueError(f"OneCycleLR: step {number} of a cycle of {self.total_steps}")
        phases = _phases(self.total_steps, self.pct_start, self.three_phase)
        ends = [end for end, _, _ in phases]
        which = min(bisect_left(ends, number), len(ends) - 1)  # one step beyond stays in the last
        end, rates, momenta = phases[which]
        start = ends[which - 1] if which else 0.0
        share = (number - start) / (end - start) if end != start else 1.0
        result = []
        for group in self.optimizer.param_groups:
            if missing := {*rates, *(momenta if self.cycle_momentum else ())} - group.keys():
                raise ValueError(
                    f"OneCycleLR: a group has no {min(missing)!r}, it was added after the schedule"
                )
            result.append(self._between(group[rates[0]], group[rates[1]], share))
            if self.cycle_momentum:
                self._set_momentum(
                    group, self._between(group[momenta[0]], group[momenta[1]], share)
                )
        return result

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start


def _phases(total: int, rising: float, three: bool) -> list[tuple[float, Any, Any]]:
    """Return the last step of each phase, and the settings between which the values go."""
    up = (rising * total - 1, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))
    if not three:
        return [up, (total - 1, ("max_lr", "min_lr"), ("base_momentum", "max_momentum"))]
    return [
        up,
        (2 * rising * total - 2, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")),
        (total - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]


def _positive(name: str, value: Any) -> float:
    result = number(f"OneCycleLR: {name}", value)
    if not result > 0:
        raise ValueError(f"OneCycleLR: {name} is {value!r}, must be positive")
    return result


def _each(name: str, optimizer: Optimizer, value: Any) -> list[float]:
    """Return one value per group."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"OneCycleLR: {name} has {len(values)} values for {count} groups")
    return [number(f"OneCycleLR: {name}", one) for one in values]
