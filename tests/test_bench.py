"""The benchmark: its rows, its table, its files, and small runs of the whole."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconv import cli
from pyconv.cli import main
from pyconv.testing import WINOGRAD_SLACK, tolerance

problems, measure, report, command = map(cli._bench, ("problems", "measure", "report", "command"))
compare, files, regret, worker = map(cli._bench, ("compare", "files", "regret", "worker"))


# ---- one row -----------------------------------------------------------------------------------


class Library:
    """Stands for the process of a library."""

    def __init__(self, peer: str, results: dict[str, Any], seconds: float = 1e-3) -> None:
        self.peer, self.variants = peer, tuple(results)
        self._results, self._seconds = results, seconds
        self.calls: list[float] = []
        self.algorithm = ""

    def prepare(self, problem: Any, direction: str, variant: str) -> Any:
        result = self._results[variant]
        if isinstance(result, Exception):
            raise result
        return [np.asarray(result)], self._seconds, self.algorithm

    def time(self, variant: str, seconds: float) -> float:
        self.calls.append(seconds)
        return self._seconds


def row_of(*libraries: Library, truths: measure.Truths | None = None) -> Any:
    problem = problems.parse("matmul a 10x10 10x10")
    peaks = measure.Peaks(gflops=1.0, bandwidth=1.0)
    return measure.measure(problem, "forward", list(libraries), peaks, 0.1, 5, truths or {})


TRUTH = np.arange(1.0, 5.0)
RIGHT = TRUTH.astype(np.float32)


def test_row_is_timed() -> None:
    numpy_, ours = (
        Library("numpy", {"reference": TRUTH}, 4e-6),
        Library("pyconv", {"pyconv": RIGHT}),
    )
    row = row_of(numpy_, ours)
    assert (row.error, row.wrong, len(ours.calls), len(numpy_.calls)) == (0, {}, 5, 3)
    assert row.speedup("reference") == pytest.approx(4e-3)
    assert row.bound == "compute"  # 2000 operations against 1200 bytes
    assert row.share == pytest.approx(2e-6 / 1e-3)


def test_wrong_result_is_not_timed() -> None:
    ours = Library("pyconv", {"pyconv": RIGHT + 0.01})
    row = row_of(Library("numpy", {"reference": TRUTH}), ours)
    assert "wrong output: 4 of 4 elements differ" in row.wrong["pyconv"]
    assert ours.calls == []
    assert "WRONG" in report.Table(["a"], []).line(row)


def test_winograd_may_err_more() -> None:
    allowed = tolerance(np.float32, 10) * 2 * np.sqrt(np.mean(TRUTH**2))  # at the largest value
    ours = Library("pyconv", {"pyconv": (TRUTH + 5 * allowed).astype(np.float32)})
    assert row_of(Library("numpy", {"reference": TRUTH}), ours).wrong
    ours.algorithm = "winograd/im2col"
    assert row_of(Library("numpy", {"reference": TRUTH}), ours).measured
    ours = Library("pyconv", {"pyconv": (TRUTH + 2 * WINOGRAD_SLACK * allowed).astype(np.float32)})
    ours.algorithm = "winograd"
    assert row_of(Library("numpy", {"reference": TRUTH}), ours).wrong


def test_peer_may_err_a_little_and_is_not_timed_if_wrong() -> None:
    near, far = RIGHT + 1e-4, RIGHT + 1e-3
    other = Library("torch", {"near": near, "far": far, "nan": np.full(4, np.nan, np.float32)})
    numpy_, ours = Library("numpy", {"reference": TRUTH}), Library("pyconv", {"pyconv": RIGHT})
    row = row_of(numpy_, ours, other)
    assert (row.measured, row.wrong, "near" in row.rounds) == (True, {}, True)
    assert row.notes["far"] == "wrong output: an error of 3e-04 of the largest value"
    assert row.notes["nan"].startswith("wrong")
    assert "a: far wrong output" in report.Table(["a"], ["near"]).footer([row])


def test_fastest_library_is_found() -> None:
    numpy_ = Library("numpy", {"reference": TRUTH, "numpy": RIGHT}, 9e-4)
    ours, slow = Library("pyconv", {"pyconv": RIGHT}), Library("jax", {"jax": RIGHT}, 2e-3)
    fast = Library("torch", {"torch": RIGHT}, 5e-4)
    row = row_of(numpy_, ours, slow, fast)
    assert row.best() == row.as_dict()["best"] == "torch"
    assert row.speedup("best") == row.speedup("torch") == pytest.approx(0.5)
    table = report.Table(["a"], ["reference", "numpy", "jax", "torch"])
    footer = table.footer([row, row_of(numpy_, ours, slow)]).splitlines()
    assert footer[0].split()[-1] == "0.67"  # of 0.5 and 0.9
    assert footer[1:] == [
        "Another library is faster in 2 of 2 rows",
        "0.500 a: torch",
        "0.900 a: numpy",
    ]
    assert row_of(Library("numpy", {"reference": TRUTH}), ours).best() is None


def test_means_are_taken_by_mode_and_direction() -> None:
    rows = []
    for mode, direction in [("plain", "forward"), ("carried", "forward"), ("plain", "backward")]:
        problem = problems.parse("relu a 1x1x1x1").in_mode(mode)
        rows.append(measure.Row(problem, direction, 1, 1, {"pyconv": [1.0]}, share=0.5))
    assert [row.name for row in rows] == ["a", "a cl", "a +bwd"]
    firsts = [cells[0] for cells in report.Table(["a"], []).means(rows)]
    means = [f"geometric mean of {of}" for of in ("1 plain", "1 cl", "1 +bwd", "3")]
    assert firsts == means


def test_slow_reference_is_called_once_for_both_modes() -> None:
    numpy_, ours = Library("numpy", {"reference": TRUTH}, 3.0), Library("pyconv", {"pyconv": RIGHT})
    truths: measure.Truths = {("another", "forward"): ([], 0.0), ("one", "forward"): ([], 0.0)}
    row = row_of(numpy_, ours, truths=truths)
    assert numpy_.calls == []
    assert row.rounds["reference"] == [3000.0]
    assert list(truths) == [("one", "forward"), (str(row.problem), "forward")]
    broken = Library("numpy", {"reference": RuntimeError("called again")})
    assert row_of(broken, ours, truths=truths).rounds["reference"] == [3000.0]


def test_library_that_cannot_is_left_out() -> None:
    other = Library("torch", {"torch": NotImplementedError("no"), "jax": RuntimeError("died")})
    numpy_, ours = Library("numpy", {"reference": TRUTH}), Library("pyconv", {"pyconv": RIGHT})
    row = row_of(numpy_, ours, other)
    assert row.notes == {"torch": "no", "jax": "died"}
    assert row.measured
    assert row.speedup("torch") is None


def test_table_fits_the_terminal() -> None:
    names = [p.name + " cl +bwd" for p in problems.load()]
    libraries = ["reference", "numpy", *command.PEERS]
    table = report.Table(names, libraries)
    row = measure.Row(problems.parse("relu a 1x1x1x1"), "backward", 10**12, 10**9)
    row.rounds = {name: [9999.9, 1e4] for name in ["pyconv", *libraries]}
    row.algorithm, row.bound, row.share = "implicit_gemm", "compute", 1.0
    lines = [table.header(), table.line(row), table.footer([row])]
    assert max(map(len, "\n".join(lines).splitlines())) <= 140


# ---- the command -------------------------------------------------------------------------------


def run_process(folder: Path, options: str, streams: str = "") -> Any:
    """Run the command in a folder, of which it may import, as a user does."""
    code = f"import sys; sys.path[:] = {[str(folder), *sys.path]!r}; from pyconv.cli import main; "
    # Where a shell started the tests in the background, they ignore Ctrl-C, and so would this.
    code += "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "sys.exit(main(sys.argv[1:]))"
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh"]
    return subprocess.run(
        [*shell, sys.executable, "-c", code, "bench", *options.split()],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """Run a small benchmark."""
    folder = tmp_path_factory.mktemp("bench")
    options = "--filter \\blenet --backward --batch 4 --seconds 0.02 --threads 1 --peers="
    done = run_process(folder, f"{options} --json r.json --csv r.csv --markdown r.md")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, json.loads((folder / "r.json").read_text()), folder


def test_json_holds_everything(result: tuple[str, dict[str, Any], Path]) -> None:
    _, data, _ = result
    assert data["schema"] == 1
    assert {"cpu", "isa", "threads", "peak_gflops", "numpy"} <= data["machine"].keys()
    assert data["machine"]["threads"] == 1
    lenet = [problem for problem in problems.load() if problem.name.startswith("lenet")]
    assert len(data["rows"]) == 2 * len(lenet) - 1  # a step has no backward
    for row in data["rows"]:
        assert row["wrong"] == {}
        assert len(row["rounds_ms"]["pyconv"]) == command.ROUNDS
        assert 0 < row["share_of_peak"] < 100
        assert 0 <= row["error"] < 1e-4
        assert row["speedup"]["reference"] > 0
        assert row["algorithm"] or row["problem"].split()[0] not in ("conv2d", "linear")


def test_table_and_csv_have_a_line_per_row(result: tuple[str, dict[str, Any], Path]) -> None:
    text, data, folder = result
    for row in data["rows"]:
        assert any(line.startswith(row["name"] + " ") for line in text.splitlines())
    assert "\ngeometric mean of" in text
    assert max(map(len, text.splitlines())) <= 120
    with (folder / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row["name"] for row in data["rows"]]
    assert float(rows[0]["milliseconds"]) == data["rows"][0]["milliseconds"]


def test_markdown_is_a_table_after_the_command(result: tuple[str, dict[str, Any], Path]) -> None:
    _, data, folder = result
    lines = (folder / "r.md").read_text().splitlines()
    assert lines[0].startswith(data["machine"]["cpu"])
    command = r"    pyconv bench --filter '\blenet' --backward --batch 4 --mode plain --threads 1"
    assert lines[2].startswith(command)
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(data["rows"]) + 3  # and the means: forward, +bwd, all
    assert len({line.count("|") for line in table}) == 1


def test_modes_and_batches_are_selected() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = ["--filter", r"\blenet.(conv1|fc1)", "--mode", "both", "--batch", "1,8"]
    selected = command.select(parser.parse_args(options))
    names = [measure.Row(problem, direction, 0, 0).name for problem, direction in selected]
    expected = ["conv1@1", "conv1@1 cl", "conv1@8", "conv1@8 cl", "fc1@1", "fc1@8"]
    assert names == [f"lenet.{name}" for name in expected]


def test_isa_and_algorithm_are_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = "--filter \\blenet.conv --batch 1 --seconds 0.01 --peers= --isa baseline"
    path = str(tmp_path / "r.json")
    assert main(["bench", *options.split(), "--algorithm", "im2col", "--json", path]) == 0
    data = json.loads(Path(path).read_text())
    assert data["machine"]["isa"] == "baseline"
    assert {row["algorithm"] for row in data["rows"]} == {"im2col"}


def test_wrong_result_is_exit_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "assert_close", _always_wrong)
    options = "--filter \\blenet.relu --batch 1 --seconds 0.01 --peers="
    assert main(["bench", *options.split()]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "status", "said"),
    [
        ("raise ImportError('broken')", 2, "openvino does not start: ImportError: broken"),
        ("import os, signal; os.killpg(0, signal.SIGINT); signal.pause()", 130, ""),
    ],
)
def test_library_that_does_not_start(tmp_path: Path, module: str, status: int, said: str) -> None:
    (tmp_path / "openvino.py").write_text(module)
    done = run_process(tmp_path, "--filter lenet.parameters --peers openvino")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == (f"pyconv: error: {said}\n" if said else "")


def test_interrupted_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.Worker, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.Worker("numpy", 1)
    assert not multiprocessing.active_children()


def test_closed_streams(tmp_path: Path) -> None:
    options = "--filter lenet.parameters --seconds 0.01 --peers= --csv r.csv"
    assert run_process(tmp_path, options, ">&- 2>&-").returncode == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 2


def test_lack_of_memory_is_no_wrong_result() -> None:
    def lacking() -> None:
        raise MemoryError

    pipe, theirs = multiprocessing.Pipe()
    worker._answer(theirs, lacking)
    assert pipe.recv() == ("refused", "not enough memory")
    numpy_ = Library("numpy", {"reference": NotImplementedError("not enough memory")})
    row = row_of(numpy_, Library("pyconv", {"pyconv": RIGHT}))
    assert not row.wrong
    assert "skipped: reference: not enough memory" in report.Table(["a"], []).line(row)


def test_full_disk_is_said_with_the_file() -> None:
    with pytest.raises(OSError, match="cannot write /dev/full: No space left"):
        files.write_json("/dev/full", {}, [])
    with pytest.raises(OSError, match="cannot write /dev/full: No space left"):
        files.write_csv("/dev/full", [], [])


def _always_wrong(*args: Any, **options: Any) -> None:
    raise AssertionError("everything differs")


# ---- regret ------------------------------------------------------------------------------------


class Algorithms(Library):
    """Stands for the process that times pyconv's algorithms, each with its own time."""

    def prepare(self, problem: Any, direction: str, variant: str) -> Any:
        if self._results[variant] is None:
            raise NotImplementedError("does not apply")
        return [], 0.0, self.algorithm

    def time(self, variant: str, seconds: float) -> float:
        return float(self._results[variant])


def test_regret_compares_the_chosen_with_the_best() -> None:
    worker = Algorithms("algorithms", {"slow": 3e-3, "fast": 2e-3, "none": None})
    worker.algorithm = "slow"
    problem = problems.parse("conv2d a 1x1x3x3 1x1x1x1")
    row = regret.measure(problem.in_mode("carried"), "backward_input", worker, 0.1, 3)
    assert (row.name, row.chosen, row.best) == ("a cl dx", "slow", "fast")
    assert row.rounds == {"slow": [3.0] * 3, "fast": [2.0] * 3}
    assert row.regret == row.as_dict()["regret"] == pytest.approx(0.5)
    line = regret.Table([row.name], worker.variants).line(row)
    assert line.split() == ["a", "cl", "dx", "slow", "3.00000", "fast", "2.00000", "50%"]
    worker.algorithm = "fast"
    other = regret.measure(problem, "forward", worker, 0.1, 3)
    text = regret.footer([row, other])
    assert text == "worst regret 50%, of a cl dx; 1 of 2 rows over 10%"


def test_regret_of_every_direction(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = "--regret --backward --filter \\blenet.(conv2|fc3|relu2) --batch 1 --seconds 0.01"
    path = tmp_path / "r.json"
    assert main(["bench", *options.split(), "--threads", "1", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())["rows"]
    names = [f"lenet.{name}" for name in ("conv2@1", "conv2@1 dx", "conv2@1 dw", "fc3@1")]
    assert [row["name"] for row in rows] == names
    for row in rows:
        assert row["chosen"] in row["rounds_ms"]
        assert len(row["rounds_ms"]) >= 2
        assert row["regret"] >= 0
        assert ("direct" in row["rounds_ms"]) == (row["name"] == names[0])  # it has no gradients
    assert capsys.readouterr().out.splitlines()[-1].endswith("of 4 rows over 10%")


def test_roofline_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    row = row_of(Library("numpy", {"reference": TRUTH}), Library("pyconv", {"pyconv": RIGHT}))
    about = files.environment("baseline", 1, measure.Peaks(100.0, 10.0), [])
    files.plot_roofline(str(tmp_path / "roof.png"), about, [row])
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


# ---- compare -----------------------------------------------------------------------------------


def save(path: Path, **rounds: Any) -> str:
    rows = [{"name": n, "milliseconds": 1, "rounds_ms": {"pyconv": r}} for n, r in rounds.items()]
    path.write_text(json.dumps({"rows": rows}))
    return str(path)


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = save(tmp_path / "a.json", same=[1.0, 1.1], worse=[1.0, 1.1], gone=[1.0])
    after = save(tmp_path / "b.json", same=[0.9, 1.05], worse=[1.2, 2.0])
    assert compare.main([before, after]) == 1
    text = capsys.readouterr().out
    assert "gone" not in text
    assert [line.split()[0] for line in text.splitlines() if line.endswith("  slower")] == ["worse"]
    assert compare.main([before, before]) == 0


def test_compare_refuses_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    bad: Any = [], 3, [-1], [0.0], [float("nan")], None, ["x"], [[1]]
    wrong = [Path(save(path, a=rounds)).read_text() for rounds in bad]
    for text in ["{}", "[]", "null", '{"rows": null}', '{"rows": [3]}', "[" * 10**5, *wrong]:
        path.write_text(text)
        with pytest.raises(SystemExit, match="2"):
            compare.main([str(path), str(path)])


def test_run_is_the_same_command() -> None:
    run = importlib.import_module(command.__name__.replace("command", "run"))
    assert run.main is main
