"""The experiments on networks: what they compute, and each command once on very little."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn
from pyconv.cli import main
from pyconv.design import SPACES
from pyconv.rehearsal import peak_bytes
from pyconv.terminal import Progress
from pyconv.testing import force
from pyconv.train import compare, depth, design, surface


def batch(size: int = 4) -> tuple[pyconv.Tensor, pyconv.Tensor]:
    images = np.random.default_rng(0).standard_normal((size, 1, 8, 8)).astype(np.float32)
    return pyconv.from_numpy(images), pyconv.from_numpy(np.arange(size) % 10)


def gradients(model: nn.Module, budget_mb: float) -> list[np.ndarray]:
    model.zero_grad()
    depth.loss_of(model, *batch(), budget_mb).backward()
    return [param.grad.numpy() for param in model.parameters()]


def test_gradients_within_a_budget_are_the_same_bits() -> None:
    model = depth.network(29, skip=True)
    all_kept = gradients(model, np.inf)
    for budget in (0, 0.2):
        for a, b in zip(all_kept, gradients(model, budget)):
            np.testing.assert_array_equal(a, b)


def test_a_memory_is_kept() -> None:
    images, classes = batch(32)
    with force(threads=1):
        pyconv.manual_seed(0)
        model = depth.network(83, skip=True)

        def needed(budget: float) -> float:
            run = lambda: depth.loss_of(model, images, classes, budget).backward()  # noqa: E731
            return peak_bytes(model, run) / 1e6

        free, least = needed(np.inf), needed(0)
        memory = least + 0.75 * (free - least)
        budget = depth.budget_for(model, images, classes, memory)
        assert least < needed(budget) <= memory
    assert 0 < budget < free
    assert least < 0.7 * free
    with pytest.raises(ValueError, match="needs"):
        depth.budget_for(model, images, classes, 0.5 * least)


def test_ways_around_keep_gradients_in_bounds() -> None:
    pyconv.manual_seed(0)
    images, classes = batch(8)
    growth = {
        skip: depth.decades(
            depth.gradient_norms(depth.network(164, skip).double(), images.to(np.float64), classes)
        )
        for skip in (True, False)
    }
    # Batch norm makes a gradient grow by a factor of about 1.2 a layer: arXiv:1902.08129.
    assert growth[False] > 10
    assert growth[True] < 5


def test_surface_is_the_loss_around_the_network() -> None:
    pyconv.manual_seed(0)
    model = depth.network(20, skip=True)
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    images, classes = batch()
    losses = surface.surface(model, images, classes, points=3, reach=0.5, seed=0)
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), before[name])
    assert losses[1, 1] == pytest.approx(F.cross_entropy(model(images), classes).item(), rel=1e-6)
    assert len(set(losses.ravel())) == 9


def test_directions_are_as_long_as_the_filters() -> None:
    conv = nn.Conv2d(3, 4, 3)
    drawn = surface.direction(conv, np.random.default_rng(0))
    weights = conv.weight.detach().numpy().reshape(4, -1)
    lengths = np.linalg.norm(drawn[: weights.size].reshape(4, -1), axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(weights, axis=1), rtol=1e-6)
    assert not drawn[weights.size :].any()


def test_roughness_tells_a_valley_from_waves() -> None:
    x = np.linspace(-1, 1, 41)
    valley = x**2 + x[:, None] ** 2
    assert surface.roughness(valley) == pytest.approx(0)
    assert surface.roughness(valley + 0.5 * np.cos(20 * x)) > 1


@pytest.mark.parametrize("space", SPACES)
def test_drawn_networks_cost_what_was_asked(space: str) -> None:
    (network,) = design.draw(space, 1, 1e6, 14, seed=0)
    with pyconv.shapes_only():
        model = pyconv.models.anynet(**network, strides=design.STRIDES, num_classes=10)
    counted = pyconv.summary(model, (1, 3, 14, 14)).multiply_adds
    assert design.multiply_adds(network, 14) == counted
    assert counted == pytest.approx(1e6, rel=0.1)


def test_bands_hold_the_distribution() -> None:
    errors = np.random.default_rng(0).random(30)
    at = np.linspace(-0.1, 1.1, 50)
    low, high = design.bands(errors, at)
    share = design.distribution(errors, at)
    assert (low <= share).all()
    assert (share <= high).all()
    assert 0.2 < (high - low).max() < 0.5


def test_networks_that_are_compared_are_alike() -> None:
    for name, networks in compare.COMPARISONS.items():
        with pyconv.shapes_only():
            counts = [pyconv.summary(f(), (1, 3, 14, 14)).parameters for f in networks.values()]
        assert name == "kernels" or max(counts) < 1.01 * min(counts)


def test_deviation_is_that_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.5, 0.6, 0.7])
    monkeypatch.setattr(compare, "fit_briefly", lambda *_: None)
    monkeypatch.setattr(compare, "held_out_accuracy", lambda *_: next(accuracies))
    data = pyconv.data.TensorDataset(np.zeros((1, 3, 8, 8), np.float32), [0])
    args = argparse.Namespace(seed=0, seeds=3)
    make = compare.COMPARISONS["stride"]["stride 2"]
    *_, error, deviation, _ = compare.measure(make, data, data, args, Progress(1, ""))
    assert (error, deviation) == pytest.approx((0.4, 0.1))


COMMANDS = {
    "depth": "--depths 20 29 --batch-size 4 --steps 2 --memory 100",
    "surface": "--train-images 64 --epochs 1 --points 3 --images 16",
    "compare": "--train-images 64 --test-images 32 --epochs 1 --seeds 1 --what stride",
    "design": "--train-images 64 --test-images 32 --epochs 1 --networks 2 --spaces RegNetX",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_command(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    log, picture = tmp_path / "numbers.csv", tmp_path / "picture.png"
    options = ["--log", str(log), "--plot", str(picture)]
    assert main(["train", name, *COMMANDS[name].split(), *options]) == 0
    assert len(log.read_text().splitlines()) > 2
    assert picture.stat().st_size > 1000
    assert "%" in capsys.readouterr().out or name == "depth"
