"""DataLoader: batches of a dataset, shuffled, loaded here or by worker processes."""

from __future__ import annotations

import os
import pickle
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ..arguments import flag, integer, is_numeric
from ..creation import as_tensor
from ..functional import stack
from ..random import generator_of, manual_seed
from .dataset import Subset, TensorDataset

PREFETCHED = 2  # batches per worker that are being loaded ahead

# The datasets that have samples by number alone; others may have any keys.
NUMBERED = TensorDataset, Subset, list, tuple, range


class DataLoader:
    """Iterates over a dataset in batches.

    Samples are stacked along a new first dimension: Tensors, arrays and numbers become Tensors;
    tuples, lists and dicts of them become lists and dicts of Tensors. Named tuples stay such, and
    texts become a list.

    Parameters
    ----------
    dataset : Dataset
        Anything with ``__len__`` and ``__getitem__``.
    batch_size : int, optional
        Samples per batch. None makes no batches: samples come one by one, and only their arrays
        become Tensors.
    shuffle : bool
        Whether to draw a new order for each pass.
    sampler : iterable, optional
        Gives the indices of the samples, in the place of `shuffle`.
    batch_sampler : iterable, optional
        Gives a list of indices for each batch, in the place of `batch_size`, `shuffle`, `sampler`
        and `drop_last`.
    num_workers : int
        Processes that load batches ahead; 0 loads in this one. They are forked, so the dataset is
        not copied, and they draw other random numbers for each batch: the same ones in each run
        after the same seed, whichever process loads it. The order does not depend on them. At most
        1024, of which no more start than there are batches.
    collate_fn : callable, optional
        Makes a batch of a list of samples, instead of stacking them; without batches, of a sample.
    pin_memory : bool
        Accepted and ignored.
    drop_last : bool
        Whether to leave out a last batch that is smaller.
    worker_init_fn : callable, optional
        Is called in each worker, with its number from 0 on, before it loads anything.
    generator : numpy.random.Generator, optional
        Source of the order; that of `pyconv.manual_seed` if left out.

    Raises
    ------
    ValueError
        If `batch_size` or `num_workers` is out of range, or an argument takes the place of another
        that is given too. While iterating, if samples of one batch have different numbers of parts,
        or different keys, or `batch_sampler` gives an empty list.
    TypeError
        If `batch_size` or `num_workers` is no integer, `shuffle`, `drop_last` or `pin_memory` no
        bool, `dataset` has no length, a sampler is no iterable, `generator` is none, or
        `collate_fn` or `worker_init_fn` is no function. While iterating in batches, if a sampler
        gives what is no integer for a TensorDataset, a Subset, a list, a tuple or a range. From
        ``len``, if a sampler has no length.
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
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Iterable[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        worker_init_fn: Callable[[int], Any] | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        for name, value in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if not (value is None or callable(value)):
                raise TypeError(f"DataLoader: {name} is {value!r}, expected a function")
        generator_of(generator)  # raises for what is none
        self.dataset = dataset
        batched = batch_size is not None
        self.batch_size = integer("DataLoader: batch_size", batch_size, 1) if batched else None
        self.shuffle = flag("DataLoader: shuffle", shuffle)
        self.drop_last = flag("DataLoader: drop_last", drop_last)
        self.num_workers = integer("DataLoader: num_workers", num_workers, 0, 1024)
        self.generator = generator
        self.collate_fn = collate_fn
        self.worker_init_fn = worker_init_fn
        self.pin_memory = flag("DataLoader: pin_memory", pin_memory)
        self.sampler: Any = sampler
        self.batch_sampler: Any = batch_sampler
        self._check_order()

    def _check_order(self) -> None:
        """Check the arguments that say which samples come when."""
        for name in ("sampler", "batch_sampler"):
            value = getattr(self, name)
            if not (value is None or isinstance(value, Iterable)):
                raise TypeError(f"DataLoader: {name} is {value!r}, expected an iterable of indices")
        given = {
            "batch_size": self.batch_size != 1,
            "shuffle": self.shuffle,
            "sampler": self.sampler is not None,
            "drop_last": self.drop_last,
        }
        if self.batch_sampler is not None and any(given.values()):
            others = ", ".join(name for name, is_given in given.items() if is_given)
            raise ValueError(f"DataLoader: batch_sampler and {others} are given, expected only one")
        if self.sampler is not None and self.shuffle:
            raise ValueError("DataLoader: sampler and shuffle are given, expected only one")
        if self.batch_size is None and self.drop_last:
            raise ValueError("DataLoader: drop_last is True, expected a batch_size")
        if self.batch_sampler is self.sampler is None and not hasattr(
            type(self.dataset), "__len__"
        ):
            kind = type(self.dataset).__name__
            raise TypeError(f"DataLoader: dataset is a {kind}, expected one that has a length")

    def __len__(self) -> int:
        for name in ("batch_sampler", "sampler"):
            given = getattr(self, name)
            if given is not None and not hasattr(type(given), "__len__"):
                kind = type(given).__name__
                raise TypeError(f"DataLoader: {name} is a {kind}, which has no length")
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        count = len(self.dataset if self.sampler is None else self.sampler)
        whole, rest = divmod(count, self.batch_size or 1)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches(self._order())
        batched = self.batch_sampler is not None or self.batch_size is not None
        source = self.dataset, self.collate_fn, batched
        # Drawn in any case, so that the next order is the same without workers.
        seed = int(generator_of(self.generator).integers(2**31))
        if self.num_workers:
            own = self.batch_sampler is self.sampler is None  # the number of batches is known
            workers = min(self.num_workers, max(1, len(self))) if own else self.num_workers
            return _from_workers(source, batches, workers, seed, self.worker_init_fn)
        return (_load(source, batch) for batch in batches)

    def _order(self) -> Any:
        """Return the indices of all samples, or of all batches; draw them if need be."""
        given = self.sampler if self.batch_sampler is None else self.batch_sampler
        if given is not None:
            return given
        count = len(self.dataset)
        if self.shuffle:
            return generator_of(self.generator).permutation(count).tolist()
        return range(count)

    def _batches(self, order: Iterable[Any]) -> Iterator[Any]:
        """Yield the indices of each batch, or without batches that of each sample."""
        if self.batch_sampler is not None:
            for indices in order:
                if not isinstance(indices, Iterable):
                    what = f"batch_sampler gives {indices!r}"
                    raise TypeError(f"DataLoader: {what}, expected a list of indices")
                batch = list(self._numbers("batch_sampler", indices))
                if not batch and self.collate_fn is None:
                    raise ValueError("DataLoader: batch_sampler gives an empty list, not indices")
                yield batch
        elif self.batch_size is None:
            yield from order
        else:
            left = iter(order if self.sampler is None else self._numbers("sampler", order))
            while batch := list(islice(left, self.batch_size)):
                if len(batch) == self.batch_size or not self.drop_last:
                    yield batch

    def _numbers(self, name: str, indices: Iterable[Any]) -> Iterator[Any]:
        """Yield indices; TypeError for what is no integer if the dataset knows only such."""
        for index in indices:
            if type(self.dataset) in NUMBERED:
                integer(f"DataLoader: an index of {name}", index)
            yield index


def _load(source: Any, indices: Any) -> Any:
    dataset, collate, batched = source
    if collate is None and batched and type(dataset) is TensorDataset:  # a batch is one indexing
        return [t[np.asarray(indices)] for t in dataset.tensors]
    try:
        if not batched:
            return (collate or _convert)(dataset[indices])
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
        return _like(first, [_collate(list(part)) for part in zip(*samples)])
    if first is None:
        raise TypeError("DataLoader: a sample is None, expected arrays, numbers, or tuples of them")
    return samples if isinstance(first, (str, bytes)) else stack(samples)


def _convert(sample: Any) -> Any:
    """Make Tensors of the arrays of a sample; look into tuples, lists and dicts."""
    if isinstance(sample, dict):
        return {key: _convert(part) for key, part in sample.items()}
    if isinstance(sample, (tuple, list)):
        return _like(sample, [_convert(part) for part in sample])
    arrays = isinstance(sample, (np.ndarray, np.generic)) and is_numeric(sample.dtype)
    return as_tensor(sample) if arrays else sample


def _like(sample: Any, parts: list[Any]) -> Any:
    return type(sample)(*parts) if hasattr(sample, "_fields") else parts


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


def _load_in_worker(indices: Any, seed: int) -> bytes:
    global _begin
    try:
        if _begin:
            _begin()
            _begin = None
        # Forked processes would all draw the same random numbers.
        import random  # here, as it takes a millisecond

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
    source: Any, batches: Iterator[Any], num_workers: int, seed: int, begin: Any
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
