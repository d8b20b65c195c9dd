"""Compare two results of `pyconv bench --json`: python bench/compare.py before.json after.json.

A row is slower if every round of the second result took longer than every round of the first.
Measure both on one machine, one straight after the other.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

Rounds = dict[str, list[float]]


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line per row that both have; return 1 if one of them became slower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    args = parser.parse_args(argv)
    try:
        before, after = read(args.before), read(args.after)
    except (OSError, ValueError) as error:
        parser.exit(2, f"compare.py: error: {error}\n")
    shared = [name for name in before if name in after]
    if not shared:
        parser.exit(2, "compare.py: error: the results have no row in common\n")
    return compare(before, after, shared)


def read(path: str) -> Rounds:
    """Return the milliseconds of each round of pyconv, by row; ValueError if it is no result."""
    text = Path(path).read_bytes()
    try:
        rows = [row for row in json.loads(text)["rows"] if "milliseconds" in row]
        result = {row["name"]: [float(n) for n in row["rounds_ms"]["pyconv"]] for row in rows}
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        raise ValueError(f"{path} is not a result of pyconv bench --json") from None
    for name, rounds in result.items():
        if not isinstance(name, str) or not rounds or not all(0 < n < math.inf for n in rounds):
            raise ValueError(f"{path}: the rounds of {name!r} are {rounds}, expected times above 0")
    return result


def compare(before: Rounds, after: Rounds, names: Sequence[str]) -> int:
    """Print the comparison; return 1 if a row became slower."""
    width = max(map(len, names)) + 2
    print(f"{'problem':{width}}{'before ms':>12}{'after ms':>12}{'speed-up':>10}")
    ratios, slower = [], 0
    for name in names:
        old, new = statistics.median(before[name]), statistics.median(after[name])
        ratios.append(old / new)
        verdict = ""
        if min(after[name]) > max(before[name]):
            verdict, slower = "  slower", slower + 1
        elif max(after[name]) < min(before[name]):
            verdict = "  faster"
        print(f"{name:{width}}{old:#12.4g}{new:#12.4g}{old / new:10.3f}{verdict}")
    mean = statistics.geometric_mean(ratios)
    print(f"{f'geometric mean of {len(names)}':{width + 24}}{mean:10.3f}  {slower} slower")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
