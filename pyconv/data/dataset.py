"""Datasets: anything with a length and an element for each index."""

from __future__ import annotations

from typing import Any

from ..creation import as_tensor


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
