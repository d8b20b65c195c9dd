"""Modules: the tree, state dicts, hooks, layers and their initial values."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
        self.scale = nn.Parameter(pyconv.ones(1))
        self.register_buffer("mean", pyconv.zeros(2))
        self.register_buffer("scratch", pyconv.zeros(1), persistent=False)

    def forward(self, x):
        return self.layers(self.conv(x).max(3).values.max(2).values * self.scale + self.mean)


NAMES = ["scale", "conv.weight", "conv.bias", "layers.0.weight", "layers.0.bias", "layers.2.weight"]


# ---- the tree ----------------------------------------------------------------------------------


def test_names():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    assert [name for name, _ in net.named_modules()] == [
        "", "conv", "layers", "layers.0", "layers.1", "layers.2",
    ]  # fmt: skip
    assert [name for name, _ in net.named_children()] == ["conv", "layers"]
    assert len(list(net.parameters(recurse=False))) == 1
    assert list(net.children()) == [net.conv, net.layers]
    assert set(NAMES) | {"mean"} == net.state_dict().keys()


def test_attributes():
    net = Net()
    assert net.mean.shape == (2,)
    net.mean = pyconv.ones(2)
    assert dict(net.named_buffers())["mean"] is net.mean
    net.scale = None
    assert "scale" not in dict(net.named_parameters())
    net.conv = nn.Identity()
    assert "conv.weight" not in dict(net.named_parameters())
    del net.conv
    assert not hasattr(net, "conv")
    assert "scale" in dir(net)
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = net.other
    with pytest.raises(AttributeError, match="other"):
        del net.other
    net.scale = nn.Parameter([1.0])
    with pytest.raises(TypeError, match="scale is a Parameter"):
        net.scale = 3.0


def test_attribute_before_init():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    class Never(nn.Module):
        def __init__(self):
            pass

    for use in (Early, lambda: list(Never().parameters()), lambda: Never()(1)):
        with pytest.raises(AttributeError, match="super"):
            use()


@pytest.mark.parametrize("name", ["", "a.b", "conv", "forward"])
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match="name is"):
        Net().register_buffer(name, None)


def test_shared_modules_and_parameters_appear_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    assert len(list(net.parameters())) == 2
    assert len(list(net.modules())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_train_eval_apply_requires_grad():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    seen = []
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Conv2d", "Linear", "ReLU", "Linear", "Sequential", "Net"]
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(np.ones((1, 2), np.float32)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.numpy().tolist() == [[0, 0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_to():
    net = Net().to("float64")
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net(np.ones((1, 1, 4, 4))).dtype == np.float64
    with pytest.raises(TypeError, match="int64"):
        net.to(np.int64)


def test_forward_hook():
    net = nn.Sequential(nn.Identity())
    calls = []
    handle = net[0].register_forward_hook(lambda *args: calls.append(args))
    doubling = net.register_forward_hook(lambda module, args, output: output * 2)
    x = pyconv.ones(1)
    assert net(x).item() == 2
    assert calls == [(net[0], (x,), x)]
    handle.remove()
    doubling.remove()
    doubling.remove()
    assert net(x).item() == 1
    assert len(calls) == 1


def test_forward_hooks_with_arguments_by_name():
    class Scale(nn.Module):
        def forward(self, x, by=1):
            return x * by

    net, calls, x = Scale(), [], pyconv.ones(1)
    net.register_forward_pre_hook(lambda m, args: args[0] + 1)
    with net.register_forward_pre_hook(lambda m, a, k: (a, {"by": k["by"] + 2}), with_kwargs=True):
        net.register_forward_hook(lambda *args: calls.append(args), with_kwargs=True)
        assert net(x, by=3).item() == 10
    assert [(args[0].item(), kwargs, y.item()) for _, args, kwargs, y in calls] == [
        (2, {"by": 5}, 10)
    ]
    assert net(x, by=3).item() == 6
    net.register_forward_pre_hook(lambda m, args: args[0] * 10, prepend=True)
    net.register_forward_hook(lambda m, args, y: y + 1)
    net.register_forward_hook(lambda m, args, y: y * 2, prepend=True)
    assert net(x).item() == (1 * 10 + 1) * 2 + 1
    assert copy.deepcopy(net)(x).item() == 23
    for wrong in ((x,), ((x,), None), (x, {})):
        hook = net.register_forward_pre_hook(lambda *_, wrong=wrong: wrong, with_kwargs=True)
        with hook, pytest.raises(TypeError, match=r"Scale returned .*, expected \(args, kwargs\)"):
            net(x)


def test_module_without_forward():
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module()(1)


def test_repr_is_a_tree():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, groups=1, bias=False),
        nn.Sequential(nn.MaxPool2d(2), nn.ReLU(inplace=True)),
        nn.Flatten(),
        nn.CrossEntropyLoss(),
    )
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        "    (1): ReLU(inplace=True)\n"
        "  )\n"
        "  (2): Flatten(start_dim=1, end_dim=-1)\n"
        "  (3): CrossEntropyLoss()\n"
        ")"
    )


def test_a_copy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    with pyconv.no_grad():
        twin.scale += 1
    assert net.scale.item() == 1
    assert isinstance(twin.scale, nn.Parameter)
    assert [name for name, _ in twin.named_parameters()] == NAMES


# ---- state dicts -------------------------------------------------------------------------------


def test_state_dict_round_trip():
    a, b = Net(), Net()
    kept = b.conv.weight
    result = b.load_state_dict(a.state_dict())
    assert result == ([], [])
    assert b.conv.weight is kept
    for x, y in zip(a.parameters(), b.parameters()):
        np.testing.assert_array_equal(x.detach().numpy(), y.detach().numpy())
        assert not np.shares_memory(x.detach().numpy(), y.detach().numpy())
    assert not any(tensor.requires_grad for tensor in a.state_dict().values())


def test_state_dict_into_another():
    net, state = nn.Linear(1, 1), {"first": pyconv.ones(1)}
    assert net.state_dict(destination=state, prefix="net.", keep_vars=True) is state
    assert list(state) == ["first", "net.weight", "net.bias"]
    assert state["net.weight"] is net.weight


def test_state_dict_that_does_not_fit():
    net = Net()
    before = net.conv.bias.detach().numpy().copy()
    state = net.state_dict()
    state["conv.bias"] = np.ones(2)
    state["conv.weight"] = np.ones((2, 1, 5, 5))
    state["extra"] = np.ones(1)
    del state["scale"]
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "size mismatch for conv.weight: (2, 1, 5, 5) in the state dict, (2, 1, 3, 3)" in message
    assert "unexpected keys: extra" in message
    assert "missing keys: scale" in message
    np.testing.assert_array_equal(net.conv.bias.detach().numpy(), before)
    with pytest.raises(ValueError, match="size mismatch"):
        net.load_state_dict(state, strict=False)
    del state["conv.weight"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale", "conv.weight"]
    assert result.unexpected_keys == ["extra"]
    assert net.conv.bias.detach().numpy().tolist() == [1, 1]


# ---- layers ------------------------------------------------------------------------------------


def test_layers_equal_functions():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 6, 7)).astype(np.float32)
    conv = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2)
    expected = F.conv2d(x, conv.weight, conv.bias, 2, (1, 0), (1, 2), 2)
    np.testing.assert_array_equal(conv(x).detach().numpy(), expected.detach().numpy())
    same = nn.Conv2d(4, 4, 3, padding="same", bias=False)
    assert same(x).shape == x.shape
    assert same(x[0]).shape == x[0].shape
    linear = nn.Linear(7, 3)
    assert linear(x).shape == (2, 4, 6, 3)
    np.testing.assert_array_equal(nn.ReLU()(x).numpy(), F.relu(x).numpy())
    np.testing.assert_array_equal(nn.Flatten()(x).numpy(), x.reshape(2, -1))
    values, indices = nn.MaxPool2d(2, return_indices=True)(x)
    np.testing.assert_array_equal(values.numpy(), F.max_pool2d(x, 2).numpy())
    assert indices.dtype == np.int64
    assert nn.Identity(3, anything=4)(x) is x
    loss = nn.CrossEntropyLoss(np.ones(7, np.float32), reduction="sum", label_smoothing=0.1)
    target = np.zeros(6, np.int64)
    expected = F.cross_entropy(x[0, 0], target, reduction="sum", label_smoothing=0.1)
    np.testing.assert_allclose(loss(x[0, 0], target).numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(0, 1, 3), ValueError, "in_channels is 0"),
        (lambda: nn.Conv2d(1, -2, 3), ValueError, "out_channels is -2"),
        (lambda: nn.Conv2d(1, 1.5, 3), TypeError, "out_channels is 1.5"),
        (lambda: nn.Conv2d(True, 1, 3), TypeError, "in_channels is True"),
        (lambda: nn.Conv2d(1, 1, -3), ValueError, "kernel_size is -3"),
        (lambda: nn.Conv2d(1, 1, (1, 2, 3)), ValueError, r"kernel_size is \(1, 2, 3\)"),
        (lambda: nn.Conv2d(1, 1, "3"), TypeError, "kernel_size is '3'"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0), ValueError, "stride is 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1), ValueError, "padding is -1"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), ValueError, "padding is 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), ValueError, "'same' needs stride 1"),
        (lambda: nn.Conv2d(1, 1, 3, dilation=0), ValueError, "dilation is 0"),
        (lambda: nn.Conv2d(4, 4, 3, groups=3), ValueError, "groups is 3, .* in_channels 4"),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError, "groups is 4, .* out_channels 6"),
        (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError, "groups is 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="wrap"), ValueError, "padding_mode is .wrap"),
        (lambda: nn.MaxPool2d(0), ValueError, "kernel_size is 0"),
        (lambda: nn.MaxPool2d(2, stride=-1), ValueError, "stride is -1"),
        (lambda: nn.Linear(0, 1), ValueError, "in_features is 0"),
        (lambda: nn.Linear(1, None), TypeError, "out_features is None"),
        (lambda: nn.Sequential(3), TypeError, "argument 0 is a int"),
        (lambda: nn.Sequential(nn.ReLU), TypeError, "argument 0 is the class ReLU"),
        (lambda: nn.ModuleDict({"a": nn.ReLU}), TypeError, "a is the class ReLU"),
        (lambda: nn.Conv2d(1, 1), TypeError, r"^Conv2d.__init__\(\) missing .* 'kernel_size'"),
        (nn.InstanceNorm1d, TypeError, r"^InstanceNorm1d.__init__\(\) missing"),
        (lambda: nn.Dropout2d(1, 2, 3), TypeError, r"^Dropout2d.__init__\(\) takes"),
        (lambda: nn.CrossEntropyLoss(reduction="max")([[1.0]], [0]), ValueError, "'max'"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_sequential():
    net = nn.Sequential({"first": nn.Linear(2, 3), "second": nn.ReLU()})
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert len(net) == 2
    assert net[1] is list(net)[1]
    assert net[-1] is net.second
    assert isinstance(net[:1], nn.Sequential)
    assert len(nn.Sequential(nn.ReLU()).append(nn.ReLU())) == 2


def test_norms_start_again():
    layer = nn.BatchNorm1d(2, momentum=None)
    layer(np.arange(6, dtype=np.float32).reshape(3, 2))
    assert layer.running_mean.tolist() == [2, 3]
    with pyconv.no_grad():
        for tensor in (layer.weight, layer.bias, layer.num_batches_tracked):
            tensor[...] = -1
    with pytest.raises(ValueError, match="BatchNorm1d: num_batches_tracked is -1"):
        layer(np.ones((3, 2), np.float32))
    layer.reset_running_stats()
    assert [tensor.tolist() for tensor in layer.buffers()] == [[0, 0], [1, 1], 0]
    assert layer.weight.tolist() == [-1, -1]
    for norm in (layer, nn.GroupNorm(1, 2), nn.LayerNorm(2)):
        norm.reset_parameters()
        assert [param.tolist() for param in norm.parameters()] == [[1, 1], [0, 0]]
    nn.InstanceNorm1d(2).reset_parameters()


# ---- initial values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: nn.Conv2d(8, 64, 3), 72),
        (lambda: nn.Conv2d(8, 64, (3, 5), groups=4), 30),
        (lambda: nn.Linear(50, 200), 50),
    ],
)
def test_initial_values_of_layers(layer, fan_in):
    """Both weight and bias are uniform within 1 / sqrt(fan_in)."""
    pyconv.manual_seed(0)
    module = layer()
    bound = 1 / math.sqrt(fan_in)
    for param in module.parameters():
        values = param.detach().numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.9 * bound
        # The standard error of the variance of n uniform numbers is below its size / sqrt(n).
        spread = 4 / math.sqrt(values.size)
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=spread)


def test_initial_values_repeat_after_manual_seed():
    weights = []
    for _ in range(2):
        pyconv.manual_seed(5)
        weights.append(nn.Conv2d(2, 2, 3).weight.detach().numpy())
    np.testing.assert_array_equal(*weights)


def test_init_functions():
    pyconv.manual_seed(0)
    x = nn.Parameter(pyconv.empty(100, 200))
    assert nn.init.zeros_(x) is x
    assert not x.detach().numpy().any()
    assert nn.init.ones_(x).detach().numpy().all()
    assert nn.init.constant_(x, 2.5)[0, 0].item() == 2.5
    assert nn.init.constant_(pyconv.tensor([0]), 2**53 + 1).item() == 2**53 + 1
    values = nn.init.uniform_(x, 2, 4).detach().numpy()
    assert 2 <= values.min() < 2.01 < 3.99 < values.max() <= 4
    values = nn.init.normal_(x, 3, 0.5).detach().numpy()
    assert values.mean() == pytest.approx(3, abs=0.02)
    assert values.std() == pytest.approx(0.5, abs=0.02)
    values = nn.init.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu").detach().numpy()
    assert np.abs(values).max() == pytest.approx(math.sqrt(6 / 100), rel=0.01)
    for wrong in ({"mode": "fan"}, {"nonlinearity": "step"}):
        with pytest.raises(ValueError, match=next(iter(wrong.values()))):
            nn.init.kaiming_uniform_(x, **wrong)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        nn.init.kaiming_uniform_(pyconv.empty(2))


def test_parameter():
    array = np.zeros(2, np.float32)
    param = nn.Parameter(array)
    assert param.requires_grad
    assert np.shares_memory(param.detach().numpy(), array)
    assert not nn.Parameter(array, requires_grad=False).requires_grad
    assert not isinstance(param * 2, nn.Parameter)
    with pytest.raises(ValueError, match="int64"):
        nn.Parameter(pyconv.arange(2))
