"""Windows of images as columns, and columns added up in images: each the other's adjoint."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd.function import Function
from ..creation import as_tensor
from ..tensor import Tensor

# kernel_size, dilation, padding, stride
Config = tuple[Any, Any, Any, Any]


class Unfold(Function):
    """Every window of the images as a column."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, config: Config) -> Tensor:
        ctx.size, ctx.config = x._array.shape[-2:], config
        return Tensor(_core.unfold(x._array, *config))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Fold.apply(g, ctx.size, ctx.config), None


class Fold(Function):
    """Columns added up where the windows were."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, output_size: Any, config: Config) -> Tensor:
        ctx.config = config
        return Tensor(_core.fold(x._array, output_size, *config))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return Unfold.apply(g, ctx.config), None, None


def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Take every window of images as a column: a convolution without its product (im2col).

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size : int or tuple of two
        Size R x S of the window.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.
    padding : int or tuple of two
        Zeros around the image.
    stride : int or tuple of two
        Step of the window.

    Returns
    -------
    Tensor of shape (N, C * R * S, L) or (C * R * S, L)
        A column for each of the ``L = P * Q`` places of the window, row by row, with P and Q as in
        `conv2d`; in a column the channels, and in each the rows of the window.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    References
    ----------
    Chellapilla, Puri and Simard, *High performance convolutional neural networks for document
    processing*, 2006.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.unfold([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], 2)
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    return Unfold.apply(as_tensor(input, "input"), (kernel_size, dilation, padding, stride))


def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Add columns up in images, where their windows are: the adjoint of `unfold`.

    Where windows overlap their elements are added; so ``fold(unfold(x))`` is `x` times the number
    of windows that see each element.

    Parameters
    ----------
    input : array_like of shape (N, C * R * S, L) or (C * R * S, L)
        Columns as `unfold` returns them; float32 or float64.
    output_size : int or tuple of two
        Size H x W of the images.
    kernel_size, dilation, padding, stride
        As in `unfold`, with a window of R x S.

    Returns
    -------
    Tensor of shape (N, C, H, W) or (C, H, W)

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If the dtype is not supported, or an argument has the wrong type.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.fold(pyconv.ones(4, 2), (2, 3), 2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    config = kernel_size, dilation, padding, stride
    return Fold.apply(as_tensor(input, "input"), output_size, config)
