"""What is printed of layers, networks and parameters, which is what PyTorch prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pyconv


def with_lines(lib: Any, text: str, **children: Any) -> Any:
    net = type("Net", (lib.nn.Module,), {"extra_repr": lambda self: text})()
    for name, child in children.items():
        net.add_module(name, child)
    return net


def loaded(lib: Any, strict: bool = True) -> Any:
    layer = lib.nn.Linear(1, 1)
    return layer.load_state_dict(layer.state_dict(), strict)


FORMS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda lib: lib.nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
    (lambda lib: lib.nn.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0)"),
    (
        lambda lib: lib.nn.AvgPool3d((1, 2, 3), 1, ceil_mode=True),
        "AvgPool3d(kernel_size=(1, 2, 3), stride=1, padding=0)",
    ),
    (
        lambda lib: lib.nn.MaxUnpool2d(2, (2, 1)),
        "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 1), padding=(0, 0))",
    ),
    (
        lambda lib: lib.nn.Upsample(scale_factor=(2, 3)),
        "Upsample(scale_factor=(2.0, 3.0), mode='nearest')",
    ),
    (lambda lib: lib.nn.Upsample(4), "Upsample(size=4, mode='nearest')"),
    (
        lambda lib: lib.nn.Parameter(lib.ones(2, 2)),
        "Parameter containing:\ntensor([[1., 1.],\n        [1., 1.]], requires_grad=True)",
    ),
    (
        lambda lib: lib.nn.ModuleList([*[lib.nn.Sequential(lib.nn.ReLU())] * 3, lib.nn.ReLU()]),
        "ModuleList(\n  (0-2): 3 x Sequential(\n    (0): ReLU()\n  )\n  (3): ReLU()\n)",
    ),
    (lambda lib: lib.nn.ModuleList(), "ModuleList()"),
    (lambda lib: with_lines(lib, "a\nb"), "Net(\n  a\n  b\n)"),
    (
        lambda lib: with_lines(lib, "a\nb", c=with_lines(lib, "d\ne"), f=lib.nn.ReLU()),
        "Net(\n  a\n  b\n  (c): Net(\n    d\n    e\n  )\n  (f): ReLU()\n)",
    ),
    (lambda lib: lib.nn.ELU(0.5, True), "ELU(alpha=0.5, inplace=True)"),
    (loaded, "<All keys matched successfully>"),
]


@pytest.mark.parametrize(("make", "text"), FORMS)
def test_printed_form(make: Callable[[Any], Any], text: str) -> None:
    assert repr(make(pyconv)) == text


@pytest.mark.torch
@pytest.mark.parametrize(("make", "text"), FORMS)
def test_printed_form_is_that_of_pytorch(make: Callable[[Any], Any], text: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert repr(make(torch)) == text


def test_activations_take_their_own_arguments() -> None:
    class Own(pyconv.nn.Tanh):
        def __init__(self) -> None:
            pyconv.nn.Module.__init__(self)

    assert Own()(pyconv.zeros(1)).item() == 0
    assert repr(Own()) == "Own()"
    for layer in (pyconv.nn.Sigmoid, pyconv.nn.Tanh):
        with pytest.raises(TypeError, match="argument"):
            layer(inplace=True)


def test_keys_that_do_not_match_are_printed() -> None:
    result = pyconv.nn.Linear(1, 1).load_state_dict({"other": pyconv.ones(1)}, strict=False)
    assert repr(result) == (
        "LoadResult(missing_keys=['weight', 'bias'], unexpected_keys=['other'])"
    )
