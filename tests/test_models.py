"""The published networks: their sizes, their names, and what they compute."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv import models, nn

# As published, or as counted in the authors' code.
PARAMETERS = {
    "lenet": 61_706,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "nin": 966_986,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "resnet200": 64_666_280,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "resnet20": 269_722,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "resnet1202": 19_421_274,
    "preact_resnet164": 1_703_258,
    "preact_resnet1001": 10_327_706,
    "densenet121": 7_978_856,
    "densenet_cifar": 1_019_722,
    "regnet_x_400mf": 5_495_976,
    "regnet_y_400mf": 4_344_144,
    "unet": 31_030_658,
}


def parameters_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name: str) -> None:
    with pyconv.shapes_only():
        assert parameters_of(models.CATALOGUE[name].make()) == PARAMETERS[name]


def test_regnet_with_the_authors_rounding() -> None:
    with pyconv.shapes_only():
        assert parameters_of(models.regnet_x_400mf(rounding="paper")) == 5_157_512


@pytest.mark.parametrize("name", [name for name in models.__all__ if name.islower()])
def test_constructors_take_no_weights(name: str) -> None:
    make = getattr(models, name)
    assert pickle.loads(pickle.dumps(make)) is make
    with pytest.raises(ValueError, match=f"{name}: weights is 'DEFAULT', .*load_state_dict"):
        make(weights="DEFAULT")
    with pytest.raises(TypeError, match=f"{name}: progress is None"):
        make(progress=None)
    if name in models.CATALOGUE:
        with pyconv.shapes_only():
            make(**models.CATALOGUE[name].options, weights=None, progress=False)


def test_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        models.CATALOGUE["lenet"] = models.CATALOGUE["nin"]  # type: ignore[index]


def test_catalogue_has_every_constructor() -> None:
    made = {name for name in models.__all__ if name.islower()} - {"anynet"}
    assert made == {entry.constructor for entry in models.CATALOGUE.values()}


FAMILIES = {"alexnet", "vgg", "googlenet", "resnet", "densenet"}
TORCHVISION = [name for name, entry in models.CATALOGUE.items() if entry.family in FAMILIES]
TORCHVISION.remove("densenet_cifar")
TORCHVISION += ["regnet_x_400mf", "regnet_y_400mf"]  # the others are as large as they look


@pytest.fixture(scope="module")
def torchvision() -> Any:
    pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision").models
    except RuntimeError as error:  # built for another PyTorch
        pytest.skip(str(error))


@pytest.mark.torch
@pytest.mark.parametrize("name", TORCHVISION)
def test_state_dict_is_torchvisions(name: str, torchvision: Any) -> None:
    import torch

    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    # torchvision computes the widths of a RegNet with tensors, which need memory.
    with torch.device("cpu" if "regnet" in name else "meta"):
        theirs = getattr(torchvision, name)(**options)
    with pyconv.shapes_only():
        ours = models.CATALOGUE[name].make()
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == shapes
    names = [[name for name, _ in model.named_modules()] for model in (ours, theirs)]
    assert names[0] == names[1]


# ---- they run ----------------------------------------------------------------------------------

SMALL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "lenet": (models.lenet, (2, 1, 28, 28), (2, 10)),
    "nin": (models.nin, (1, 3, 32, 32), (1, 10)),
    "googlenet": (lambda: models.googlenet(num_classes=5), (1, 3, 32, 32), (1, 5)),
    "resnet18": (models.resnet18, (1, 3, 32, 32), (1, 1000)),
    "dilated": (
        lambda: models.ResNet(
            models.Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[False, True, True]
        ),
        (1, 3, 32, 32),
        (1, 1000),
    ),
    "resnet20": (models.resnet20, (2, 3, 32, 32), (2, 10)),
    "preact": (lambda: models.preact_resnet164(7), (1, 3, 8, 8), (1, 7)),
    "densenet": (
        lambda: models.DenseNet(4, (2, 2), 8, num_classes=5, memory_efficient=True),
        (1, 3, 32, 32),
        (1, 5),
    ),
    "densenet_cifar": (lambda: models.densenet_cifar(10, 4), (1, 3, 8, 8), (1, 10)),
    "regnet": (models.regnet_y_400mf, (1, 3, 32, 32), (1, 1000)),
    "unet": (lambda: models.unet(width=2), (1, 1, 32, 16), (1, 2, 32, 16)),
    "unpadded": (lambda: models.unet(width=2, padded=False), (1, 1, 188, 204), (1, 2, 4, 20)),
    "normalised": (lambda: models.unet(width=2, batch_norm=True), (2, 1, 16, 16), (2, 2, 16, 16)),
    "deconvnet": (lambda: models.deconvnet(3, width=8), (1, 3, 224, 224), (1, 3, 224, 224)),
    "tcn": (lambda: models.tcn(2, [4, 4], 3), (2, 2, 9), (2, 4, 9)),
}


@pytest.mark.parametrize("name", SMALL)
def test_forward_and_backward(name: str) -> None:
    make, shape, expected = SMALL[name]
    model = make()
    deep = name == "deconvnet"
    model.eval()
    output = model(pyconv.randn(*shape))
    assert output.shape == expected
    if not deep:
        output.sum().backward()
        assert all(parameter.grad is not None for parameter in used(model))


def used(model: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if not name.startswith("aux")]


def test_large_models_give_shapes() -> None:
    """What takes seconds to compute, on an empty batch."""
    with pyconv.shapes_only():
        for make in (models.alexnet, models.vgg11, models.fcn32s, models.fcn16s, models.fcn8s):
            size = 500 if make.__name__.startswith("fcn") else 224
            output = make().eval()(pyconv.zeros(0, 3, size, size))
            assert output.shape == ((0, 21, 500, 500) if size == 500 else (0, 1000))


def test_googlenet_trains_with_two_more_heads() -> None:
    model = models.googlenet(num_classes=5, transform_input=True)
    outputs = model(pyconv.randn(2, 3, 64, 64))
    assert [output.shape for output in outputs] == [(2, 5)] * 3


def test_googlenet_takes_images_of_integers_and_lists() -> None:
    model = models.googlenet(num_classes=5, aux_logits=False, transform_input=True).eval()
    image = np.arange(3 * 32 * 32).reshape(1, 3, 32, 32).astype(np.uint8)
    expected = model(image.astype(np.float32)).detach().numpy()
    for same in (image, image.tolist()):
        assert np.array_equal(model(same).detach().numpy(), expected)


def test_fcn_takes_the_weights_of_vgg() -> None:
    with pyconv.shapes_only():
        vgg = {name: t.shape for name, t in models.vgg16().state_dict().items()}
        for make in (models.fcn32s, models.fcn8s):
            fcn = {name: t.shape for name, t in make().state_dict().items()}
            features = {name for name in vgg if name.startswith("features")}
            assert features == {name for name in fcn if name.startswith("features")}
            assert all(fcn[name] == vgg[name] for name in features)


def test_fcn_upsamples_bilinearly_at_first() -> None:
    for factor in (2, 8, 16, 32):
        up = models.fcn._upsampling(2, factor)
        values = pyconv.tensor([[[[1.0]], [[3.0]]]]).expand(1, 2, 5, 5)
        inner = (
            up(values).detach().numpy()[0, :, 2 * factor : -2 * factor, 2 * factor : -2 * factor]
        )
        assert np.allclose(inner, [[[1]], [[3]]])


def test_fcn_of_many_classes_is_counted_without_memory() -> None:
    with pyconv.shapes_only():
        assert models.fcn8s(num_classes=10**6).up.weight.shape == (10**6, 10**6, 16, 16)
    with pytest.raises(ValueError, match="size is"):
        models.fcn._upsampling(10**6, 2)


def test_fcn_takes_lists() -> None:
    with pyconv.shapes_only():
        model = models.fcn32s(num_classes=1)
    model.features, model.fc6 = nn.Sequential(), nn.Conv2d(1, 4096, 1)  # the rest of the network
    assert model(np.zeros((1, 1, 2, 2)).tolist()).shape == (1, 1, 2, 2)


def test_dense_net_has_the_names_of_torchvision_with_any_number_of_blocks() -> None:
    assert "features.norm5.weight" in models.DenseNet(4, (1, 1), 8, num_classes=5).state_dict()


def test_tcn_does_not_see_the_future() -> None:
    model = models.tcn(1, [3, 3], 3).eval()
    for parameter in model.parameters():
        nn.init.ones_(parameter)  # then nothing that comes in is cut off
    x = np.ones((1, 1, 12), np.float32)
    changed = x.copy()
    changed[..., 7] = 2
    with pyconv.no_grad():
        same = model(x).numpy() == model(changed).numpy()
    assert same[..., :7].all()
    assert not same[..., 7:].any()


# ---- mistakes ----------------------------------------------------------------------------------

NUMBERS, WORDS, INFINITE = np.array([1, 2]), np.array(["LSTM", "paper"]), float("inf")
RAGGED = [[1, 2], [3]]
stages = models.regnet.regnet_stages
with pyconv.shapes_only():
    WHITENED = models.googlenet(transform_input=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.CifarResNet(21),
        lambda: models.densenet_cifar(41),
        lambda: models.AnyNet([1], [8, 8], [8]),
        lambda: models.AnyNet([], [], []),
        lambda: models.regnet_x_400mf(rounding="down"),
        lambda: models.FCN(4),
        lambda: models.CharRNN(5, cell="SRU"),
        lambda: models.BasicBlock(8, 8, groups=2),
        lambda: models.ResNet(models.BasicBlock, [1] * 4, replace_stride_with_dilation=[True]),
        lambda: models.resnet18(replace_stride_with_dilation=3),
        lambda: models.ResNet(models.BasicBlock, [1] * 3),
        lambda: models.ResNet(models.BasicBlock, [1] * 5),
        lambda: models.unet(width=2)(pyconv.ones(1, 32, 32)),
        lambda: models.unet(width=2)(pyconv.ones(1, 1, 32, 30)),
    ],
)
def test_mistakes(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.anynet([-1], [8], [8]), "AnyNet: depths is -1"),
        (lambda: models.anynet([0], [8], [8]), "AnyNet: depths is 0"),
        (lambda: models.anynet([10**6], [8], [8]), "AnyNet: depths is 1000000"),
        (lambda: models.anynet([1.9], [8], [8]), "AnyNet: depths is 1.9"),
        (lambda: models.anynet([1], [0], [8]), "AnyNet: widths is 0"),
        (lambda: models.anynet([1], [8], [0]), "AnyNet: group_widths is 0"),
        (lambda: models.anynet(None, None, None), "AnyNet: depths is None"),
        (lambda: models.AnyNet([1], [8], [8], 3), "AnyNet: bottleneck_multipliers is 3"),
        (lambda: models.anynet([1], [8], [8], se_ratio="a"), "se_ratio is 'a'"),
        (lambda: models.densenet_cifar(2**40), "densenet_cifar: L is 1099511627776"),
        (lambda: models.densenet_cifar("a"), "densenet_cifar: L is 'a'"),
        (lambda: models.densenet121(memory_efficient="x"), "memory_efficient is 'x'"),
        (lambda: models.AnyNet([1], [8], [8], [INFINITE]), "bottleneck_multiplier is inf"),
        (lambda: models.AnyNet([1], [8], [8], NUMBERS), "AnyNet: bottleneck_multipliers is array"),
        (lambda: models.anynet([1], [8], [8], strides=NUMBERS), "AnyNet: strides is array"),
        (lambda: models.anynet([1], [8], [8], strides=0), "AnyNet: strides is 0"),
        (lambda: models.regnet_x_400mf(WORDS), "regnet: rounding is array"),
        (lambda: stages("a", 24, 12, 2, 8), "regnet: depth is 'a'"),
        (lambda: stages(10**15, 24, 12, 2, 8), "regnet: depth is 1000000000000000"),
        (lambda: stages(0, 24, 12, 2, 8), "regnet: depth is 0"),
        (lambda: stages(2.5, 24, 12, 2, 8), "regnet: depth is 2.5"),
        (lambda: stages(8, "a", 12, 2, 8), "regnet: w_0 is 'a'"),
        (lambda: stages(8, 8e300, 12, 2, 8), r"are 8e\+300, 12.0, 2.0, expected"),
        (lambda: stages(8, 24, float("nan"), 2, 8), "regnet: w_a is nan"),
        (lambda: stages(8, 24, INFINITE, 2, 8), "are 24.0, inf, 2.0, expected"),
        (lambda: stages(8, 24, 12, float("nan"), 8), "regnet: w_m is nan"),
        (lambda: stages(8, 24, 1e9, 1e15, 8), "are 24.0, 1000000000.0, 1000000000000000.0, expec"),
        (lambda: stages(8, 24, 12, 2, 0), "regnet: group_width is 0"),
        (lambda: stages(8, 24, 12, 2, 1.5), "regnet: group_width is 1.5"),
        (lambda: models.CharRNN(5, cell=WORDS), "CharRNN: cell is array"),
        (lambda: models.FCN(NUMBERS), "FCN: stride is array"),
        (lambda: models.FCN(8)(pyconv.ones(3, 9, 9)), r"FCN: image has shape \(3, 9, 9\)"),
        (lambda: models.DenseNet("a"), "DenseNet: growth_rate is 'a'"),
        (lambda: models.DenseNet(bn_size="a"), "DenseNet: bn_size is 'a'"),
        (lambda: models.CifarResNet(2**40), "CifarResNet: depth is"),
        (lambda: models.ResNet(None, [1] * 4), "ResNet: block is None"),
        (lambda: models.ResNet(models.BasicBlock, "abcd"), "ResNet: layers is 'a'"),
        (lambda: models.ResNet(models.BasicBlock, None), "ResNet: layers is None"),
        (lambda: models.ResNet(models.BasicBlock, [-1, 1, 1, 1]), "ResNet: layers is -1"),
        (lambda: models.ResNet(models.BasicBlock, [1, 0, 1, 1]), "ResNet: layers is 0"),
        (lambda: models.resnet50(groups="a"), "ResNet: groups is 'a'"),
        (lambda: models.resnet50(width_per_group=None), "ResNet: width_per_group is None"),
        (lambda: models.Bottleneck(8, "a"), "Bottleneck: planes is 'a'"),
        (lambda: models.Bottleneck(8, 2, base_width=INFINITE), "Bottleneck: base_width is inf"),
        (lambda: models.PreActResNet("ab", 8, nn.ReLU(), 8, 5), "PreActResNet: layers is 'a'"),
        (lambda: models.PreActResNet(3, 8, nn.ReLU(), 8, 5), "PreActResNet: layers is 3"),
        (lambda: models.PreActBottleneck(8, None), "PreActBottleneck: planes is None"),
        (lambda: models.PreActBottleneck(8, 2, skip="no"), "PreActBottleneck: skip is 'no'"),
        (lambda: models.vgg.make_layers(["a"]), "make_layers: cfg is 'a'"),
        (lambda: models.vgg.make_layers([2.7]), "make_layers: cfg is 2.7"),
        (lambda: models.vgg.make_layers(5), "make_layers: cfg is 5"),
        (lambda: models.vgg.make_layers([8], batch_norm="a"), "make_layers: batch_norm is 'a'"),
        (
            lambda: models.resnet18(replace_stride_with_dilation="abc"),
            "replace_stride_with_dilation is 'a'",
        ),
        (lambda: models.resnet18(zero_init_residual="x"), "zero_init_residual is 'x'"),
        (lambda: models.resnet50(stride_in_1x1="x"), "stride_in_1x1 is 'x'"),
        (lambda: models.unet(padded="x"), "UNet: padded is 'x'"),
        (lambda: models.unet(batch_norm=2), "UNet: batch_norm is 2"),
        (lambda: models.tcn(1, 3), "tcn: channels is 3"),
        (lambda: models.googlenet(aux_logits="x"), "GoogLeNet: aux_logits is 'x'"),
        (lambda: WHITENED(pyconv.ones(1, 1, 64, 64)), r"GoogLeNet: input has shape \(1, 1, 64, 64"),
        (lambda: WHITENED(pyconv.ones(3, 64, 64)), r"GoogLeNet: input has shape \(3, 64, 64\)"),
        # torchvision has other arguments at these places.
        (lambda: models.GoogLeNet(5, False, False, 0.3), "positional"),
        (lambda: models.Bottleneck(8, 2, 1, None, 1, 64, 1, True), "positional"),
        (
            lambda: models.ResNet(models.Bottleneck, [1] * 4, 5, False, 1, 64, None, True),
            "positional",
        ),
        (lambda: WHITENED(None), "GoogLeNet: input is a NoneType"),
        (lambda: WHITENED(RAGGED), "GoogLeNet: input holds lists of unequal lengths"),
        (lambda: models.unet(width=2)(RAGGED), "UNet: input holds lists of unequal lengths"),
        (lambda: models.FCN(8)(RAGGED), "FCN: image holds lists of unequal lengths"),
        (lambda: models.CifarBlock(8, 8, (2, 2)), r"CifarBlock: stride is \(2, 2\)"),
        (lambda: models.DenseLayer(8, 4, 2, 0.0)(None), r"tensors\[0\] is a NoneType"),
        (lambda: models.DenseLayer(8, 4, 2, 2), "DenseNet: drop_rate is 2"),
        (lambda: models.DenseBlock(3), "DenseBlock: layers is 3"),
        (lambda: models.DenseBlock(None), "DenseBlock: layers is None"),
        (lambda: models.BasicBlock(8, 8, downsample=3), "BasicBlock: downsample is a int"),
        (lambda: models.BasicBlock(8, 8, groups=NUMBERS), "BasicBlock: groups is array"),
        (lambda: models.Bottleneck(8, 2, downsample=5), "Bottleneck: downsample is a int"),
        (lambda: models.PreActResNet([1], 4, None, 3, 5), "PreActResNet: stem is a NoneType"),
        (lambda: models.VGG(3), "VGG: features is a int"),
        (lambda: nn.Residual(None), "Residual: f is a NoneType"),  # type: ignore[arg-type]
        (lambda: nn.Residual(nn.ReLU), "f is the class ReLU"),  # type: ignore[arg-type]
        (lambda: models.BasicBlock(3, 3, 1, nn.ReLU), "downsample is the class ReLU"),
        (lambda: models.ResBottleneckBlock(NUMBERS, 8, 1), "width_in is array"),
        (lambda: models.ResBottleneckBlock(8, NUMBERS, 1), "width_out is array"),
        (lambda: models.anynet([1], [24], [10]), "group_width is 10, .* bottleneck, which is 24"),
        (lambda: models.anynet([1], [8], [16]), "group_width is 16, .* bottleneck, which is 8"),
        (lambda: models.vgg.make_layers([NUMBERS]), "make_layers: cfg is array"),
        (lambda: models.vgg.make_layers(["9" * 5000]), "make_layers: cfg is '9"),
        (lambda: models.vgg.make_layers(["\u0663"]), "make_layers: cfg is '\u0663'"),
        (lambda: models.resnet18(stride_in_1x1=True), "ResNet: stride_in_1x1 is True"),
        (lambda: models.vgg11(init_weights="x"), "VGG: init_weights is 'x'"),
    ],
)
def test_mistakes_are_named(make: Callable[[], Any], message: str) -> None:
    with pyconv.shapes_only(), pytest.raises((TypeError, ValueError), match=message):
        make()
