"""Padding layers: a mode and a number of spatial dimensions each, of one class."""

from __future__ import annotations

from typing import Any

from ..functional import pad
from ..tensor import Tensor
from .module import Module


class _Pad(Module):
    """Borders around the spatial dimensions; see `pyconv.functional.pad`.

    Parameters
    ----------
    padding : int or tuple of int
        One width for all sides, or one before and one after for each dimension, the last first.
    """

    _ndim: int
    _mode: str
    value: Any = None  # of the constant modes

    def __init__(self, padding: Any) -> None:
        super().__init__()
        every = isinstance(padding, (tuple, list))
        self.padding = tuple(padding) if every else (padding,) * (2 * self._ndim)
        if len(self.padding) != 2 * self._ndim:
            raise ValueError(
                f"{type(self).__name__}: padding is {padding!r}, expected an int or "
                f"{2 * self._ndim} of them"
            )

    def forward(self, input: Any) -> Tensor:
        """Pad a batch or a single image."""
        return pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    _mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_Pad):
    _mode, value = "constant", 0.0


class _ReflectionPad(_Pad):
    _mode = "reflect"


class _ReplicationPad(_Pad):
    _mode = "replicate"


class _CircularPad(_Pad):
    _mode = "circular"


class ConstantPad1d(_ConstantPad):
    """Borders of one value around sequences; see `ConstantPad2d`."""

    _ndim = 1


class ConstantPad2d(_ConstantPad):
    """Borders of one value around images.

    Parameters
    ----------
    padding : int or tuple of four
        One width for all sides, or left, right, top and bottom; negative ones crop.
    value : float

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ConstantPad2d((1, 0, 0, 1), 7.0)(pyconv.zeros(1, 1, 2))
    tensor([[[7., 0., 0.],
             [7., 7., 7.]]])
    """

    _ndim = 2


class ConstantPad3d(_ConstantPad):
    """Borders of one value around volumes; see `ConstantPad2d`."""

    _ndim = 3


class ZeroPad1d(_ZeroPad):
    """Zeros around sequences; see `ConstantPad2d`."""

    _ndim = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around images; see `ConstantPad2d`."""

    _ndim = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around volumes; see `ConstantPad2d`."""

    _ndim = 3


class ReflectionPad1d(_ReflectionPad):
    """Sequences mirrored about their ends; see `ReflectionPad2d`."""

    _ndim = 1


class ReflectionPad2d(_ReflectionPad):
    """Images mirrored about their edges, which are not repeated.

    Parameters
    ----------
    padding : int or tuple of four
        One width for all sides, or left, right, top and bottom; each less than the size.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ReflectionPad2d((2, 1, 0, 0))(pyconv.arange(3.0).reshape(1, 1, 3))
    tensor([[[2., 1., 0., 1., 2., 1.]]])
    """

    _ndim = 2


class ReflectionPad3d(_ReflectionPad):
    """Volumes mirrored about their faces; see `ReflectionPad2d`."""

    _ndim = 3


class ReplicationPad1d(_ReplicationPad):
    """The ends of sequences repeated; see `ReplicationPad2d`."""

    _ndim = 1


class ReplicationPad2d(_ReplicationPad):
    """The edges of images repeated.

    Parameters
    ----------
    padding : int or tuple of four
        One width for all sides, or left, right, top and bottom.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.ReplicationPad2d((2, 1, 0, 0))(pyconv.arange(3.0).reshape(1, 1, 3))
    tensor([[[0., 0., 0., 1., 2., 2.]]])
    """

    _ndim = 2


class ReplicationPad3d(_ReplicationPad):
    """The faces of volumes repeated; see `ReplicationPad2d`."""

    _ndim = 3


class CircularPad1d(_CircularPad):
    """Sequences that go round; see `CircularPad2d`."""

    _ndim = 1


class CircularPad2d(_CircularPad):
    """Images whose opposite edges meet.

    Parameters
    ----------
    padding : int or tuple of four
        One width for all sides, or left, right, top and bottom; each at most the size.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.CircularPad2d((2, 1, 0, 0))(pyconv.arange(3.0).reshape(1, 1, 3))
    tensor([[[1., 2., 0., 1., 2., 0.]]])
    """

    _ndim = 2


class CircularPad3d(_CircularPad):
    """Volumes whose opposite faces meet; see `CircularPad2d`."""

    _ndim = 3
