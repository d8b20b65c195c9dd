"""A text as sequences of characters."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from ..arguments import integer
from ..creation import as_tensor, from_numpy
from ..files import regular_file
from ..tensor import Tensor
from .dataset import Dataset, place_of

LARGEST = 2**31  # of a text, in bytes; its characters take several times as much


class Chars(Dataset):
    """Pieces of a text, each with what follows every character; see `chars`.

    Attributes
    ----------
    vocabulary : str
        All characters of the text, in order; a character's number is its place.
    text : Tensor of shape (characters,)
        The numbers of the whole text, int64.
    length : int
        Characters per sample.
    """

    def __init__(self, text: str, length: int) -> None:
        length = integer("chars: length", length, 1)
        if len(text) <= length:
            raise ValueError(f"chars: the text has {len(text)} characters, expected over {length}")
        self.length = length
        self.vocabulary = "".join(sorted(set(text)))
        self._number = {char: i for i, char in enumerate(self.vocabulary)}
        self.text = self.encode(text)

    def __len__(self) -> int:
        return (len(self.text) - 1) // self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = place_of("Chars", index, len(self)) * self.length
        end = start + self.length
        return self.text[start:end], self.text[start + 1 : end + 1]

    def encode(self, text: str) -> Tensor:
        """Return the numbers of characters; ValueError for one that the vocabulary lacks."""
        if not isinstance(text, str):
            raise TypeError(f"encode: text is a {type(text).__name__}, expected a str")
        try:
            return from_numpy(np.array([self._number[char] for char in text], np.int64))
        except KeyError as error:
            raise ValueError(f"encode: the vocabulary has no {error}") from None

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of a sequence of numbers; ValueError for one beyond the vocabulary."""
        array, count = as_tensor(numbers, "numbers")._array, len(self.vocabulary)
        if array.ndim != 1:
            raise ValueError(f"decode: numbers has shape {array.shape}, expected one dimension")
        if array.size and array.dtype.kind not in "iu":
            raise TypeError(f"decode: numbers.dtype is {array.dtype}, expected integers")
        if wrong := [n for n in array.tolist() if not 0 <= n < count]:
            raise ValueError(f"decode: a number is {wrong[0]}, expected 0 to {count - 1}")
        return "".join(self.vocabulary[n] for n in array)


def chars(path: str | os.PathLike[str], length: int = 100) -> Chars:
    """Read a text, encoded as UTF-8, for a model that predicts the next character.

    Parameters
    ----------
    path : str or path-like
    length : int
        Characters per sample.

    Returns
    -------
    Chars
        A dataset of pairs of int64 Tensors of shape (length,): a piece of the text, and the piece
        that begins one character later. The pieces do not overlap.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no regular file, larger than 2 GiB, not UTF-8, or not longer than `length`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pyconv
    >>> path = pathlib.Path(tempfile.mkdtemp(), "text.txt")
    >>> _ = path.write_text("abcabcabc")
    >>> dataset = pyconv.data.chars(path, length=4)
    >>> dataset.vocabulary, len(dataset)
    ('abc', 2)
    >>> dataset[1]
    (tensor([1, 2, 0, 1]), tensor([2, 0, 1, 2]))
    """
    name = regular_file("chars", path)
    with open(name, encoding="utf-8", newline="") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise ValueError(f"chars: {name} has {size} bytes, expected at most {LARGEST}")
        try:
            text = file.read(size)  # what has no size, such as a log of the kernel, may not end
        except UnicodeDecodeError as error:
            raise ValueError(f"chars: {name} is no text in UTF-8: {error}") from None
    return Chars(text, length)
