"""One row of the benchmark: check every library's result, then time them in turn."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyconv.testing import WINOGRAD_SLACK, assert_close

from .problems import Problem
from .worker import Worker

# Of the reference, which is only compared with, fewer rounds are enough; where it is slow, the call
# that gives the truth, and that for all modes of a problem.
REFERENCE_ROUNDS = 3
REFERENCE_SLOW = 0.1  # seconds
# Whose results must be right to rounding. Others are not timed beyond an error that all float32
# algorithms keep, Winograd's with large tiles too, and bfloat16 and TF32 do not.
STRICT = ("reference", "numpy", "pyconv")
PEER_LIMIT = 1e-4  # of the largest value


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
    """One problem in one direction and mode.

    Attributes
    ----------
    rounds : per library, the milliseconds of each round
    error : the largest error against float64, as a share of the largest value
    notes : why a library is missing
    wrong : results of NumPy and pyconv that are not right, by library
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
        return self.problem.name + self.kind

    @property
    def kind(self) -> str:
        """The mode and direction, as the name tells them."""
        carried = " cl" if self.problem.mode == "carried" else ""
        return carried + (" +bwd" if self.direction == "backward" else "")

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
        """Return how many times as long as pyconv the library takes; "best" is the fastest."""
        library = self.best() or "" if library == "best" else library
        if library not in self.rounds or not self.measured:
            return None
        return self.milliseconds(library) / self.milliseconds("pyconv")

    def best(self) -> str | None:
        """Name the fastest other library."""
        others = [name for name in self.rounds if name not in ("reference", "pyconv")]
        return min(others, key=self.milliseconds, default=None) if self.measured else None

    def as_dict(self) -> dict[str, Any]:
        """Return the row with its raw rounds, as numbers and text."""
        row: dict[str, Any] = {
            "name": self.name,
            "problem": str(self.problem),
            "mode": self.problem.mode,
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
                "best": self.best(),
            }
        return row


Truths = dict[tuple[str, str], tuple[list[Any], float]]  # of a problem and direction; seconds


def measure(
    problem: Problem,
    direction: str,
    workers: list[Worker],
    peaks: Peaks,
    seconds: float,
    rounds: int,
    truths: Truths,
) -> Row:
    """Check, then time; `seconds` is the time for each library, in so many rounds.

    `truths` keeps what the slow reference gave to the last few problems.
    """
    row = Row(problem, direction, problem.flops(direction), problem.bytes(direction))
    ready = _check(row, workers, truths)
    if not row.wrong and "pyconv" in ready:
        _time(row, ready, seconds, rounds)
        least, row.bound = peaks.seconds(row.flops, row.bytes)
        row.share = least / (row.milliseconds("pyconv") / 1e3)
    return row


def _check(row: Row, workers: list[Worker], truths: Truths) -> dict[str, Worker]:
    """Let every library compute the problem; return those that did, compared with float64."""
    ready: dict[str, Worker] = {}
    same = str(row.problem), row.direction
    if same not in truths:
        for old in list(truths)[:-1]:
            del truths[old]
    truth: list[Any] = []
    for worker in workers:  # NumPy first: its reference is the truth
        for variant in worker.variants:
            try:
                if variant == "reference" and same in truths:
                    truth, took = truths[same]
                    row.rounds[variant] = [took * 1e3]
                    continue
                results, took, algorithm = worker.prepare(row.problem, row.direction, variant)
                if variant == "reference":
                    truth = results
                else:
                    error = compare(row.problem, variant, algorithm, results, truth)
            except NotImplementedError as reason:
                row.notes[variant] = str(reason)
                if variant == "reference":  # then there is no truth
                    row.notes["pyconv"] = f"reference: {reason}"
                    return {}
                continue
            except (RuntimeError, AssertionError) as failure:
                about = row.wrong if variant in STRICT else row.notes
                about[variant] = str(failure)
                continue
            if variant == "reference" and took > REFERENCE_SLOW:
                truths[same] = truth, took
                row.rounds[variant] = [took * 1e3]
                continue
            if variant == "pyconv":
                row.error, row.algorithm = error, algorithm
            ready[variant] = worker
    return ready


def compare(
    problem: Problem, library: str, algorithm: str, results: list[Any], truth: list[Any]
) -> float:
    """Return the largest error of all results, as a share of the largest value.

    Raises
    ------
    AssertionError
        If it is more than the library may have.
    """
    assert len(results) == len(truth), f"{len(results)} results, expected {len(truth)}"
    errors = []
    for i, (result, true) in enumerate(zip(results, truth)):
        name = "gradient" if i else "output"
        assert result.shape == true.shape, f"wrong {name}: shape {result.shape}, not {true.shape}"
        if library in STRICT:
            _assert_strict(problem, i, name, algorithm, result, true)
        errors.append(float(np.abs(result - true).max() / (np.abs(true).max() or 1)))
        right = library in STRICT or errors[-1] <= PEER_LIMIT
        assert right, f"wrong {name}: an error of {errors[-1]:.0e} of the largest value"
    return max(errors)


def _assert_strict(
    problem: Problem, i: int, name: str, algorithm: str, result: Any, true: Any
) -> None:
    """Fail unless the result is right to the rounding of its algorithm."""
    terms = problem.terms(i)
    # The size of one term, if the sum is of random sign.
    scale = float(np.sqrt(np.mean(np.square(true)) / terms))
    slack = WINOGRAD_SLACK if "winograd" in algorithm.split("/") else 1.0
    try:
        assert_close(result, true, terms, scale, slack=slack)
    except AssertionError as reason:
        raise AssertionError(f"wrong {name}: {reason}") from None


def _time(row: Row, ready: dict[str, Worker], seconds: float, rounds: int) -> None:
    """Time the libraries in turn, so that a change of the machine's speed meets all of them."""
    row.rounds |= {library: [] for library in ready}
    for i in range(rounds):
        for library, worker in ready.items():
            if library != "reference" or i < REFERENCE_ROUNDS:
                row.rounds[library].append(worker.time(library, seconds / rounds) * 1e3)
