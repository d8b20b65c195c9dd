"""Cases of padding: every mode in every rank, and widths up to the limits."""

from __future__ import annotations

from typing import Any

from ops.case import Case

Shape = tuple[int, ...]


def pad(name: str, input: Shape, *widths: int, **options: Any) -> Case:
    return Case(name, {"input": input}, {"pad": widths, **options})


PAD = [
    pad("1-D", (5,), 2, 1),
    pad("2-D-value", (3, 4), 1, 2, 3, 0, value=-1.5),
    pad("last-of-4", (2, 3, 4, 5), 0, 3),
    pad("every-dimension", (2, 1, 3), 1, 1, 2, 0, 0, 3, value=2.0),
    pad("five-dimensions", (1, 2, 2, 3, 2), 1, 0, 0, 1, 1, 1, 0, 0, 2, 1),
    pad("nothing", (2, 3), 0, 0),
    pad("no-widths", (2, 3)),
    pad("crop", (2, 5, 6), -1, -2, -2, 0),
    pad("crop-and-pad", (2, 5, 6), -2, 3, 1, -1, value=0.5),
    pad("crop-to-nothing", (2, 5), -3, -2),
    pad("empty", (0, 3, 4), 1, 1),
    pad("from-nothing", (2, 0), 2, 1, value=3.0),
    *(
        case
        for mode in ("reflect", "replicate", "circular")
        for case in (
            pad(f"{mode}-1-D", (2, 3, 7), 2, 3, mode=mode),
            pad(f"{mode}-1-D-unbatched", (3, 7), 3, 2, mode=mode),
            pad(f"{mode}-2-D", (2, 3, 5, 6), 1, 2, 3, 0, mode=mode),
            pad(f"{mode}-2-D-unbatched", (3, 4, 6), 5, 5, 3, 3, mode=mode),
            pad(f"{mode}-3-D", (2, 2, 3, 4, 5), 1, 2, 3, 0, 2, 1, mode=mode),
            pad(f"{mode}-3-D-unbatched", (2, 3, 4, 2), 1, 1, 2, 3, 1, 0, mode=mode),
            pad(f"{mode}-crop", (2, 3, 7, 8), -2, 3, 1, -1, mode=mode),
            pad(f"{mode}-batch-0", (0, 3, 5, 6), 1, 2, 2, 1, mode=mode),
        )
    ),
    pad("circular-whole", (1, 2, 3, 4), 4, 4, 3, 3, mode="circular"),
    pad("replicate-far", (1, 2, 3, 1), 9, 4, 7, 0, mode="replicate"),
]
