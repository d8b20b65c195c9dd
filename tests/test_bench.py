"""The benchmark: its problems, its table, its files, and small runs of the whole."""

from __future__ import annotations

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconv import cli
from pyconv.cli import main

problems, measure, report, command = map(cli._bench, ("problems", "measure", "report", "command"))
compare = cli._bench("compare")


# ---- problems ----------------------------------------------------------------------------------


def test_line_is_read() -> None:
    problem = problems.parse("conv2d net.conv 8x3x32x30 16x3x5x3 stride=2,1 padding=1 bias=1 quick")
    assert (problem.op, problem.name, problem.quick) == ("conv2d", "net.conv", True)
    assert problem.shapes == ((8, 3, 32, 30), (16, 3, 5, 3))
    assert problem.arguments == {"stride": (2, 1), "padding": 1}
    assert problem.output_shape == (8, 16, 15, 30)
    assert problem.make_arrays()["bias"].shape == (16,)


def test_line_is_written_as_it_was_read() -> None:
    for problem in problems.load():
        again = problems.parse(str(problem) + " quick" * problem.quick)
        assert again == problem


@pytest.mark.parametrize("line", ["", "conv2d", "bogus a 1x1", "relu a 1x1x1x1 padding=1"])
def test_bad_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"unknown op|needs|has no option"):
        problems.parse(line)


def test_names_are_unique_and_every_op_is_measured() -> None:
    everything = problems.load()
    assert len({problem.name for problem in everything}) == len(everything)
    for selection in (everything, [p for p in everything if p.quick]):
        assert {problem.op for problem in selection} == set(problems.OPS)


ONE_IMAGE = [p.with_batch(1) for p in problems.load() if p.op in problems.BATCHED]


@pytest.mark.parametrize(
    "problem", [p for p in ONE_IMAGE if p.flops() < 1e9], ids=lambda problem: problem.name
)
def test_output_shape_is_right(problem: Any) -> None:
    library = cli._bench("peers.numpy")
    prepared = library.prepare(problem, problem.make_arrays(), "forward", "numpy")
    assert prepared.fetch(prepared.run())[0].shape == problem.output_shape


def test_batch_is_changed_where_there_is_one() -> None:
    conv = problems.parse("conv2d a 8x3x9x9 4x3x3x3").with_batch(2)
    assert conv.shapes == ((2, 3, 9, 9), (4, 3, 3, 3))
    matmul = problems.parse("matmul a 8x3 3x9")
    assert matmul.with_batch(2) == matmul


@pytest.mark.parametrize(
    ("line", "flops", "size"),
    [
        ("conv1d a 2x3x9 5x3x3 stride=2", 2 * (2 * 5 * 4) * 9, 4 * (54 + 45 + 40)),
        ("conv_transpose2d a 2x3x4x4 3x5x2x2 stride=2", 2 * 96 * 20, 4 * (96 + 60 + 640)),
        ("unfold a 2x3x4x4 kernel_size=2", 2 * 12 * 9, 4 * (96 + 216)),
        ("fold a 2x12x9 kernel_size=2 output_size=4", 216, 4 * (216 + 96)),
        ("pad a 2x3x4x4 pad=1,2", 168, 4 * (96 + 168)),
        ("conv2d a 2x3x4x4 5x3x3x3", 2 * (2 * 5 * 2 * 2) * 27, 4 * (96 + 135 + 40)),
        ("matmul a 8x3 9x3 trans=1", 2 * 8 * 9 * 3, 4 * (24 + 27 + 72)),
        ("relu a 1x2x3x4", 24, 4 * 48),
        ("sgd a 100 momentum=0.9", 400, 4 * 500),
    ],
)
def test_cost_is_counted(line: str, flops: int, size: int) -> None:
    problem = problems.parse(line)
    assert problem.flops() == flops
    assert problem.bytes() == size


def test_backward_of_a_product_costs_two_more() -> None:
    problem = problems.parse("linear a 8x3 9x3")
    assert problem.flops("backward") == 3 * problem.flops()


# ---- one row -----------------------------------------------------------------------------------


class Library:
    """Stands for the process of a library."""

    def __init__(self, peer: str, results: dict[str, Any], seconds: float = 1e-3) -> None:
        self.peer, self.variants = peer, tuple(results)
        self._results, self._seconds = results, seconds
        self.calls: list[float] = []

    def prepare(self, problem: Any, direction: str, variant: str) -> Any:
        result = self._results[variant]
        if isinstance(result, Exception):
            raise result
        return [np.asarray(result)], self._seconds, ""

    def time(self, variant: str, seconds: float) -> float:
        self.calls.append(seconds)
        return self._seconds


def row_of(*libraries: Library) -> Any:
    problem = problems.parse("matmul a 10x10 10x10")
    peaks = measure.Peaks(gflops=1.0, bandwidth=1.0)
    return measure.measure(problem, "forward", list(libraries), peaks, 0.1, 5)


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
    assert "4 of 4 elements differ" in row.wrong["pyconv"]
    assert ours.calls == []
    assert "WRONG" in report.Table(["a"], []).line(row)


def test_slow_reference_is_not_repeated() -> None:
    numpy_ = Library("numpy", {"reference": TRUTH}, 3.0)
    row = row_of(numpy_, Library("pyconv", {"pyconv": RIGHT}))
    assert numpy_.calls == []
    assert row.notes == {"reference": "not timed: one call takes 3.0 s"}
    assert "not timed" in report.Table(["a"], ["reference"]).footer([row])


def test_library_that_cannot_is_left_out() -> None:
    other = Library("torch", {"torch": NotImplementedError("no"), "torch-cl": RuntimeError("died")})
    numpy_, ours = Library("numpy", {"reference": TRUTH}), Library("pyconv", {"pyconv": RIGHT})
    row = row_of(numpy_, ours, other)
    assert row.notes == {"torch": "no", "torch-cl": "died"}
    assert row.measured
    assert row.speedup("torch") is None


def test_table_fits_the_terminal() -> None:
    names = [p.name + " +bwd" for p in problems.load()]
    libraries = ["reference", "numpy", "torch", "torch-cl", "onnxruntime", "openvino", "jax"]
    table = report.Table(names, libraries)
    row = measure.Row(problems.parse("relu a 1x1x1x1"), "backward", 10**12, 10**9)
    row.rounds = {name: [9999.9, 1e4] for name in ["pyconv", *libraries]}
    row.algorithm, row.bound, row.share = "implicit_gemm", "compute", 1.0
    lines = [table.header(), table.line(row), table.footer([row])]
    assert max(map(len, lines)) <= 120


# ---- the command -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """Run a small benchmark as a user does."""
    folder = tmp_path_factory.mktemp("bench")
    code = f"import sys; sys.path[:] = {sys.path!r}; from pyconv.cli import main; "
    code += "sys.exit(main(sys.argv[1:]))"
    options = "--filter lenet --backward --batch 4 --seconds 0.02 --threads 1 --peers="
    files = ["--json", "r.json", "--csv", "r.csv"]
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", *options.split(), *files],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, json.loads((folder / "r.json").read_text()), folder


def test_json_holds_everything(result: tuple[str, dict[str, Any], Path]) -> None:
    _, data, _ = result
    assert data["schema"] == 1
    assert {"cpu", "isa", "threads", "peak_gflops", "numpy"} <= data["machine"].keys()
    assert data["machine"]["threads"] == 1
    lenet = [problem for problem in problems.load() if problem.name.startswith("lenet")]
    assert len(data["rows"]) == 2 * len(lenet) - 1  # sgd has no backward
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


def test_isa_and_algorithm_are_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = "--filter lenet.conv --batch 1 --seconds 0.01 --peers= --isa baseline"
    path = str(tmp_path / "r.json")
    assert main(["bench", *options.split(), "--algorithm", "im2col", "--json", path]) == 0
    data = json.loads(Path(path).read_text())
    assert data["machine"]["isa"] == "baseline"
    assert {row["algorithm"] for row in data["rows"]} == {"im2col"}


def test_wrong_result_is_exit_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "assert_close", _always_wrong)
    options = "--filter lenet.relu --batch 1 --seconds 0.01 --peers="
    assert main(["bench", *options.split()]) == 1
    assert "WRONG" in capsys.readouterr().out


def _always_wrong(*args: Any) -> None:
    raise AssertionError("everything differs")


def test_roofline_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    row = row_of(Library("numpy", {"reference": TRUTH}), Library("pyconv", {"pyconv": RIGHT}))
    about = report.environment("baseline", 1, measure.Peaks(100.0, 10.0))
    report.plot_roofline(str(tmp_path / "roof.png"), about, [row])
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.torch
@pytest.mark.parametrize("peer", ["torch", "onnxruntime", "openvino", "jax"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_peers_agree_with_the_reference(peer: str, direction: str) -> None:
    for module in command.PEERS[peer]:
        pytest.importorskip(module)
    library, numpy_ = cli._bench(f"peers.{peer}"), cli._bench("peers.numpy")
    compared = 0
    for problem in [p.with_batch(2) for p in problems.load() if p.name.startswith("lenet")]:
        for variant in library.VARIANTS:
            try:
                case = library.prepare(problem, problem.make_arrays(direction), direction, variant)
            except NotImplementedError:
                continue
            truth = numpy_.prepare(problem, problem.make_arrays(direction), direction, "reference")
            row = measure.Row(problem, direction, 0, 0)
            measure._compare(row, variant, case.fetch(case.run()), truth.fetch(truth.run()))
            assert row.wrong == {}
            compared += 1
    assert compared or direction == "backward"


# ---- compare -----------------------------------------------------------------------------------


def save(path: Path, **rounds: list[float]) -> str:
    rows = [
        {"name": name, "milliseconds": ms[0], "rounds_ms": {"pyconv": ms}}
        for name, ms in rounds.items()
    ]
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
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SystemExit) as exit:
        compare.main([str(tmp_path / "a.json"), str(tmp_path / "a.json")])
    assert exit.value.code == 2


def test_run_is_the_same_command() -> None:
    run = importlib.import_module(command.__name__.replace("command", "run"))
    assert run.main is main
