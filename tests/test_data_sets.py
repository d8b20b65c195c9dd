"""Data sets, transforms and measures; files that should not be trusted."""

from __future__ import annotations

import gzip
import os
import struct

import numpy as np
import pytest

import pyconv
from pyconv import data
from pyconv.data import DataLoader, Subset, TensorDataset, TransformedDataset, random_split
from pyconv.data import transforms as T

# ---- parts of data sets ------------------------------------------------------------------------


def test_random_split():
    pyconv.manual_seed(0)
    parts = random_split(range(10), [7, 3])
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    assert [len(p) for p in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    same = [random_split(range(9), [9], np.random.default_rng(1))[0].indices for _ in range(2)]
    assert same[0] == same[1]
    nan, inf = float("nan"), float("inf")
    for wrong in ([5, 4], [0.5, 0.4], [-1, 11], [2.5, 7.5], [nan, 10], [nan, 1], [inf]):
        with pytest.raises(ValueError, match="random_split: lengths is"):
            random_split(range(10), wrong)
    for wrong in (["a"], None, 3):
        with pytest.raises(TypeError, match="random_split: lengths is"):
            random_split(range(10), wrong)


def test_loader_of_parts_and_with_a_function_of_ones_own():
    dataset = TensorDataset(pyconv.arange(10), pyconv.arange(10.0))
    part = Subset(dataset, [9, 1, 4])
    assert part[2][0].item() == 4
    (batch,) = DataLoader(part, 3)
    assert batch[0].numpy().tolist() == [9, 1, 4]
    for workers in (0, 2):
        loader = DataLoader(part, 2, num_workers=workers, collate_fn=len)
        assert list(loader) == [2, 1]
    whole = next(iter(DataLoader(dataset, 4)))
    assert [part.dtype for part in whole] == [np.int64, np.float32]
    assert whole[1].numpy().tolist() == [0, 1, 2, 3]


# ---- Fashion-MNIST -----------------------------------------------------------------------------


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([0, 9, 3, 3, 1], np.uint8)


def write(folder, part="train", images=None, labels=None, zipped=False):
    files = {
        "images-idx3": idx(IMAGES) if images is None else images,
        "labels-idx1": idx(LABELS) if labels is None else labels,
    }
    for name, content in files.items():
        path = folder / f"{part}-{name}-ubyte{'.gz' * zipped}"
        path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("zipped", [False, True])
def test_fashion_mnist(tmp_path, zipped):
    for part in ("train", "t10k"):
        write(tmp_path, part, zipped=zipped)
        images, labels = data.fashion_mnist(tmp_path, train=part == "train").tensors
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images.numpy()[:, 0], (IMAGES / 255).astype(np.float32))
        np.testing.assert_array_equal(labels.numpy(), LABELS)
        assert labels.dtype == np.int64


def header(*sizes):
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "wrong",
    [
        {"images": b""},
        {"images": b"\x00\x00\x08"},
        {"images": b"not an idx file at all"},
        {"images": idx(IMAGES)[:-1]},
        {"images": idx(IMAGES) + b"x"},
        {"images": header(2**32 - 1, 2**32 - 1, 2**32 - 1)},
        {"images": header(2**31, 28, 28)},
        {"images": header(60000, 28, 28)},
        {"images": header(0, 28, 28)},
        {"images": idx(IMAGES.reshape(5, 14, 56))},
        {"images": idx(IMAGES.reshape(5, 784))},
        {"images": idx(IMAGES)[:2] + b"\x0d" + idx(IMAGES)[3:]},
        {"labels": idx(LABELS[:4])},
        {"labels": idx(LABELS)[:-2]},
        {"labels": idx(LABELS + 1)},
        {"labels": header(2**32 - 1)},
    ],
)
def test_idx_files_that_lie(tmp_path, wrong, zipped):
    write(tmp_path, zipped=zipped, **wrong)
    with pytest.raises(ValueError, match="fashion_mnist"):
        data.fashion_mnist(tmp_path)


def test_damaged_archives_and_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.fashion_mnist(tmp_path)
    write(tmp_path, zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for content in (
        whole[:-20],
        whole[:5],
        b"",
        b"junk" * 9,
        whole[:100] + b"?" * 99 + whole[200:],
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="fashion_mnist"):
            data.fashion_mnist(tmp_path)


def test_what_is_no_regular_file(tmp_path):
    pipe = tmp_path / "train-images-idx3-ubyte"
    os.mkfifo(pipe)
    for use in (
        lambda: data.chars(pipe),
        lambda: data.chars("/dev/zero"),
        lambda: data.fashion_mnist(tmp_path),
    ):
        with pytest.raises(ValueError, match="no regular file"):
            use()


# ---- generated sets ----------------------------------------------------------------------------


FIRST = np.array([-0.33200568, -0.47191036, -0.7786971], np.float32)
ABSOLUTE_SUM = 148316.1726513179


def test_mnist1d_is_the_published_set():
    train, test = data.mnist1d()
    assert train.tensors[0].shape == (4000, 1, 40)
    assert test.tensors[0].dtype == np.float32
    signals = np.concatenate([part.tensors[0].numpy()[:, 0] for part in (train, test)])
    classes = np.concatenate([part.tensors[1].numpy() for part in (train, test)])
    assert np.bincount(classes).tolist() == [500] * 10
    assert signals.std() == pytest.approx(1, abs=1e-6)
    # The first numbers and a sum of the authors' array.
    np.testing.assert_array_equal(signals[0, :3], FIRST)
    assert np.abs(signals.astype(float)).sum() == pytest.approx(ABSOLUTE_SUM, rel=1e-9)
    theirs = pytest.importorskip("mnist1d.data", reason="mnist1d is not installed").make_dataset()
    x, y = (np.concatenate([theirs[n], theirs[f"{n}_test"]]) for n in ("x", "y"))
    np.testing.assert_array_equal(signals, x.astype(np.float32))
    np.testing.assert_array_equal(classes, y)


def test_shapes():
    train, test = data.shapes_segmentation(train=30, test=10, size=32, noise=0)
    images, masks = train.tensors
    assert (images.shape, masks.shape) == ((30, 3, 32, 32), (30, 32, 32))
    assert (images.dtype, masks.dtype) == (np.float32, np.int64)
    assert set(np.unique(masks.numpy())) == {0, 1, 2, 3}
    # Without noise a colour belongs to one shape, so it lies in one class.
    for image, mask in zip(images.numpy(), masks.numpy()):
        colours, places = np.unique(image.reshape(3, -1), axis=1, return_inverse=True)
        for i in range(colours.shape[1]):
            assert len(np.unique(mask.reshape(-1)[places.reshape(-1) == i])) == 1
    again, _ = data.shapes_segmentation(train=30, test=10, size=32, noise=0)
    np.testing.assert_array_equal(again.tensors[0].numpy(), images.numpy())
    other, _ = data.shapes_segmentation(train=30, test=10, size=32, noise=0, seed=1)
    assert (other.tensors[1].numpy() != masks.numpy()).any()
    assert len(test) == 10


def test_noise_beyond_float32_is_infinite():
    train, _ = data.shapes_segmentation(1, 0, 8, noise=1e300)
    assert np.isinf(train[0][0].numpy()).all()


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (ValueError, [("train", -1), ("size", 4), ("noise", -1), ("noise", float("nan"))]),
        (ValueError, [("seed", -1), ("size", 10**6), ("train", 10**12)]),
        (TypeError, [("seed", "a"), ("size", 8.5), ("train", "a"), ("noise", None)]),
    ],
)
def test_shapes_that_cannot_be(error, wrong):
    for name, value in wrong:
        with pytest.raises(error, match=rf"shapes_segmentation: .*{name} is"):
            data.shapes_segmentation(**{name: value})


def test_chars(tmp_path):
    path = tmp_path / "text"
    path.write_text("héllo, wörld\r\n" * 3, encoding="utf-8", newline="")
    dataset = data.chars(path, length=5)
    assert len(dataset) == 8
    whole = dataset.decode(dataset.text)
    assert whole == "héllo, wörld\r\n" * 3
    for i in (0, 7, -1):
        x, y = dataset[i]
        assert dataset.decode(x)[1:] == dataset.decode(y)[:-1]
    batch = next(iter(DataLoader(dataset, 4)))
    assert batch[1].shape == (4, 5)
    assert dataset.encode("lo").numpy().tolist() == [dataset.vocabulary.index(c) for c in "lo"]
    with pytest.raises(ValueError, match="'z'"):
        dataset.encode("z")
    with pytest.raises(IndexError):
        dataset[8]
    for content, length in [(b"", 1), (b"abc", 3), (b"\xff\xfe\x00", 1), (b"abc", 0)]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="chars"):
            data.chars(path, length)
    with pytest.raises(FileNotFoundError):
        data.chars(tmp_path / "none")
    os.truncate(path, 2**31 + 1)
    with pytest.raises(ValueError, match="text has 2147483649 bytes, expected at most 2147483648"):
        data.chars(path)
    for numbers in ([-1], [99], 3):
        with pytest.raises(ValueError, match="decode: "):
            dataset.decode(numbers)
    assert dataset.decode([]) == ""


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda _: data.chars(0), "path is 0"),
        (lambda path: data.chars(path, 1.5), "length is 1.5"),
        (lambda path: data.chars(path, None), "length is None"),
        (lambda path: data.chars(path, 1)["a"], "index is 'a'"),
        (lambda path: data.chars(path, 1)[:1], "index is slice"),
        (lambda path: data.chars(path, 1).decode([0.5]), "numbers.dtype is float32"),
        (lambda path: data.chars(path, 1).encode(5), "text is a int"),
        (lambda path: data.chars(path, 1).encode([["a"]]), "text is a list"),
        (lambda _: data.fashion_mnist(3), "folder is 3"),
        (lambda path: data.fashion_mnist(path, train="x"), "train is 'x'"),
        (lambda _: data.mean_iou([0], [0], "a"), "num_classes is 'a'"),
        (lambda _: data.Subset([1], 5), "indices is 5"),
        (lambda _: data.TransformedDataset([(1,)], 5), "transform is a int"),
    ],
)
def test_arguments_of_another_type(tmp_path, use, message):
    path = tmp_path / "text"
    path.write_text("abc")
    with pytest.raises(TypeError, match=message):
        use(path)


# ---- transforms --------------------------------------------------------------------------------

IMAGE = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
MASK = np.arange(4 * 6).reshape(4, 6)


def test_flips_and_crops_treat_images_and_masks_alike():
    pyconv.manual_seed(0)
    np.testing.assert_array_equal(T.RandomVerticalFlip(1.0)(IMAGE), IMAGE[:, ::-1])
    assert T.RandomHorizontalFlip(0.0)(IMAGE) is IMAGE
    np.testing.assert_array_equal(T.CenterCrop((2, 4))(IMAGE), IMAGE[:, 1:3, 1:5])
    change = T.Compose([T.RandomHorizontalFlip(), T.RandomCrop(4, padding=1), T.Normalize(0, 2)])
    seen = set()
    for _ in range(50):
        image, mask = change(IMAGE, MASK)
        assert image.shape == (2, 4, 4)
        inside = mask > 0
        np.testing.assert_array_equal(image[0][inside] * 2, mask[inside])
        seen.add(mask.tobytes())
    assert len(seen) > 15
    dataset = TransformedDataset(TensorDataset(IMAGE[None], MASK[None], [7]), change, arrays=2)
    image, mask, label = dataset[0]
    assert (image.shape, mask.shape, label.item(), len(dataset)) == ((2, 4, 4), (4, 4), 7, 1)


def test_normalize():
    result = T.Normalize([1.0, 2.0], [2.0, 4.0])(IMAGE)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[1], (IMAGE[1] - 2) / 4)
    for dtype in (np.uint8, np.int64):
        assert T.Normalize(0.5, 0.5)(np.ones((3, 2, 2), dtype)).dtype == np.float32
    assert T.Normalize(0, 1e-50)(np.full((1, 1, 1), 1e-50)).item() == 1
    assert T.CenterCrop(np.int64(2))(IMAGE).shape == (2, 2, 2)


@pytest.mark.parametrize(
    "use",
    [
        lambda: T.RandomHorizontalFlip(1.5),
        lambda: T.RandomCrop(0),
        lambda: T.RandomCrop((1, 2, 3)),
        lambda: T.RandomCrop(2, -1),
        lambda: T.RandomCrop(2, 2**40)(IMAGE),
        lambda: T.RandomCrop(7)(IMAGE),
        lambda: T.RandomCrop(2)(IMAGE, MASK[1:]),
        lambda: T.CenterCrop(5)(IMAGE),
        lambda: T.CenterCrop(1)(np.ones(3)),
        lambda: T.Normalize(0, 0),
        lambda: T.Normalize([1, 2, 3], 1)(IMAGE),
        lambda: T.Normalize(0.0, 1.0)(MASK),
        lambda: T.Normalize(None, 1),
        lambda: T.Normalize(float("nan"), 1),
        lambda: T.Normalize("a", 1),
        lambda: T.Normalize(0, 1e-50)(IMAGE),
        lambda: T.Normalize(1e50, 1)(IMAGE),
        lambda: T.RandomHorizontalFlip(1)(np.float32(3)),
        lambda: T.RandomVerticalFlip(0)(np.ones(3)),
    ],
)
def test_transforms_that_cannot_be(use):
    with pytest.raises(ValueError, match=r"(Normalize|Crop|Flip): "):
        use()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: T.CenterCrop(1.5), "CenterCrop: size is 1.5"),
        (lambda: T.RandomCrop(None), "RandomCrop: size is None"),
        (lambda: T.RandomCrop(2, padding=1.5), "padding is 1.5"),
        (lambda: T.RandomHorizontalFlip("a"), "p is 'a'"),
        (lambda: T.RandomVerticalFlip(None), "RandomVerticalFlip: p is None"),
        (lambda: T.Compose(3), "Compose: transforms is 3"),
        (lambda: T.Compose([5]), "Compose: transforms holds 5"),
        (T.Compose([]), "'image'"),
        (T.CenterCrop(1), "'image'"),
        (T.RandomCrop(1), "'image'"),
        (T.RandomVerticalFlip(), "'image'"),
    ],
)
def test_transforms_of_another_type(use, message):
    with pytest.raises(TypeError, match=message):
        use()


# ---- measures ----------------------------------------------------------------------------------


def test_accuracy_and_perplexity():
    scores = np.array([[[0.1, 0.9], [0.9, 0.1]], [[0.3, 0.2], [0.2, 0.3]]])  # (2, 2 classes, 2)
    assert data.accuracy(scores, [[1, 1], [0, 1]]) == 0.75
    assert data.accuracy([1, 2, 3], [1, 2, 0]) == pytest.approx(2 / 3)
    logits = np.log([[0.25, 0.75], [0.5, 0.5]])
    assert data.perplexity(logits, [0, 1]) == pytest.approx(8**0.5)
    assert data.perplexity(logits, [0, -100]) == pytest.approx(4)
    assert data.perplexity([[0.0, 1e6]], [0]) == np.inf
    x = pyconv.zeros(2, 3, requires_grad=True)
    assert data.accuracy(x, [0, 0]) == 1
    assert data.perplexity(x, [0, 1]) == pytest.approx(3)


def test_mean_iou():
    rng = np.random.default_rng(0)
    predicted, truth = rng.integers(0, 4, (2, 3, 8, 8))
    expected = [
        ((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum()
        for c in range(4)
    ]
    assert data.mean_iou(predicted, truth) == pytest.approx(np.mean(expected))
    scores = np.eye(6)[predicted].transpose(0, 3, 1, 2)  # two classes that do not appear
    assert data.mean_iou(scores, truth, 6) == pytest.approx(np.mean(expected))
    assert data.mean_iou([2**62], [2**62]) == 1
    many = np.arange(10**5)
    assert data.mean_iou(many, many[::-1]) == 0
    with pytest.raises(ValueError, match="classes from 0 to 7, expected 0 to 2"):
        data.mean_iou(np.zeros((1, 3, 2)), [[0, 7]])


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda: data.accuracy([1, 2], [1]), ValueError),
        (lambda: data.accuracy(np.zeros((2, 3)), [1.0, 2.0]), TypeError),
        (lambda: data.accuracy([], np.array([], int)), ValueError),
        (lambda: data.accuracy(np.zeros((2, 0)), [0, 0]), ValueError),
        (lambda: data.mean_iou([0, 1], [0, 1], 1), ValueError),
        (lambda: data.mean_iou([0, 1], [0, -1]), ValueError),
        (lambda: data.accuracy([[0.5]], [None]), TypeError),
    ],
)
def test_measures_of_what_does_not_fit(use, error):
    with pytest.raises(error):
        use()
