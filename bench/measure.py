"""One row of the benchmark: check every library's result, then time them in turn."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyconv.testing import assert_close

from .problems import Problem
from .worker import Worker

# Of the reference, which is slow and only compared with, fewer rounds are enough.
REFERENCE_ROUNDS = 3
REFERENCE_LIMIT = 2.0  # seconds


@dataclass
class Peaks:
    """What the machine can do at most, measured with the threads and instruction set in use."""

    gflops: float  # float32 multiply-adds in registers
    bandwidth: float  # GB/s from memory, the better of reading and copying

    def seconds(self, flops: int, bytes: int) -> tuple[float, str]:
        """Return the least time by the roofline model, and which roof it is.

        Source: Williams, Waterman & Patterson, *Roofline*, CACM 52(4), 2009.
        """
        compute, memory = flops / self.gflops / 1e9, bytes / self.bandwidth / 1e9
        return (compute, "compute") if compute > memory else (memory, "memory")


@dataclass
class Row:
    """One problem in one direction.

    Attributes
    ----------
    rounds : per library, the milliseconds of each round
    error : the largest error against float64, as a share of the largest value
    notes : why a library is missing
    wrong : results that are not right, by library
    """

    problem: Problem
    direction: str
    flops: int
    bytes: int
    rounds: dict[str, list[float]] = field(default_factory=dict)
    error: float = 0.0
    algorithm: str = ""
    share: float = 0.0
    bound: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.problem.name + (" +bwd" if self.direction == "backward" else "")

    @property
    def measured(self) -> bool:
        return "pyconv" in self.rounds

    def milliseconds(self, library: str) -> float:
        return statistics.median(self.rounds[library])

    def spread(self) -> float:
        """Return half the range of the middle half of the rounds, as a share of the median."""
        low, high = np.percentile(self.rounds["pyconv"], [25, 75])
        return float(high - low) / 2 / self.milliseconds("pyconv")

    def speedup(self, library: str) -> float | None:
        if library not in self.rounds or not self.measured:
            return None
        return self.milliseconds(library) / self.milliseconds("pyconv")

    def as_dict(self) -> dict[str, Any]:
        """Return the row with its raw rounds, as numbers and text."""
        row: dict[str, Any] = {
            "name": self.name,
            "problem": str(self.problem),
            "direction": self.direction,
            "flops": self.flops,
            "bytes": self.bytes,
            "notes": self.notes,
            "wrong": self.wrong,
            "rounds_ms": self.rounds,
        }
        if self.measured:
            ms = self.milliseconds("pyconv")
            others = [library for library in self.rounds if library != "pyconv"]
            row |= {
                "milliseconds": ms,
                "spread": self.spread(),
                "gflops": self.flops / ms / 1e6,
                "gbytes_per_second": self.bytes / ms / 1e6,
                "share_of_peak": self.share,
                "bound": self.bound,
                "error": self.error,
                "algorithm": self.algorithm,
                "speedup": {library: self.speedup(library) for library in others},
            }
        return row


def measure(
    problem: Problem,
    direction: str,
    workers: list[Worker],
    peaks: Peaks,
    seconds: float,
    rounds: int,
) -> Row:
    """Check, then time; `seconds` is the time for each library, in so many rounds."""
    row = Row(problem, direction, problem.flops(direction), problem.bytes(direction))
    ready = _check(row, workers)
    if not row.wrong and "pyconv" in ready:
        _time(row, ready, seconds, rounds)
        least, row.bound = peaks.seconds(row.flops, row.bytes)
        row.share = least / (row.milliseconds("pyconv") / 1e3)
    return row


def _check(row: Row, workers: list[Worker]) -> dict[str, Worker]:
    """Let every library compute the problem; return those that did, compared with float64."""
    ready: dict[str, Worker] = {}
    truth: list[Any] = []
    for worker in workers:  # NumPy first: its reference is the truth
        for variant in worker.variants:
            try:
                results, took, algorithm = worker.prepare(row.problem, row.direction, variant)
            except NotImplementedError as reason:
                row.notes[variant] = str(reason)
                continue
            except RuntimeError as failure:
                about = row.wrong if worker.peer in ("numpy", "pyconv") else row.notes
                about[variant] = str(failure)
                continue
            if variant == "reference":
                truth = results
                if took > REFERENCE_LIMIT:
                    row.notes[variant] = f"not timed: one call takes {took:.1f} s"
                    continue
            else:
                error = _compare(row, variant, results, truth)
                if variant == "pyconv":
                    row.error, row.algorithm = error, algorithm
            ready[variant] = worker
    return ready


def _compare(row: Row, library: str, results: list[Any], truth: list[Any]) -> float:
    """Return the largest error of all results; note it if it is more than rounding allows."""
    if len(results) != len(truth):
        row.wrong[library] = f"{len(results)} results, expected {len(truth)}"
        return np.inf
    errors = []
    for i, (result, true) in enumerate(zip(results, truth)):
        terms = row.problem.terms(i)
        # The size of one term, if the sum is of random sign.
        scale = float(np.sqrt(np.mean(np.square(true)) / terms))
        try:
            assert_close(result, true, terms, scale)
        except AssertionError as reason:
            row.wrong[library] = f"{'gradient' if i else 'output'}: {reason}"
            return np.inf
        errors.append(float(np.abs(result - true).max() / np.abs(true).max()))
    return max(errors)


def _time(row: Row, ready: dict[str, Worker], seconds: float, rounds: int) -> None:
    """Time the libraries in turn, so that a change of the machine's speed meets all of them."""
    row.rounds = {library: [] for library in ready}
    for i in range(rounds):
        for library, worker in ready.items():
            if library != "reference" or i < REFERENCE_ROUNDS:
                row.rounds[library].append(worker.time(library, seconds / rounds) * 1e3)
