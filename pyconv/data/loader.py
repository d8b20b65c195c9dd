"""DataLoader: batches of a dataset, shuffled, loaded here or by worker processes."""

from __future__ import annotations

import os
import pickle
import random
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..arguments import flag, integer
from ..functional import stack
from ..random import generator_of, manual_seed
from .dataset import TensorDataset

PREFETCHED = 2  # batches per worker that are being loaded ahead


class DataLoader:
    """Iterates over a dataset in batches.

    Samples are stacked along a new first dimension: Tensors, arrays and numbers become Tensors;
    tuples, lists and dicts of them become lists and dicts of Tensors. Named tuples stay such, and
    texts become a list.

    Parameters
    ----------
    dataset : Dataset
        Anything with ``__len__`` and ``__getitem__``.
    batch_size : int
        Samples per batch.
    shuffle : bool
        Whether to draw a new order for each pass.
    drop_last : bool
        Whether to leave out a last batch that is smaller.
    num_workers : int
        Processes that load batches ahead; 0 loads in this one. They are forked, so the dataset is
        not copied, and they draw other random numbers for each batch: the same ones in each run
        after the same seed, whichever process loads it. The order does not depend on them.
    generator : numpy.random.Generator, optional
        Source of the order; that of `pyconv.manual_seed` if left out.
    collate_fn : callable, optional
        Makes a batch of a list of samples, instead of stacking them.
    worker_init_fn : callable, optional
        Is called in each worker, with its number from 0 on, before it loads anything.
    pin_memory : bool
        Accepted and ignored.

    Raises
    ------
    ValueError
        If `batch_size` or `num_workers` is out of range. While iterating, if samples of one batch
        have different numbers of parts, or different keys.
    TypeError
        If `batch_size` or `num_workers` is no integer, `shuffle`, `drop_last` or `pin_memory` no
        bool, `dataset` has no length, `generator` is none, or `collate_fn` or `worker_init_fn` is
        no function.
    RuntimeError
        While iterating, if a worker died, or a batch of it cannot be pickled. An error that the
        dataset raises in a worker is raised here, with the worker's traceback as its cause; one
        that cannot be pickled, or ends the worker, becomes a RuntimeError with that traceback as
        its text.

    Examples
    --------
    >>> import pyconv
    >>> dataset = pyconv.data.TensorDataset(pyconv.arange(5))
    >>> [batch.shape for (batch,) in pyconv.data.DataLoader(dataset, batch_size=2)]
    [(2,), (2,), (1,)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        generator: np.random.Generator | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        worker_init_fn: Callable[[int], Any] | None = None,
        pin_memory: bool = False,
    ) -> None:
        if not hasattr(dataset, "__len__"):
            kind = type(dataset).__name__
            raise TypeError(f"DataLoader: dataset is a {kind}, expected one that has a length")
        for name, value in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if not (value is None or callable(value)):
                raise TypeError(f"DataLoader: {name} is {value!r}, expected a function")
        generator_of(generator)  # raises for what is none
        self.dataset = dataset
        self.batch_size = integer("DataLoader: batch_size", batch_size, 1)
        self.shuffle = flag("DataLoader: shuffle", shuffle)
        self.drop_last = flag("DataLoader: drop_last", drop_last)
        self.num_workers = integer("DataLoader: num_workers", num_workers, 0)
        self.generator = generator
        self.collate_fn = collate_fn
        self.worker_init_fn = worker_init_fn
        self.pin_memory = flag("DataLoader: pin_memory", pin_memory)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches()
        source = self.dataset, self.collate_fn
        # Drawn in any case, so that the next order is the same without workers.
        seed = int(generator_of(self.generator).integers(2**31))
        if self.num_workers:
            return _from_workers(source, batches, self.num_workers, seed, self.worker_init_fn)
        return (_load(source, batch) for batch in batches)

    def _batches(self) -> Iterator[Sequence[int]]:
        """Draw the order, and return the indices of each batch."""
        count = len(self.dataset)
        order: Any = range(count)
        if self.shuffle:
            order = generator_of(self.generator).permutation(count).tolist()
        starts = (i * self.batch_size for i in range(len(self)))
        return (order[start : start + self.batch_size] for start in starts)


def _load(source: Any, indices: Sequence[int]) -> Any:
    dataset, collate = source
    if collate is None and type(dataset) is TensorDataset:  # a batch is one indexing
        return [t[np.asarray(indices)] for t in dataset.tensors]
    try:
        return (collate or _collate)([dataset[i] for i in indices])
    except StopIteration:  # Python would turn it into a RuntimeError about a generator
        source = type(dataset).__name__ + (" or collate_fn" if collate else "")
        raise RuntimeError(f"DataLoader: {source} raised StopIteration") from None


_KINDS: Any = dict, (tuple, list), (str, bytes)


def _collate(samples: list[Any]) -> Any:
    """Stack samples; look into tuples, lists and dicts, and leave texts in a list."""
    first = samples[0]
    if len({tuple(isinstance(s, kind) for kind in _KINDS) for s in samples}) > 1:
        kinds = " and ".join(sorted({type(sample).__name__ for sample in samples}))
        raise ValueError(f"DataLoader: samples of one batch are {kinds}, expected one kind")
    if isinstance(first, dict):
        for sample in samples:
            if sample.keys() != first.keys():
                keys = f"{list(first)} and {list(sample)}"
                raise ValueError(f"DataLoader: samples of one batch have the keys {keys}")
        return {key: _collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if any(len(sample) != len(first) for sample in samples):
            lengths = sorted({len(sample) for sample in samples})
            raise ValueError(f"DataLoader: samples of one batch have {lengths} parts")
        parts = [_collate(list(part)) for part in zip(*samples)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    if first is None:
        raise TypeError("DataLoader: a sample is None, expected arrays, numbers, or tuples of them")
    return samples if isinstance(first, (str, bytes)) else stack(samples)


# ---- workers -----------------------------------------------------------------------------------

_source: Any = None  # in a worker: the dataset, and what makes batches
_begin: Any = None  # in a worker: what is called before the first batch


def _start_worker(source: Any, begin: Any, numbers: Any, parent: int) -> None:
    global _source, _begin
    _source, _begin = source, begin and partial(begin, numbers.get())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _load_in_worker(indices: Sequence[int], seed: int) -> bytes:
    global _begin
    try:
        if _begin:
            _begin()
            _begin = None
        # Forked processes would all draw the same random numbers.
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 (what a dataset may use)
        manual_seed(seed)
        batch = _load(_source, indices)
    except BaseException as error:
        if isinstance(error, Exception) and _can_be_sent(error):
            raise
        text = "".join(traceback.format_exception(error))
        raise RuntimeError(f"DataLoader: a worker raised\n{text}") from None
    try:
        return pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise RuntimeError(f"DataLoader: a worker cannot send a batch: {error}") from None


def _can_be_sent(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return False
    return True


def _from_workers(
    source: Any, batches: Iterator[Sequence[int]], num_workers: int, seed: int, begin: Any
) -> Iterator[Any]:
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # An executor notices when a worker is killed; multiprocessing.Pool would wait for ever.
    context = multiprocessing.get_context("fork")
    numbers = context.SimpleQueue()
    for number in range(num_workers):
        numbers.put(number)
    given = source, begin, numbers, os.getpid()
    executor = ProcessPoolExecutor(num_workers, context, _start_worker, given)
    waiting: deque[Future[bytes]] = deque()
    try:
        for number, batch in enumerate(batches):
            with warnings.catch_warnings():
                # Python warns of fork while threads run; those of pyconv are prepared for it.
                warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
                waiting.append(executor.submit(_load_in_worker, batch, seed + number))
            if len(waiting) > PREFETCHED * num_workers:
                yield pickle.loads(waiting.popleft().result())
        while waiting:
            yield pickle.loads(waiting.popleft().result())
    except BrokenProcessPool as error:
        raise RuntimeError("DataLoader: a worker process died while loading a batch") from error
    finally:
        executor.shutdown(cancel_futures=True)
