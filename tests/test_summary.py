"""Counting without computing: parameters, multiply-adds, activations, receptive fields, memory."""

from __future__ import annotations

import gc
import math
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import _core, enable_grad, models, nn, no_grad
from pyconv.cli import main
from pyconv.summary import count_layers
from pyconv.testing import force


def summary_of(name: str, **options: object) -> pyconv.Summary:
    with pyconv.shapes_only():
        model = getattr(models, name)(**options)
    return count_layers(model, (1, 3, 224, 224))


def field_of(summary: pyconv.Summary) -> tuple[float, ...]:
    """The receptive field of the last layer before the head."""
    kinds = ("Conv2d", "MaxPool2d")
    return [layer for layer in summary.layers if layer.kind in kinds][-1].receptive_field


def test_resnet50_as_published() -> None:
    summary = summary_of("resnet50")
    assert summary.multiply_adds == 4_089_185_256
    assert summary.flops == 2 * 4_089_185_256
    assert summary.activations == 11_315_688


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("vgg16", {}, 212),
        ("resnet50", {"stride_in_1x1": True}, 483),
        ("resnet152", {"stride_in_1x1": True}, 1507),
        ("resnet50", {}, 427),
    ],
)
def test_receptive_fields_as_published(name: str, options: dict[str, bool], field: int) -> None:
    assert field_of(summary_of(name, **options)) == (field, field)


def test_stride_and_padding_add_up() -> None:
    view = next(x for x in reversed(summary_of("vgg16").layers) if x.kind == "MaxPool2d").views[0]
    assert (view.stride, view.padding) == (32, 90)


def test_fully_connected_layer_on_25_megapixels() -> None:
    pixels = 3 * 5000 * 5000
    with pyconv.shapes_only():
        layer = nn.Linear(pixels, pixels, bias=False)
    summary = pyconv.summary(layer, (1, pixels))
    assert summary.parameters == summary.multiply_adds == 5_625_000_000_000_000
    assert "5,625,000,000,000,000" in str(summary)


def test_what_a_small_network_costs() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.ConvTranspose2d(4, 2, 2, stride=2),
        nn.Upsample(scale_factor=2),
        nn.Flatten(),
        nn.Linear(2 * 16 * 16, 5),
    )
    conv, pool, up, nearest, flatten, linear = pyconv.summary(net, (2, 3, 8, 8)).layers
    assert conv.multiply_adds == 2 * 8 * 8 * 4 * 27
    assert up.multiply_adds == 2 * (4 * 4 * 4 * 2 * 4 + 2 * 8 * 8)
    assert linear.multiply_adds == 2 * (512 * 5 + 5)
    assert [x.activations for x in (conv, pool, up, linear)] == [512, 128, 256, 10]
    assert [x.views[0].size for x in (conv, pool, up, nearest)] == [3, 4, 4, 4]
    assert [float(x.views[0].stride) for x in (conv, pool, up, nearest)] == [1, 2, 1, 0.5]
    assert linear.receptive_field == (math.inf, math.inf)
    assert flatten.output == (2, 512)


def test_ways_around_and_side_by_side_see_the_most() -> None:
    three = nn.Conv2d(4, 4, 3, padding=1)
    net = nn.Sequential(nn.Residual(three), nn.Conv2d(4, 4, 1))
    assert pyconv.summary(net, (1, 4, 9, 9)).layers[-1].receptive_field == (3, 3)


def test_transposed_convolution_sees_a_mean() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 4, stride=4), nn.ConvTranspose2d(1, 1, 3, stride=2))
    # Of two elements of the output, one sees one window and the other two: 4 and 8 pixels.
    assert pyconv.summary(net, (1, 1, 16, 16)).layers[-1].receptive_field == (6, 6)


def peak_of_allocator(model: nn.Module, input: pyconv.Tensor, training: bool) -> int:
    """Run what is predicted; return the most bytes that lived above those of before."""
    model.train(training)
    gc.collect()
    _core.reset_peak_memory_stats()
    with enable_grad() if training else no_grad():
        result = model(input)
        output = result[0] if isinstance(result, tuple) else result
    if training:
        output.backward(pyconv.empty(*output.shape))
    return pyconv.memory_stats()["peak_bytes"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet", (4, 1, 28, 28)),
        ("resnet20", (2, 3, 32, 32)),
        ("densenet_cifar", (2, 3, 8, 8)),
        ("regnet_x_400mf", (2, 3, 32, 32)),
        ("unet", (1, 1, 32, 32)),
        ("tcn", (2, 1, 100)),
        ("char_rnn", (3, 20)),
    ],
)
def test_memory_is_the_peak_of_the_allocator(
    name: str, shape: tuple[int, ...], training: bool
) -> None:
    entry = models.CATALOGUE[name]
    with force(threads=1):  # how many need scratch memory at once is else a matter of chance
        gc.collect()
        before = pyconv.memory_stats()["allocated_bytes"]
        input = pyconv.empty(*shape, dtype=entry.dtype)
        input[...] = 0
        with pyconv.shapes_only():
            counted = pyconv.summary(entry.make(), input)
        measured = peak_of_allocator(entry.make(), input, training) - before
    predicted = counted.training_bytes if training else counted.inference_bytes
    assert predicted == pytest.approx(measured, rel=0.05)


def test_more_memory_than_addresses_is_said() -> None:
    with pyconv.shapes_only():
        layer = nn.Linear(2**26, 2**26)
    assert pyconv.summary(layer, (1, 2**26)).training_bytes is None
    assert "impossible" in str(pyconv.summary(layer, (1, 2**26)))


def test_network_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net[1].eval()
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    pyconv.summary(net, np.zeros((2, 3, 5, 5), np.float32))
    assert (net.training, net[0].training, net[1].training) == (True, True, False)
    assert not any(module._forward_hooks for module in net.modules())
    assert all((t.numpy() == before[name]).all() for name, t in net.state_dict().items())


class Stateful(nn.Module):
    """Changes all that a module can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", pyconv.ones(3))
        self.linear = nn.Linear(3, 3)
        self.hidden: Any = None
        self.seen: list[Any] = [{"calls": 0}]
        self.plain = (pyconv.ones(2),)
        self.itself = [self.seen]
        self.itself.append(self.itself)

    def forward(self, x: pyconv.Tensor) -> pyconv.Tensor:
        self.mean = self.mean * 0.9 + x.mean(0).detach() * 0.1
        self.hidden = self.linear(x if self.hidden is None else x + self.hidden)
        self.seen[0]["calls"] += 1
        self.seen.append(x)
        self.plain[0][0] = 5
        self.late = nn.Parameter(pyconv.ones(2))
        return self.hidden


def test_network_that_remembers_is_left_as_it_was() -> None:
    net = Stateful()
    attributes = list(net.__dict__)
    pyconv.summary(net, (2, 3))
    assert net.hidden is None
    assert net.seen == [{"calls": 0}]
    assert net.mean.numpy().tolist() == [1, 1, 1]
    assert net.plain[0].numpy().tolist() == [1, 1]
    assert list(net.__dict__) == attributes
    assert list(net.state_dict()) == ["mean", "linear.weight", "linear.bias"]
    assert not pyconv.summary(net, (2, 3)).layers[0].views
    hidden = net(pyconv.ones(2, 3))
    before = hidden.detach().numpy().copy()
    assert pyconv.summary(net, (2, 3)).training_bytes
    assert net.hidden is hidden
    np.testing.assert_array_equal(hidden.detach().numpy(), before)
    hidden.sum().backward()  # its graph is still there
    assert net.linear.weight.grad.numpy().tolist() == [[2, 2, 2]] * 3


def module(forward: Any, **parts: Any) -> nn.Module:
    """Make a network from a function and its layers."""
    net = type("Net", (nn.Module,), {"forward": forward})()
    for name, part in parts.items():
        setattr(net, name, part)
    return net


# Networks, the shape of their input, and the output and multiply-adds of each layer.
WITH_A_BATCH: dict[str, tuple[nn.Module, tuple[int, ...], list[Any]]] = {
    "view": (
        module(lambda s, x: s.f(x.view(x.size(0), -1)), f=nn.Linear(6, 4, bias=False)),
        (2, 2, 3),
        [((2, 4), 48)],
    ),
    "largest": (module(lambda s, x: s.f(x / x.max()), f=nn.Linear(3, 4)), (2, 3), [((2, 4), 32)]),
    "one by one": (
        module(lambda s, x: F.stack([s.f(row) for row in x]), f=nn.Linear(3, 4, bias=False)),
        (2, 3),
        [((4,), 12)] * 2,
    ),
    "first": (module(lambda s, x: s.f(x[0]), f=nn.Linear(3, 4)), (2, 5, 3), [((5, 4), 80)]),
    "twice": (
        module(lambda s, x: s.f(F.cat([x, x], 0)), f=nn.Linear(3, 4)),
        (2, 3),
        [((4, 4), 64)],
    ),
    "integers": (
        module(lambda s, x: s.f(x[:, : int(s.n)]), n=pyconv.tensor(3), f=nn.Linear(3, 4)),
        (2, 5),
        [((2, 4), 32)],
    ),
    "time first": (
        module(lambda s, x: s.f(s.rnn(x)[0].reshape(-1, 8)), rnn=nn.LSTM(4, 8), f=nn.Linear(8, 5)),
        (7, 2, 4),
        [((7, 2, 8), 14 * (4 * 8 * 14)), ((14, 5), 630)],
    ),
}


@pytest.mark.parametrize("name", WITH_A_BATCH)
def test_layers_see_the_real_batch(name: str) -> None:
    net, shape, expected = WITH_A_BATCH[name]
    summary = pyconv.summary(net, shape)
    assert [(layer.output, layer.multiply_adds) for layer in summary.layers] == expected
    assert summary.training_bytes > summary.inference_bytes > 0


def test_receptive_field_is_unknown_where_an_image_changes_its_dimensions() -> None:
    pool, over, conv = nn.AdaptiveAvgPool2d(1), nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(3, 4, 3)
    attention = module(
        lambda s, x: s.conv(x * s.over(s.pool(x).reshape(-1, 1, 3)).reshape(-1, 3, 1, 1)),
        pool=pool,
        over=over,
        conv=conv,
    )
    layers = pyconv.summary(attention, (2, 3, 8, 8)).layers
    assert [layer.receptive_field for layer in layers] == [(8, 8), (), ()]
    video = module(lambda s, x: s.conv(x.reshape(-1, 3, 8, 8)), conv=conv)
    (layer,) = pyconv.summary(video, (2, 5, 3, 8, 8)).layers
    assert (layer.output, layer.views) == ((10, 4, 6, 6), ())


def test_layers_that_take_and_return_anything() -> None:
    net = module(
        lambda s, x: s.join([s.named(s.up(input=x))["a"][0], s.same(x, s.nothing())]),
        up=nn.ConvTranspose2d(3, 3, 1),
        named=module(lambda s, x: {"a": [x * 2]}),
        nothing=module(lambda s: None),
        same=module(lambda s, x, other: x),
        join=module(lambda s, parts: {"sum": [parts[0] + parts[1], 3]}),
    )
    summary = pyconv.summary(net, (2, 3, 4, 4))
    assert [layer.name for layer in summary.layers] == ["up", "named", "same", "join"]
    assert summary.multiply_adds == 2 * 16 * (3 * 3 + 3)
    assert summary.layers[-1].views == summary.layers[0].views != ()


def test_outputs_in_lists_and_dicts_are_trained() -> None:
    counted = [
        pyconv.summary(module(lambda s, x, pack=pack: pack(s.f(x)), f=nn.Linear(64, 64)), (8, 64))
        for pack in (lambda y: (y,), lambda y: [y], lambda y: {"y": [y]})
    ]
    assert len({summary.training_bytes for summary in counted}) == 1


def test_training_is_counted_where_gradients_are_off() -> None:
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    with pyconv.no_grad():
        inside = pyconv.summary(net, (4, 64))
    assert inside == pyconv.summary(net, (4, 64))


@pytest.mark.parametrize(
    "shape", [(), (0, 3), (1, -3, 5, 5), (1, 4, 8, 8), (2**70, 3, 5, 5), (1, 3, 2**20, 2**20)]
)
def test_bad_input(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="input"):
        pyconv.summary(nn.Conv2d(3, 4, 3), shape)


@pytest.mark.parametrize("input", [None, 3, "a", (1, 2.5)])
def test_input_of_another_type(input: object) -> None:
    with pytest.raises(TypeError, match="summary: input is"):
        pyconv.summary(nn.Conv2d(3, 4, 3), input)


@pytest.mark.parametrize("model", ["lenet", None, len])
def test_model_of_another_type(model: Any) -> None:
    with pytest.raises(TypeError, match="summary: model is"):
        pyconv.summary(model, (1, 3))


def test_message_has_the_batch_that_was_given() -> None:
    with pytest.raises(ValueError, match=r"input has shape \(1, 3\)"):
        pyconv.summary(nn.Conv2d(3, 4, 3), (1, 3))


def test_shapes_only_ends() -> None:
    with pyconv.shapes_only():
        layer = nn.Conv2d(3, 4, 3)
    assert not layer.weight.detach().numpy().flags.writeable
    assert nn.Conv2d(3, 4, 3).weight.detach().numpy().std() > 0


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "lenet", "--input", "5,1,28,28"]) == 0
    text = capsys.readouterr().out
    assert "61,706" in text
    assert "5x6x14x14" in text


ROWS = [
    line.strip("| \n").split("|")
    for line in (Path(__file__).parent.parent / "docs" / "models.md").read_text().splitlines()
    if line.startswith("|")
][2:]


def test_table_of_models_is_complete() -> None:
    assert [row[0].strip() for row in ROWS] == list(models.CATALOGUE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_table_of_models_is_right(row: list[str]) -> None:
    name, _, parameters, multiply_adds, *_ = (cell.strip().replace(",", "") for cell in row)
    with pyconv.shapes_only():
        model = models.CATALOGUE[name].make()
    assert sum(p.numel() for p in model.parameters()) == int(parameters)
    if len(list(model.modules())) < 100:
        entry = models.CATALOGUE[name]
        input = np.broadcast_to(np.zeros((), entry.dtype), entry.input)
        assert count_layers(model, input).multiply_adds == int(multiply_adds)


class Frozen(dict[str, Any]):
    def _refuse(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("read-only")

    clear = update = __setitem__ = copy = _refuse  # type: ignore[assignment]


def test_attributes_of_any_kind_are_left_as_they_were() -> None:
    layer = nn.Conv2d(3, 4, 3)
    shared: list[Any] = [1]
    for _ in range(2000):
        shared = [shared, shared]
    layer.config, layer.shared, layer.recent = Frozen(a=1), shared, deque([pyconv.ones(1)], 3)
    before = dict(layer.__dict__)
    pyconv.summary(layer, (2, 3, 8, 8))
    assert layer.__dict__ == before
    assert layer.config["a"] == 1
    assert layer.recent[0].item() == 1
