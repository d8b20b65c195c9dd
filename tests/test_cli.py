"""The command line: its exit codes and its messages."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyconv
from pyconv.cli import main
from pyconv.train import TASKS


def run_process(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyconv", *args]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
    folder = Path(__file__).parent  # not the root, whose folder pyconv has no compiled module
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_info_shows_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert capsys.readouterr().out == pyconv.show_config() + "\n"


def test_module_runs_as_a_command() -> None:
    result = run_process("info")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("pyconv")


def test_forced_isa_is_reported() -> None:
    assert "baseline (" in run_process("info", env={"PYCONV_ISA": "baseline"}).stdout


@pytest.mark.parametrize(
    "command", [[], ["info"], ["bench"], ["explain"], ["train"], ["summary"], ["models"]]
)
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([*command, "--help"])
    assert exit.value.code == 0
    assert "usage: pyconv" in capsys.readouterr().out


def test_help_is_the_same_in_every_run() -> None:
    texts = {run_process("explain", "-h", env={"PYTHONHASHSEED": seed}).stdout for seed in "01"}
    assert len(texts) == 1
    assert "sgd" not in texts.pop()  # a step of an optimiser, not a function


@pytest.mark.parametrize("task", TASKS)
def test_help_of_a_task_says_its_defaults(task: str) -> None:
    parser = argparse.ArgumentParser()
    TASKS[task].add_arguments(parser)
    for action in parser._actions:
        help = str(action.help).replace("%(default)s", "")
        assert action.default in (None, False, argparse.SUPPRESS) or "default" in help, action.dest


MISTAKES = [
    "",
    "bogus",
    "info --bogus",
    "bench --filter [",
    "bench --filter nothing-has-this-name",
    "bench --isa sse9",
    "bench --isa=",
    "bench --algorithm bogus",
    "bench --peers bogus",
    "bench --threads 0",
    "bench --threads 1025",
    "bench --seconds nan",
    "bench --batch -1",
    "bench --batch 1,x",
    "bench --batch 99999999999999",
    "bench --mode bogus",
    "bench --regret --csv r.csv",
    "bench --regret --filter relu",
    "bench --regret --csv=",
    "bench --json=",
    "bench --plot=",
    "bench --json no/such/folder/result.json",
    "explain bogus 8x3",
    "explain conv2d 8x3",
    "explain conv2d 8x3x5x5 4x3xx3",
    "explain conv2d 8x3x5x5 4x3x3x3 bogus=1",
    "explain conv2d 8x3x5x5 4x2x3x3",
    "explain conv2d 8x3x5x5 4x3x3x3 padding=bogus",
    "explain conv2d 8x3x5x5 4x3x9x9",
    "explain conv2d 99999999x99999999x99999x99999 1x99999999x1x1",
    "explain max_pool2d 1x1x8x8",
    "explain sgd 100",
    "summary bogus",
    "summary resnet18 --input 1,3,bogus",
    "summary resnet18 --input 1,4,224,224",
    "summary resnet18 --input=",
    "summary resnet18 --input=-1,3,224,224",
    "summary resnet18 --input 1,3,9999999999999999999999,224",
    "profile resnet18 --input 1,3,99999999,99999999",
    "train",
    "train bogus",
    "train digits --lr 0",
    "train digits --lr inf",
    "train fashion-mnist . --model bogus",
    "train mnist1d --seeds 0",
    "train segmentation --width nan",
    "train chars",
    "train digits --epochs -1",
    "train digits --resume no-such-file.safetensors",
    "train digits --save no/such/folder/weights.safetensors",
    "train digits --resume=",
    "train digits --save=",
    "train digits --log=",
]


@pytest.mark.parametrize("command", MISTAKES)
def test_mistake_gives_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    if command.startswith("train digits --resume"):
        pytest.importorskip("sklearn")
        pytest.importorskip("safetensors")
    try:
        status: object = main(command.split())
    except SystemExit as exit:
        status = exit.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert re.fullmatch(r"pyconv[a-z0-9 -]*: error: [^\n]+\n", captured.err)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("conv2d 8x3x8x8 4x3x3x3 bias=1 stride=0", "conv2d: stride is (0, 0), expected"),
        ("conv2d 8x3x8x8 4x3x3x3 bias=1 stride=1.5", "conv2d: stride is 1.5, expected"),
        ("conv2d 8x3x8x8 4x3x3x3 bias=1 padding=None", "conv2d: padding is None, expected"),
        ("conv2d 8x3x8x8 4x3x3x3 bias=1 padding=foo", "conv2d: padding is 'foo', expected"),
        ("conv_transpose2d 1x4x4x4 4x4x3x3 bias=1 groups=foo", "groups is 'foo', expected"),
        ("cross_entropy 3x0", "cross_entropy: input has shape (3, 0), expected"),
        ("embedding 5 0x3", "weight has 0 rows"),
        ("max_unpool2d 1x1x2x2 kernel_size=foo", "max_unpool2d: kernel_size is 'foo', expected"),
        ("max_unpool2d 1x1x2x2 kernel_size=0", "max_unpool2d: kernel_size is 0, must be"),
        ("max_unpool2d 1x1x2x2 kernel_size=-2", "max_unpool2d: kernel_size is -2, must be"),
        ("conv2d 99999999999999999999x3x8x8 4x3x3x3", "size is (99999999999999999999, 3, 8, 8)"),
        ("pow 1x1x1x1", "pow needs exponent=..."),
        ("softmax 2x2", "softmax needs dim=..."),
        ("lp_pool2d 1x1x4x4 kernel_size=2", "lp_pool2d needs norm_type=..."),
        ("avg_pool2d 1x1x4x4 kernel_size=2 dilation=2", "avg_pool2d has no option 'dilation'"),
        ("dropout 4x5", "explain: OP is 'dropout', expected one of conv1d, "),
        ("adam 8", "explain: adam is a step of an optimiser, not a function"),
    ],
)
def test_explain_says_what_is_wrong(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *command.split()]) == 2
    assert said in capsys.readouterr().err


def test_lack_of_memory_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show_config() -> str:
        raise MemoryError

    monkeypatch.setattr(pyconv, "show_config", show_config)
    assert main(["info"]) == 2
    assert capsys.readouterr().err == "pyconv: error: not enough memory\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("conv2d 1x8x9x9 4x8x3x3 stride=2 padding=1 bias=1", "conv2d 1x8x9x9 * 4x8x3x3 stride 2"),
        ("conv2d 1x8x9x9 4x8x3x3 padding=same", "chosen"),
        ("matmul 8x5 7x5 trans=1", "matmul 8x5 @ 5x7"),
        ("linear 8x5 7x5", "chosen"),
        ("max_pool2d 1x8x9x9 kernel_size=2", "max_pool2d"),
        ("cross_entropy 5x10", "cross_entropy"),
        ("lstm 3x2x4 20x4 20x5", "lstm: timed as a whole"),
        ("conv_transpose2d 1x4x4x4 4x3x3x3 bias=1 groups=2", "conv_transpose2d 1x4x4x4 * 4x3x3x3"),
        ("matmul 0x3 3x0", "chosen\n"),
    ],
)
def test_explain(command: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *command.split()]) == 0
    assert expected in capsys.readouterr().out
