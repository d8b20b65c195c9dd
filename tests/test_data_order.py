"""Which samples come when: samplers, samples without batches, parts of datasets and their sums."""

from __future__ import annotations

import numpy as np
import pytest
from test_data import NUMBERS, values

import pyconv
from pyconv.data import ConcatDataset, DataLoader, Dataset, Subset


@pytest.mark.parametrize(
    ("both", "message"),
    [
        ({"sampler": [1], "shuffle": True}, "sampler and shuffle are given"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler and batch_size are given"),
        ({"batch_sampler": [[1]], "sampler": [1], "drop_last": True}, "and sampler, drop_last"),
        ({"batch_sampler": [[1]], "shuffle": True}, "batch_sampler and shuffle"),
        ({"batch_size": None, "drop_last": True}, "drop_last is True, expected a batch_size"),
    ],
)
def test_arguments_that_exclude_each_other(both, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(NUMBERS, **both)


@pytest.mark.parametrize("workers", [0, 2])
def test_samplers(workers):
    loader = DataLoader(NUMBERS, 2, sampler=[7, 3, 5], num_workers=workers)
    assert values(loader) == [[7, 3], [5]]
    assert len(loader) == 2
    assert values(DataLoader(NUMBERS, 2, sampler=[7, 3, 5], drop_last=True)) == [[7, 3]]
    loader = DataLoader(range(9), batch_sampler=[(8,), (0, 1, 2)], num_workers=workers)
    assert [batch.tolist() for batch in loader] == [[8], [0, 1, 2]]
    assert len(loader) == 2
    by_name = DataLoader({"a": 1, "b": 2}, sampler=iter("ba"), num_workers=workers)
    assert [batch.tolist() for batch in by_name] == [[2], [1]]
    with pytest.raises(TypeError, match="batch_sampler gives 3, expected a list"):
        list(DataLoader(NUMBERS, batch_sampler=[3]))


@pytest.mark.parametrize("dataset", [NUMBERS, [5, 6, 7], Subset("abc", [0, 1, 2])])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"batch_sampler": [[True, False, True]]}, TypeError, "an index of batch_sampler is True"),
        ({"batch_sampler": [[]]}, ValueError, "batch_sampler gives an empty list"),
        ({"sampler": [[1, 2], [0]], "batch_size": 2}, TypeError, r"of sampler is \[1, 2\]"),
        ({"sampler": [0.5]}, TypeError, "of sampler is 0.5, expected an integer"),
    ],
)
def test_samplers_that_give_no_numbers(dataset, given, error, message):
    with pytest.raises(error, match=message):
        list(DataLoader(dataset, **given))
    if "batch_sampler" in given:
        by_flag = DataLoader({True: 1, False: 0}, collate_fn=list, **given)
        assert list(by_flag) == [[int(key) for key in given["batch_sampler"][0]]]


@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
def test_samplers_without_a_length(name):
    with pytest.raises(TypeError, match=f"DataLoader: {name} is a list_iterator, which has no len"):
        len(DataLoader(NUMBERS, **{name: iter([[1]])}))


def test_arrays_of_bfloat16_without_batches():
    array = np.ones(2, pytest.importorskip("ml_dtypes", reason="not installed").bfloat16)
    (sample,) = DataLoader([array], None)
    assert isinstance(sample, pyconv.Tensor)
    assert sample.dtype == array.dtype


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_without_batches(workers):
    samples = [(np.ones(2), {"label": i, "name": "x"}) for i in range(3)]
    loader = DataLoader(samples, None, num_workers=workers)
    for i, (image, what) in enumerate(loader):
        assert image.tolist() == [1, 1]
        assert what == {"label": i, "name": "x"}
    assert len(loader) == len(list(loader)) == 3
    bulk = DataLoader(np.arange(6), None, sampler=[[4, 2], [0]], num_workers=workers)
    assert [batch.tolist() for batch in bulk] == [[4, 2], [0]]
    assert list(DataLoader(range(3), None, collate_fn=str, num_workers=workers)) == ["0", "1", "2"]


@pytest.mark.torch
def test_batches_are_those_of_pytorch():
    data = pytest.importorskip("torch.utils.data", reason="PyTorch is not installed")
    samples = [(np.float32(i), {"pair": [np.full(2, i), i]}) for i in range(5)]
    for options in ({"batch_size": None}, {"sampler": [3, 1]}, {"batch_sampler": [[0, 1], [2]]}):
        pairs = zip(DataLoader(samples, **options), data.DataLoader(samples, **options))
        for ours, theirs in pairs:
            assert str(ours) == str(theirs)


def test_sum_of_datasets():
    parts = [["a", "b"], [], range(3)]
    both = ConcatDataset(iter(parts))
    assert list(both) == ["a", "b", 0, 1, 2]
    assert both.datasets == parts
    assert both.cumulative_sizes == [2, 2, 5]
    assert (both[-5], both[np.int64(-1)]) == ("a", 2)
    for wrong, error in (
        (3, TypeError),
        ([], ValueError),
        ([[1], iter([2])], TypeError),
        ([Dataset], TypeError),  # the class
    ):
        with pytest.raises(error, match="ConcatDataset: datasets"):
            ConcatDataset(wrong)
    with pytest.raises(TypeError, match="dataset is a type, expected one that has a length"):
        DataLoader(Dataset)


@pytest.mark.parametrize(("index", "kind"), [(3, "list"), (-4, "array")])
def test_samples_that_there_are_not(index, kind):
    part = Subset(range(9), [4, 5, 6] if kind == "list" else np.array([4, 5, 6]))
    for dataset in (part, ConcatDataset([part])):
        name = type(dataset).__name__
        with pytest.raises(IndexError, match=f"{name}: index is {index}, there are 3 samples"):
            dataset[index]
    assert list(part) == [4, 5, 6]
    with pytest.raises(TypeError, match=r"index is 0\.5, expected an integer"):
        ConcatDataset([part])[0.5]
