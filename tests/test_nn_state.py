"""State dicts that hold more or less than the module."""

from __future__ import annotations

import pytest

import pyconv
from pyconv import nn

STATE = {"weight": pyconv.ones(1, 1), "bias": pyconv.zeros(1)}


def test_what_is_not_asked_for_need_not_be_an_array():
    net = nn.Linear(1, 1)
    result = net.load_state_dict({**STATE, "epoch": "last", "other": {}}, strict=False)
    assert result == ([], ["epoch", "other"])
    assert net.weight.item() == 1


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({**STATE, "note": "x", "more": None}, ValueError, "unexpected keys: note, more$"),
        (
            {"bias": [0.0], "more": STATE},
            ValueError,
            r"keys: weight\n    state_dict\['more'\] is a",
        ),
        ({"epoch": 3, "model": STATE}, ValueError, r"state_dict\['model'\] is a dict .*load that"),
        ({"epoch": 3, "model": {"bias": [0.0]}}, ValueError, "missing keys: weight, bias$"),
        ({**STATE, "bias": "x"}, TypeError, "load_state_dict: bias is a str"),
    ],
)
def test_a_state_that_holds_something_else(state, error, message):
    net = nn.Linear(1, 1)
    before = net.weight.item()
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    assert net.weight.item() == before
