"""What docs/training.md and docs/course/21-remembering.md say that `pyconv train` reaches."""

from __future__ import annotations

import re

import pytest

from pyconv.cli import main

pytestmark = pytest.mark.slow

# The command, and per cent of the trivial loss: the least of the RNN, the most of cells with gates.
SHORT = {
    "adding --cells RNN GRU --length 50 --hidden 32 --epochs 30 --lr 0.005": (90, 5),
    "copy --cells RNN GRU --length 10 --hidden 64 --epochs 30 --lr 0.01": (30, 15),
}
AS_IN_THE_COURSE = {"adding": (90, 5), "copy": (90, 5)}


def check_shares(command: str, least: float, most: float, capsys: pytest.CaptureFixture) -> None:
    assert main(["train", *command.split()]) == 0
    shares = re.findall(r"\| (RNN|GRU|LSTM) \| .* \| ([\d.]+)% \|", capsys.readouterr().out)
    assert len(shares) >= 2
    for cell, share in shares:
        assert float(share) > least if cell == "RNN" else float(share) < most, shares


@pytest.mark.parametrize("command", SHORT)
def test_gates_remember(command: str, capsys: pytest.CaptureFixture) -> None:
    check_shares(command, *SHORT[command], capsys)


@pytest.mark.parametrize("command", AS_IN_THE_COURSE)
def test_gates_remember_for_many_minutes(command: str, capsys: pytest.CaptureFixture) -> None:
    check_shares(command, *AS_IN_THE_COURSE[command], capsys)


def test_signals_are_classified_as_published(capsys: pytest.CaptureFixture) -> None:
    assert main(["train", "mnist1d", "--models", "gru", "--orders", "ordered", "--seeds", "2"]) == 0
    found = re.search(r"\| gru \| ordered \| ([\d.]+) ± [\d.]+ \| 91 \|", capsys.readouterr().out)
    assert found
    assert abs(float(found[1]) - 91) <= 2
