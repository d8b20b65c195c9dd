"""Bad input of pooling and resizing: rows of test_bad_input.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from bad_values import TOO_LARGE, Bad, bad_numbers, not_ints, ones

IMAGES = {1: ones(2, 4, 8), 2: ones(2, 4, 8, 8), 3: ones(2, 4, 8, 8, 8)}

GOOD: dict[str, dict[str, Any]] = {
    **{f"max_pool{n}d": {"input": IMAGES[n], "kernel_size": 2} for n in (1, 2, 3)},
    **{f"avg_pool{n}d": {"input": IMAGES[n], "kernel_size": 2} for n in (1, 2, 3)},
    **{f"lp_pool{n}d": {"input": IMAGES[n], "norm_type": 2, "kernel_size": 2} for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": {"input": IMAGES[n], "output_size": 2} for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": {"input": IMAGES[n], "output_size": 2} for n in (1, 2, 3)},
    "max_unpool2d": {
        "input": IMAGES[2],
        "indices": np.arange(64).reshape(8, 8) * np.ones((2, 4, 1, 1), np.int64),
        "kernel_size": 2,
    },
    "interpolate": {"input": IMAGES[2], "scale_factor": 2},
    "pixel_shuffle": {"input": IMAGES[2], "upscale_factor": 2},
    "pixel_unshuffle": {"input": IMAGES[2], "downscale_factor": 2},
}

WINDOWED = ["max_pool1d", "max_pool2d", "avg_pool2d", "avg_pool3d"]

POOL: list[Bad] = [
    row
    for op in WINDOWED
    for row in (
        *bad_numbers(op, "kernel_size", 1, int(op[-2])),
        *bad_numbers(op, "stride", 1, int(op[-2]), skip=(None,)),
        *bad_numbers(op, "padding", 0, int(op[-2])),
        *[(op, {"kernel_size": n}, "kernel_size", str(n)) for n in (9, *TOO_LARGE)],
        *[(op, {"padding": n}, "padding", str(n)) for n in (2, *TOO_LARGE)],
        *[(op, {"stride": n}, "stride", str(n)) for n in TOO_LARGE if n >= 2**63],
        (op, {"input": ones(8)}, "input", "(8,)"),
        (op, {"input": ones(1, 1, 2, 4, 8, 8)}, "input", "(1, 1, 2, 4, 8, 8)"),
        (op, {"input": ones(2, 4, *(8,) * (int(op[-2]) - 1), 0)}, "input", "0"),
        (op, {"padding": "same"}, "padding", "same"),
        (op, {"kernel_size": 11, "stride": 3, "ceil_mode": True}, "kernel_size", "11"),
    )
]
POOL += [
    *bad_numbers("max_pool2d", "dilation", 1),
    *[("max_pool2d", {"dilation": n}, "dilation", str(n)) for n in (8, *TOO_LARGE)],
    ("avg_pool2d", {"divisor_override": 0}, "divisor_override", "0"),
    ("avg_pool2d", {"divisor_override": 1.5}, "divisor_override", "1.5"),
    ("avg_pool2d", {"divisor_override": 2**63}, "divisor_override", str(2**63)),
    ("lp_pool2d", {"norm_type": 0}, "norm_type", "0"),
    ("lp_pool2d", {"norm_type": float("nan")}, "norm_type", "nan"),
    ("lp_pool2d", {"norm_type": None}, "norm_type", "None"),
    ("lp_pool2d", {"norm_type": "2"}, "norm_type", "2"),
    ("lp_pool2d", {"kernel_size": 9}, "kernel_size", "9"),
    *[
        row
        for op in ("adaptive_avg_pool2d", "adaptive_max_pool2d")
        for row in (
            *[
                (op, {"output_size": value}, "output_size", "")
                for value, shown in not_ints(2)
                if shown != "None"
            ],
            *[(op, {"output_size": n}, "output_size", str(n)) for n in (-1, -(2**63), *TOO_LARGE)],
            (op, {"input": ones(2, 4, 0, 8)}, "input", "0"),
            (op, {"input": ones(8, 8)}, "input", "(8, 8)"),
        )
    ],
    *bad_numbers("max_unpool2d", "kernel_size", 1),
    *bad_numbers("max_unpool2d", "stride", 1, skip=(None,)),
    *bad_numbers("max_unpool2d", "padding", 0),
    *[("max_unpool2d", {"kernel_size": n}, "kernel_size", str(n)) for n in TOO_LARGE],
    *[("max_unpool2d", {"stride": n}, "stride", str(n)) for n in TOO_LARGE],
    *[("max_unpool2d", {"padding": n}, "padding", str(n)) for n in TOO_LARGE],
    ("max_unpool2d", {"padding": 8}, "output_size", "0"),
    ("max_unpool2d", {"output_size": (16, 18)}, "output_size", "18"),
    ("max_unpool2d", {"output_size": (16,) * 3}, "output_size", "16"),
    ("max_unpool2d", {"indices": np.zeros((2, 4, 8, 7), np.int64)}, "indices", "(2, 4, 8, 7)"),
    ("max_unpool2d", {"indices": ones(2, 4, 8, 8)}, "indices", "int64"),
    ("max_unpool2d", {"indices": np.full((2, 4, 8, 8), 256)}, "indices", "256"),
    ("max_unpool2d", {"indices": np.full((2, 4, 8, 8), -1)}, "indices", "-1"),
    ("max_unpool2d", {"indices": np.full((2, 4, 8, 8), 2**62)}, "indices", str(2**62)),
    ("max_unpool2d", {"input": ones(8, 8)}, "input", "(8, 8)"),
]

RESIZE: list[Bad] = [
    *[
        ("interpolate", {"size": value, "scale_factor": None}, "size", "")
        for value, _ in not_ints(2)
    ],
    *[
        ("interpolate", {"size": n, "scale_factor": None}, "size", str(n))
        for n in (0, -3, -(2**63), *TOO_LARGE)
    ],
    *[
        ("interpolate", {"scale_factor": value}, "scale_factor", str(value))
        for value in (
            0,
            -1.5,
            float("nan"),
            float("inf"),
            2.0**40,
            (2.0,),
            (1, 2, 3),
            "2",
            True,
            1j,
        )
    ],
    ("interpolate", {"scale_factor": 0.01}, "size", "0"),
    ("interpolate", {"scale_factor": None}, "scale_factor", "None"),
    ("interpolate", {"size": 4}, "size", "4"),
    (
        "interpolate",
        {"recompute_scale_factor": True, "scale_factor": None, "size": 3},
        "scale",
        "True",
    ),
    ("interpolate", {"align_corners": True}, "align_corners", "True"),
    ("interpolate", {"antialias": True}, "antialias", "True"),
    *[
        ("interpolate", {"mode": mode}, "mode", str(mode))
        for mode in ("linear", "trilinear", "cubic", "", None, 3)
    ],
    ("interpolate", {"input": ones(8, 8)}, "input", "(8, 8)"),
    ("interpolate", {"input": ones(2, 4, 0, 8), "scale_factor": None, "size": 3}, "input", "0"),
    *[
        row
        for op, name in (
            ("pixel_shuffle", "upscale_factor"),
            ("pixel_unshuffle", "downscale_factor"),
        )
        for row in (
            *[(op, {name: value}, name, str(value)) for value in (1.5, None, True, "2", (2, 2))],
            *[(op, {name: n}, name, str(n)) for n in (0, -1, 3, 2**31, 2**62, 2**64)],
            (op, {"input": ones(4, 4)}, "input", "(4, 4)"),
        )
    ],
]
