"""The layers of the convolution family: modes of padding, sizes, tied weights, their text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn

RANKS = [1, 2, 3]


def drawn(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def layer_of(kind: str, rank: int) -> Any:
    return getattr(nn, f"{kind}{rank}d")


@pytest.mark.parametrize("rank", RANKS)
def test_layers_call_their_functions(rank: int) -> None:
    x = drawn(2, 4, *(7,) * rank)
    conv = layer_of("Conv", rank)(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)
    expected = getattr(F, f"conv{rank}d")(x, conv.weight, conv.bias, 2, 1, 2, 2)
    np.testing.assert_array_equal(conv(x).detach().numpy(), expected.detach().numpy())
    up = layer_of("ConvTranspose", rank)(4, 6, 3, 2, 1, 1, 2, True, 2)
    expected = getattr(F, f"conv_transpose{rank}d")(x, up.weight, up.bias, 2, 1, 1, 2, 2)
    np.testing.assert_array_equal(up(x).detach().numpy(), expected.detach().numpy())
    assert list(conv.state_dict()) == list(up.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize("padding", [1, (2,), (2, 1), (1, 2, 0), "same", "valid"], ids=str)
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("rank", RANKS)
def test_padding_modes(rank: int, mode: str, padding: Any) -> None:
    """A padded convolution is one without padding of a padded input."""
    if isinstance(padding, tuple) and len(padding) != rank:
        pytest.skip("of another rank")
    conv = layer_of("Conv", rank)(2, 3, 4, padding=padding, padding_mode=mode)
    x = drawn(1, 2, *(6,) * rank)
    widths = {"same": (1, 2) * rank, "valid": (0, 0) * rank, 1: (1, 1) * rank}.get(padding)
    if widths is None:
        widths = tuple(n for n in reversed(padding) for _ in range(2))
    expected = getattr(F, f"conv{rank}d")(F.pad(x, widths, mode), conv.weight, conv.bias)
    np.testing.assert_array_equal(conv(x).detach().numpy(), expected.detach().numpy())
    assert conv(x[0]).shape == conv(x).shape[1:]


# ---- transposed --------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_output_size(rank: int, extra: int) -> None:
    up = layer_of("ConvTranspose", rank)(2, 3, 3, stride=3, padding=1)
    x = drawn(1, 2, *(4,) * rank)
    size = 3 * 3 - 2 + 3 + extra
    for output_size in (size, (size,) * rank, [1, 3, *(size,) * rank]):
        assert up(x, output_size).shape == (1, 3, *(size,) * rank)
    assert up(x[0], output_size=(3, *(size,) * rank)).shape == (3, *(size,) * rank)


@pytest.mark.parametrize(
    ("output_size", "error", "shown"),
    [
        (9, ValueError, "output_size is 9, expected from [10, 10] to [12, 12]"),
        ((10, 13), ValueError, "output_size is (10, 13)"),
        ((10, 11, 12), ValueError, "(10, 11, 12)"),
        ((10, None), TypeError, "None"),
        ("10", TypeError, "'10'"),
        (10.0, TypeError, "10.0"),
        (-1, ValueError, "-1"),
        (2**40, ValueError, str(2**40)),
    ],
)
def test_bad_output_size(output_size: Any, error: type[Exception], shown: str) -> None:
    up = nn.ConvTranspose2d(2, 3, 3, stride=3, padding=1)
    with pytest.raises(error) as caught:
        up(drawn(1, 2, 4, 4), output_size)
    assert "ConvTranspose2d: output_size" in str(caught.value)
    assert shown in str(caught.value)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1, "groups": 2}], ids=str)
def test_tied_is_the_adjoint(rank: int, options: dict[str, Any]) -> None:
    conv = layer_of("Conv", rank)(4, 6, 3, bias=False, dilation=2, **options)
    conv.weight = nn.Parameter(drawn(*conv.weight.shape, dtype=np.float64))
    up = layer_of("ConvTranspose", rank).tied(conv)
    x = drawn(2, 4, *(8,) * rank, dtype=np.float64)
    y = drawn(*conv(x).shape, dtype=np.float64)
    left, right = (conv(x) * y).sum(), (up(y, output_size=x.shape) * x).sum()
    assert left.item() == pytest.approx(right.item(), rel=1e-12)


def test_tied_shares_the_parameter() -> None:
    conv = nn.Conv2d(4, 6, 3, padding="same", dilation=2)
    net = nn.Sequential(conv, nn.ConvTranspose2d.tied(conv, bias=True))
    assert net[1].weight is conv.weight
    assert net[1].padding == (2, 2)
    assert net[1].bias.shape == (4,)
    assert len(list(net.parameters())) == 3
    assert nn.ConvTranspose2d.tied(conv).bias is None
    x = drawn(1, 4, 5, 5)
    both = net(x).sum()
    both.backward()
    middle = conv(x).detach()
    up_alone = pyconv.autograd.grad(net[1](middle).sum(), conv.weight)[0].numpy()
    assert not np.allclose(conv.weight.grad.numpy(), up_alone)


@pytest.mark.parametrize(
    ("conv", "error", "shown"),
    [
        (lambda: nn.Linear(2, 2), TypeError, "conv is a Linear, expected a Conv2d"),
        (lambda: nn.Conv1d(2, 2, 3), TypeError, "conv is a Conv1d, expected a Conv2d"),
        (lambda: None, TypeError, "NoneType"),
        (lambda: nn.Conv2d(2, 2, 2, padding="same"), ValueError, r"\[\(0, 1\), \(0, 1\)\]"),
        (lambda: nn.Conv2d(2, 2, 3, padding_mode="reflect"), ValueError, "'reflect'"),
    ],
)
def test_what_cannot_be_tied(conv: Callable[[], Any], error: type[Exception], shown: str) -> None:
    with pytest.raises(error, match=shown):
        nn.ConvTranspose2d.tied(conv())


# ---- their text, initial values, bad arguments -------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            lambda: nn.Conv1d(2, 4, 3, 2, dilation=(2,), padding_mode="circular"),
            "Conv1d(2, 4, kernel_size=(3,), stride=(2,), dilation=(2,), padding_mode=circular)",
        ),
        (
            lambda: nn.Conv3d(2, 4, 3, padding="same"),
            "Conv3d(2, 4, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=same)",
        ),
        (
            lambda: nn.ConvTranspose2d(2, 4, 3, 2, output_padding=(0, 1)),
            "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), output_padding=(0, 1))",
        ),
        (
            lambda: nn.Unfold(3, padding=(1, 0)),
            "Unfold(kernel_size=3, dilation=1, padding=(1, 0), stride=1)",
        ),
        (
            lambda: nn.Fold(8, 2, stride=2),
            "Fold(output_size=8, kernel_size=2, dilation=1, padding=0, stride=2)",
        ),
        (lambda: nn.ReflectionPad1d(2), "ReflectionPad1d((2, 2))"),
        (lambda: nn.ZeroPad2d((1, 2, 3, 4)), "ZeroPad2d((1, 2, 3, 4))"),
        (lambda: nn.ConstantPad1d(2, 0.5), "ConstantPad1d(padding=(2, 2), value=0.5)"),
    ],
)
def test_text(layer: Callable[[], Any], text: str) -> None:
    assert repr(layer()) == text


@pytest.mark.parametrize("rank", RANKS)
def test_initial_values_of_transposed_layers(rank: int) -> None:
    """Within 1 / sqrt(fan_in), where fan_in counts the elements of weight[0], as in PyTorch."""
    up = layer_of("ConvTranspose", rank)(8, 256, 3, groups=4)
    assert up.weight.shape == (8, 64, *(3,) * rank)
    bound = 1 / math.sqrt(64 * 3**rank)
    for param in up.parameters():
        assert 0.9 * bound < param.abs().max().item() <= bound


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"in_channels": 0}, ValueError),
        ({"out_channels": 1.5}, TypeError),
        ({"groups": 3}, ValueError),
        ({"kernel_size": 0}, ValueError),
        ({"kernel_size": (1, 1, 1, 1)}, ValueError),
        ({"stride": None}, TypeError),
        ({"padding": -1}, ValueError),
        ({"dilation": "2"}, TypeError),
        ({"padding_mode": "wrap"}, ValueError),
        ({"padding_mode": None}, ValueError),
    ],
    ids=str,
)
def test_bad_arguments(
    kind: str, rank: int, options: dict[str, Any], error: type[Exception]
) -> None:
    good = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
    (name,) = options
    with pytest.raises(error, match=f"{kind}{rank}d: {name}"):
        layer_of(kind, rank)(**(good | options))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_transposed_layers_pad_with_zeros_only(mode: str) -> None:
    with pytest.raises(ValueError, match=f"ConvTranspose2d: padding_mode is '{mode}'"):
        nn.ConvTranspose2d(1, 1, 3, padding_mode=mode)


def test_bad_output_padding() -> None:
    with pytest.raises(ValueError, match="ConvTranspose1d: output_padding is -1"):
        nn.ConvTranspose1d(1, 1, 3, output_padding=-1)


def test_fold_layers() -> None:
    x = drawn(2, 3, 6, 7)
    columns = nn.Unfold((2, 3), 2, 1, (1, 2))(x)
    np.testing.assert_array_equal(columns.numpy(), F.unfold(x, (2, 3), 2, 1, (1, 2)).numpy())
    images = nn.Fold((6, 7), (2, 3), 2, 1, (1, 2))(columns)
    expected = F.fold(columns, (6, 7), (2, 3), 2, 1, (1, 2))
    np.testing.assert_array_equal(images.numpy(), expected.numpy())
    for bad in ({"kernel_size": 0}, {"stride": 0}, {"padding": -1}, {"dilation": (1, 0)}):
        with pytest.raises(ValueError, match=f"Unfold: {next(iter(bad))} is"):
            nn.Unfold(**({"kernel_size": 2} | bad))
    with pytest.raises(ValueError, match="Fold: output_size is 0"):
        nn.Fold(0, 2)


# ---- layers of padding -------------------------------------------------------------------------


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("ZeroPad", "constant"),
        ("ReflectionPad", "reflect"),
        ("ReplicationPad", "replicate"),
        ("CircularPad", "circular"),
    ],
)
def test_padding_layers(kind: str, mode: str, rank: int) -> None:
    x = drawn(2, 3, *(5,) * rank)
    for padding in (2, tuple(range(2 * rank)) if rank < 3 else (1, 2, 0, 1, 3, 2)):
        widths = padding if isinstance(padding, tuple) else (padding,) * (2 * rank)
        padded = layer_of(kind, rank)(padding)(x).numpy()
        np.testing.assert_array_equal(padded, F.pad(x, widths, mode).numpy())
    constant = layer_of("ConstantPad", rank)(1, 3.5)(x).numpy()
    np.testing.assert_array_equal(constant, F.pad(x, (1,) * (2 * rank), value=3.5).numpy())
    with pytest.raises(ValueError, match=f"{kind}{rank}d: padding is"):
        layer_of(kind, rank)((1, 2, 3))
