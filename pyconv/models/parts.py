"""What models share: batch norm and ReLU in one call, arguments that are layers or images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import nn
from ..arguments import array_of, flag
from ..nn.state import kind_of
from ..tensor import Tensor

RELU = nn.ReLU()


def norm_relu(norm: nn.Module, x: Any, relu: nn.Module = RELU) -> Tensor:
    """Compute ``relu(norm(x))``: in one call for a plain batch norm and a plain ReLU."""
    plain = type(norm) is nn.BatchNorm2d and type(relu) is nn.ReLU
    together = plain and not (_is_changed(norm) or _is_changed(relu))
    result: Tensor = norm(x, relu=True) if together else relu(norm(x))
    return result


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and ReLU, or without the ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        window = kernel_size, stride, kernel_size // 2
        conv = nn.Conv2d(in_channels, out_channels, *window, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out_channels), *[nn.ReLU()] * relu)

    def forward(self, input: Any) -> Tensor:
        if len(self) == 3:
            conv, norm, relu = self
            return norm_relu(norm, conv(input), relu)
        result: Tensor = super().forward(input)
        return result


def _is_changed(layer: nn.Module) -> bool:
    hooks = layer._forward_pre_hooks or layer._forward_hooks or layer._backward_hooks
    return bool(hooks) or "forward" in vars(layer)


def as_torchvisions(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let a constructor take ``weights=None`` and ``progress=``, as torchvision's do."""

    @functools.wraps(make)
    def constructor(*args: Any, weights: None = None, progress: bool = True, **options: Any) -> Any:
        name = make.__name__
        if weights is not None:
            raise ValueError(
                f"{name}: weights is {weights!r}, expected None: there are none to download; "
                "make the model and give it yours with load_state_dict"
            )
        flag(f"{name}: progress", progress)
        return make(*args, **options)

    return constructor


def checked_layer(what: str, value: Any, optional: bool = False) -> Any:
    """Return a Module or a function, or None if it is optional; TypeError for all else."""
    if isinstance(value, type) or not (callable(value) or (optional and value is None)):
        raise TypeError(f"{what} is {kind_of(value)}, expected a Module")
    return value


def images(what: str, value: Any) -> Tensor:
    """Return a batch of images as a Tensor; ValueError for other dimensions."""
    x = value if isinstance(value, Tensor) else Tensor(array_of(value, name=what))
    if x.ndim != 4:
        raise ValueError(f"{what} has shape {x.shape}, expected (N, C, H, W)")
    return x
