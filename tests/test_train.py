"""The command `pyconv train`: every task in small, and going on from a checkpoint to the bit."""

from __future__ import annotations

import csv
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import pyconv
from pyconv.cli import main
from pyconv.train import loop


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(command: str) -> list[str]:
    """Make the data that a command needs, and return its words."""
    if "digits" in command:
        pytest.importorskip("sklearn")
    return ["train", *command.split()]


TASKS = {"digits": "digits --epochs 2 --batch-size 400"}


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C after a step."""

    class Interrupting(loop.Progress):
        def advance(self, steps: int = 1, text: str = "") -> None:
            super().advance(steps, text)
            if self._done == step:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "Progress", Interrupting)


@pytest.mark.parametrize("step", [3, 4, 6])  # within an epoch, at its end, in the second one
@pytest.mark.parametrize("command", TASKS.values(), ids=TASKS)
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


@pytest.mark.parametrize("command", TASKS.values(), ids=TASKS)
def test_log_and_plot(folder: Path, command: str, capsys: Any) -> None:
    pytest.importorskip("matplotlib")
    words = prepare(command)
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
    assert main([*words, "--resume", "digits.safetensors", *more.split()]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_other_files_are_no_checkpoints(folder: Path, capsys: Any) -> None:
    words = [*prepare(TASKS["digits"]), "--resume", "other"]
    pyconv.save({"bogus": pyconv.zeros(2)}, "other")
    assert main(words) == 2
    assert capsys.readouterr().err == "pyconv: error: other is no checkpoint of pyconv train\n"
    (folder / "other").write_bytes(b"junk")
    assert main(words) == 2
    assert "no good safetensors file" in capsys.readouterr().err


def test_without_safetensors(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(loop, "find_spec", lambda name: None)
    assert main([*prepare(TASKS["digits"]), "--epochs", "1"]) == 0
    assert "not saved: that needs pip install 'pyconv[weights]'" in capsys.readouterr().out
    assert not list(Path().iterdir())


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
