"""Normalisation beyond the cases: running statistics, layers, layouts, second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn, reference
from pyconv.autograd import gradgradcheck
from pyconv.testing import assert_close

RNG = np.random.default_rng(0)


def normal(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)


@pytest.mark.parametrize("shape", [(5, 3, 4, 4), (7, 6), (2, 3, 5)])
def test_running_statistics(shape: tuple[int, ...]) -> None:
    x, mean, var = normal(*shape), normal(shape[1]), np.ones(shape[1])
    wanted = reference.batch_norm_running(x, mean, var, 0.3)
    F.batch_norm(x, mean, var, training=True, momentum=0.3)
    for got, truth in zip((mean, var), wanted):
        assert_close(got, truth, x.size)
    before = mean.copy()
    F.batch_norm(x, mean, var, momentum=0.3)
    np.testing.assert_array_equal(mean, before)


def test_running_statistics_of_instances_are_averaged() -> None:
    x, mean, var = normal(4, 3, 5, 6), np.zeros(6)[::2], np.ones(3)
    F.instance_norm(x, mean, var, momentum=1.0)
    assert_close(mean, x.mean((0, 2, 3)), 120)
    assert_close(var, x.var((2, 3), ddof=1).mean(0), 120)


def test_large_mean_keeps_its_digits() -> None:
    """Sums of squares would lose all: the mean is 1000 times the deviation."""
    x = (normal(8, 4, 30, 30) + 1000).astype(np.float32)
    for images in (x, channels_last(x)):
        result = F.batch_norm(images, None, None, training=True).numpy()
        truth = reference.batch_norm(x, None, None, training=True)
        np.testing.assert_allclose(result, truth, atol=2e-4)


def test_first_pixel_far_from_all_others() -> None:
    """With the channels last, a sum of differences from the first would lose most digits."""
    x = normal(2, 48, 30, 30, dtype=np.float32)
    x[0, :, 0, 0] = 1000
    result = F.batch_norm(channels_last(x), None, None, training=True).numpy()
    truth = reference.batch_norm(x, None, None, training=True)
    np.testing.assert_allclose(result, truth, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.batch_norm_relu(x, np.zeros(6, np.float32), np.ones(6, np.float32)),
        F.instance_norm,
        lambda x: F.group_norm(x, 2),
        lambda x: F.local_response_norm(x, 3),
    ],
)
def test_layout_is_kept(function: Any) -> None:
    x = channels_last(normal(2, 6, 5, 5, dtype=np.float32))
    tensor = pyconv.from_numpy(x)
    tensor.requires_grad = True
    output = function(tensor)
    output.sum().backward()
    assert output._array.strides == tensor.grad._array.strides == x.strides


def test_training_may_follow_evaluation_before_backward() -> None:
    layer = nn.BatchNorm2d(4)
    x = pyconv.from_numpy(normal(2, 4, 3, 3, dtype=np.float32))
    x.requires_grad = True
    layer.eval()
    evaluated = layer(x)
    layer.train()
    layer(x)
    evaluated.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 / np.sqrt(1 + 1e-5), rtol=1e-6)


@pytest.mark.parametrize("function", [lambda x: F.group_norm(x, 1), F.instance_norm])
def test_one_channel_of_permuted_images(function: Any) -> None:
    x = normal(5, 3, 1, 2).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(function(x).numpy(), function(np.ascontiguousarray(x)).numpy())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values_stay_in_their_channel(value: float) -> None:
    x = normal(3, 5, 4, 4, dtype=np.float32)
    x[1, 2, 3, 0] = value
    for images in (x, channels_last(x)):
        bad = np.isnan(F.batch_norm(images, None, None, training=True).numpy())
        assert bad[:, 2].all()
        assert not np.delete(bad, 2, 1).any()


SECOND: dict[str, tuple[Any, tuple[int, ...]]] = {
    "batch": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (4,)),
    "batch-frozen": (lambda x, w, b: F.batch_norm(x, np.ones(4), np.ones(4), w, b), (4,)),
    "batch-relu": (lambda x, w, b: F.batch_norm_relu(x, None, None, w, b, training=True), (4,)),
    "instance": (lambda x, w, b: F.instance_norm(x, None, None, w, b), (4,)),
    "group": (lambda x, w, b: F.group_norm(x, 2, w, b), (4,)),
    "response": (lambda x, w, b: F.local_response_norm(x, 3, 0.5) * w.sum() + b.sum(), (4,)),
    "layer": (lambda x, w, b: F.layer_norm(x, (4, 3), w, b), (4, 3)),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name: str) -> None:
    function, size = SECOND[name]
    inputs = [
        pyconv.tensor(normal(*shape), requires_grad=True) for shape in ((3, 4, 3), size, size)
    ]
    assert gradgradcheck(function, inputs)


# ---- layers ------------------------------------------------------------------------------------

LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("BatchNorm1d", (5,), {}, (4, 5)),
    ("BatchNorm1d", (5,), {"affine": False}, (4, 5, 6)),
    ("BatchNorm2d", (5,), {"momentum": None, "eps": 1e-3}, (4, 5, 6, 3)),
    ("BatchNorm2d", (5,), {"track_running_stats": False}, (4, 5, 6, 3)),
    ("BatchNorm3d", (5,), {"momentum": 0.3}, (4, 5, 2, 2, 3)),
    ("InstanceNorm1d", (5,), {}, (5, 7)),
    ("InstanceNorm2d", (5,), {"affine": True, "track_running_stats": True}, (2, 5, 7, 3)),
    ("InstanceNorm3d", (5,), {"affine": True, "bias": False}, (2, 5, 7, 3, 2)),
    ("GroupNorm", (2, 6), {}, (3, 6, 5)),
    ("LayerNorm", (6,), {"bias": False}, (3, 4, 6)),
    ("LayerNorm", ((4, 6),), {"elementwise_affine": False}, (3, 4, 6)),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS)
def test_layer_is_pytorchs(
    name: str, args: tuple[Any, ...], options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    assert ours.extra_repr() == theirs.extra_repr()
    for _ in range(2):
        x = normal(*shape, dtype=np.float32)
        assert_close(ours(x).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), x.size)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert ours.state_dict().keys() == state.keys()
    for key, value in ours.state_dict().items():
        assert value.dtype == state[key].dtype
        np.testing.assert_allclose(value.numpy(), state[key], rtol=1e-5, atol=1e-6)
    ours.load_state_dict(state)
    ours.eval()
    theirs.eval()
    assert_close(ours(x).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), x.size)


def test_batch_norm_layer_with_relu_is_both() -> None:
    layer, x = nn.BatchNorm2d(3), normal(2, 3, 4, 4, dtype=np.float32)
    fused = layer(x, relu=True)
    np.testing.assert_array_equal(fused.detach(), F.relu(layer(x)).detach())
    assert layer.num_batches_tracked.item() == 2


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (2, 3, 4, 4)),
        (nn.BatchNorm2d(3), (2, 3, 4)),
        (nn.InstanceNorm2d(3), (3, 4)),
    ],
)
def test_layer_refuses_other_ranks(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="input has shape"):
        layer(np.ones(shape, np.float32))


def test_group_norm_layer_checks_its_sizes() -> None:
    with pytest.raises(ValueError, match="num_groups is 4"):
        nn.GroupNorm(4, 6)


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.InstanceNorm1d, nn.LayerNorm])
def test_sizes_of_layers(kind):
    name = "normalized_shape" if kind is nn.LayerNorm else "num_features"
    with pytest.raises(ValueError, match=f"{kind.__name__}: {name} is -1"):
        kind(-1)
    with pytest.raises(TypeError, match=f"{kind.__name__}: {name} is 'a'"):
        kind("a")


def test_state_dicts_from_before_batches_were_counted():
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    assert layer.load_state_dict(state).missing_keys == []
    del state["running_var"]
    with pytest.raises(ValueError, match=r"missing keys: running_var$"):
        layer.load_state_dict(state)


def test_running_statistics_that_cannot_be_updated_are_refused_before_any_changes():
    x, mean = np.random.default_rng(0).random((2, 3, 4)), np.zeros(3)
    for var in (np.broadcast_to(1.0, (3,)), np.ones(6)[::2]):
        var.flags.writeable = False
        with pytest.raises(ValueError, match="running_var is read-only"):
            F.batch_norm(x, mean, var, training=True)
    with pytest.raises(TypeError, match="running_var is a list"):
        F.instance_norm(x, mean, [1.0, 1, 1])
    assert not mean.any()


@pytest.mark.parametrize("value", [np.array([0.1, 0.2]), np.array("1"), np.array(True), 1j, None])
def test_momentum_and_eps_are_single_numbers(value):
    x, mean, var = np.ones((2, 3)), np.zeros(3), np.ones(3)
    with pytest.raises(TypeError, match="batch_norm: momentum is .*expected a number"):
        F.batch_norm(x, mean, var, training=True, momentum=value)
    with pytest.raises(TypeError, match="layer_norm: eps is .*expected a number"):
        F.layer_norm(x, 3, eps=value)
    with pytest.raises(ValueError, match="momentum is 1000.*expected a finite number"):
        F.batch_norm(x, mean, var, training=True, momentum=10**400)
