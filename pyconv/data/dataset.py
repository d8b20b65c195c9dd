"""Datasets: anything with a length and an element for each index."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..arguments import integer, number
from ..creation import as_tensor
from ..random import generator_of


class Dataset:
    """Base class: define ``__getitem__(index)``, and ``__len__``.

    Examples
    --------
    >>> from pyconv.data import Dataset
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index**2
    ...     def __len__(self):
    ...         return 10
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")


class TensorDataset(Dataset):
    """Tensors whose first dimension counts the samples; a sample is a tuple of one slice of each.

    Parameters
    ----------
    *tensors : array_like
        All of one length.

    Attributes
    ----------
    tensors : tuple of Tensor

    Raises
    ------
    ValueError
        If there are none, or lengths differ.

    Examples
    --------
    >>> import pyconv
    >>> dataset = pyconv.data.TensorDataset(pyconv.zeros(5, 2), pyconv.arange(5))
    >>> dataset[3]
    (tensor([0., 0.]), tensor(3))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(t, f"tensors[{i}]") for i, t in enumerate(tensors))
        if not tensors or any(t.ndim == 0 for t in self.tensors):
            raise ValueError("TensorDataset: expected tensors of at least one dimension")
        lengths = [len(t) for t in self.tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: the lengths are {lengths}, expected the same")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """Some samples of a dataset.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        Which, in this order.

    Raises
    ------
    TypeError
        If `indices` is no sequence.

    Examples
    --------
    >>> from pyconv.data import Subset
    >>> Subset(["a", "b", "c"], [2, 0])[0]
    'c'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        if not hasattr(indices, "__getitem__"):
            raise TypeError(f"Subset: indices is {indices!r}, expected a sequence of integers")
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> Any:
        try:
            place = self.indices[index]
        except IndexError:
            raise IndexError(f"Subset: index is {index}, there are {len(self)} samples") from None
        return self.dataset[place]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one after the other.

    Parameters
    ----------
    datasets : iterable of Dataset

    Attributes
    ----------
    datasets : list of Dataset
    cumulative_sizes : list of int
        The number of samples up to the end of each.

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If one has no length.

    Examples
    --------
    >>> from pyconv.data import ConcatDataset
    >>> both = ConcatDataset([["a", "b"], ["c"]])
    >>> len(both), both[2], both[-3]
    (3, 'c', 'a')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        if not isinstance(datasets, Iterable):
            raise TypeError(f"ConcatDataset: datasets is {datasets!r}, expected a list of datasets")
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: datasets is empty")
        for i, dataset in enumerate(self.datasets):
            if not hasattr(type(dataset), "__len__"):
                kind = type(dataset).__name__
                raise TypeError(f"ConcatDataset: datasets[{i}] is a {kind}, which has no length")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> Any:
        place = place_of("ConcatDataset", index, len(self))
        number = bisect_right(self.cumulative_sizes, place)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class TransformedDataset(Dataset):
    """A dataset whose samples pass through a function.

    Parameters
    ----------
    dataset : Dataset
        Of tuples.
    transform : callable
        Gets the first parts of a sample, and returns what takes their place.
    arrays : int
        How many parts it gets: 1 for an image, 2 for an image and its mask.

    Raises
    ------
    TypeError
        If `transform` is no function.

    Examples
    --------
    >>> import pyconv
    >>> plain = pyconv.data.TensorDataset(pyconv.ones(2, 1, 4, 4), [5, 6])
    >>> crop = pyconv.data.transforms.CenterCrop(2)
    >>> image, label = pyconv.data.TransformedDataset(plain, crop)[0]
    >>> image.shape
    (1, 2, 2)
    """

    def __init__(self, dataset: Any, transform: Callable[..., Any], arrays: int = 1) -> None:
        if not callable(transform):
            kind = type(transform).__name__
            raise TypeError(f"TransformedDataset: transform is a {kind}, expected a function")
        self.dataset = dataset
        self.transform = transform
        self.arrays = arrays

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        sample = self.dataset[index]
        result = self.transform(*sample[: self.arrays])
        changed = result if self.arrays > 1 else (result,)
        return (*changed, *sample[self.arrays :])

    def __len__(self) -> int:
        return len(self.dataset)


def random_split(
    dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None
) -> list[Subset]:
    """Split a dataset at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int, or of float
        Sizes of the parts; or their shares, which add up to 1: what rounding leaves over goes to
        the first parts.
    generator : numpy.random.Generator, optional
        Source of the order; that of `pyconv.manual_seed` if left out.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        If a length is negative, or they do not add up.
    TypeError
        If `dataset` has no length, or `lengths` is no sequence of numbers.

    Examples
    --------
    >>> from pyconv.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    if not isinstance(lengths, (Sequence, np.ndarray)):
        raise TypeError(f"random_split: lengths is {lengths!r}, expected a sequence of numbers")
    if not hasattr(type(dataset), "__len__"):
        kind = type(dataset).__name__
        raise TypeError(f"random_split: dataset is a {kind}, which has no length")
    count, sizes = len(dataset), [number("random_split: lengths", size) for size in lengths]
    if sizes and math.isclose(sum(sizes), 1):
        sizes = [math.floor(count * share) for share in sizes]
        for i in range(count - int(sum(sizes))):
            sizes[i % len(sizes)] += 1
    if any(size < 0 or not float(size).is_integer() for size in sizes) or sum(sizes) != count:
        raise ValueError(
            f"random_split: lengths is {list(lengths)}, expected sizes with the sum {count}, or "
            "shares with the sum 1"
        )
    order = generator_of(generator).permutation(count).tolist()
    ends = np.cumsum(sizes).astype(int)
    return [Subset(dataset, order[end - int(n) : end]) for n, end in zip(sizes, ends)]


def place_of(owner: str, index: Any, count: int) -> int:
    """Return an index that counts from the beginning; IndexError if there is no such sample."""
    place = integer(f"{owner}: index", index)
    if not -count <= place < count:
        raise IndexError(f"{owner}: index is {place}, there are {count} samples")
    return place % count
