"""The profile of a network: each layer has its times, and the algorithms that ran."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv import nn
from pyconv.cli import main
from pyconv.profile import OUTSIDE
from pyconv.testing import force


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Residual(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 5),
    )


def test_every_layer_has_its_times_and_algorithms() -> None:
    net = network()
    with pyconv.algorithm(conv2d="im2col"):
        rows = pyconv.profile(net, (2, 3, 8, 8), repeats=2)
    names = {row.name: row for row in rows}
    assert list(names) == ["0", "1.f.0", "1.f.1", "2", "3", OUTSIDE]
    assert all(row.forward > 0 for row in rows)
    assert names["0"].backward > 0
    assert names["0"].backward_share > 0
    assert names["3"].forward_share > 0
    # Forward and the gradient of the weight: that of the input is not wanted.
    assert names["0"].algorithms == ["im2col", "im2col"]
    assert len(names["3"].algorithms) == 3
    assert str(rows).count("\n") == len(rows) + 1


def test_backward_is_measured_where_gradients_are_off() -> None:
    with pyconv.no_grad():
        assert pyconv.profile(network(), (2, 3, 8, 8), repeats=1)[0].backward > 0


def test_network_is_left_as_it_was() -> None:
    net = network().eval()
    net[0].weight.grad = before = pyconv.ones(8, 3, 3, 3)
    pyconv.profile(net, np.zeros((1, 3, 8, 8), np.float32), repeats=1)
    assert net[0].weight.grad is before
    assert net[3].weight.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_layer_that_returns_no_tensor_and_a_result_in_a_dict() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.nothing = nn.Linear(4, 4), nn.Identity()

        def forward(self, x: pyconv.Tensor) -> dict[str, list[pyconv.Tensor]]:
            self.nothing(None)
            return {"y": [self.linear(input=x.view(x.size(0), -1))]}

    x = pyconv.ones(3, 2, 2, requires_grad=True)
    nothing, linear, _ = pyconv.profile(Net(), x, repeats=1)
    assert (nothing.name, linear.name) == ("nothing", "linear")
    assert linear.backward > 0
    assert x.grad is None


def test_a_layer_that_is_used_twice_has_one_row() -> None:
    relu = nn.ReLU()
    rows = pyconv.profile(nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu), (2, 4), 1)
    assert [row.kind for row in rows] == ["Linear", "ReLU", "Linear", ""]


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="repeats is 0"):
        pyconv.profile(network(), (1, 3, 8, 8), repeats=0)
    with pytest.raises(TypeError, match="profile: model is 'lenet'"):
        pyconv.profile("lenet", (1, 1, 28, 28))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="profile: input is None"):
        pyconv.profile(network(), None)
    with pytest.raises(ValueError, match="channel"):
        pyconv.profile(network(), (1, 4, 8, 8))


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    with force(threads=1):
        assert main(["profile", "lenet", "--input", "5,1,28,28"]) == 0
    text = capsys.readouterr().out
    assert "Conv2d" in text
    assert "total" in text


def test_layers_that_come_with_the_first_pass() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 4)

        def forward(self, x: Any) -> Any:
            if "second" not in self._modules:
                self.second = nn.Linear(4, 2)
            return self.second(self.first(x))

    rows = pyconv.profile(Lazy(), (2, 3), repeats=2)
    assert {"first", "second"} <= {row.name for row in rows}
