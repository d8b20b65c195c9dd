"""Schedules: the rates of PyTorch, step by step, also after a pause."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import pyconv
from pyconv.optim import SGD, Adam, lr_scheduler

COUNT = 24


def sequence(lib, optimizer):
    return lib.SequentialLR(
        optimizer,
        [
            lib.LinearLR(optimizer, 0.1, total_iters=4),
            lib.CosineAnnealingLR(optimizer, 6),
            lib.StepLR(optimizer, 2, 0.5),
            lib.MultiStepLR(optimizer, [1, 3], 0.5),
        ],
        [4, 11, 16],
    )


SCHEDULES = {
    "step": lambda lib, o: lib.StepLR(o, 3, gamma=0.5),
    "step-every": lambda lib, o: lib.StepLR(o, 1),
    "lambda": lambda lib, o: lib.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "lambdas": lambda lib, o: lib.LambdaLR(o, [lambda epoch: 0.9**epoch, lambda epoch: epoch]),
    "exponential": lambda lib, o: lib.ExponentialLR(o, 0.9),
    "multi": lambda lib, o: lib.MultiStepLR(o, [2, 5, 5, 9], gamma=0.3),
    "multi-first": lambda lib, o: lib.MultiStepLR(o, [0, 4]),
    "cosine": lambda lib, o: lib.CosineAnnealingLR(o, 5, eta_min=0.01),
    "cosine-short": lambda lib, o: lib.CosineAnnealingLR(o, 1),
    "linear": lambda lib, o: lib.LinearLR(o),
    "linear-down": lambda lib, o: lib.LinearLR(o, 1.0, 0.1, 7),
    "cycle": lambda lib, o: lib.OneCycleLR(o, 1.0, total_steps=COUNT),
    "cycle-three": lambda lib, o: lib.OneCycleLR(
        o, [1.0, 2.0], epochs=4, steps_per_epoch=6, three_phase=True, anneal_strategy="linear"
    ),
    "cycle-rates-only": lambda lib, o: lib.OneCycleLR(
        o, 0.5, COUNT, pct_start=0.5, cycle_momentum=False, div_factor=5, final_div_factor=10
    ),
    "sequence": sequence,
    "sequence-cycle": lambda lib, o: lib.SequentialLR(
        o, [lib.LinearLR(o, 0.5), lib.OneCycleLR(o, 1.0, 30)], [6]
    ),
    "sequence-factors": lambda lib, o: lib.SequentialLR(
        o,
        [
            lib.ExponentialLR(o, 0.5),
            lib.LambdaLR(o, lambda e: 1 - e / 9),
            lib.ExponentialLR(o, 0.8),
        ],
        [3, 9],
    ),
    "nested": lambda lib, o: lib.SequentialLR(o, [sequence(lib, o), lib.StepLR(o, 1)], [20]),
}


def make(optimizer=SGD):
    params = [pyconv.nn.Parameter([1.0]), pyconv.nn.Parameter([2.0])]
    settings = {"momentum": 0.9} if optimizer is SGD else {}
    return optimizer([{"params": params[:1]}, {"params": params[1:], "lr": 0.3}], 0.7, **settings)


def settings(optimizer):
    return [
        [group[name] for name in ("lr", "momentum", "betas") if name in group]
        for group in optimizer.param_groups
    ]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_pytorch(name, kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = make(kind)
    w = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    theirs = getattr(torch.optim, kind.__name__)(
        [{"params": w[:1]}, {"params": w[1:], "lr": 0.3}],
        0.7,
        **({"momentum": 0.9} if kind is SGD else {}),
    )
    schedule = SCHEDULES[name](lr_scheduler, ours)
    other = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    for _ in range(COUNT):
        assert settings(ours) == settings(theirs)
        assert schedule.get_last_lr() == other.get_last_lr()
        schedule.step()
        other.step()


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_goes_on_after_a_pause(name):
    whole, paused = make(), make()
    schedule, before = (SCHEDULES[name](lr_scheduler, o) for o in (whole, paused))
    for _ in range(7):
        schedule.step()
        before.step()
    resumed = make()
    after = SCHEDULES[name](lr_scheduler, resumed)
    resumed.load_state_dict(paused.state_dict())
    after.load_state_dict(before.state_dict())
    for _ in range(8):
        schedule.step()
        after.step()
        assert settings(resumed) == settings(whole)
        assert after.last_epoch == schedule.last_epoch


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "patience": 1, "factor": 0.5},
        {"threshold_mode": "abs", "threshold": 0.2, "patience": 0, "cooldown": 2},
        {"mode": "max", "threshold_mode": "abs", "patience": 2, "min_lr": [0.1, 0.02]},
        {"patience": 0, "factor": 0.9, "eps": 0.05},
    ],
)
def test_plateau_is_that_of_pytorch(options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = make()
    w = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    theirs = torch.optim.SGD([{"params": w[:1]}, {"params": w[1:], "lr": 0.3}], 0.7)
    schedule = lr_scheduler.ReduceLROnPlateau(ours, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    values = np.random.default_rng(0).standard_normal(40).cumsum()
    values[9] = np.nan
    for value in values:
        schedule.step(pyconv.tensor(value))
        other.step(value)
        assert schedule.get_last_lr() == [group["lr"] for group in theirs.param_groups]
    resumed = lr_scheduler.ReduceLROnPlateau(make(), **options)
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.best == schedule.best
    assert isinstance(resumed, lr_scheduler.LRScheduler)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "step_size is 0"),
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "optimizer is a int"),
        (lambda o: lr_scheduler.StepLR(o, 1, last_epoch=3), ValueError, "initial_lr"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, -1), ValueError, "T_max is -1"),
        (lambda o: lr_scheduler.LinearLR(o, 0.0), ValueError, "start_factor is 0.0"),
        (lambda o: lr_scheduler.LinearLR(o, 1.0, 2.0), ValueError, "end_factor is 2.0"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "total_steps is None"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 0), ValueError, "total_steps is 0"),
        (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 9), ValueError, "max_lr has 1 values for 2"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, pct_start=2), ValueError, "pct_start is 2"),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, "'x'"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "0 schedulers"),
        (
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(make(), 1)], []),
            ValueError,
            r"schedulers\[0\]",
        ),
        (
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ReduceLROnPlateau(o)], []),
            ValueError,
            r"schedulers\[0\] needs a measure",
        ),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, "up"), ValueError, "mode is 'up'"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor is 1.0"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0]), ValueError, "min_lr has 1"),
        (lr_scheduler.LRScheduler, NotImplementedError, "get_lr"),
        (lambda o: lr_scheduler.ExponentialLR(o, "a"), TypeError, "gamma is 'a'"),
        (lambda o: lr_scheduler.LambdaLR(o, 0.5), TypeError, "lr_lambda is 0.5"),
        (lambda o: lr_scheduler.LambdaLR(o, [abs]), ValueError, "1 functions for 2 groups"),
        (lambda o: lr_scheduler.LambdaLR(o, str), TypeError, "lr_lambda returned is '0'"),
    ],
)
def test_bad_arguments(build, error, message):
    with pytest.raises(error, match=message):
        build(make())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("step", {"step_size": 0}, "step_size is 0"),
        ("step", {"last_epoch": None}, "last_epoch is None"),
        ("step", {"gamma": "x"}, "gamma is 'x'"),
        ("step", {"base_lrs": [1.0]}, "base_lrs has 1 entries, expected 2"),
        ("multi", {"milestones": 3}, "milestones is 3"),
        ("cycle", {"anneal_strategy": "x"}, "anneal_strategy is 'x'"),
        ("cycle", {"pct_start": 2}, "pct_start is 2"),
        ("cycle", {"three_phase": None}, "three_phase is None"),
        ("sequence", {"_schedulers": None}, "schedulers is None"),
        ("sequence", {"_schedulers": []}, "schedulers has 0 entries, expected 4"),
        ("sequence", {"_milestones": [1]}, "milestones has 1 entries, expected 3"),
        ("nested", {"_schedulers": [{}, {}]}, r"state_dict has \[\]"),
        ("multi", {"milestones": Counter(["a", 1])}, "milestones is 'a', expected an integer"),
        ("multi", {"milestones": Counter({1: 1.5})}, "milestones is 1.5, expected an integer"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(name, change, message):
    schedule = SCHEDULES[name](lr_scheduler, make())
    before = repr(schedule.state_dict())
    with pytest.raises((ValueError, TypeError), match=message):
        schedule.load_state_dict({**schedule.state_dict(), **change})
    assert repr(schedule.state_dict()) == before


@pytest.mark.parametrize(
    ("phases", "total", "message"),
    [
        (1, 10, "_schedule_phases is 1, expected a list"),
        (None, 10, "_schedule_phases is None, expected a list"),
        ([], 10, r"_schedule_phases is \[\], expected two or three dicts"),
        ([1, 2], 10, r"_schedule_phases is \[1, 2\], expected two or three dicts"),
        ([{}, {}], 10, "end_step is None, expected a number"),
        ([{"end_step": 2.0}, {"end_step": "a"}], 10, "end_step is 'a', expected a number"),
        ([{"end_step": 2.0}, {"end_step": 9.0}], 0, "total_steps is 0, must be at least 1"),
        ([{"end_step": 20.0}, {"end_step": 9.0}], 10, "pct_start is 2.1"),
    ],
)
def test_phases_of_pytorch_that_do_not_fit(phases, total, message):
    given = {"_schedule_phases": phases, "_anneal_func_type": "cos", "total_steps": total}
    for name, why in (("cycle", message), ("step", r"state_dict has \['_schedule_phases'")):
        schedule = SCHEDULES[name](lr_scheduler, make())
        state = schedule.state_dict()
        for key in ("three_phase", "pct_start", "anneal_strategy"):
            state.pop(key, None)
        with pytest.raises((ValueError, TypeError), match=f"LR.load_state_dict: {why}"):
            schedule.load_state_dict({**given, **state, **given})


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*SCHEDULES, "plateau"])
def test_states_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    build = (SCHEDULES | {"plateau": lambda lib, o: lib.ReduceLROnPlateau(o)})[name]
    w = [{"params": [torch.nn.Parameter(torch.ones(1))]} for _ in range(2)]
    other = torch.optim.SGD(w, 0.7, momentum=0.9)
    theirs, ours = build(torch.optim.lr_scheduler, other), build(lr_scheduler, own := make())
    for _ in range(5):
        theirs.step(*[1.0] * (name == "plateau"))
    ours.load_state_dict(theirs.state_dict())
    assert ours.last_epoch == theirs.last_epoch
    assert ours.get_last_lr() == theirs.get_last_lr()
    own.load_state_dict(other.state_dict())
    for _ in range(15):
        for schedule in (ours, theirs):
            schedule.step(*[1.0] * (name == "plateau"))
        assert [group["lr"] for group in own.param_groups] == pytest.approx(theirs.get_last_lr())
    if "multi" in name or name in ("sequence", "nested"):
        return  # PyTorch counts milestones in a way that `save` does not know
    before = theirs.get_last_lr()
    theirs.load_state_dict(ours.state_dict())
    assert theirs.get_last_lr() == pytest.approx(before)
    theirs.step(*[1.0] * (name == "plateau"))


def test_groups_that_are_added_later():
    def add(optimizer):
        optimizer.add_param_group({"params": [pyconv.nn.Parameter([1.0])], "lr": 0.5})

    optimizer = make()
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.1)
    fixed = lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1, 0.1])
    schedule.step(1.0)
    add(optimizer)
    for _ in range(2):
        schedule.step(1.0)
    assert schedule.get_last_lr() == pytest.approx([0.1, 0.1, 0.1])
    with pytest.raises(ValueError, match="min_lr has 2 values for 3 groups"):
        fixed.step(1.0)
    cycle = lr_scheduler.OneCycleLR(optimizer := make(), 1.0, 9)
    add(optimizer)
    with pytest.raises(ValueError, match="added after the schedule"):
        cycle.step()


def test_unsigned_numbers():
    optimizer = SGD([pyconv.nn.Parameter([1.0])], 1.0)
    schedule = lr_scheduler.LinearLR(optimizer, np.uint8(1), np.uint8(0), 4)
    for _ in range(3):
        schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.25])
    lr_scheduler.OneCycleLR(
        optimizer, np.uint8(1), 9, 9, 9, 0.5, "cos", False, 0, 0, np.uint8(4), np.uint8(5)
    )
    assert optimizer.param_groups[0]["min_lr"] == 0.05


def test_a_sequence_as_a_later_part_of_another():
    optimizer = SGD([pyconv.nn.Parameter([1.0])], 1.0)
    later = lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2), lr_scheduler.StepLR(optimizer, 1)],
        [3],
    )
    schedule = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.StepLR(optimizer, 1, 0.5), later], [2]
    )
    rates = []
    for _ in range(7):
        rates += schedule.get_last_lr()
        schedule.step()
    assert rates == pytest.approx([1, 0.5, 0.5, 0.75, 1, 1, 0.1])


def test_a_cycle_ends():
    schedule = lr_scheduler.OneCycleLR(make(), 1.0, total_steps=2, pct_start=0.5)
    for _ in range(2):
        schedule.step()
    with pytest.raises(ValueError, match="step 3 of a cycle of 2"):
        schedule.step()


@pytest.mark.parametrize("total_iters", [4, 5, 7, 13])
def test_a_rate_that_falls_to_nothing_is_not_negative(total_iters):
    optimizer = SGD([pyconv.nn.Parameter([1.0])], lr=0.1)
    schedule = lr_scheduler.LinearLR(optimizer, 0.1, 0.0, total_iters)
    for _ in range(total_iters + 2):
        optimizer.step()
        schedule.step()
    assert 0 <= schedule.get_last_lr()[0] < 1e-15


def test_a_rate_that_schedules_together_take_below_0():
    parameter = pyconv.nn.Parameter([1.0])
    optimizer = SGD([parameter], lr=0.1)
    optimizer.param_groups[0]["lr"] = np.float32(-0.1)
    parameter.grad = pyconv.ones(1)
    optimizer.step()
    assert parameter.item() == pytest.approx(1.1)
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.param_groups[0]["momentum"] = -1
    with pytest.raises(ValueError, match="momentum is -1"):
        optimizer.step()
