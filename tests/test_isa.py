"""Instruction sets: the best is taken, any can be forced, and a wrong name is a clear error."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from fresh import python

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import force

ISAS = _core.available_isas()
IMPOSSIBLE = sorted(set(_core.compiled_isas()) - set(ISAS))


def test_sets_are_in_order_and_compiled() -> None:
    compiled = _core.compiled_isas()
    assert ISAS == [isa for isa in compiled if isa in ISAS]
    assert ISAS[0] == compiled[0], "the least set runs everywhere"


@pytest.mark.parametrize("isa", ISAS)
def test_environment_forces_each(isa: str) -> None:
    ran = python("import pyconv; print(pyconv._core.isa()); pyconv.show_config()", PYCONV_ISA=isa)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(isa)


def test_best_is_the_default() -> None:
    assert (
        python("import pyconv; print(pyconv._core.isa())", PYCONV_ISA="").stdout.strip() == ISAS[-1]
    )


@pytest.mark.parametrize("isa", ["avx9000", "AVX2", " avx2", "base", "é"])
def test_unknown_name_in_the_environment(isa: str) -> None:
    ran = python("import pyconv", PYCONV_ISA=isa)
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert "PYCONV_ISA" in last
    assert isa in last
    assert all(name in last for name in _core.compiled_isas())


@pytest.mark.skipif(not IMPOSSIBLE, reason="this machine has every set of the build")
def test_impossible_name_in_the_environment() -> None:
    ran = python("import pyconv", PYCONV_ISA=IMPOSSIBLE[0])
    assert ran.returncode == 1
    assert "PYCONV_ISA" in ran.stderr
    assert IMPOSSIBLE[0] in ran.stderr


@pytest.mark.parametrize("isa", ISAS)
def test_the_forced_set_is_the_one_that_runs(isa: str) -> None:
    before = _core.isa()
    with force(isa=isa):
        assert _core.isa() == isa
    assert _core.isa() == before


@pytest.mark.parametrize("name", ["avx9000", "", "AVX2"])
def test_unknown_name_is_an_error(name: str) -> None:
    before = _core.isa()
    with pytest.raises(ValueError, match=repr(name)), force(isa=name):
        pass
    assert _core.isa() == before


@pytest.mark.parametrize("name", _core.algorithm_names("conv2d"))
def test_the_forced_algorithm_is_the_one_chosen(name: str) -> None:
    groups = {"depthwise": 32, "grouped": 8}.get(name, 1)
    size = (3, 3) if name == "fully_connected" else (8, 8)
    channels = 16 if name == "direct" else 32
    shape = _core.conv_shape(
        2, (1, channels, *size), (32, channels // groups, 3, 3), 1, 0, 1, groups
    )
    with force(algorithm={"conv2d": name}):
        rows = _core.conv_explain(shape, "forward", np.float32)
    assert [row["algorithm"] for row in rows if row["chosen"]] == [name]


def test_force_restores_after_an_error() -> None:
    threads = pyconv.get_num_threads()
    with pytest.raises(KeyError), force(isa=ISAS[0], threads=threads + 1):
        raise KeyError
    assert (_core.isa(), pyconv.get_num_threads()) == (
        ISAS[-1],
        threads,
    ) or os.environ.get("PYCONV_ISA")


def test_unknown_algorithm_is_an_error() -> None:
    with (
        pytest.raises(ValueError, match="fastest"),
        force(algorithm={"conv2d": "fastest"}),
    ):
        pass
    with (
        pytest.raises(ValueError, match="conv9d"),
        force(algorithm={"conv9d": "im2col"}),
    ):
        pass
    assert F.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1))).shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"isa": 1}, "force: isa is 1, expected one of 'baseline'"),
        ({"isa": "avx9000"}, "force: isa is 'avx9000', expected one of 'baseline'"),
        ({"threads": 1.5}, "force: threads is 1.5, expected an integer"),
        ({"threads": True}, "force: threads is True, expected an integer"),
        ({"threads": 10**30}, "force: threads is 10+, must be at most 1024"),
        ({"algorithm": "im2col"}, "force: algorithm is 'im2col', expected a mapping"),
        ({"algorithm": {1: 2}}, "force: algorithm is {1: 2}, expected a mapping"),
        ({"algorithm": {"matmul": 2}}, "force: algorithm of matmul is 2, expected one of"),
    ],
)
def test_what_cannot_be_forced(arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message), force(**arguments):
        pass
