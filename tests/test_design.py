"""Samples of design spaces: each space keeps its rules, and its networks can be made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyconv
from pyconv.design import SPACES, sample


@pytest.mark.parametrize("space", SPACES)
def test_rules_of_a_space(space: str) -> None:
    networks = sample(space, 30, np.random.default_rng(0))
    assert networks == sample(space, 30, np.random.default_rng(0))
    assert len({str(network) for network in networks}) > 20
    for network in networks:
        multipliers = network.get("bottleneck_multipliers", [1.0] * 4)
        inside = [int(w * b) for w, b in zip(network["widths"], multipliers)]
        assert all(w % g == 0 for w, g in zip(inside, network["group_widths"]))
        if "b" in SPACES[space]:
            assert len(set(multipliers)) == 1
        if "w" in SPACES[space]:
            assert network["widths"] == sorted(network["widths"])
        if "d" in SPACES[space]:
            assert network["depths"][:3] == sorted(network["depths"][:3])
    with pyconv.shapes_only():
        assert pyconv.summary(pyconv.models.anynet(**networks[0]), (1, 3, 64, 64)).multiply_adds


@pytest.mark.parametrize("space", ["AnyNetXF", ["AnyNetXA"], None])
def test_spaces_that_are_not(space: Any) -> None:
    with pytest.raises(ValueError, match="sample: space is .*, expected one of 'AnyNetXA'"):
        sample(space, 1)


@pytest.mark.parametrize("n", ["a", 2.5, None, np.ones(2), True])
def test_counts_that_are_not(n: Any) -> None:
    with pytest.raises(TypeError, match="sample: n is .*, expected an integer"):
        sample("AnyNetXA", n)
    with pytest.raises(ValueError, match="sample: n is -1"):
        sample("RegNetX", -1)
    with pytest.raises(ValueError, match="sample: n is 100001, must be at most 100000"):
        sample("RegNetX", 100_001)
