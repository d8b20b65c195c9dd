"""The results as a table, JSON, CSV and a picture."""

from __future__ import annotations

import csv
import json
import platform
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pyconv
from pyconv import _core

from .measure import Peaks, Row

MEANING = {
    "reference": "readable NumPy in float64",
    "numpy": "best NumPy formulation (of conv2d: strided view + matmul)",
    "torch": "PyTorch, NCHW",
    "torch-cl": "PyTorch, channels_last",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "jax": "JAX, compiled",
}
COLUMNS = 100
UNSTEADY = 0.15  # spread of a row
# Widths of the columns that are not a library's.
WIDTHS = {"ms": 8, "+/-": 5, "rate": 12, "peak": 6}
ERROR_WIDTH = 6
SHORT = {"reference": "ref", "torch-cl": "t-cl", "onnxruntime": "ort", "openvino": "ov"}


def environment(isa: str, threads: int, peaks: Peaks) -> dict[str, Any]:
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


def preamble(about: dict[str, Any], libraries: Sequence[str]) -> str:
    """Return what a reader needs to know before the table."""
    meanings = [f"{SHORT.get(name, name)}: {MEANING[name]}" for name in libraries]
    text = (
        f"pyconv {about['pyconv']}, {about['isa']}, {about['threads']} of {about['cores']} cores, "
        f"{about['cpu']}. Peaks measured: {about['peak_gflops']:.0f} GFLOP/s in float32, "
        f"{about['peak_gbytes_per_second']:.1f} GB/s from memory. Column peak: the share of the "
        "one that bounds the problem; above 100% of a GB/s, the data stays in a cache. Columns of "
        f"libraries: how many times as long as pyconv they take. {'; '.join(meanings)}. "
        "Error: the largest, against float64, as a share of the largest value."
    )
    return textwrap.fill(text, COLUMNS) + "\n"


class Table:
    """Prints rows as they come.

    Parameters
    ----------
    names : names of the rows to come
    libraries : the columns of speed-ups
    """

    def __init__(self, names: Sequence[str], libraries: Sequence[str]) -> None:
        self.libraries = libraries
        self.name_width = max(map(len, [*names, "geometric mean of 999"]))
        self.columns = [max(4, len(SHORT.get(name, name))) + 1 for name in libraries]

    def header(self) -> str:
        cells = ["problem".ljust(self.name_width)]
        cells += [name.rjust(width) for name, width in WIDTHS.items()]
        labels = [SHORT.get(name, name) for name in self.libraries]
        cells += [label.rjust(width) for label, width in zip(labels, self.columns)]
        cells += ["error".rjust(ERROR_WIDTH), "  algorithm"]
        return "".join(cells)

    def line(self, row: Row) -> str:
        name = row.name.ljust(self.name_width)
        if row.wrong:
            return f"{name}  WRONG: " + "; ".join(f"{k}: {v}" for k, v in row.wrong.items())
        if not row.measured:
            return f"{name}  skipped: {row.notes.get('pyconv')}"
        ms = row.milliseconds("pyconv")
        rate = f"{row.flops / ms / 1e6:.1f} GF/s"
        if row.bound == "memory":
            rate = f"{row.bytes / ms / 1e6:.1f} GB/s"
        cells = [
            f"{ms:.5f}" if ms < 10 else f"{ms:.2f}",
            f"{row.spread():.0%}",
            rate,
            f"{row.share:.0%}",
        ]
        text = name + "".join(c.rjust(w) for c, w in zip(cells, WIDTHS.values()))
        for library, width in zip(self.libraries, self.columns):
            text += _factor(row.speedup(library)).rjust(width)
        return f"{text}{f'{row.error:.0e}':>{ERROR_WIDTH}}  {row.algorithm}".rstrip()

    def footer(self, rows: Sequence[Row]) -> str:
        """Return the geometric means of the share of the peak and of the speed-ups."""
        measured = [row for row in rows if row.measured]
        if not measured:
            return "nothing was measured"
        share = statistics.geometric_mean(row.share for row in measured)
        text = f"geometric mean of {len(measured)}".ljust(self.name_width)
        text += f"{share:.0%}".rjust(sum(WIDTHS.values()))
        for library, width in zip(self.libraries, self.columns):
            factors = [f for row in measured if (f := row.speedup(library))]
            mean = statistics.geometric_mean(factors) if factors else None
            text += _factor(mean).rjust(width)
        return "\n".join([text, *_remarks(rows)])


def _remarks(rows: Sequence[Row]) -> list[str]:
    """Say where the reference was too slow to be timed, and whether the times can be trusted."""
    slow = [row for row in rows if "reference" in row.notes]
    remarks = [f"{row.name}: reference {row.notes['reference']}" for row in slow]
    unsteady = sum(row.spread() > UNSTEADY for row in rows if row.measured)
    if unsteady:
        remarks.append(f"{unsteady} rows vary by more than {UNSTEADY:.0%}: was the machine busy?")
    return remarks


def _factor(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


# ---- files -------------------------------------------------------------------------------------


def write_json(path: str, about: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write everything, the raw rounds included."""
    result = {"schema": 1, "machine": about, "rows": [row.as_dict() for row in rows]}
    Path(path).write_text(json.dumps(result, indent=1) + "\n")


def write_csv(path: str, rows: Sequence[Row], libraries: Sequence[str]) -> None:
    """Write a line per row; a library's column is its speed-up."""
    plain = ["name", "problem", "direction", "flops", "bytes", "milliseconds", "spread", "gflops"]
    plain += ["gbytes_per_second", "share_of_peak", "bound", "error", "algorithm"]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*plain, *(f"speedup_{library}" for library in libraries)])
        for row in rows:
            values = row.as_dict()
            speedups = values.get("speedup", {})
            cells = [values.get(name) for name in plain]
            writer.writerow([*cells, *(speedups.get(library) for library in libraries)])


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
