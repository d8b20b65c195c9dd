"""Steps of optimisers: equal to the reference and to PyTorch, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import DTYPES, ISAS
from ops import STEPS

import pyconv
from pyconv import _core, optim, reference
from pyconv.testing import assert_close, force

RUNS = [
    pytest.param(name, settings, id=f"{name}-{settings}")
    for name, cases in STEPS.items()
    for settings in cases
]
# Ends that do not fill a vector, nothing at all, one number, and more than two tasks take.
SHAPES = [(7, 11), (0, 3), (), (5,), (129, 331), (16,)]
COUNT = 4


def draw(dtype: Any, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def run(name: str, settings: dict[str, Any], dtypes: list[Any], threads: int = 1) -> list[Any]:
    """Train parameters of every shape for some steps; the last one only every second time."""
    arrays = [array for dtype in dtypes for array in draw(dtype, 0)]
    params = [pyconv.nn.Parameter(pyconv.tensor(array)) for array in arrays]
    optimizer = getattr(optim, name)(params, **settings)
    for step in range(1, 1 + COUNT):
        grads = [grad for dtype in dtypes for grad in draw(dtype, step)]
        for param, grad in zip(params, grads):
            param.grad = pyconv.tensor(grad)
        if step % 2:
            params[-1].grad = None
        with force(threads=threads):
            optimizer.step()
    return [param.detach().numpy() for param in params]


def expected(name: str, settings: dict[str, Any], start: Any, grads: list[Any]) -> Any:
    """Do the same by the reference."""
    param, zeros, rest = start, np.zeros(start.shape), dict(settings)
    if name == "SGD":
        buffer = None
        for grad in grads:
            param, buffer = reference.sgd_step(param, grad, buffer, **rest)
    elif name == "RMSprop":
        state = [zeros, zeros if "momentum" in rest else None]
        state += [zeros if rest.pop("centered", False) else None]
        for grad in grads:
            param, *state = reference.rmsprop_step(param, grad, *state, **rest)
    else:
        state = [zeros, zeros, zeros if rest.pop("amsgrad", False) else None]
        if name == "AdamW":
            rest = {"weight_decay": 0.01, "decoupled": True} | rest
        for step, grad in enumerate(grads, 1):
            param, *state = reference.adam_step(param, grad, *state, step, **rest)
    return param


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "settings"), RUNS)
def test_equals_reference(name: str, settings: dict[str, Any], isa: str, dtype: Any) -> None:
    with force(isa=isa):
        results = run(name, settings, [dtype])
    for i, (result, start) in enumerate(zip(results, draw(dtype, 0))):
        steps = [s for s in range(1, 1 + COUNT) if i < len(SHAPES) - 1 or s % 2 == 0]
        truth = expected(name, settings, start, [draw(dtype, step)[i] for step in steps])
        # A step divides by roots of sums of few squares, which may cancel: as many terms again.
        assert_close(result, truth, 16 * COUNT, allow_empty=True)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", STEPS)
def test_bits_do_not_depend_on_threads_or_company(name: str, isa: str) -> None:
    settings = STEPS[name][-1]
    with force(isa=isa):
        one, two, seven = (run(name, settings, [np.float32], threads) for threads in (1, 2, 7))
        both = run(name, settings, [np.float64, np.float32])[len(SHAPES) :]
    for a, b, c in zip(one, two, seven):
        assert a.tobytes() == b.tobytes() == c.tobytes()
    for a, b in zip(one, both):
        assert_close(b, a, 8, allow_empty=True)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "settings"), RUNS)
def test_agrees_with_pytorch(name: str, settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    params = [torch.nn.Parameter(torch.tensor(array)) for array in draw(np.float64, 0)]
    optimizer = getattr(torch.optim, name)(params, **settings)
    for step in range(1, 1 + COUNT):
        for param, grad in zip(params, draw(np.float64, step)):
            param.grad = torch.tensor(grad)
        if step % 2:
            params[-1].grad = None
        optimizer.step()
    for ours, theirs in zip(run(name, settings, [np.float64]), params):
        assert_close(ours, theirs.detach().numpy(), 16 * COUNT, allow_empty=True)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "settings"), RUNS)
def test_what_is_not_finite_stays_in_its_place(name: str, settings: Any, isa: str) -> None:
    param = pyconv.nn.Parameter(pyconv.ones(37))
    optimizer = getattr(optim, name)([param], **settings)
    for _ in range(2):
        param.grad = pyconv.ones(37)
        param.grad[np.array([3, 36])] = np.nan
        with force(isa=isa):
            optimizer.step()
    found = np.flatnonzero(np.isnan(param.detach().numpy())).tolist()
    assert found == [3, 36]


def test_what_a_step_refuses() -> None:
    good, other = np.ones(3, np.float32), np.ones(3)
    wide = np.ones((3, 2), np.float32)
    for params, grads, error in [
        ([good], [other], TypeError),
        ([good], [wide], ValueError),
        ([wide[:, 0]], [good], ValueError),
        ([good], [], ValueError),
        ([np.ones(3, int)], [good], TypeError),
        ([good], [None], TypeError),
        (good, [good], TypeError),
    ]:
        with pytest.raises(error):
            _core.adam_step(params, grads, [good], [good], None, *[0.1] * 5, False, False, 1)
        with pytest.raises(error):
            _core.sgd_step(params, grads, None, *[0.1] * 4, False, False, False)
    with pytest.raises(ValueError, match="1 parameters and 0 of square_avg"):
        _core.rmsprop_step([good], [good], [], None, None, *[0.1] * 5, False)
    with pytest.raises(ValueError, match=r"exp_avg_sq has shape \(3, 2\)"):
        _core.adam_step([good], [good], [good], [wide], None, *[0.1] * 5, False, False, 1)
    with pytest.raises(TypeError, match=r"grad_avg.dtype"):
        _core.rmsprop_step([good], [good], [good], None, [other], *[0.1] * 5, False)
