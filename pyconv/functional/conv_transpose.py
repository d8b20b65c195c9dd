"""Transposed convolution: the gradient of a convolution with respect to its input."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..tensor import Tensor
from .conv import convolve


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Add a weighted window along sequences for each input; see `conv_transpose2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, L) or (C, L)
        A batch of sequences with C channels, or one; float32 or float64.
    weight : array_like of shape (C, K / groups, R)
        The filters.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`, for one dimension.

    Returns
    -------
    Tensor of shape (N, K, P) or (K, P)
        With ``P = (L - 1) * stride - 2 * padding + dilation * (R - 1) + output_padding + 1``.

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import pyconv.functional as F
    >>> F.conv_transpose1d([[1.0, 2.0]], [[[1.0, 10.0, 100.0]]], stride=2)
    tensor([[  1.,  10., 102.,  20., 200.]])
    """
    options = stride, padding, output_padding, groups, dilation
    return convolve(_core.conv_transpose_forward, 1, input, weight, bias, options)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Add a weighted window to an image for each input pixel: the adjoint of `conv2d`.

    With the same weight, stride, padding, dilation and groups it is the gradient of `conv2d` with
    respect to its input: ``sum(conv2d(x, w) * y) == sum(x * conv_transpose2d(y, w))``. It enlarges
    where the convolution shrinks. A stride of s makes the same output of s input sizes;
    `output_padding` says which.

    Parameters
    ----------
    input : array_like of shape (N, C, H, W) or (C, H, W)
        A batch of images with C channels, or one image; float32 or float64.
    weight : array_like of shape (C, K / groups, R, S)
        The filters: those of the convolution from K to C channels.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride : int or tuple of two
        Distance of the windows of neighbouring input pixels.
    padding : int or tuple of two
        Rows and columns taken away from each side of the output.
    output_padding : int or tuple of two
        Rows and columns more at the end of the output; less than the stride or the dilation.
    groups : int
        Channels are split into this many groups that do not mix.
    dilation : int or tuple of two
        Distance between neighbouring elements of the window.

    Returns
    -------
    Tensor of shape (N, K, P, Q) or (K, P, Q)
        With ``P = (H - 1) * stride - 2 * padding + dilation * (R - 1) + output_padding + 1``, and
        Q likewise.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit together; the message names them.
    TypeError
        If dtypes differ or are not supported, or an argument has the wrong type.

    References
    ----------
    Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285,
    chapter 4. Zeiler et al., *Deconvolutional networks*, CVPR 2010.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.conv_transpose2d(pyconv.ones(1, 1, 2), pyconv.ones(1, 1, 2, 2))
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return convolve(_core.conv_transpose_forward, 2, input, weight, bias, options)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Add a weighted window to a volume for each input voxel; see `conv_transpose2d`.

    Parameters
    ----------
    input : array_like of shape (N, C, D, H, W) or (C, D, H, W)
        A batch of volumes with C channels, or one; float32 or float64.
    weight : array_like of shape (C, K / groups, Q, R, S)
        The filters.
    bias : array_like of shape (K,), optional
        Added to each output channel.
    stride, padding, output_padding, groups, dilation
        As in `conv_transpose2d`, for three dimensions.

    Returns
    -------
    Tensor of shape (N, K, D', H', W') or (K, D', H', W')
        With ``D' = (D - 1) * stride - 2 * padding + dilation * (Q - 1) + output_padding + 1``, and
        so on.

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> F.conv_transpose3d(pyconv.ones(1, 1, 1, 2), pyconv.ones(1, 1, 1, 1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return convolve(_core.conv_transpose_forward, 3, input, weight, bias, options)
