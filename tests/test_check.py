"""Layers as matrices, and whether they move with their input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import models, nn
from pyconv.check import equivariance
from pyconv.testing import assert_close

# ---- matrices ----------------------------------------------------------------------------------

LINEAR: dict[str, tuple[Any, tuple[int, ...]]] = {
    "conv1d": (nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), (2, 7)),
    "conv2d": (nn.Conv2d(2, 3, (3, 2), padding=(2, 0), dilation=(1, 2)), (2, 4, 5)),
    "winograd": (nn.Conv2d(16, 16, 3, padding=1), (16, 6, 6)),
    "conv3d": (nn.Conv3d(1, 2, 2), (1, 3, 2, 3)),
    "circular": (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 4, 4)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3, stride=2), (3, 2, 3)),
    "linear": (nn.Linear(5, 3), (5,)),
    "mean": (nn.AvgPool2d(2), (2, 4, 4)),
    "resize": (nn.Upsample(scale_factor=2.0, mode="bilinear"), (1, 3, 3)),
    "norm": (nn.BatchNorm2d(3), (3, 2, 2)),
    "dropout": (nn.Dropout(0.5), (4,)),
    "in a row": (nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(32, 3)), (1, 4, 4)),
    "function": (lambda x: -3 * x.transpose(1, 2), (2, 3)),
    "float64": (nn.Conv1d(1, 2, 3).double(), (1, 5)),
    "constant": (lambda x: pyconv.ones(len(x), 2), (3,)),
    "nothing in": (lambda x: x * 2, (2, 0)),
    "one number": (lambda x: x * 2, ()),
    "flat": (lambda x: x.view(x.size(0), -1), (2, 3)),
    "large": (lambda x: x * 1e35, (3,)),
    "small": (lambda x: x * 1e-40, (3,)),
    "far away": (lambda x: x + 1e6, (3,)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_columns_are_what_unit_vectors_become(name: str) -> None:
    layer, shape = LINEAR[name]
    training = [m.training for m in layer.modules()] if isinstance(layer, nn.Module) else []
    matrix = pyconv.as_matrix(layer, shape)
    if training:
        assert [m.training for m in layer.modules()] == training
        assert all(p.grad is None for p in layer.parameters())
        layer.eval()
    with pyconv.no_grad():
        inputs = matrix.shape[1]
        units = np.eye(inputs, dtype=matrix.dtype).reshape(inputs, *shape)
        origin = layer(pyconv.tensor(np.zeros((1, *shape), matrix.dtype))).numpy().ravel()
        columns = layer(pyconv.tensor(units)).numpy().reshape(inputs, len(matrix)) - origin
    if training:
        layer.train()
    assert_close(matrix.T, columns, 64, scale=4, allow_empty=matrix.size == 0)
    assert matrix.dtype == (np.float64 if name == "float64" else np.float32)


def test_the_example_of_the_course() -> None:
    matrix = pyconv.as_matrix(nn.Conv1d(1, 1, 3, padding=1), (1, 6))
    assert matrix.size == 36
    assert np.count_nonzero(matrix) == 16
    assert len(np.unique(matrix[matrix != 0])) == 3


@pytest.mark.parametrize("precision", ["fast", "strict"])
def test_zeros_are_zeros_whatever_the_precision(precision: str) -> None:
    layer, shape = LINEAR["winograd"]
    pyconv.set_precision(precision)
    try:
        matrix = pyconv.as_matrix(layer, shape)
        assert pyconv.get_precision() == precision
    finally:
        pyconv.set_precision("fast")
    weights = layer.weight.detach().numpy().ravel()
    np.testing.assert_array_equal(np.unique(matrix), np.unique(np.append(weights, np.float32(0))))


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
def test_tied_layers_are_transposes(name: str) -> None:
    layer, shape = LINEAR[name]
    kind = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[len(shape) - 1]
    up = kind.tied(layer)
    output = layer(pyconv.zeros(1, *shape)).shape[1:]
    assert up.weight is layer.weight
    matrix = pyconv.as_matrix(lambda x: up(x, output_size=shape[1:]), output)
    np.testing.assert_array_equal(matrix, pyconv.as_matrix(layer, shape).T)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.Tanh(),
        nn.MaxPool1d(2),
        lambda x: x * x,
        lambda x: x - x.mean(0),
        lambda x: F.layer_norm(x, (4,)),
        lambda x: x.sqrt(),
        lambda x: x.log(),
        lambda x: x * float("inf"),
        lambda x: x * float("nan"),
        lambda x: x + float("inf"),
        # In a range about zero they are linear, or nearly.
        nn.Hardsigmoid(),
        nn.LocalResponseNorm(2),
        models.tcn(3, [2, 2]),
        lambda x: x.clamp(-10, 10),
        lambda x: F.relu(x + 100),
        lambda x: F.gelu(x + 20),
        lambda x: F.softplus(x + 50),
    ],
)
def test_what_is_not_linear(layer: Any) -> None:
    with pytest.raises(ValueError, match="layer is .*not linear"):
        pyconv.as_matrix(layer, (3, 4))


@pytest.mark.parametrize(
    ("layer", "shape", "shown"),
    [
        (nn.ReLU(), (2.5,), "2.5"),
        (nn.ReLU(), (None,), "None"),
        (nn.ReLU(), None, "None"),
        (nn.ReLU(), "ab", "'ab'"),
        (nn.ReLU(), (-1,), "-1"),
        (nn.ReLU(), (2**31,), str(2**31)),
        (nn.ReLU(), (2**62, 2**62), str(2**62)),
        (nn.Conv1d(2, 3, 3), (3, 4), "3"),
        (nn.MaxPool1d(2, return_indices=True), (3, 4), "tuple"),
        (None, (3,), "None"),
    ],
)
def test_matrices_that_cannot_be(layer: Any, shape: Any, shown: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        pyconv.as_matrix(layer, shape)
    assert shown in str(caught.value), caught.value


# ---- equivariance ------------------------------------------------------------------------------


def circular(ndim: int, inputs: int, **options: Any) -> Any:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[ndim]
    return kind(inputs, 4, 3, padding=1, padding_mode="circular", **options)


@pytest.mark.parametrize(("ndim", "shift"), [(1, 3), (2, (0, 5)), (2, -7), (3, (1, 2, 3))])
def test_equal_where_nothing_breaks_it(ndim: int, shift: Any) -> None:
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[ndim]
    net = nn.Sequential(circular(ndim, 2), nn.ReLU(), circular(ndim, 4), pool(1), nn.Flatten())
    net.append(nn.Linear(4, 2))
    report = equivariance(net, shift, (2, 2, *(8,) * ndim))
    assert not any(layer.wrong.any() for layer in report)
    assert [layer.kind for layer in report[:2]] == [f"Conv{ndim}d", "ReLU"]
    assert report[0].shift == (shift if isinstance(shift, tuple) else (shift,) * ndim)
    assert report[-1].shift == ()
    assert net.training


def test_zero_padding_breaks_the_border() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    first, second = equivariance(net, (0, 2))
    assert first.wrong.shape == (32, 32)
    assert second.wrong.sum() > first.wrong.sum() > 0
    assert not second.wrong[:, 5:28].any()


def test_stride_needs_a_shift_that_it_divides() -> None:
    net = nn.Sequential(circular(2, 3, stride=2))
    for shift in range(-4, 5):
        (layer,) = equivariance(net, (0, shift))
        assert layer.shift == (0, Fraction(shift, 2))
        assert layer.wrong.any() == (shift % 2 == 1)
        assert str(layer).endswith("equal") == (shift % 2 == 0)


class Layer(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_has_to_move_as_well(value: float) -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    x[0, 0, 2, 3] = value
    (layer,) = equivariance(Layer(lambda x: x * 2), 1, x)
    assert (layer.error, layer.wrong.any()) == (0, False)
    corner = np.zeros((8, 8), bool)
    corner[0, 0] = True
    (layer,) = equivariance(Layer(lambda x: F.where(corner, value, x)), 1, np.ones_like(x))
    assert layer.error == np.inf
    np.testing.assert_array_equal(np.argwhere(layer.wrong), [[0, 0], [1, 1]])


def test_outputs_of_any_kind() -> None:
    functions: list[Any] = [
        lambda x: x > 0,
        lambda x: (x > 0).sum(),
        lambda x: {"x": [x, 3]},
        lambda x: None,
        lambda x: x.view(x.size(0), -1).sum(1),
    ]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.count = nn.ModuleList(map(Layer, functions)), 0

        def forward(self, x: Any) -> list[Any]:
            self.count += 1  # each of the runs begins from the same state
            return [layer(x=x * self.count) for layer in self.layers]

    net = Net()
    layers = equivariance(net, (1, 2), (2, 3, 4, 4))
    names = [layer.name for layer in layers if not layer.wrong.any()]
    assert names == [f"layers.{i}" for i in (0, 1, 2, 4)]
    assert not any(layer.error for layer in layers[:3])
    assert net.count == 0


def test_input_that_is_given() -> None:
    x = np.zeros((1, 1, 4, 4), np.float32)
    for given in (x, pyconv.tensor(x), pyconv.tensor(x, requires_grad=True)):
        (layer,) = equivariance(nn.Conv2d(1, 1, 3, padding=1), 1, given)
        assert not layer.wrong.any()
    assert equivariance(nn.MaxPool1d(2), (2,))[0].wrong.shape == (16,)


@pytest.mark.parametrize(
    ("shift", "input", "shown"),
    [
        (1.5, None, "1.5"),
        (None, None, "None"),
        ((1, 2, 3), None, "(1, 2, 3)"),
        ((1, None), None, "None"),
        (float("nan"), None, "nan"),
        (1, (2, 3), "(2, 3)"),
        (1, (1, 3, 8, 8), "3"),
        (1, (1, 1, 8, -8), "-8"),
        (1, (1, 1, 8, 0), "0"),
        (1, (2**22, 1, 2**10, 2**10), "2**40"),
        (1, 5, "input is 5"),
        (1, "ab", "ab"),
        (1, np.zeros((1, 1, 8, 8), np.int64), "int64"),
    ],
)
def test_shifts_that_cannot_be(shift: Any, input: Any, shown: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        equivariance(nn.Conv2d(1, 1, 3), shift, input)
    assert shown in str(caught.value), caught.value


def test_only_modules() -> None:
    with pytest.raises(TypeError, match="model is a function"):
        equivariance(F.relu, 1)  # type: ignore[arg-type]
