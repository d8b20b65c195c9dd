"""Rows of test_bad_input.py about losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from bad_values import Bad, ones

BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
PAIRS = ("mse_loss", "l1_loss", "smooth_l1_loss", *BINARY)
GOOD: dict[str, dict[str, Any]] = {
    **{op: {"input": ones(3, 4), "target": ones(3, 4)} for op in PAIRS},
    "nll_loss": {"input": ones(5, 4), "target": np.zeros(5, np.int64)},
}

LOSS: list[Bad] = [
    *[
        (op, {"reduction": value}, "reduction", str(value))
        for op in GOOD
        for value in ("max", None)
    ],
    *[(op, {"target": ones(4)}, "target", "(4,)") for op in PAIRS],
    *[(op, {"target": ones(3, 4, dtype=np.float64)}, "target", "float64") for op in PAIRS],
    *[(op, {"target": None}, "target", "None") for op in GOOD],
    *[
        ("smooth_l1_loss", {"beta": value}, "beta", str(value))
        for value in (-1, float("nan"), float("inf"), None, "a")
    ],
    *[
        (BINARY[0], {name: np.full((3, 4), value, np.float32)}, name, str(value))
        for name in ("input", "target")
        for value in (1.5, -0.5, np.nan)
    ],
    *[(op, {"weight": ones(3)}, "weight", "(3,)") for op in BINARY],
    *[(op, {"weight": ones(2, 3, 4)}, "weight", "(2, 3, 4)") for op in BINARY],
    *[(op, {"weight": ones(4, dtype=np.float64)}, "weight", "float64") for op in BINARY],
    (BINARY[1], {"pos_weight": ones(3)}, "pos_weight", "(3,)"),
    (BINARY[1], {"pos_weight": ones(4, dtype=np.float64)}, "pos_weight", "float64"),
    *[
        ("nll_loss", {"target": np.array([0, 1, 2, 3, value])}, "target", str(value))
        for value in (4, -1, 2**40, -(2**63))
    ],
    ("nll_loss", {"target": np.zeros(4, np.int64)}, "target", "(4,)"),
    ("nll_loss", {"target": np.zeros(5)}, "target", "float"),
    ("nll_loss", {"weight": ones(5)}, "weight", "5"),
    ("nll_loss", {"weight": ones(4, dtype=np.float64)}, "weight", "float64"),
    ("nll_loss", {"ignore_index": 1.5}, "ignore_index", "1.5"),
    ("nll_loss", {"ignore_index": 2**63}, "ignore_index", str(2**63)),
    ("nll_loss", {"input": np.float32(1)}, "input", "()"),
    *[
        ("cross_entropy", {"target": ones(5, 4), "ignore_index": n}, "ignore_index", str(n))
        for n in (0, 7)
    ],
]
