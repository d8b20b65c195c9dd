"""Cases of the recurrent layers: one layer in one direction. The checks are in test_rnn.py."""

from __future__ import annotations

from typing import Any

from ops.case import Case

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def case(
    op: str,
    name: str,
    sizes: tuple[int, int, int, int],
    bias: bool = True,
    proj_size: int = 0,
    **options: Any,
) -> Case:
    """Sizes are the steps, the batch, the features of the input and the hidden units."""
    steps, batch, features, hidden = sizes
    rows, width = GATES[op] * hidden, proj_size or hidden
    arrays: dict[str, tuple[int, ...]] = {
        "input": (steps, batch, features),
        "hx": (batch, width),
        **({"cx": (batch, hidden)} if op == "lstm" else {}),
        "weight_ih": (rows, features),
        "weight_hh": (rows, width),
        **({"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}),
        **({"weight_hr": (width, hidden)} if proj_size else {}),
    }
    return Case(name, arrays, options)


def cases(op: str) -> list[Case]:
    return [
        case(op, "plain", (5, 3, 4, 6)),
        case(op, "no-bias", (4, 2, 3, 5), bias=False),
        case(op, "one-step", (1, 3, 4, 6)),
        case(op, "one-step-one-row", (1, 1, 40, 70)),
        case(op, "two-steps", (2, 5, 4, 6)),
        case(op, "batch-1", (9, 1, 5, 33)),
        case(op, "batch-2", (6, 2, 5, 16)),
        case(op, "hidden-1", (6, 4, 3, 1)),
        case(op, "input-1", (6, 4, 1, 7)),
        case(op, "odd", (7, 11, 13, 37)),
        case(op, "many-rows", (4, 29, 3, 18)),
        case(op, "rows-for-seven-threads", (5, 117, 3, 40)),
        case(op, "lengths-of-many-rows", (6, 70, 3, 41), lengths=[6] * 33 + [5, 2] * 18 + [6]),
        case(op, "reverse", (6, 3, 4, 9), reverse=True),
        case(op, "lengths", (7, 5, 4, 9), lengths=[3, 7, 1, 7, 5]),
        case(op, "lengths-reverse", (7, 5, 4, 17), lengths=[3, 6, 1, 2, 5], reverse=True),
        case(op, "lengths-one", (5, 1, 4, 6), lengths=[2]),
        case(op, "lengths-full", (5, 3, 4, 6), lengths=[5, 5, 5]),
        case(op, "two-threads-of-work", (6, 8, 20, 96)),
        case(op, "batch-0", (4, 0, 3, 5)),
        case(op, "two-steps-batch-0", (2, 0, 3, 5)),
        case(op, "weights-beyond-caches", (4, 3, 2, 840 if op == "rnn" else 420)),
    ]


PROJECTED = [
    case("lstm", "projected", (5, 3, 4, 6), proj_size=2),
    case("lstm", "projected-odd", (9, 11, 5, 37), proj_size=19),
    case("lstm", "projected-to-1", (4, 1, 3, 2), proj_size=1),
    case("lstm", "projected-one-step", (1, 1, 40, 70), proj_size=33),
    case("lstm", "projected-no-bias", (3, 2, 3, 5), bias=False, proj_size=4),
    case("lstm", "projected-lengths", (7, 5, 4, 9), proj_size=3, lengths=[3, 7, 1, 7, 5]),
    case("lstm", "projected-lengths-reverse", (7, 5, 4, 17), proj_size=8, lengths=[3, 6, 1, 2, 5],
         reverse=True),
    case("lstm", "projected-two-threads-of-work", (6, 8, 20, 96), proj_size=48),
    case("lstm", "projected-batch-0", (4, 0, 3, 5), proj_size=2),
]  # fmt: skip
RNN = {
    "rnn": [*cases("rnn"), case("rnn", "relu", (5, 3, 4, 21), nonlinearity="relu")],
    "gru": cases("gru"),
    "lstm": [*cases("lstm"), *PROJECTED],
}
STEP_BY_STEP = {
    "gru": [
        case("gru", "reset-before", (5, 3, 4, 6), reset_after=False),
        case("gru", "reset-before-no-bias", (4, 2, 3, 5), bias=False, reset_after=False),
        case("gru", "reset-before-lengths", (5, 3, 4, 6), reset_after=False, lengths=[2, 5, 1],
             reverse=True),
    ],
}  # fmt: skip
