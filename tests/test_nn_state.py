"""State dicts that hold more or less than the module, and modules that do things their own way."""

from __future__ import annotations

import copy
import dataclasses
import pickle

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


class Frozen(nn.BatchNorm1d):
    """It stays in evaluation mode, and keeps its bias to itself."""

    def train(self, mode=True):
        return super().train(False)

    def state_dict(self, **options):
        state = super().state_dict(**options)
        del state[f"{options.get('prefix', '')}bias"]
        return state


def test_methods_of_a_submodule_are_called():
    net = nn.Sequential(nn.Sequential(Frozen(2), nn.ReLU()), nn.Linear(2, 1))
    assert net.train() is net
    modes = {name: module.training for name, module in net.named_modules()}
    assert modes == {"": True, "0": True, "0.0": False, "0.1": True, "1": True}
    assert not any(module.training for module in net.eval().modules())
    state = net.state_dict()
    assert "0.0.weight" in state
    assert "0.0.bias" not in state
    assert list(net.state_dict(prefix="a."))[-1] == "a.1.bias"


@dataclasses.dataclass(eq=False)
class Described(nn.Module):
    width: int
    name: str = "a"

    def __post_init__(self):
        super().__init__()
        self.layer = nn.Linear(self.width, 1)


def test_plain_attributes_before_init():
    net = Described(3)
    assert (net.width, net.name) == (3, "a")
    assert net.cpu() is net
    assert [p.shape for p in net.parameters()] == [(1, 3), (1,)]


def test_parameters_have_attributes():
    weight = nn.Linear(1, 1).weight
    weight.no_decay = True
    assert weight.no_decay
    assert not hasattr(nn.Linear(1, 1).weight, "no_decay")
    for remake in (copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))):
        assert remake(weight).no_decay


def test_copies_of_parameters_need_no_constructor_of_theirs():
    class Scaled(nn.Parameter):
        def __init__(self, data, scale):
            super().__init__(data)
            self.scale = scale

    for remake in (copy.copy, copy.deepcopy):
        twin = remake(Scaled([1.0], 3))
        assert (type(twin), twin.scale, twin.requires_grad) == (Scaled, 3, True)


def test_a_number_may_be_a_list_of_one():
    net = nn.BatchNorm1d(1)
    net.load_state_dict({**net.state_dict(), "num_batches_tracked": [3]})
    assert net.num_batches_tracked.item() == 3


def test_flags_are_true_or_false():
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="recurse is 'no', expected True or False"):
        list(net.parameters(recurse="no"))
    with pytest.raises(TypeError, match="register_buffer: persistent is 'no', expected True or"):
        net.register_buffer("other", pyconv.zeros(1), persistent="no")
    assert not list(net.buffers())
