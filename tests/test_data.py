"""Datasets and the loader: batches, order, worker processes and their failures."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest
from fresh import python

import pyconv
from pyconv.data import DataLoader, Dataset, TensorDataset, digits

NUMBERS = TensorDataset(pyconv.arange(10))


def values(loader):
    return [batch[0].numpy().tolist() for batch in loader]


def test_batches():
    assert values(DataLoader(NUMBERS, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert values(DataLoader(NUMBERS, 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(DataLoader(NUMBERS, 4, drop_last=drop)) for drop in (False, True)] == [3, 2]
    assert len(DataLoader(NUMBERS, 5)) == 2
    assert len(list(DataLoader(NUMBERS))) == 10
    assert list(DataLoader([], 4)) == []


def test_shuffle():
    loader = DataLoader(NUMBERS, 3, shuffle=True)
    pyconv.manual_seed(1)
    first, second = values(loader), values(loader)
    pyconv.manual_seed(1)
    assert values(loader) == first != second
    assert sorted(n for batch in first for n in batch) == list(range(10))
    order = [
        values(DataLoader(NUMBERS, 3, shuffle=True, generator=np.random.default_rng(0)))
        for _ in range(2)
    ]
    assert order[0] == order[1]


def test_samples_of_every_kind():
    samples = [
        {"image": np.full((2, 2), i, np.float32), "pair": (i, pyconv.tensor(i / 2))}
        for i in range(3)
    ]
    (batch,) = DataLoader(samples, 3)
    assert batch["image"].shape == (3, 2, 2)
    assert batch["pair"][0].dtype == np.int64
    assert batch["pair"][1].numpy().tolist() == [0, 0.5, 1]


def test_texts_and_named_tuples():
    class Sample(NamedTuple):
        number: int
        name: str

    (batch,) = DataLoader([Sample(1, "a"), Sample(2, "b")], 2)
    assert type(batch) is Sample
    assert batch.number.tolist() == [1, 2]
    assert batch.name == ["a", "b"]


def test_batches_are_not_listed_beforehand():
    class Huge(Dataset):
        def __getitem__(self, index):
            return index

        def __len__(self):
            return 2**62

    batches = iter(DataLoader(Huge(), 2))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]


def test_tensor_dataset():
    dataset = TensorDataset(np.zeros((3, 2)), [5, 6, 7])
    assert len(dataset) == 3
    assert dataset[1][1].item() == 6
    for tensors in ([], [pyconv.tensor(1)], [[1, 2], [1]]):
        with pytest.raises(ValueError, match="TensorDataset"):
            TensorDataset(*tensors)


def test_dataset_must_be_defined():
    for use in (lambda d: d[0], len):
        with pytest.raises(NotImplementedError, match="Dataset does not define"):
            use(Dataset())


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([(1, 2), (3,)], r"have \[1, 2\] parts"),
        ([{"a": 1}, {"a": 2, "b": 2}], r"keys \['a'\] and \['a', 'b'\]"),
        ([{"a": 1, "b": 2}, {}], r"keys \['a', 'b'\] and \[\]"),
        ([{"a": 1}, 3], "dict and int"),
        ([(1, 2), 3], "int and tuple"),
        (["a", 3], "int and str"),
    ],
)
def test_samples_of_one_batch_that_differ(samples, message):
    with pytest.raises(ValueError, match=message):
        list(DataLoader(samples, 2))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"batch_size": 0}, ValueError),
        ({"sampler": 3}, TypeError),
        ({"batch_sampler": 3}, TypeError),
        ({"batch_size": 1.5}, TypeError),
        ({"batch_size": True}, TypeError),
        ({"shuffle": "x"}, TypeError),
        ({"drop_last": "x"}, TypeError),
        ({"num_workers": -1}, ValueError),
        ({"num_workers": 1025}, ValueError),
        ({"num_workers": "2"}, TypeError),
        ({"collate_fn": 3}, TypeError),
        ({"worker_init_fn": 3}, TypeError),
        ({"generator": 5}, TypeError),
        ({"pin_memory": "x"}, TypeError),
    ],
)
def test_bad_arguments(wrong, error):
    (name,) = wrong
    with pytest.raises(error, match=name):
        DataLoader(NUMBERS, **wrong)


def test_dataset_without_a_length():
    with pytest.raises(TypeError, match="dataset is a generator, expected one that has a length"):
        DataLoader(i for i in range(3))


# ---- workers -----------------------------------------------------------------------------------


class Images(Dataset):
    """Uses kernels in the worker, after the parent has used them."""

    def __init__(self, count=12):
        self.count = count
        self.weight = pyconv.ones(1, 1, 3, 3)

    def __getitem__(self, index):
        image = pyconv.full((1, 64, 64), float(index))
        return pyconv.functional.conv2d(image, self.weight).mean(), os.getpid()

    def __len__(self):
        return self.count


class Failing(Images):
    def __init__(self, failure, at=5):
        super().__init__()
        self.failure, self.at = failure, at

    def __getitem__(self, index):
        if index == self.at:
            self.failure()
        return index


def raise_error():
    raise LookupError("sample 5 is bad")


def test_workers_give_the_same_batches():
    dataset = Images()
    here = [batch.numpy().tolist() for batch, _ in DataLoader(dataset, 4)]
    for workers in (1, 2, 5):
        loaded = list(DataLoader(dataset, 4, num_workers=workers))
        assert [batch.numpy().tolist() for batch, _ in loaded] == here
        assert os.getpid() not in {pid for _, pids in loaded for pid in pids.numpy()}


def test_no_more_workers_than_batches(monkeypatch):
    started = []
    executor = concurrent.futures.ProcessPoolExecutor

    def noted(workers, *args):
        started.append(workers)
        return executor(workers, *args)

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", noted)
    for dataset in (NUMBERS, []):
        assert len(list(DataLoader(dataset, 4, num_workers=1000))) == -(-len(dataset) // 4)
    list(DataLoader(NUMBERS, sampler=[1], num_workers=2))
    assert started == [3, 1, 2]


def test_order_does_not_depend_on_workers():
    def orders(workers):
        pyconv.manual_seed(0)
        loader = DataLoader(range(5), 5, shuffle=True, num_workers=workers, pin_memory=True)
        return [batch.tolist() for _ in range(5) for batch in loader]

    assert orders(0) == orders(1)


def test_workers_begin_with_their_number():
    class Begun(Images):
        def __getitem__(self, index):
            return numbers[0]

    def begin(number):
        numbers.append(number)
        all_begun.wait(60)

    numbers = []
    for workers in (1, 2):
        all_begun = multiprocessing.get_context("fork").Barrier(workers)
        loader = DataLoader(Begun(), 1, num_workers=workers, worker_init_fn=begin)
        assert {n for batch in loader for n in batch.tolist()} == set(range(workers))
    with pytest.raises(LookupError, match="sample 5"):
        list(DataLoader(range(5), num_workers=1, worker_init_fn=lambda number: raise_error()))
    assert not numbers


def test_worker_errors_arrive_here():
    loader = iter(DataLoader(Failing(raise_error), 2, num_workers=2))
    assert [next(loader).numpy().tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(LookupError, match="sample 5 is bad") as caught:
        next(loader)
    assert "raise_error" in str(caught.value.__cause__)


class TwoArguments(Exception):
    def __init__(self, first, second):
        super().__init__("cannot be made again from this text alone")


@pytest.mark.parametrize(
    "error", [TwoArguments(1, 2), ValueError(lambda: 1), SystemExit(3), KeyboardInterrupt()]
)
def test_worker_errors_that_cannot_be_pickled(error):
    def failure():
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        list(DataLoader(Failing(failure), 2, num_workers=1))
    assert "raise error" in str(caught.value)


def test_batches_that_cannot_be_pickled():
    loader = DataLoader(Images(), 2, num_workers=1, collate_fn=lambda samples: lambda: samples)
    with pytest.raises(RuntimeError, match="a worker cannot send a batch: .*lambda"):
        list(loader)


def test_a_worker_that_dies_is_noticed():
    loader = DataLoader(Failing(lambda: os._exit(3)), 2, num_workers=2)
    with pytest.raises(RuntimeError, match="worker process died"):
        list(loader)


def test_an_abandoned_iterator_leaves_no_process():
    before = set(multiprocessing.active_children())
    loader = iter(DataLoader(Images(1000), 2, num_workers=2))
    next(loader)
    assert len(set(multiprocessing.active_children()) - before) == 2
    del loader
    assert set(multiprocessing.active_children()) <= before


class Noise(Dataset):
    def __getitem__(self, index):
        return np.random.rand(), pyconv.rand(1)

    def __len__(self):
        return 8


def test_workers_draw_different_numbers_that_repeat():
    def draw(workers):
        pyconv.manual_seed(2)
        parts = [np.stack([a, b[:, 0]]) for a, b in DataLoader(Noise(), 2, num_workers=workers)]
        return np.concatenate(parts, 1)

    assert len(np.unique(draw(2))) == 16
    np.testing.assert_array_equal(draw(2), draw(1))


# ---- digits ------------------------------------------------------------------------------------


def test_digits():
    pytest.importorskip("sklearn")
    train, test = digits()
    assert (len(train), len(test)) == (1437, 360)
    images, classes = train.tensors
    assert images.shape == (1437, 1, 8, 8)
    assert images.dtype == np.float32
    assert classes.dtype == np.int64
    assert images.numpy().min() == 0
    assert images.numpy().max() == 1
    assert set(test.tensors[1].numpy()) == set(range(10))
    again, _ = digits()
    np.testing.assert_array_equal(again.tensors[0].numpy(), images.numpy())


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pyconv\[digits\]"):
        digits()


class Answer(Dataset):
    """Returns what a function makes."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.make()


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_that_are_none(workers):
    with pytest.raises(TypeError, match="DataLoader: a sample is None"):
        list(DataLoader(Answer(lambda: None), 2, num_workers=workers))
    with pytest.raises(RuntimeError, match="DataLoader: Answer raised StopIteration"):
        list(DataLoader(Answer(lambda: next(iter(()))), 2, num_workers=workers))
    with pytest.raises(RuntimeError, match="DataLoader: range or collate_fn raised StopIteration"):
        list(DataLoader(range(3), num_workers=workers, collate_fn=lambda batch: next(iter(()))))


KILLED = """
import os, signal, time
import numpy as np
from pyconv.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        time.sleep(0.01)
        return os.getpid()

for batch in DataLoader(Slow(), 1, num_workers=2):
    print(batch.item(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_workers_end_with_a_parent_that_is_killed():
    worker = int(python(KILLED).stdout)
    until = time.monotonic() + 30
    while runs(worker):
        assert time.monotonic() < until
        time.sleep(0.1)
