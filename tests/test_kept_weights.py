"""What convolutions and products keep of a plan's weights."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.testing import force


@pytest.fixture
def network() -> nn.Module:
    pyconv.manual_seed(0)
    layers = [nn.Conv2d(32, 48, 3, padding=1), nn.ConvTranspose2d(48, 40, 2, stride=2)]
    return nn.Sequential(*layers, nn.Conv2d(40, 20, 7, stride=2), nn.Conv2d(20, 9, 1)).eval()


def results(network: nn.Module, *inputs: Any) -> list[np.ndarray]:
    with pyconv.no_grad():
        return [network(x).numpy() for x in inputs]


def test_other_batches_sizes_and_instruction_sets_find_their_own(network: nn.Module) -> None:
    x, many = pyconv.randn(1, 32, 12, 12), pyconv.randn(40, 32, 12, 12)
    expected = results(network, x, many)
    plan = pyconv.compile(network, x)
    for isa in (*pyconv._core.available_isas(), None):
        with force(isa=isa, threads=2):
            for _ in range(2):
                for given, wanted in zip((x, many), expected):
                    np.testing.assert_allclose(plan(given).numpy(), wanted, atol=1e-5)


def test_products_of_other_batches_find_their_own() -> None:
    pyconv.manual_seed(0)
    model = nn.Sequential(nn.Linear(700, 33), nn.ReLU(), nn.Linear(33, 9)).eval()
    inputs = [pyconv.randn(*shape, 700) for shape in ((1,), (6,), (40,))]
    expected = results(model, *inputs)
    plan = pyconv.compile(model, inputs[0])
    for isa in (*pyconv._core.available_isas(), None):
        for algorithm in ({"matmul": "packed"}, {}):
            with force(isa=isa, algorithm=algorithm, threads=2):
                for x, wanted in zip(inputs * 2, expected * 2):
                    np.testing.assert_allclose(plan(x).numpy(), wanted, atol=1e-5)


def test_explain_knows_that_a_product_is_kept() -> None:
    layer, x = nn.Linear(64, 64).eval(), pyconv.randn(5, 64)
    estimates = []
    for model in (layer, pyconv.compile(layer, x)):
        (rows,) = pyconv.explain(model, x).calls.values()
        estimates += [row["milliseconds"] for row in rows if row["algorithm"] == "packed"]
    assert estimates[1] < estimates[0]


def test_groups_keep_their_weights() -> None:
    pyconv.manual_seed(0)
    layers = [nn.Conv2d(40, 40, 3, groups=5), nn.ConvTranspose2d(40, 40, 3, groups=5)]
    model = nn.Sequential(*layers, nn.Conv2d(40, 40, 3, groups=40, stride=2)).eval()
    last = pyconv.randn(2, 40, 9, 9).numpy().transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    inputs = [pyconv.randn(1, 40, 12, 12), pyconv.Tensor(last)]
    expected = results(model, *inputs)
    for x, wanted in zip(inputs, expected):
        plan = pyconv.compile(model, x)
        for _ in range(2):
            np.testing.assert_allclose(plan(x).numpy(), wanted, atol=1e-5)


def test_a_rehearsal_leaves_nothing_behind(network: nn.Module) -> None:
    x = pyconv.randn(1, 32, 12, 12)
    plan = pickle.loads(pickle.dumps(pyconv.compile(network, x)))  # which has not run yet

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Conv2d(9, 1, 1)

        def forward(self, x: Any) -> Any:
            return self.last(plan(x))

    pyconv.summary(Whole(), (1, 32, 12, 12))
    np.testing.assert_allclose(plan(x).numpy(), results(network, x)[0], atol=1e-5)


def test_memory_that_is_used_again_is_read_again() -> None:
    x = pyconv.randn(1, 16, 8, 8)
    for seed in range(20):
        pyconv.manual_seed(seed)
        layer = nn.Conv2d(16, 16, 3, padding=1)
        plan = pyconv.compile(layer, x)
        np.testing.assert_allclose(plan(x).numpy(), results(layer, x)[0], atol=1e-5)
        del plan
