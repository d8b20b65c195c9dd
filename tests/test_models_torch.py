"""Blocks of the published networks against PyTorch, written out by hand, at shared weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv import models, nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
T = torch.nn.functional

Weights = dict[str, Any]


def conv(p: Weights, name: str, x: Any, **options: Any) -> Any:
    return T.conv2d(x, p[f"{name}.weight"], p.get(f"{name}.bias"), **options)


def norm(p: Weights, name: str, x: Any, eps: float = 1e-5) -> Any:
    statistics = None, None, p[f"{name}.weight"], p[f"{name}.bias"]
    return T.batch_norm(x, *statistics, training=True, eps=eps)


def norm_relu(p: Weights, name: str, x: Any, eps: float = 1e-5) -> Any:
    return T.relu(norm(p, name, x, eps))


def bottleneck(p: Weights, x: Any) -> Any:
    out = norm_relu(p, "bn1", conv(p, "conv1", x))
    out = norm_relu(p, "bn2", conv(p, "conv2", out, stride=2, padding=1, groups=2))
    out = norm(p, "bn3", conv(p, "conv3", out))
    return T.relu(out + norm(p, "downsample.1", conv(p, "downsample.0", x, stride=2)))


def cifar_block(p: Weights, x: Any) -> Any:
    out = norm_relu(p, "bn1", conv(p, "conv1", x, stride=2, padding=1))
    out = norm(p, "bn2", conv(p, "conv2", out, padding=1))
    return T.relu(out + T.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))


def preact_bottleneck(p: Weights, x: Any) -> Any:
    first = norm_relu(p, "bn1", x)
    out = conv(p, "conv1", first)
    out = conv(p, "conv2", norm_relu(p, "bn2", out), stride=2, padding=1)
    out = conv(p, "conv3", norm_relu(p, "bn3", out))
    return out + conv(p, "downsample", first, stride=2)


def inception(p: Weights, x: Any) -> Any:
    def basic(name: str, x: Any, padding: int = 0) -> Any:
        return norm_relu(p, f"{name}.bn", conv(p, f"{name}.conv", x, padding=padding), 1e-3)

    pooled = T.max_pool2d(x, 3, 1, 1, ceil_mode=True)
    branches = [
        basic("branch1", x),
        basic("branch2.1", basic("branch2.0", x), 1),
        basic("branch3.1", basic("branch3.0", x), 1),
        basic("branch4.1", pooled),
    ]
    return torch.cat(branches, 1)


def dense_block(p: Weights, x: Any) -> Any:
    for i in (1, 2):
        name = f"denselayer{i}"
        out = conv(p, f"{name}.conv1", norm_relu(p, f"{name}.norm1", x))
        out = conv(p, f"{name}.conv2", norm_relu(p, f"{name}.norm2", out), padding=1)
        x = torch.cat([x, out], 1)
    return x


def regnet_block(p: Weights, x: Any) -> Any:
    out = norm_relu(p, "f.a.1", conv(p, "f.a.0", x))
    out = norm_relu(p, "f.b.1", conv(p, "f.b.0", out, stride=2, padding=1, groups=4))
    scale = T.relu(conv(p, "f.se.fc1", out.mean((2, 3), keepdim=True)))
    out = out * torch.sigmoid(conv(p, "f.se.fc2", scale))
    out = norm(p, "f.c.1", conv(p, "f.c.0", out))
    return T.relu(out + norm(p, "proj.1", conv(p, "proj.0", x, stride=2)))


def unet(p: Weights, x: Any) -> Any:
    def double(name: str, x: Any) -> Any:
        return T.relu(conv(p, f"{name}.2", T.relu(conv(p, f"{name}.0", x, padding=1)), padding=1))

    kept = []
    for i in range(5):
        x = double(f"down.{i}", T.max_pool2d(x, 2) if i else x)
        kept.append(x)
    for i in range(4):
        up = T.conv_transpose2d(x, p[f"up.{i}.weight"], p[f"up.{i}.bias"], stride=2)
        x = double(f"merge.{i}", torch.cat([kept[3 - i], up], 1))
    return conv(p, "head", x)


def temporal_block(p: Weights, x: Any) -> Any:
    def causal(name: str, x: Any) -> Any:
        past = T.pad(x, (4, 0))
        return T.relu(T.conv1d(past, p[f"{name}.weight"], p[f"{name}.bias"], dilation=2))

    out = causal("conv2", causal("conv1", x))
    return T.relu(out + T.conv1d(x, p["downsample.weight"], p["downsample.bias"]))


def around(inplanes: int, planes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inplanes, planes, 1, 2, bias=False), nn.BatchNorm2d(planes))


IMAGES = (4, 4, 9, 8)
CASES = {
    "bottleneck": (
        lambda: models.Bottleneck(4, 4, 2, around(4, 16), groups=2),
        bottleneck,
        IMAGES,
    ),
    "cifar_block": (lambda: models.CifarBlock(4, 8, 2), cifar_block, IMAGES),
    "preact_bottleneck": (lambda: models.PreActBottleneck(4, 3, 2), preact_bottleneck, IMAGES),
    "inception": (lambda: models.Inception(4, 2, 3, 4, 2, 3, 5), inception, IMAGES),
    "dense_block": (
        lambda: models.DenseBlock([models.DenseLayer(4 + 3 * i, 3, 2, 0.0) for i in (0, 1)]),
        dense_block,
        IMAGES,
    ),
    "regnet_block": (
        lambda: models.ResBottleneckBlock(4, 8, 2, group_width=2, se_ratio=0.5),
        regnet_block,
        IMAGES,
    ),
    "unet": (lambda: models.unet(2, 3, width=2), unet, (2, 2, 32, 48)),
    "temporal_block": (
        lambda: models.TemporalBlock(4, 6, 3, dilation=2, dropout=0.0),
        temporal_block,
        (2, 4, 11),
    ),
}


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients(name: str, dtype: Any, bound: float) -> None:
    make, twin, shape = CASES[name]
    rng = np.random.default_rng(0)
    pyconv.manual_seed(0)
    model: nn.Module = make().to(dtype)
    x = pyconv.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
    weights = {n: torch.tensor(p.detach().numpy()) for n, p in model.named_parameters()}
    image = torch.tensor(x.detach().numpy())
    for tensor in (image, *weights.values()):
        tensor.requires_grad = True

    ours, theirs = model(x), twin(weights, image)
    gradient = rng.standard_normal(ours.shape).astype(dtype)
    ours.backward(pyconv.from_numpy(gradient))
    theirs.backward(torch.tensor(gradient))

    pairs = [(ours, theirs.detach()), (x.grad, image.grad)]
    pairs += [(p.grad, weights[n].grad) for n, p in model.named_parameters()]
    assert len(pairs) > 2
    # Sums that cancel, such as the gradient of a bias before a norm, are 0 up to the others' size.
    scale = max(float(theirs.abs().max()) for _, theirs in pairs)
    for ours, theirs in pairs:
        assert np.abs(ours.detach().numpy() - theirs.numpy()).max() <= bound * scale
