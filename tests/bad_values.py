"""Values that are no integers, or too large; and rows of test_bad_input.py made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

Bad = tuple[str, dict[str, Any], str, str]  # op, wrong arguments, name and value in the message

TOO_LARGE = [2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, 2**100]


def ones(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


def not_ints(count: int) -> list[tuple[Any, str]]:
    """What is not an integer, or not `count` of them, and the text that shows it in a message."""
    good = (1,) * (count - 1)
    return [
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
        ((*good, False), "False"),
        (np.float32(2), "2.0"),
        ("2", "2"),
        (None, "None"),
        ([], ""),
        ((), ""),
        (tuple(range(1, count + 2)), str(count + 1)),
        ((*good, 1.5), "1.5"),
        ((*good, None), "None"),
        ((*good, (1, 1)), "1"),
        ({"a": 1}, "a"),
        (np.array([1, None]), "None"),
        (1j, "1j"),
        (object(), "object"),
    ]


def bad_numbers(
    op: str, name: str, smallest: int, count: int = 2, skip: tuple[Any, ...] = ()
) -> list[Bad]:
    """Every wrong value of an argument that takes one integer or `count` of them."""
    rows = [(value, shown) for value, shown in not_ints(count) if not any(value is s for s in skip)]
    rows += [(n, str(n)) for n in (smallest - 1, -7, -(2**31), -(2**63), -(2**64))]
    rows += [((1,) * (count - 1) + (smallest - 1,), str(smallest - 1))]
    return [(op, {name: value}, name, shown) for value, shown in rows]


def too_large(op: str, *names: str, least: int = 0) -> list[Bad]:
    return [(op, {name: n}, name, str(n)) for name in names for n in TOO_LARGE if n >= least]
