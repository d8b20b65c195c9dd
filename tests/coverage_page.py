"""Write docs/coverage.md, what there is and what checks it: run by `nox -s coverage`.

Names come from the package and public_names.txt; what is said of them from the cases in tests/ops,
from running these, and from what the tests of derivatives and the examples call.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import test_rnn
from harness import DTYPES, fill
from ops import CASES, OTHERS, STEPS
from ops.rnn import RNN
from test_architecture import INTEGERS, KERNELS

import pyconv
import pyconv.functional as F
from pyconv import cli, nn, reference
from pyconv.functional.rnn import recurrent

TESTS = Path(__file__).parent
ALL = CASES | OTHERS | RNN
PAGE = """\
# What there is, and what checks it

Written by `nox -s coverage`. All names of `tests/public_names.txt` exist, and stand here.

## Functions

- *Kernel*: it calls C++, and not only to copy or to share memory. So it needs a twin in
  `pyconv.reference`, forward and backward; what is made of other functions or of NumPy does not.
- *Cases*: in `tests/ops`; they run in both number types and on every instruction set.
  *CPU*, *CUDA*: the number types in which the first of them runs there.
- *Gradient*: compared with the twin's, or with differences by `gradcheck`, or only seen to by other
  tests; none if the result holds no floating numbers. *Second*: compared by `gradgradcheck`.

`gru`, `lstm` and `rnn` are one layer in one direction, inside `nn.GRU`, `nn.LSTM` and `nn.RNN`.

| function | kernel | twin | cases | gradient | second | CPU | CUDA |
| --- | --- | --- | --- | --- | --- | --- | --- |
{functions}

## Layers, and the functions that each calls in its example

| layer | calls |
| --- | --- |
{layers}

## Other names

Methods and operators of `Tensor` call the functions of their names. Steps of {optimisers} are
compared with a twin, in the settings of `tests/ops`. No column counts the tests of other names.

| place | names |
| --- | --- |
{others}
"""
FUNCTIONS = {getattr(F, name).__code__: name for name in F.__all__}
FUNCTIONS[recurrent.__code__] = "recurrent"  # what all recurrent layers call
PLACES = [
    "",
    ".Tensor",
    ".autograd",
    ".check",
    ".data",
    ".data.transforms",
    ".nn.Module",
    ".nn.init",
]
PLACES += [".nn.utils", ".nn.utils.rnn", ".optim", ".optim.Optimizer", ".optim.lr_scheduler"]


def promised() -> list[str]:
    """Read the promised names."""
    names = []
    for line in (TESTS / "public_names.txt").read_text().splitlines():
        found = re.match(r"([\w.]+): (.*)", line)
        for word in found[2].split() if found else []:
            numbers = "123" if "?" in word else "-"
            names += [f"{found[1]}.{word.replace('?', number)}" for number in numbers]
    return names


def exists(name: str) -> bool:
    place, _, last = name.rpartition(".")
    try:
        if place == "command":
            cli.main([last, "--help"])
        pkgutil.resolve_name(name)
    except SystemExit as end:
        return not end.code
    except (ImportError, AttributeError):
        return False
    return True


@contextlib.contextmanager
def calls(found: set[str]) -> Iterator[None]:
    """Collect the functions that are called, but not those that they call themselves."""
    depth, before = 0, sys.getprofile()

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal depth
        if frame.f_code in FUNCTIONS and event in ("call", "return"):
            if event == "call" and not depth:
                found.add(FUNCTIONS[frame.f_code])
            depth += 1 if event == "call" else -1

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def derivatives() -> dict[str, set[str]]:
    """Run the tests of derivatives with checks that only notice what they are given."""
    found: dict[str, set[str]] = {"gradcheck": set(), "gradgradcheck": set()}

    def stand_in(name: str) -> Any:
        def check(function: Any, inputs: Any, **_: Any) -> bool:
            with calls(found[name]):
                function(*(inputs if isinstance(inputs, (list, tuple)) else [inputs]))
            test = os.environ["PYTEST_CURRENT_TEST"]  # such as test_rnn.py::test_x[gru] (call)
            found[name] |= set(re.findall(r"\[(\w+)\]", test)) & RNN.keys()
            return True

        return check

    with pytest.MonkeyPatch.context() as patch:
        for name in found:
            patch.setattr(pyconv.autograd, name, stand_in(name))
        pattern = r"^def (test_\w+)(?:(?!^def ).)*?assert (?:grad)?gradcheck\("
        tests = [
            f"{path}::{name}"
            for path in TESTS.glob("test_*.py")
            for name in re.findall(pattern, path.read_text(), re.MULTILINE | re.DOTALL)
        ]
        assert pytest.main(["-q", "-p", "no:cacheprovider", *tests]) == 0
    return found


def has_gradient(op: str) -> bool:
    """Whether the result may hold floating numbers, if the arguments do."""
    needed = inspect.signature(getattr(F, op)).parameters.values()
    try:
        count = sum(parameter.default is parameter.empty for parameter in needed)
        return bool(getattr(F, op)(*[pyconv.ones(2)] * count).dtype.kind == "f")
    except (IndexError, TypeError, ValueError):  # it needs other arguments
        return True


def types_on(device: str, op: str) -> str:
    """Say in which number types the first case of an op runs, and gives results of that type."""
    if op not in ALL:
        return "no case"
    case, rnn, works = ALL[op][0], op in RNN, []
    for dtype in DTYPES:
        arrays, options = (test_rnn.fill(case, dtype), {}) if rnn else fill(case, dtype)
        with contextlib.suppress(ValueError, NotImplementedError):  # there is no such device
            inputs = {name: pyconv.tensor(a, device=device) for name, a in arrays.items()}
            call = partial(test_rnn.call, op, inputs) if rnn else partial(getattr(F, op), **inputs)
            result = call(options) if rnn else call(**options)
            result = result[0] if isinstance(result, tuple) else result
            works += [dtype.__name__] if result.dtype == dtype or op in INTEGERS else []
    return ", ".join(works) or "no"


def function_rows() -> Iterator[list[Any]]:
    checked = derivatives()
    for op in sorted({*F.__all__, *ALL}):
        kernel, cases = op in KERNELS or op in RNN, len(ALL.get(op, ()))
        twin = op in reference.__all__
        gradient = "twin" if cases else "gradcheck" if op in checked["gradcheck"] else "other"
        if op in INTEGERS or not (cases or has_gradient(op)):
            gradient = "none"
        second = "none" if gradient == "none" else "yes" if op in checked["gradgradcheck"] else "no"
        has_twin = "yes" if twin else "no" if kernel else "not needed"
        types = types_on("cpu", op), types_on("cuda", op)
        yield [f"`{op}`", "yes" if kernel else "no", has_twin, cases, gradient, second, *types]


def is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def layer_rows() -> Iterator[list[str]]:
    call = nn.Module.__call__
    found: dict[type, set[str]] = {}

    def noticed(self: Any, *args: Any, **options: Any) -> Any:
        with calls(found.setdefault(type(self), set())):
            return call(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "__call__", noticed)
        for layer in map(vars(nn).get, nn.__all__):
            if is_layer(layer):
                doctest.run_docstring_examples(layer, dict(vars(sys.modules[layer.__module__])))
                text = quoted(found.get(layer, ())) if ">>>" in layer.__doc__ else "no example"
                yield [f"`{layer.__name__}`", text]


def names_in(place: str) -> list[str]:
    value = pkgutil.resolve_name(place)
    if isinstance(value, type):
        return [name for name in dir(value) if not name.startswith("_")]
    own = [name for name, v in vars(value).items() if getattr(v, "__module__", "") == place]
    return getattr(value, "__all__", None) or [name for name in own if not name.startswith("_")]


def other_rows() -> Iterator[list[str]]:
    """All that is neither a function nor a layer, by place; and what else is promised there."""
    names = {f"pyconv{place}": set(names_in(f"pyconv{place}")) for place in PLACES}
    for name in promised():
        place, _, last = name.rpartition(".")
        if place != "pyconv.functional" and not is_layer(getattr(nn, last, None)):
            names.setdefault(place, set()).add(last)
    for place, found in names.items():
        yield [f"`{place}`", quoted(found)]


def quoted(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"


def table(rows: Iterator[list[Any]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def page() -> str:
    return PAGE.format(
        functions=table(function_rows()),
        layers=table(layer_rows()),
        optimisers=quoted(STEPS),
        others=table(other_rows()),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
