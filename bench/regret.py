"""What the choice of an algorithm costs: each that applies is timed, and the chosen compared."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .problems import Problem
from .worker import Worker

LIMIT = 0.1  # a regret to be looked into
SUFFIX = {"forward": "", "backward_input": " dx", "backward_weight": " dw"}


@dataclass
class Regret:
    """One problem in one direction.

    Attributes
    ----------
    direction : "forward", "backward_input" or "backward_weight"
    rounds : per algorithm that applies, the milliseconds of each round
    chosen : the one that runs if none is forced
    """

    problem: Problem
    direction: str
    rounds: dict[str, list[float]] = field(default_factory=dict)
    chosen: str = ""

    @property
    def name(self) -> str:
        carried = " cl" if self.problem.mode == "carried" else ""
        return self.problem.name + carried + SUFFIX[self.direction]

    @property
    def milliseconds(self) -> dict[str, float]:
        """The median of each algorithm, the fastest first."""
        medians = {name: statistics.median(rounds) for name, rounds in self.rounds.items()}
        return dict(sorted(medians.items(), key=lambda item: item[1]))

    @property
    def best(self) -> str:
        return next(iter(self.milliseconds))

    @property
    def regret(self) -> float:
        """How much longer the chosen one takes than the best, as a share."""
        times = self.milliseconds
        return times[self.chosen] / times[self.best] - 1

    def as_dict(self) -> dict[str, Any]:
        """Return the row with its raw rounds, as numbers and text."""
        return {
            "name": self.name,
            "problem": str(self.problem),
            "mode": self.problem.mode,
            "direction": self.direction,
            "chosen": self.chosen,
            "best": self.best,
            "regret": self.regret,
            "rounds_ms": self.rounds,
        }


def measure(
    problem: Problem, direction: str, worker: Worker, seconds: float, rounds: int
) -> Regret:
    """Time each algorithm that applies, in turn; `seconds` is the time for each."""
    row = Regret(problem, direction)
    for algorithm in worker.variants:
        try:
            _, _, row.chosen = worker.prepare(problem, direction, algorithm)
        except NotImplementedError:
            continue
        row.rounds[algorithm] = []
    for _ in range(rounds):
        for algorithm, times in row.rounds.items():
            times.append(worker.time(algorithm, seconds / rounds) * 1e3)
    return row


class Table:
    """Prints rows as they come.

    Parameters
    ----------
    names : names of the rows to come
    algorithms : names of those that may run
    """

    def __init__(self, names: Sequence[str], algorithms: Sequence[str]) -> None:
        self._name_width = max(map(len, names))
        self._width = max(map(len, algorithms))

    def header(self) -> str:
        return self._text("problem", "chosen", "ms", "best", "ms", "regret")

    def line(self, row: Regret) -> str:
        chosen, best = row.milliseconds[row.chosen], row.milliseconds[row.best]
        regret = f"{row.regret:.0%}"
        return self._text(row.name, row.chosen, f"{chosen:.5f}", row.best, f"{best:.5f}", regret)

    def _text(self, name: str, chosen: str, ms: str, best: str, best_ms: str, regret: str) -> str:
        text = f"{name:{self._name_width}}  {chosen:{self._width}}{ms:>12}"
        return f"{text}  {best:{self._width}}{best_ms:>12}{regret:>8}"


def footer(rows: Sequence[Regret]) -> str:
    """Return the worst regret and how many are above the limit."""
    worst = max(rows, key=lambda row: row.regret)
    above = sum(row.regret > LIMIT for row in rows)
    text = f"worst regret {worst.regret:.0%}, of {worst.name}; "
    return f"{text}{above} of {len(rows)} rows over {LIMIT:.0%}"
