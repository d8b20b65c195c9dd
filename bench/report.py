"""The results as a table in the terminal."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from typing import Any

from .measure import Row

MEANING = {
    "reference": "readable NumPy in float64",
    "numpy": "best NumPy formulation (of a convolution: strided view + matmul)",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "jax": "JAX, compiled",
    "ncnn": "ncnn, in its own layout where named cl",
    "mnn": "MNN, likewise",
    "best": "the fastest of the libraries but ref",
}
COLUMNS = 100
UNSTEADY = 0.15  # spread of a row
SHORT = {"reference": "ref", "onnxruntime": "ort", "openvino": "ov"}


def preamble(about: dict[str, Any], libraries: Sequence[str]) -> str:
    """Return what a reader needs to know before the table."""
    meanings = [f"{SHORT.get(name, name)}: {MEANING[name]}" for name in [*libraries, "best"]]
    text = (
        f"pyconv {about['pyconv']}, {about['isa']}, {about['threads']} of {about['cores']} cores, "
        f"{about['cpu']}. Peaks measured: {about['peak_gflops']:.0f} GFLOP/s in float32, "
        f"{about['peak_gbytes_per_second']:.1f} GB/s from memory. Names: cl: images with channels "
        "last, as inside a network, others in C order, in and out. Column peak: the share of the "
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
        self.libraries = [*libraries, "best"]
        labels = [SHORT.get(name, name) for name in self.libraries]
        self.columns = ["problem", "ms", "+/-", "rate", "peak", *labels, "error", "algorithm"]
        name_width = max(map(len, [*names, "geometric mean of 999 cl +bwd"]))
        self._widths = [name_width, 8, 5, 12, 6, *(max(4, len(label)) + 1 for label in labels), 6]

    def header(self) -> str:
        return self._text(self.columns)

    def line(self, row: Row) -> str:
        return self._text(self.cells(row))

    def cells(self, row: Row) -> list[str]:
        """Return the text of each column; of less, if there is no time."""
        if row.wrong:
            return [row.name, "WRONG: " + "; ".join(f"{k}: {v}" for k, v in row.wrong.items())]
        if not row.measured:
            return [row.name, f"skipped: {row.notes.get('pyconv')}"]
        ms = row.milliseconds("pyconv")
        rate = f"{row.flops / ms / 1e6:.1f} GF/s"
        if row.bound == "memory":
            rate = f"{row.bytes / ms / 1e6:.1f} GB/s"
        return [
            row.name,
            f"{ms:.5f}" if ms < 10 else f"{ms:.2f}",
            f"{row.spread():.0%}",
            rate,
            f"{row.share:.0%}",
            *(_factor(row.speedup(library)) for library in self.libraries),
            f"{row.error:.0e}",
            row.algorithm,
        ]

    def means(self, rows: Sequence[Row]) -> list[list[str]]:
        """Return the geometric means as cells: of each mode and direction, and of all rows."""
        measured = [row for row in rows if row.measured]
        kinds = list(dict.fromkeys(row.kind for row in measured))
        groups = {kind: [row for row in measured if row.kind == kind] for kind in kinds}
        lines = [
            self._means(kind or " plain", group) for kind, group in groups.items() if len(kinds) > 1
        ]
        return [*lines, self._means("", measured)] if measured else []

    def _means(self, kind: str, rows: Sequence[Row]) -> list[str]:
        cells = [f"geometric mean of {len(rows)}{kind}", "", "", ""]
        cells.append(f"{statistics.geometric_mean(row.share for row in rows):.0%}")
        for library in self.libraries:
            factors = [f for row in rows if (f := row.speedup(library))]
            cells.append(_factor(statistics.geometric_mean(factors) if factors else None))
        return [*cells, "", ""]

    def footer(self, rows: Sequence[Row]) -> str:
        """Return the means, and what else there is to say about the rows."""
        lines = [self._text(cells) for cells in self.means(rows)] or ["nothing was measured"]
        return "\n".join([*lines, *remarks(rows)])

    def _text(self, cells: Sequence[str]) -> str:
        name, *others = cells
        widths = self._widths[1:] if len(cells) == len(self.columns) else []
        text = "".join(cell.rjust(width) for cell, width in zip(others, widths))
        return f"{name.ljust(self._widths[0])}{text}  {others[-1]}".rstrip()


def remarks(rows: Sequence[Row]) -> list[str]:
    """Say where pyconv is behind, which library was wrong, and whether to trust the times."""
    lines = _behind([row for row in rows if row.best()])
    for row in rows:
        for library, note in row.notes.items():
            if note.startswith("wrong"):
                lines.append(f"{row.name}: {library} {note}")
    unsteady = sum(row.spread() > UNSTEADY for row in rows if row.measured)
    if unsteady:
        lines.append(f"{unsteady} rows vary by more than {UNSTEADY:.0%}: was the machine busy?")
    return lines


def _behind(rows: Sequence[Row]) -> list[str]:
    """List the rows where another library is faster, the worst first."""
    if not rows:
        return []
    factors = [(row.speedup("best") or 0, f"{row.name}: {row.best()}") for row in rows]
    slower = sorted(pair for pair in factors if pair[0] < 1)
    first = f"Another library is faster in {len(slower)} of {len(rows)} rows"
    return [first, *(f"{factor:.3f} {text}" for factor, text in slower)]


def _factor(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 0.1:
        return f"{value:.3f}".lstrip("0")
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
