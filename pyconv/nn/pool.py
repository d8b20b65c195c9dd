"""Pooling layers."""

from __future__ import annotations

from .pool_base import (
    AdaptiveAvgPoolBase,
    AdaptiveMaxPoolBase,
    AvgPoolBase,
    LPPoolBase,
    MaxPoolBase,
    MaxUnpoolBase,
)


class MaxPool1d(MaxPoolBase):
    """The largest element of each window; see `pyconv.functional.max_pool1d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `pyconv.functional.max_pool1d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.MaxPool1d(2)(pyconv.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    _ndim = 1


class MaxPool2d(MaxPoolBase):
    """The largest element of each window; see `pyconv.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `pyconv.functional.max_pool2d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.MaxPool2d(2)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _ndim = 2


class MaxPool3d(MaxPoolBase):
    """The largest element of each window; see `pyconv.functional.max_pool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As in `pyconv.functional.max_pool3d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.MaxPool3d(2)(pyconv.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _ndim = 3


class MaxUnpool1d(MaxUnpoolBase):
    """Elements put where max pooling found them; see `pyconv.functional.max_unpool1d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `pyconv.functional.max_unpool1d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> x, indices = pyconv.nn.MaxPool1d(2, return_indices=True)(pyconv.zeros(1, 3, 8))
    >>> pyconv.nn.MaxUnpool1d(2)(x, indices).shape
    (1, 3, 8)
    """

    _ndim = 1


class MaxUnpool2d(MaxUnpoolBase):
    """Elements put where max pooling found them; see `pyconv.functional.max_unpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `pyconv.functional.max_unpool2d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> x, indices = pyconv.nn.MaxPool2d(2, return_indices=True)(pyconv.zeros(1, 3, 8, 8))
    >>> pyconv.nn.MaxUnpool2d(2)(x, indices).shape
    (1, 3, 8, 8)
    """

    _ndim = 2


class MaxUnpool3d(MaxUnpoolBase):
    """Elements put where max pooling found them; see `pyconv.functional.max_unpool3d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As in `pyconv.functional.max_unpool3d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> x, indices = pyconv.nn.MaxPool3d(2, return_indices=True)(pyconv.zeros(1, 3, 8, 8, 8))
    >>> pyconv.nn.MaxUnpool3d(2)(x, indices).shape
    (1, 3, 8, 8, 8)
    """

    _ndim = 3


class AvgPool1d(AvgPoolBase):
    """The mean of each window; see `pyconv.functional.avg_pool1d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `pyconv.functional.avg_pool1d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AvgPool1d(2)(pyconv.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    _ndim, _tuples = 1, True  # as in PyTorch


class AvgPool2d(AvgPoolBase):
    """The mean of each window; see `pyconv.functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `pyconv.functional.avg_pool2d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AvgPool2d(2)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _ndim = 2


class AvgPool3d(AvgPoolBase):
    """The mean of each window; see `pyconv.functional.avg_pool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in `pyconv.functional.avg_pool3d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AvgPool3d(2)(pyconv.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _ndim = 3


class AdaptiveAvgPool1d(AdaptiveAvgPoolBase):
    """The mean of each of some bins; see `pyconv.functional.adaptive_avg_pool1d`.

    Parameters
    ----------
    output_size
        As in `pyconv.functional.adaptive_avg_pool1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveAvgPool1d(4)(pyconv.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    _ndim = 1


class AdaptiveAvgPool2d(AdaptiveAvgPoolBase):
    """The mean of each of some bins; see `pyconv.functional.adaptive_avg_pool2d`.

    Parameters
    ----------
    output_size
        As in `pyconv.functional.adaptive_avg_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveAvgPool2d(4)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _ndim = 2


class AdaptiveAvgPool3d(AdaptiveAvgPoolBase):
    """The mean of each of some bins; see `pyconv.functional.adaptive_avg_pool3d`.

    Parameters
    ----------
    output_size
        As in `pyconv.functional.adaptive_avg_pool3d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveAvgPool3d(4)(pyconv.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _ndim = 3


class AdaptiveMaxPool1d(AdaptiveMaxPoolBase):
    """The largest element of each of some bins; see `pyconv.functional.adaptive_max_pool1d`.

    Parameters
    ----------
    output_size, return_indices
        As in `pyconv.functional.adaptive_max_pool1d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveMaxPool1d(4)(pyconv.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    _ndim = 1


class AdaptiveMaxPool2d(AdaptiveMaxPoolBase):
    """The largest element of each of some bins; see `pyconv.functional.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size, return_indices
        As in `pyconv.functional.adaptive_max_pool2d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveMaxPool2d(4)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _ndim = 2


class AdaptiveMaxPool3d(AdaptiveMaxPoolBase):
    """The largest element of each of some bins; see `pyconv.functional.adaptive_max_pool3d`.

    Parameters
    ----------
    output_size, return_indices
        As in `pyconv.functional.adaptive_max_pool3d`.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.AdaptiveMaxPool3d(4)(pyconv.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _ndim = 3


class LPPool1d(LPPoolBase):
    """The p-norm of each window; see `pyconv.functional.lp_pool1d`.

    Parameters
    ----------
    norm_type, kernel_size, stride, ceil_mode
        As in `pyconv.functional.lp_pool1d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LPPool1d(2, 2)(pyconv.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    _ndim = 1


class LPPool2d(LPPoolBase):
    """The p-norm of each window; see `pyconv.functional.lp_pool2d`.

    Parameters
    ----------
    norm_type, kernel_size, stride, ceil_mode
        As in `pyconv.functional.lp_pool2d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LPPool2d(2, 2)(pyconv.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    _ndim = 2


class LPPool3d(LPPoolBase):
    """The p-norm of each window; see `pyconv.functional.lp_pool3d`.

    Parameters
    ----------
    norm_type, kernel_size, stride, ceil_mode
        As in `pyconv.functional.lp_pool3d`. `stride` is the size of the window if left out.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.LPPool3d(2, 2)(pyconv.zeros(1, 3, 8, 8, 8)).shape
    (1, 3, 4, 4, 4)
    """

    _ndim = 3
