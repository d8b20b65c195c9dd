"""The command `pyconv train`: every task in small, and going on from a checkpoint to the bit."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv.cli import main
from pyconv.train import chars, fashion_mnist, loop, memory, mnist1d, segmentation


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def idx(array: Any) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def prepare(command: str) -> list[str]:
    """Make the data that a command needs, and return its words."""
    if "digits" in command:
        pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 10)):
        images, classes = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
        Path(f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        Path(f"{part}-labels-idx1-ubyte").write_bytes(idx(classes))
    Path("text").write_text("a rose is a rose is a rose is a rose is a rose", encoding="utf-8")
    return ["train", *command.split()]


# Of each kind: two epochs of four steps.
TASKS = {
    "digits": "digits --batch-size 400",
    "lenet_bn": "fashion-mnist . --model lenet_bn --batch-size 10",
    "resnet20": "fashion-mnist . --model resnet20 --batch-size 10",
    "regnet": "fashion-mnist . --model regnet --batch-size 10",
    "unet": "segmentation --pictures 8 --size 16 --width 2 --batch-size 2",
    "deconvnet": "segmentation --model deconvnet --pictures 8 --size 16 --width 2 --batch-size 2",
    "lstm": "chars text --hidden 4 --length 5 --batch-size 2 --dropout 0.5",
    "gru": "chars text --hidden 4 --length 5 --batch-size 2 --cell GRU --sample 0",
}
TASKS = {name: f"{command} --epochs 2" for name, command in TASKS.items()}


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C after a step."""

    class Interrupting(loop.Progress):
        def advance(self, steps: int = 1, text: str = "") -> None:
            super().advance(steps, text)
            if self._done == step:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "Progress", Interrupting)


@pytest.mark.parametrize(
    ("command", "step"),
    [
        *((command, 3) for command in TASKS.values()),
        (TASKS["digits"], 4),  # at the end of an epoch
        (TASKS["digits"], 6),
        (TASKS["lstm"], 6),
    ],
)
def test_interrupted_and_resumed_is_the_same_to_the_bit(
    folder: Path, command: str, step: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    words = prepare(command)
    assert main([*words, "--save", "whole"]) == 0
    with monkeypatch.context() as patched:
        interrupt(patched, step)
        assert main([*words, "--save", "part"]) == 130
    assert f"step {step % 4 or 4}; saved as part" in capsys.readouterr().out
    assert (folder / "part").read_bytes() != (folder / "whole").read_bytes()
    assert main([*words, "--resume", "part", "--save", "part"]) == 0
    assert (folder / "part").read_bytes() == (folder / "whole").read_bytes()


@pytest.mark.parametrize("task", ["digits", "unet", "lstm"])
def test_log_and_plot(folder: Path, task: str, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    words = prepare(TASKS[task])
    assert main([*words, "--log", "log.csv", "--plot", "plot.png"]) == 0
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    with open("log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    shown = capsys.readouterr().out
    for row in rows:
        assert f"loss {float(row['loss']):.4f}" in shown
        assert float(row["seconds"]) > 0


def test_log_goes_on(capsys: Any) -> None:
    words = [*prepare(TASKS["digits"]), "--log", "log.csv"]
    for more in (["--epochs", "1"], ["--resume", "digits.safetensors", "--epochs", "1"]):
        main([*words, *more])
    with open("log.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--batch-size 300", "--batch-size is 300, but .* was made with 400"),
        ("--lr 1", "--lr is 1.0, but .* was made with 0.05"),
        ("--seed 1", "--seed is 1, but .* was made with 0"),
        ("--epochs 3", "--epochs is 3, but .* was made with 2"),  # the schedule depends on it
    ],
)
def test_going_on_with_other_arguments_is_an_error(more: str, said: str, capsys: Any) -> None:
    words = prepare(TASKS["digits"])
    main(words)
    assert main([*words, *more.split(), "--resume", "digits.safetensors"]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_other_files_are_no_checkpoints(folder: Path, capsys: Any) -> None:
    words = [*prepare(TASKS["digits"]), "--resume", "other"]
    pyconv.save({"bogus": pyconv.zeros(2)}, "other")
    assert main(words) == 2
    assert capsys.readouterr().err == "pyconv: error: other is no checkpoint of pyconv train\n"
    pyconv.save({"options": {}, "epoch": 3}, "other")
    assert main(words) == 2
    assert capsys.readouterr().err == "pyconv: error: other is no checkpoint of pyconv train\n"
    (folder / "other").write_bytes(b"junk")
    assert main(words) == 2
    assert "no good safetensors file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"random": None}, {"random": {}}, {"history": {}}, {"history": [3]}, {"sums": None},
        {"sums": {"loss": "x"}}, {"step": -1}, {"order": 3}, {"model": 3}, {"optimizer": None},
        {"optimizer": {"state": 3}}, {"carried": None}, {"scheduler": None},
        {"random": {"a": ["a"]}}, {"random": {"bit_generator": "MT19937"}},
    ],
)  # fmt: skip
def test_checkpoints_that_were_tampered_with(change: Any, capsys: Any) -> None:
    words = [*prepare(TASKS["digits"]), "--epochs", "1"]
    assert main(words) == 0
    pyconv.save(pyconv.load("digits.safetensors") | change, "digits.safetensors")
    assert main([*words, "--resume", "digits.safetensors"]) == 2
    assert capsys.readouterr().err.startswith("pyconv: error: digits.safetensors is no checkpoint")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--save .", ". is no regular file"),
        ("--save pipe", "pipe is no regular file"),
        ("--log .", "cannot write .: it is a folder"),
        ("--log none/log", "there is no such folder"),
        ("--log folder/log", "no permission"),
        ("--log /dev/full", "cannot write /dev/full: No space left on device"),
    ],
)
def test_outputs_that_cannot_be(
    folder: Path, words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    # For the sake of root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "folder")
    assert main([*prepare(TASKS["digits"]), *words.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("more", ["--lr 1e30", "--temperature 1e-300"])
def test_a_sample_of_what_is_not_finite(folder: Path, more: str, capsys: Any) -> None:
    words = prepare(f"{TASKS['lstm']} --epochs 1 {more} --save kept")
    with np.errstate(all="ignore"):
        assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()[1]) == 200
    assert (folder / "kept").exists()


def test_an_epoch_is_saved_before_it_is_commented(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(chars, "sample", lambda *_: [10**6])
    assert main([*prepare(TASKS["lstm"]), "--save", "kept"]) == 2
    assert "a number is 1000000" in capsys.readouterr().err
    assert (folder / "kept").exists()


def test_without_safetensors(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(loop, "find_spec", lambda name: None)
    assert main([*prepare(TASKS["digits"]), "--epochs", "1"]) == 0
    assert "not saved: that needs pip install 'pyconv[weights]'" in capsys.readouterr().out
    assert not list(Path().glob("*.safetensors"))
    assert main([*prepare(TASKS["digits"]), "--save", "kept"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "--save needs safetensors: pip install 'pyconv[weights]'" in shown.err


# ---- the adding problem and the copy task ------------------------------------------------------


@pytest.mark.parametrize("task", ["adding", "copy"])
def test_memory_tasks(
    folder: Path, task: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(memory, "STEPS_PER_EPOCH", 2)
    words = f"train {task} --length 4 --hidden 3 --epochs 2 --log log.csv --plot plot.png"
    assert main(words.split()) == 0
    table = capsys.readouterr().out.splitlines()[2:]
    for row, cell in zip(table, memory.CELLS, strict=True):
        assert re.fullmatch(rf"\| {cell} \| [\d.]+ \| [\d.]+% \|", row)
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + 3 * 2
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_short_sum_is_learnt(capsys: Any) -> None:
    words = "train adding --length 4 --hidden 16 --epochs 5 --lr 0.01 --batch-size 16 --cells GRU"
    assert main(words.split()) == 0
    share = re.search(r"([\d.]+)% \|$", capsys.readouterr().out.strip())
    assert share
    assert float(share[1]) < 50


def test_a_length_that_is_too_short(capsys: Any) -> None:
    assert main(["train", "adding", "--length", "1"]) == 2
    assert "--length is 1, expected 2 or more" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--length", "--hidden", "--batch-size"])
def test_sizes_that_are_too_large(option: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["train", "adding", option, str(10**30)])
    assert "expected a number above 0, at most 2147483647" in capsys.readouterr().err


def test_a_text_that_stdout_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    words = prepare(f"{TASKS['lstm']} --epochs 1 --temperature 1e9")
    Path("text").write_text("é" * 50, encoding="utf-8")
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, "ascii"))
    assert main(words) == 0
    assert b"\\xe9" * 9 in shown.getvalue()


# ---- MNIST-1D ----------------------------------------------------------------------------------


def test_mnist1d_table_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    words = prepare("mnist1d --models logistic cnn --epochs 1 --log log.csv --plot plot.png")
    assert main([*words, "--seeds", "1"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 4
    assert re.fullmatch(r"\| cnn \| shuffled \| [\d.]+ ± 0.0 \| 56 \|", table[-1])
    begun = (folder / "log.csv").read_text()
    trained = []
    train = mnist1d.train
    monkeypatch.setattr(mnist1d, "train", lambda *args: trained.append(args[2]) or train(*args))
    assert main([*words, "--seeds", "2", "--resume"]) == 0
    assert trained == [1] * 4  # the first seed is in the log
    assert (folder / "log.csv").read_text().startswith(begun)
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_mnist1d_networks_are_the_published_ones() -> None:
    counts = {"logistic": 410, "mlp": 78_858, "cnn": 5_210, "gru": 5_134}
    for name, count in counts.items():
        assert sum(p.numel() for p in mnist1d.network(name).parameters()) == count
    shuffled, plain = mnist1d.data_set("shuffled"), mnist1d.data_set("ordered")
    for a, b in zip(shuffled, plain):
        x, y = a.tensors[0].numpy(), b.tensors[0].numpy()
        assert (x != y).any()
        np.testing.assert_array_equal(np.sort(x, 2), np.sort(y, 2))


def test_mnist1d_goes_on_only_with_a_log(capsys: Any) -> None:
    assert main(prepare("mnist1d --resume")) == 2
    assert "--resume needs --log" in capsys.readouterr().err


HEAD = b"model,order,seed,epochs,accuracy\n"
ROW = HEAD + b"cnn,ordered,0,1,"


@pytest.mark.parametrize("log", [b"a,b\n1,2\n", b"a" * 2**18, HEAD + b"cnn\n", ROW + b"x", b"\xff"])
def test_mnist1d_goes_on_only_with_its_own_log(log: bytes, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(mnist1d, "data_set", lambda order: None)
    Path("log.csv").write_bytes(log)
    assert main(prepare("mnist1d --resume --log log.csv")) == 2
    assert capsys.readouterr().err == ("pyconv: error: log.csv is no log of pyconv train mnist1d\n")


def test_an_empty_log_is_begun() -> None:
    Path("log.csv").touch()
    for a in range(2):
        loop.append_row("log.csv", {"a": a})
    assert loop.read_rows("log.csv") == [{"a": "0"}, {"a": "1"}]


# ---- others ------------------------------------------------------------------------------------


def test_lenet_is_that_of_the_book() -> None:
    model = fashion_mnist.lenet()
    assert sum(p.numel() for p in model.parameters()) == 61_706
    images = pyconv.from_numpy(np.arange(24.0).reshape(12, 1, 1, 2))
    turned = fashion_mnist.mirrored(images).numpy() != images.numpy()
    assert set(turned.sum((1, 2, 3))) == {0, 2}


def test_pictures_and_masks_turn_alike() -> None:
    images = pyconv.arange(4.0).reshape(1, 1, 2, 2)
    seen = set()
    for _ in range(60):
        image, mask = segmentation.turned(images, images[:, 0])
        np.testing.assert_array_equal(image.numpy()[0], mask.numpy())
        seen.add(tuple(mask.numpy().ravel()))
    assert len(seen) == 8


def test_streams_go_on_where_they_ended() -> None:
    batches = list(chars.Streams(np.arange(100), rows=3, length=8))
    assert [first for _, _, first in batches] == [True, False, False, False]
    text = np.concatenate([x.numpy() for x, _, _ in batches], 1)
    np.testing.assert_array_equal(text, np.arange(96).reshape(3, 32))
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y, _ in batches], 1), text + 1)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fashion-mnist no-such-folder", "no-such-folder"),
        ("chars no-such-file", "no-such-file"),
        ("chars text --length 50", "46 characters|42 characters are too few"),
        ("chars text --dropout 2", "2"),
        ("segmentation --size 24", "--size is 24, expected a multiple of 16"),
    ],
)
def test_mistakes(command: str, said: str, capsys: Any) -> None:
    assert main(prepare(command)) == 2
    assert re.search(said, capsys.readouterr().err)


# ---- digits ------------------------------------------------------------------------------------


def final_accuracy(text: str) -> float:
    return float(re.findall(r"held-out accuracy ([\d.]+)% on 360 digits", text)[-1])


def test_digits_are_learned(folder: Path, capsys: Any) -> None:
    assert main(prepare("digits")) == 0
    text = capsys.readouterr().out
    assert final_accuracy(text) > 98.5
    assert (folder / "digits.safetensors").stat().st_size > 100_000

    assert main(prepare("digits --resume digits.safetensors --epochs 0")) == 0
    resumed = capsys.readouterr().out
    assert final_accuracy(resumed) == final_accuracy(text)
    assert "saved" not in resumed


def test_digits_do_not_depend_on_threads(folder: Path) -> None:
    threads = pyconv.get_num_threads()
    for n in ("1", "2"):
        main(prepare(f"digits --epochs 1 --threads {n} --save {n}"))
    pyconv.set_num_threads(threads)
    assert (folder / "1").read_bytes() == (folder / "2").read_bytes()
