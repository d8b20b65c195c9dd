"""Changes to images before they are used: functions of NumPy arrays of shape (..., H, W).

Geometric ones take several arrays, an image and its mask, and treat all alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..arguments import MOST_ELEMENTS, integer, probability, quiet
from ..random import default_generator
from ..tensor import Array


class Compose:
    """Applies transforms one after the other.

    Raises
    ------
    TypeError
        If `transforms` is no list of functions.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconv.data.transforms import CenterCrop, Compose, Normalize
    >>> prepare = Compose([CenterCrop(2), Normalize([0.5], [0.5])])
    >>> prepare(np.ones((1, 4, 4), np.float32))
    array([[[1., 1.],
            [1., 1.]]], dtype=float32)
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        if not isinstance(transforms, Iterable):
            raise TypeError(f"Compose: transforms is {transforms!r}, expected a list of functions")
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose: transforms holds {transform!r}, expected functions")

    def __call__(self, image: Any, *masks: Any) -> Any:
        arrays = (image, *masks)
        for transform in self.transforms:
            result = transform(*arrays)
            arrays = result if isinstance(result, tuple) else (result,)
        return arrays if len(arrays) > 1 else arrays[0]


class RandomHorizontalFlip:
    """Exchanges left and right with probability `p`.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconv.data.transforms import RandomHorizontalFlip
    >>> RandomHorizontalFlip(p=1.0)(np.arange(3).reshape(1, 1, 3))
    array([[[2, 1, 0]]])
    """

    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(f"{type(self).__name__}: p", p)

    def __call__(self, image: Any, *masks: Any) -> Any:
        flipped = default_generator().random() < self.p

        def flip(array: Array) -> Array:
            if array.ndim < -self.axis:
                name = type(self).__name__
                raise ValueError(f"{name}: image has shape {array.shape}, expected (..., H, W)")
            return np.flip(array, self.axis) if flipped else array

        return _each(flip, (image, *masks))


class RandomVerticalFlip(RandomHorizontalFlip):
    """Exchanges top and bottom with probability `p`."""

    axis = -2


class CenterCrop:
    """Cuts out the middle, of `size` rows and columns, or of a pair of both.

    Raises
    ------
    ValueError
        If an image is smaller.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = _pair(type(self).__name__, size)

    def __call__(self, image: Any, *masks: Any) -> Any:
        def cut(array: Array) -> Array:
            return _cut(array, [(have - n) // 2 for have, n in self._sizes(array)], self.size)

        return _each(cut, (image, *masks))

    def _sizes(self, array: Array) -> list[tuple[int, int]]:
        sizes = list(zip(array.shape[-2:], self.size))
        if array.ndim < 2 or any(have < want for have, want in sizes):
            name = type(self).__name__
            raise ValueError(f"{name}: an image of shape {array.shape} is smaller than {self.size}")
        return sizes


class RandomCrop(CenterCrop):
    """Cuts out a random place, after adding `padding` zeros on each side.

    Raises
    ------
    ValueError
        If an image is smaller, or images differ in size.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconv.data.transforms import RandomCrop
    >>> RandomCrop(32, padding=4)(np.ones((3, 32, 32))).shape
    (3, 32, 32)
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0) -> None:
        super().__init__(size)
        self.padding = integer("RandomCrop: padding", padding, 0)

    def __call__(self, image: Any, *masks: Any) -> Any:
        def padded(array: Any) -> Array:
            width = [(0, 0)] * (array.ndim - 2) + [(self.padding, self.padding)] * 2
            sizes = [n + sum(ends) for n, ends in zip(array.shape, width)]
            if math.prod(sizes) > MOST_ELEMENTS:
                raise ValueError(f"RandomCrop: padding is {self.padding}, too large for any memory")
            return np.pad(array, width) if self.padding and array.ndim >= 2 else array

        arrays = [np.asarray(array) for array in (image, *masks)]
        wide = [padded(array) for array in arrays]
        if len({array.shape[-2:] for array in wide}) > 1:
            raise ValueError(f"RandomCrop: images have shapes {[a.shape for a in arrays]}")
        draw = default_generator().integers
        start = [int(draw(have - want + 1)) for have, want in self._sizes(wide[0])]
        return _each(lambda array: _cut(array, start, self.size), tuple(wide))


class Normalize:
    """Takes a mean from each channel and divides by a standard deviation; masks stay as they are.

    Parameters
    ----------
    mean, std : sequence of float, or float
        Per channel of an image of shape (..., C, H, W).

    Raises
    ------
    ValueError
        If a number is not finite, a deviation not positive, both also in the dtype of the image
        (float32 for integers), or the number of channels another.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconv.data.transforms import Normalize
    >>> Normalize([1.0, 2.0], [2.0, 4.0])(np.ones((2, 1, 1)))
    array([[[ 0.  ]],
    <BLANKLINE>
           [[-0.25]]])
    """

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean, self.std = _per_channel("mean", mean), _per_channel("std", std)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: std is {std!r}, must be positive")

    def __call__(self, image: Any, *masks: Any) -> Any:
        array = np.asarray(image)
        dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)
        channels = array.shape[-3] if array.ndim >= 3 else 0
        if not channels or any(len(v) not in (1, channels) for v in (self.mean, self.std)):
            raise ValueError(
                f"Normalize: an image of shape {array.shape} for {self.mean.size} means and "
                f"{self.std.size} deviations"
            )
        with quiet():
            array, mean, std = (a.astype(dtype, copy=False) for a in (array, self.mean, self.std))
            if not (np.isfinite(mean).all() and np.isfinite(std).all() and std.all()):
                raise ValueError(f"Normalize: mean or std holds what is not possible in {dtype}")
            result = (array - mean) / std
        return (result, *masks) if masks else result


def _each(function: Callable[[Array], Array], arrays: tuple[Any, ...]) -> Any:
    results = tuple(function(np.asarray(array)) for array in arrays)
    return results if len(results) > 1 else results[0]


def _pair(name: str, size: Any) -> tuple[int, int]:
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"{name}: size is {size!r}, expected a positive int or two")
    height, width = (integer(f"{name}: size", n, 1) for n in pair)
    return height, width


def _per_channel(name: str, values: Any) -> Array:
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not np.isfinite(array).all():
        raise ValueError(f"Normalize: {name} is {values!r}, expected finite numbers")
    return array.reshape(-1, 1, 1)


def _cut(array: Array, start: Sequence[int], size: tuple[int, int]) -> Array:
    (top, left), (height, width) = start, size
    return array[..., top : top + height, left : left + width]
