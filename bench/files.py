"""The results as JSON, CSV, Markdown and a picture, with the machine that they are of."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import pyconv
from pyconv import _core
from pyconv.terminal import writing

from . import report
from .measure import Peaks, Row
from .regret import Regret


def environment(isa: str, threads: int, peaks: Peaks, peers: Sequence[str]) -> dict[str, Any]:
    """Describe the machine and what was measured on it."""
    return {
        "cpu": _cpu(),
        "cores": _core.available_cores(),
        "threads": threads,
        "isa": isa,
        "peak_gflops": peaks.gflops,
        "peak_gbytes_per_second": peaks.bandwidth,
        "pyconv": pyconv.__version__,
        "build": _core.build_info(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "libraries": {peer: version(peer) for peer in peers},
    }


def _cpu() -> str:
    """Name the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def write_json(path: str, about: dict[str, Any], rows: Sequence[Row | Regret]) -> None:
    """Write everything, the raw rounds included."""
    result = {"schema": 1, "machine": about, "rows": [row.as_dict() for row in rows]}
    with writing(path) as file:
        file.write(json.dumps(result, indent=1) + "\n")


def write_csv(path: str, rows: Sequence[Row], libraries: Sequence[str]) -> None:
    """Write a line per row; a library's column is its speed-up."""
    plain = [
        "name",
        "problem",
        "mode",
        "direction",
        "flops",
        "bytes",
        "milliseconds",
        "spread",
        "gflops",
    ]
    plain += ["gbytes_per_second", "share_of_peak", "bound", "error", "algorithm", "best"]
    with writing(path) as file:
        writer = csv.writer(file)
        writer.writerow([*plain, *(f"speedup_{library}" for library in libraries)])
        for row in rows:
            values = row.as_dict()
            speedups = values.get("speedup", {})
            cells = [values.get(name) for name in plain]
            writer.writerow([*cells, *(speedups.get(library) for library in libraries)])


def write_markdown(
    path: str, about: dict[str, Any], rows: Sequence[Row], libraries: Sequence[str], command: str
) -> None:
    """Write the table and its summary, after the machine and the command, for a page of docs."""
    table = report.Table([row.name for row in rows], libraries)
    others = {"NumPy": about["numpy"], **about["libraries"]}
    lines = [
        f"{about['cpu']}, {about['threads']} of {about['cores']} cores, {about['isa']}: "
        f"{about['peak_gflops']:.0f} GFLOP/s, {about['peak_gbytes_per_second']:.1f} GB/s. "
        f"pyconv {about['pyconv']}, Python {about['python']}, "
        + ", ".join(f"{name} {number}" for name, number in others.items()),
        f"\n    {command}\n",
        _markdown_line(table.columns),
        _markdown_line(["---", *["--:"] * (len(table.columns) - 2), "---"]),
        *(_markdown_line(table.cells(row)) for row in rows),
        *(_markdown_line(cells) for cells in table.means(rows)),
        "",
        *(f"- {line}" for line in report.remarks(rows)),
    ]
    with writing(path) as file:
        file.write("\n".join(lines) + "\n")


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def plot_roofline(path: str, about: dict[str, Any], rows: Sequence[Row]) -> None:
    """Draw what was reached under the two roofs, over FLOPs per byte."""
    from matplotlib.figure import Figure

    peak, bandwidth = about["peak_gflops"], about["peak_gbytes_per_second"]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    measured = [row for row in rows if row.measured]
    for op in dict.fromkeys(row.problem.op for row in measured):
        mine = [row for row in measured if row.problem.op == op]
        reached = [row.flops / row.milliseconds("pyconv") / 1e6 for row in mine]
        axes.scatter([row.flops / row.bytes for row in mine], reached, s=18, label=op)
    intensity = np.geomspace(0.05, 2000, 200)
    roof = np.minimum(peak, intensity * bandwidth)
    axes.plot(intensity, roof, color="black", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="GFLOP/s")
    axes.set_title(f"pyconv {about['pyconv']}, {about['isa']}, {about['threads']} threads")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
