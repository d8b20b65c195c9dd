"""Rows of test_bad_input.py about normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from bad_values import Bad, ones

STATISTICS = {"running_mean": np.zeros(4, np.float32), "running_var": ones(4)}
GOOD: dict[str, dict[str, Any]] = {
    "batch_norm": {"input": ones(2, 4, 8, 8), **STATISTICS},
    "batch_norm_relu": {"input": ones(2, 4, 8, 8), **STATISTICS},
    "instance_norm": {"input": ones(2, 4, 8, 8)},
    "group_norm": {"input": ones(2, 4, 8, 8), "num_groups": 2},
    "local_response_norm": {"input": ones(2, 4, 8), "size": 5},
    "layer_norm": {"input": ones(2, 4, 8), "normalized_shape": (4, 8)},
}
AFFINE = [op for op in GOOD if op != "local_response_norm"]

NORM: list[Bad] = [
    *[(op, {"input": ones(4)}, "input", "(4,)") for op in AFFINE if op != "layer_norm"],
    *[(op, {"input": np.float32(1)}, "input", "()") for op in GOOD],
    *[(op, {"weight": ones(5)}, "weight", "5") for op in AFFINE],
    *[(op, {"bias": ones(1, 4)}, "bias", "(1, 4)") for op in AFFINE],
    *[(op, {"weight": ones(4, dtype=np.float64)}, "weight", "float64") for op in AFFINE],
    *[
        (op, {"eps": eps}, "eps", str(eps))
        for op in AFFINE
        for eps in (-0.5, float("nan"), float("inf"), None, "a", 1j)
    ],
    *[
        ("batch_norm", {"momentum": value}, "momentum", str(value))
        for value in (None, "a", float("nan"), [0.1])
    ],
    ("batch_norm", {"running_mean": None}, "running_mean", "None"),
    ("batch_norm", {"running_var": None, "training": True}, "running_var", "None"),
    ("batch_norm", {"running_mean": None, "running_var": None}, "running_mean", "None"),
    ("batch_norm", {"running_var": ones(3)}, "running_var", "(3,)"),
    ("batch_norm", {"running_mean": ones(4, dtype=np.float64)}, "running_mean", "float64"),
    ("batch_norm", {"input": ones(1, 4), "training": True}, "input", "(1, 4)"),
    ("instance_norm", {"input": ones(2, 4, 1)}, "input", "(2, 4, 1)"),
    ("instance_norm", {"input": ones(2, 4)}, "input", "(2, 4)"),
    ("instance_norm", {"use_input_stats": False}, "running_mean", "None"),
    ("group_norm", {"input": ones(1, 4), "num_groups": 4}, "input", "(1, 4)"),
    *[
        ("group_norm", {"num_groups": value}, "num_groups", str(value))
        for value in (0, -1, 3, 8, 2**31, 2**62, 2**63, 1.5, None, "2", True)
    ],
    *[
        ("layer_norm", {"normalized_shape": value}, "normalized_shape", str(value))
        for value in (4, (8, 4), (), None, 1.5, "a", (2, 4, 8, 1), -8, (4, None))
    ],
    *[
        ("local_response_norm", {"size": value}, "size", str(value))
        for value in (0, -1, -(2**63), 1.5, None, "a", True)
    ],
    *[
        ("local_response_norm", {name: value}, name, str(value))
        for name in ("alpha", "beta", "k")
        for value in (None, "a", float("nan"), float("inf"))
    ],
    ("local_response_norm", {"input": ones(2, 4)}, "input", "(2, 4)"),
]
