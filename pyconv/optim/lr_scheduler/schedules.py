"""Schedules that depend on the number of steps alone, and their sequence."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...arguments import integer, number
from ..optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler, check_optimizer, check_state


class StepLR(LRScheduler):
    """Multiplies the rate by `gamma` every `step_size` steps.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    step_size : int
    gamma : float

    Raises
    ------
    ValueError
        If `step_size` is not positive.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    >>> for _ in range(4):
    ...     optimizer.step()
    ...     schedule.step()
    ...     print(schedule.get_last_lr())
    [1.0]
    [0.1]
    [0.1]
    [0.010000000000000002]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = integer("StepLR: step_size", step_size, 1)
        self.gamma = number("StepLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self.current()
        return [lr * self.gamma for lr in self.current()]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by `gamma` in every step.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    gamma : float

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = number("ExponentialLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def resumed_lr(self) -> list[float]:
        """Compute the rates with which a schedule starts, or goes on after a restart."""
        return self.current()

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        return [lr * self.gamma for lr in self.current()]


class MultiStepLR(LRScheduler):
    """Multiplies the rate by `gamma` at each of some steps.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    milestones : iterable of int
        Numbers of steps; one that is named twice counts twice.
    gamma : float

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(_times("MultiStepLR: milestones", milestones))
        self.gamma = number("MultiStepLR: gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        times = self.milestones.count(self.last_epoch)
        return [lr * self.gamma**times if times else lr for lr in self.current()]

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        return [lr * self.gamma ** bisect_right(self.milestones, 0) for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """Leads the rate from one share of the initial rate to another in even steps.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    start_factor, end_factor : float
        The shares, in (0, 1] and [0, 1].
    total_iters : int
        Number of steps until `end_factor` is reached.

    Raises
    ------
    ValueError
        If a share is out of range.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = number("LinearLR: start_factor", start_factor)
        self.end_factor = number("LinearLR: end_factor", end_factor)
        if not 0 < self.start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor is {start_factor}, must be in (0, 1]")
        if not 0 <= self.end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor is {end_factor}, must be in [0, 1]")
        self.total_iters = integer("LinearLR: total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def resumed_lr(self) -> list[float]:
        """Compute the rates with which a schedule starts, or goes on after a restart."""
        start = self.start_factor if self.last_epoch == 0 else 1.0
        return [lr * start for lr in self.current()]

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        return [lr * self.start_factor for lr in self.base_lrs]

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        if self.last_epoch > self.total_iters:
            return self.current()
        change = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * change
        return [max(0.0, lr * (1.0 + change / before)) for lr in self.current()]


class CosineAnnealingLR(LRScheduler):
    """Leads the rate along half a cosine from its initial value to `eta_min`, and back.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    T_max : int
        Number of steps until `eta_min` is reached.
    eta_min : float

    Raises
    ------
    ValueError
        If `T_max` is not positive.

    References
    ----------
    Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*,
    arXiv:1608.03983, without the restarts.

    Examples
    --------
    >>> import pyconv
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = pyconv.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = integer("CosineAnnealingLR: T_max", T_max, 1)
        self.eta_min = number("CosineAnnealingLR: eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def resumed_lr(self) -> list[float]:
        """Compute the rates with which a schedule starts, or goes on after a restart."""
        return self.current()

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        low = self.eta_min
        return [low + (lr - low) * (1 + math.cos(0)) / 2 for lr in self.base_lrs]

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        low, angle = self.eta_min, math.pi / self.T_max
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # it was at its lowest
            rise = (1 - math.cos(angle)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self.current(), self.base_lrs)]
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [now / before * (lr - low) + low for lr in self.current()]


class SequentialLR(LRScheduler):
    """One schedule after the other.

    Parameters
    ----------
    optimizer, last_epoch
        As in `LRScheduler`.
    schedulers : sequence of LRScheduler
        All of this optimizer.
    milestones : sequence of int
        Number of the step at which each schedule but the first begins.

    Raises
    ------
    ValueError
        If there are no schedules, they are another optimizer's, or milestones are not one fewer.

    Examples
    --------
    >>> import pyconv
    >>> from pyconv.optim.lr_scheduler import LinearLR, SequentialLR, StepLR
    >>> optimizer = pyconv.optim.SGD([pyconv.nn.Parameter([1.0])], lr=1.0)
    >>> warm = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm, StepLR(optimizer, 3)], milestones=[2])
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [0.5]
    [0.75]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if not isinstance(schedulers, (list, tuple)):
            kind = type(schedulers).__name__
            raise TypeError(f"SequentialLR: schedulers is a {kind}, expected a list")
        milestones = _times("SequentialLR: milestones", milestones)
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones, "
                "expected one milestone fewer, and a scheduler"
            )
        for i, one in enumerate(schedulers):
            if not isinstance(one, LRScheduler) or one.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedulers[{i}] is no schedule of this optimizer")
            if isinstance(one, ReduceLROnPlateau):
                raise ValueError(f"SequentialLR: schedulers[{i}] needs a measure in each step")
        self.optimizer = optimizer
        self._schedulers = list(schedulers)
        self._milestones = milestones
        self.last_epoch = integer("SequentialLR: last_epoch", last_epoch, -1)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.undo()
        self.start()

    def undo(self) -> None:
        """Take back the step that the schedules began with."""
        for one in self._schedulers:
            if isinstance(one, SequentialLR):
                one.undo()
            else:
                one.last_epoch -= 1

    def start(self) -> None:
        """Do the step that every schedule begins with."""
        self.last_epoch += 1
        running = self._schedulers[bisect_right(self._milestones, 0)]
        running.start()
        self._last_lr = running.get_last_lr()

    def begin(self) -> None:
        """Begin as the next of a sequence, whatever was before."""
        self.last_epoch = 0
        running = self._schedulers[bisect_right(self._milestones, 0)]
        running.begin()
        self._last_lr = running.get_last_lr()

    def step(self) -> None:
        """Give the optimizer its next rates."""
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        running = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            running.begin()
        else:
            running.step()
        self._last_lr = running.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return all but the optimizer, with the state of each schedule."""
        schedulers = [one.state_dict() for one in self._schedulers]
        return {**super().state_dict(), "_schedulers": schedulers}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        state = check_state(self, state_dict)
        for one, part in zip(self._schedulers, state["_schedulers"]):
            one.load_state_dict(part)
        self.__dict__.update({**state, "_schedulers": self._schedulers})


def _times(name: str, value: Any) -> list[int]:
    """Read numbers of steps."""
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}, expected integers")
    return [integer(f"an entry of {name}", n) for n in value]
