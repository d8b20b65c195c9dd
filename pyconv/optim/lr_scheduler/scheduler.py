"""LRScheduler: what all schedules have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...arguments import flag, integer, number, one_of, probability
from ..optimizer import Optimizer


class LRScheduler:
    """Base class of schedules; a subclass defines `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups get new rates; each remembers the first as ``"initial_lr"``.
    last_epoch : int
        How many steps were done; -1 starts anew.

    Attributes
    ----------
    last_epoch : int
    base_lrs : list of float
        The initial rate of each group.

    Raises
    ------
    TypeError
        If `optimizer` is none.
    ValueError
        If `last_epoch` is not -1 and a group has no ``"initial_lr"``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        last_epoch = integer(f"{type(self).__name__}: last_epoch", last_epoch, -1)
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: last_epoch is {last_epoch}, but a group of the "
                    "optimizer has no 'initial_lr': it was never scheduled"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.start()

    def get_lr(self) -> list[float]:
        """Compute the rate of each group at ``last_epoch`` from the one before."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr")

    def first_lr(self) -> list[float]:
        """Compute the rates at epoch 0 whatever was before."""
        return self.base_lrs

    def resumed_lr(self) -> list[float]:
        """Compute the rates with which a schedule starts, or goes on after a restart."""
        return self.get_lr()

    def begin(self) -> None:
        """Begin as the next of a sequence, whatever was before."""
        self.last_epoch = 0
        self.set(self.first_lr())

    def start(self) -> None:
        """Do the step that every schedule begins with."""
        self.last_epoch += 1
        self.set(self.resumed_lr())

    def step(self) -> None:
        """Give the optimizer its next rates."""
        self.last_epoch += 1
        self.set(self.get_lr())

    def set(self, rates: list[float]) -> None:
        """Give each group its rate."""
        for group, lr in zip(self.optimizer.param_groups, rates):
            group["lr"] = lr
        self._last_lr = list(rates)

    def current(self) -> list[float]:
        """Return the rates that the optimizer has now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step gave."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return all but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises
        ------
        ValueError, TypeError
            If it is no state of such a schedule; nothing is changed then.
        """
        self.__dict__.update(check_state(self, state_dict))


# Of the integers in a state, what they are at least.
LEAST = {
    "last_epoch": -(2**63),  # of one that SequentialLR took back: below -1
    "step_size": 1,
    "T_max": 1,
    "total_iters": 0,
    "total_steps": 1,
    "patience": 0,
    "cooldown": 0,
    "cooldown_counter": 0,
    "num_bad_epochs": 0,
}
# And what its words may be.
WORDS = {
    "mode": ("min", "max"),
    "threshold_mode": ("rel", "abs"),
    "anneal_strategy": ("cos", "linear"),
}


# Which PyTorch's schedules have besides.
PASSED_OVER = {
    "_step_count", "_is_initial", "_get_lr_called_within_step", "verbose", "mode_worse",
    "use_beta1",
}  # fmt: skip


def check_state(owner: Any, state_dict: Any) -> dict[str, Any]:
    """Return a state of the owner's kind; TypeError or ValueError for what is none."""
    name = type(owner).__name__
    if not isinstance(state_dict, Mapping):
        kind = type(state_dict).__name__
        raise TypeError(f"{name}.load_state_dict: state_dict is a {kind}, expected a dict")
    own = owner.state_dict().keys()
    state = {key: value for key, value in state_dict.items() if key not in PASSED_OVER}
    if isinstance(state.get("milestones"), Counter):  # PyTorch's
        for time, count in state["milestones"].items():
            integer(f"an entry of {name}.load_state_dict: milestones", time)
            integer(f"a count of {name}.load_state_dict: milestones", count, 0)
        state["milestones"] = sorted(state["milestones"].elements())
    phased = state.keys() >= {"_schedule_phases", "_anneal_func_type", "total_steps"}
    if phased and "three_phase" in own:
        _name_phases(f"{name}.load_state_dict: ", state)
    if state.keys() != own:
        raise ValueError(
            f"{name}.load_state_dict: state_dict has {list(state)}, expected {list(own)}"
        )
    for key, value in state.items():
        if key == "_schedulers":
            count, what = len(owner._schedulers), f"{name}.load_state_dict: "
            _check_list(f"{what}_schedulers", value, count)
            _check_list(f"{what}_milestones", state["_milestones"], count - 1)
            for one, part in zip(owner._schedulers, value):
                check_state(one, part)
        else:
            _check_value(f"{name}.load_state_dict: {key}", key, value, getattr(owner, key))
    return state


def _name_phases(what: str, state: dict[str, Any]) -> None:
    """Put what `OneCycleLR` keeps in the place of what PyTorch's does."""
    phases = _check_list(f"{what}_schedule_phases", state.pop("_schedule_phases"))
    if len(phases) not in (2, 3) or not all(isinstance(phase, Mapping) for phase in phases):
        raise ValueError(f"{what}_schedule_phases is {phases!r}, expected two or three dicts")
    ends = [number(f"{what}end_step", phase.get("end_step")) for phase in phases]
    state["three_phase"] = len(phases) == 3
    state["pct_start"] = (ends[0] + 1) / integer(f"{what}total_steps", state["total_steps"], 1)
    state["anneal_strategy"] = state.pop("_anneal_func_type")


def _check_value(what: str, key: str, value: Any, present: Any) -> None:
    """Raise TypeError or ValueError for a value that cannot stand in the place of the present."""
    if key == "default_min_lr" and value is None:
        return
    if key in LEAST:
        integer(what, value, LEAST[key])
    elif key in ("milestones", "_milestones"):
        for time in _check_list(what, value):
            integer(f"an entry of {what}", time)
    elif isinstance(present, bool):
        flag(what, value)
    elif key == "pct_start":
        probability(what, value)
    elif present is None or isinstance(present, (int, float)):
        number(what, value)
    elif isinstance(present, str):
        one_of(what, value, WORDS.get(key, (present,)))
    elif isinstance(present, list) and present and isinstance(present[0], (int, float)):
        for rate in _check_list(what, value, len(present)):
            number(f"an entry of {what}", rate)


def _check_list(what: str, value: Any, count: int | None = None) -> Sequence[Any]:
    """Return a list; TypeError for what is none, ValueError for one of another length."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{what} is {value!r}, expected a list")
    if count is not None and len(value) != count:
        raise ValueError(f"{what} has {len(value)} entries, expected {count}")
    return value


def check_optimizer(owner: Any, optimizer: Any) -> None:
    """Raise TypeError unless it is an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"{type(owner).__name__}: optimizer is a {kind}, expected an Optimizer")
