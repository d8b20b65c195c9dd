"""Cases of embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.case import Case


def embedding(name: str, indices: Any, rows: int, width: int, **options: Any) -> Case:
    return Case(name, {"weight": (rows, width)}, {"input": np.asarray(indices), **options})


EMBEDDING = [
    embedding("rows", [3, 0, 3, 3, 1], 5, 7),
    embedding("sequences", np.arange(24).reshape(4, 6) % 9, 9, 33),
    embedding("padding-elsewhere", [[2, 0], [0, 2]], 3, 4, padding_idx=1),
    embedding("int32", np.arange(4, dtype=np.int32), 4, 3),
    embedding("one-number", 1, 3, 2),
    embedding("two-threads-of-work", np.arange(900) * 7 % 50, 50, 100),
    embedding("nothing", np.zeros((0, 2), np.int64), 3, 2),
]
