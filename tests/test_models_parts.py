"""Parts of the published networks: in a row, exchanged for others, watched by hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_models import SMALL

import pyconv
import pyconv.functional as F
from pyconv import models, nn

NORMED = ["resnet18", "dilated", "resnet20", "preact", "regnet", "densenet"]


def in_a_row(model: nn.Module, image: pyconv.Tensor) -> pyconv.Tensor:
    """Compute what a model does, from its children as a list."""
    *body, head = model.children()
    x = nn.Sequential(*body)(image)
    if isinstance(model, models.DenseNet):  # as torchvision's, it calls functions in between
        x = F.adaptive_avg_pool2d(F.relu(x), 1)
    return head(x.flatten(1))


def assert_same(a: pyconv.Tensor, b: pyconv.Tensor) -> None:
    a, b = a.detach().numpy(), b.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("name", NORMED)
def test_the_children_in_a_row_are_the_model(name: str) -> None:
    make, shape, _ = SMALL[name]
    model, image = make().eval(), pyconv.randn(*shape)
    assert_same(in_a_row(model, image), model(image))


@pytest.mark.parametrize(
    "layer",
    [
        models.DenseLayer(8, 4, 2, 0.0),
        models.densenet.CifarDenseLayer(8, 4, 0.0),
        models.densenet.Transition(8, 4),
        models.parts.ConvNorm(8, 4, 3),
        models.parts.ConvNorm(8, 4, 3, relu=False),
        models.regnet.BottleneckTransform(8, 4, 1, 2, 1.0, 0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_the_parts_of_a_layer_in_a_row_are_the_layer(layer: nn.Module) -> None:
    image = pyconv.randn(2, 8, 6, 6)
    for x in (image, image.numpy()):
        assert_same(nn.Sequential(*layer.children())(x), layer(x))


@pytest.mark.parametrize("name", [*NORMED, "googlenet", "densenet_cifar"])
def test_norms_may_be_others(name: str) -> None:
    make, shape, expected = SMALL[name]
    model, image = make().eval(), pyconv.randn(*shape)
    for module in list(model.modules()):
        for key, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                module.add_module(key, nn.GroupNorm(1, child.num_features))
    result = model(image)
    assert result.shape == expected
    if name in NORMED:
        assert_same(result, in_a_row(model, image))


def test_norms_and_activations_that_change() -> None:
    model, image = models.resnet18(num_classes=3), pyconv.randn(2, 3, 32, 32)
    model(image)  # for other statistics than 0 and 1
    before = model.eval()(image)
    model.conv1 = nn.utils.fuse_conv_bn_eval(model.conv1, model.bn1)
    model.bn1 = nn.Identity()
    assert_same(model(image), before)
    model.relu = nn.Tanh()
    assert_same(model(image), in_a_row(model, image))


def test_hooks_see_norm_and_relu_apart() -> None:
    model, seen = models.resnet18(num_classes=3).eval(), []
    with pyconv.no_grad():
        for layer in (model.bn1, model.relu):
            handle = layer.register_forward_hook(lambda *args: seen.append(args[-1].numpy().min()))
            model(pyconv.randn(1, 3, 32, 32))
            handle.remove()
    assert seen[0] < 0
    assert seen[1] == 0


def test_a_forward_of_its_own_is_called() -> None:
    norm, relu, x = nn.BatchNorm2d(2).eval(), nn.ReLU(), pyconv.ones(1, 2, 3, 3)
    norm.forward = lambda input: input + 1  # type: ignore[method-assign]
    assert models.parts.norm_relu(norm, x).max().item() == 2
    relu.forward = lambda input: input + 2  # type: ignore[method-assign]
    assert models.parts.norm_relu(nn.BatchNorm2d(2).eval(), x, relu).max().item() > 2.9


def test_what_residual_networks_tell_of_themselves() -> None:
    make, _, _ = SMALL["dilated"]
    model: Any = make()
    assert (model.inplanes, model.dilation, model.groups, model.base_width) == (2048, 4, 1, 64)
    assert [layer[0].stride for layer in (model.layer2, model.layer3)] == [2, 1]
    assert models.BasicBlock(4, 4, 3, nn.Conv2d(4, 4, 1, 3)).stride == 3
    assert models.DenseLayer(8, 4, 2, 0.25).drop_rate == 0.25


def test_a_causal_convolution_pads_before() -> None:
    conv = models.CausalConv1d(1, 1, 3, dilation=2)
    assert conv.borders() == [(4, 0)]
    assert pyconv.summary(conv, (1, 1, 9)).layers[0].views[0].padding == 4
    with pytest.raises(ValueError, match=r"conv pads by \[\(4, 0\)\]"):
        nn.ConvTranspose1d.tied(conv)


def test_a_block_takes_lists() -> None:
    image = pyconv.randn(2, 2, 4, 4)
    block = models.CifarBlock(2, 4, 2).eval()
    assert_same(block(image.tolist()), block(image))
