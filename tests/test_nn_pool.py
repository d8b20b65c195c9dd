"""Layers of pooling and resizing: what they pass on, what they show, what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn

IMAGES = {n: np.random.default_rng(n).random((2, 4, *(6,) * n), np.float32) for n in (1, 2, 3)}

LAYERS: list[tuple[str, str, dict[str, Any]]] = [
    ("MaxPool", "max_pool", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("MaxPool", "max_pool", {"kernel_size": 2, "stride": 1, "dilation": 2}),
    ("AvgPool", "avg_pool", {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("AvgPool", "avg_pool", {"kernel_size": 2, "divisor_override": 3}),
    ("AvgPool", "avg_pool", {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    ("AdaptiveAvgPool", "adaptive_avg_pool", {"output_size": 4}),
    ("AdaptiveMaxPool", "adaptive_max_pool", {"output_size": None}),
    ("LPPool", "lp_pool", {"norm_type": 2, "kernel_size": 2, "stride": 1, "ceil_mode": True}),
]


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("layer", "function", "options"), LAYERS)
def test_layer_passes_its_arguments_on(
    layer: str, function: str, options: dict[str, Any], ndim: int
) -> None:
    module = getattr(nn, f"{layer}{ndim}d")(**options)
    expected = getattr(F, f"{function}{ndim}d")(IMAGES[ndim], **options)
    np.testing.assert_array_equal(module(IMAGES[ndim]).numpy(), expected.numpy())
    np.testing.assert_array_equal(module(IMAGES[ndim][0]).numpy(), expected[0].numpy())


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_unpooling_is_an_inverse(ndim: int) -> None:
    pool = getattr(nn, f"MaxPool{ndim}d")(2, return_indices=True)
    unpool = getattr(nn, f"MaxUnpool{ndim}d")(2)
    values, indices = pool(IMAGES[ndim])
    large = unpool(values, indices, output_size=IMAGES[ndim].shape)
    again, places = pool(large)
    np.testing.assert_array_equal(again.numpy(), values.numpy())
    np.testing.assert_array_equal(places.numpy(), indices.numpy())


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.Upsample(scale_factor=2), lambda x: F.interpolate(x, scale_factor=2)),
        (nn.Upsample(scale_factor=2), lambda x: F.interpolate(x, scale_factor=np.float16(2))),
        (
            nn.Upsample((5, 7), mode="bicubic", align_corners=True),
            lambda x: F.interpolate(x, (5, 7), None, "bicubic", True, antialias=False),
        ),
        (nn.UpsamplingNearest2d(9), lambda x: F.interpolate(x, 9)),
        (
            nn.UpsamplingBilinear2d(scale_factor=1.5),
            lambda x: F.interpolate(x, None, 1.5, "bilinear", True),
        ),
        (nn.PixelShuffle(2), lambda x: F.pixel_shuffle(x, 2)),
        (nn.PixelUnshuffle(3), lambda x: F.pixel_unshuffle(x, 3)),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_layers_that_resize(layer: nn.Module, function: Callable[..., pyconv.Tensor]) -> None:
    np.testing.assert_array_equal(layer(IMAGES[2]).numpy(), function(IMAGES[2]).numpy())


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.AvgPool2d((2, 1)), "AvgPool2d(kernel_size=(2, 1), stride=(2, 1), padding=0)"),
        (nn.AdaptiveAvgPool2d((None, 7)), "AdaptiveAvgPool2d(output_size=(None, 7))"),
        (nn.MaxUnpool1d(2), "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (nn.LPPool2d(2, 3), "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"),
        (nn.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (nn.PixelShuffle(2), "PixelShuffle(upscale_factor=2)"),
    ],
    ids=str,
)
def test_layer_shows_its_arguments(layer: nn.Module, text: str) -> None:
    assert repr(layer).startswith(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.AvgPool2d(0),
        lambda: nn.MaxPool3d((1, 2)),
        lambda: nn.MaxUnpool2d(2, padding=-1),
        lambda: nn.AdaptiveMaxPool1d(-1),
        lambda: nn.AdaptiveAvgPool2d(1.5),
        lambda: nn.LPPool1d(2, "3"),
        lambda: nn.Upsample(scale_factor="a"),
    ],
)
def test_wrong_arguments(make: Callable[[], nn.Module]) -> None:
    with pytest.raises((ValueError, TypeError)):
        make()


@pytest.mark.parametrize("name", ["AvgPool2d", "MaxPool3d"])
def test_one_size_in_a_tuple_counts_for_all(name: str) -> None:
    layer = getattr(nn, name)
    assert repr(layer((2,), [1], (0,))) == repr(layer(2, 1, 0))


def test_indices_are_made_only_for_those_who_ask() -> None:
    """Without gradients the peak of memory is that of the output."""
    x = pyconv.zeros(1, 4, 512, 512)
    x.requires_grad = True
    pyconv._core.reset_peak_memory_stats()
    before = pyconv.memory_stats()["allocated_bytes"]
    with pyconv.no_grad():
        F.max_pool2d(x, 2)
    peak = pyconv.memory_stats()["peak_bytes"] - before
    assert peak < 2 * 4 * x.numel() // 4


def test_gradient_of_a_long_moving_average() -> None:
    """A weight for each pair of an element and a window would take 4 GB."""
    n, k = 100_001, 5001
    x = pyconv.zeros(1, 1, n)
    x.requires_grad = True
    F.avg_pool1d(x, k, 1, k // 2).sum().backward()
    windows = np.minimum(np.arange(n) + k // 2, n - 1) - np.maximum(np.arange(n) - k // 2, 0) + 1
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy()[0, 0], windows / k, rtol=1e-5)
