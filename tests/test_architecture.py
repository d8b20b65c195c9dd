"""The rules of docs/design.md as code: who may use whom, completeness, sizes, stubs, examples."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ops import CASES, OTHERS

import pyconv
from pyconv import _core, reference

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / "pyconv"
CPP = ROOT / "csrc"

# What each part of the package may import from the package; "pyconv" itself is the root, whose
# names are looked up when a function is called.
MAY_IMPORT: dict[str, set[str]] = {
    "reference": set(),
    "arguments": set(),  # which all others may use
    "testing": {"_core"},
    "methods": {"tensor", "pyconv"},
    "tensor": {"_core", "methods", "pyconv"},
    "autograd": {"_core", "tensor", "creation", "random", "pyconv"},
    "creation": {"_core", "tensor", "random"},
    "conversion": {"creation", "tensor"},
    "random": {"_core", "tensor"},
    "functional": {"_core", "tensor", "autograd", "creation", "random"},
    "nn": {"functional", "tensor", "autograd", "creation", "random"},
    "optim": {"_core", "tensor", "autograd"},
    "data": {"files", "functional", "tensor", "creation", "random"},
    "models": {"nn", "functional", "tensor", "autograd"},
    "check": {"config", "nn", "autograd", "rehearsal", "summary", "tensor"},
    "design": {"models", "random"},
    "files": set(),
    "exchange": {"functional", "methods", "random", "tensor"},
    "rehearsal": {"_core", "nn", "random", "tensor"},
    "summary": {"_core", "nn", "autograd", "rehearsal", "tensor"},
    "terminal": set(),
}
SEE_ALL = {
    "__init__",
    "__main__",
    "backend",
    "cli",
    "config",
    "explain",
    "plan",
    "profile",
    "serialization",
    "train",
}
# Loaded only inside the function that needs them, so that importing pyconv needs NumPy alone.
OPTIONAL = {"matplotlib", "ml_dtypes", "safetensors", "sklearn", "tqdm"}
PEERS = {"MNN", "jax", "mkl", "ncnn", "onnxruntime", "openvino", "scipy", "tensorflow", "torch"}

CPP_LAYER = {"core": 0, "simd": 1, "gemm": 2, "separable": 2, "bind": 4, "selftest": 4}
OP_LAYER = 3
SEALED_HEADERS = {
    "cmath",
    "cstddef",
    "cstdint",
    "cstring",
    "limits",
    "type_traits",
    "utility",
}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def cpp_files(pattern: str = "*") -> list[Path]:
    return sorted(path for path in CPP.rglob(pattern) if path.suffix in (".h", ".cc", ".cu"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports_of(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Yield each imported module by its full name, whether at module level, and the line."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    tree = ast.parse(path.read_text())
    at_top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [above, node.module]))
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in at_top, node.lineno


# ---- who may use whom --------------------------------------------------------------------------


@pytest.mark.parametrize("path", python_files("pyconv"), ids=name_of)
def test_python_imports_go_one_way(path: Path) -> None:
    part = path.relative_to(PYTHON).with_suffix("").parts[0]
    for name, at_top, line in imports_of(path):
        where = f"{name_of(path)}:{line} imports {name}"
        words = name.split(".")
        if words[0] == "pyconv":
            used = words[1] if len(words) > 1 else "pyconv"
            if part in MAY_IMPORT:
                assert used in MAY_IMPORT[part] | {part, "arguments"}, where
        elif words[0] not in sys.stdlib_module_names | {"numpy", "__future__"}:
            assert words[0] not in PEERS, where
            assert words[0] in OPTIONAL, where
            assert not at_top, f"{where} at module level"


def test_every_part_has_a_rule() -> None:
    parts = {path.relative_to(PYTHON).with_suffix("").parts[0] for path in python_files("pyconv")}
    assert parts - SEE_ALL == MAY_IMPORT.keys() & parts


def test_reference_imports_numpy_alone() -> None:
    for path in python_files("pyconv/reference"):
        for name, _, line in imports_of(path):
            allowed = (
                "numpy",
                "typing",
                "collections.abc",
                "__future__",
                "pyconv.reference",
            )
            assert name.startswith(allowed), f"{name_of(path)}:{line} imports {name}"


def includes_of(path: Path) -> Iterator[tuple[str, int]]:
    for line, text in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', text)
        if found:
            yield found[1], line


@pytest.mark.parametrize("path", cpp_files(), ids=name_of)
def test_cpp_includes_go_one_way(path: Path) -> None:
    folder = path.relative_to(CPP).parts[0]
    layer = CPP_LAYER.get(folder, OP_LAYER)
    folders = {entry.name for entry in CPP.iterdir()}
    for header, line in includes_of(path):
        other = header.split("/")[0]
        if other == folder or other not in folders or "/" not in header:
            continue
        if other == "simd" and path.name.endswith(".isa.cc"):
            continue
        assert CPP_LAYER.get(other, OP_LAYER) < layer, f"{name_of(path)}:{line} includes {header}"


@pytest.mark.parametrize("path", cpp_files("*.isa.cc"), ids=name_of)
def test_kernel_files_are_sealed(path: Path) -> None:
    folder = path.relative_to(CPP).parts[0]
    own = {f"{folder}/kernels.h", f"{folder}/shape.h", "core/tensor_view.h"}
    own |= {"core/copy.h", "core/roofline.h"} if folder == "core" else {"gemm/kernels.h"}
    for header, line in includes_of(path):
        sealed = header in own | SEALED_HEADERS or header.startswith("simd/")
        assert sealed, f"{name_of(path)}:{line} includes {header}"
    assert "namespace pyconv::PYCONV_ISA {" in path.read_text(), name_of(path)


def test_kernel_objects_share_no_symbols() -> None:
    """A weak symbol outside its set's namespace may be kept in its AVX-512 form for all."""
    folder = os.environ.get("PYCONV_BUILD_DIR")
    if not folder or not shutil.which("nm"):
        pytest.skip("needs nm, and PYCONV_BUILD_DIR to say where the object files are")
    objects = sorted(Path(folder).rglob("*.isa.cc.o"))
    assert objects, f"no kernel objects in {folder}"
    for path in objects:
        found = re.search(r"isa_(\w+)\.dir", str(path))
        assert found, path
        symbols = subprocess.run(
            ["nm", "-C", "--defined-only", path],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in symbols.stdout.splitlines():
            kind, name = line[17:18], line[19:]
            if kind.isupper() or kind in "uvw":
                assert f"pyconv::{found[1]}::" in name, f"{path}: {kind} {name}"


# ---- completeness ------------------------------------------------------------------------------


# What copies elements as they are, or shares their memory: NumPy's own are its twins.
COPIES = {"cat", "copy", "expand", "reshape_forward", "view_of"}
BORROWED = {"index"}  # its gradient is embedding's kernel; np.add.at is the twin
INTEGERS = {"argmax"}  # its results are integers, without gradient
# The largest elements take as long as their places, and random numbers differ between libraries.
NOT_MEASURED = {"argmax", "dropout", "dropout1d", "dropout2d", "dropout3d"}


def names_used() -> dict[str, set[str]]:
    """Say what each class and function uses, all by names such as "shape.Index".

    Public functions of other files are left out, as they need twins of their own.
    """
    uses: dict[str, set[str]] = {}
    for path in [*python_files("pyconv/functional"), PYTHON / "random.py"]:
        tree, stem, home = ast.parse(path.read_text()), path.stem, {}
        for node in tree.body:
            for alias in node.names if isinstance(node, ast.ImportFrom) and node.module else []:
                public = alias.name in pyconv.functional.__all__ and node.module != "_core"
                module = "public" if public else node.module.split(".")[-1]
                home[alias.asname or alias.name] = f"{module}.{alias.name}"
        for node in tree.body:
            used = {
                home.get(child.id, f"{stem}.{child.id}")
                if isinstance(child, ast.Name)
                else ast.unparse(child)  # such as _core.extreme
                for child in ast.walk(node)
                if isinstance(child, (ast.Name, ast.Attribute))
            }
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                uses[f"{stem}.{node.name}"] = used
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):  # a Function made by `unary`
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                uses[f"{stem}.{ast.unparse(target)}"] = used
    return uses


def functions_with_kernels() -> list[str]:
    """Public functions of pyconv.functional that reach the compiled module, but for copies."""
    uses = names_used()
    reach = {name for used in uses.values() for name in used if name.startswith("_core.")}
    reach -= {f"_core.{name}" for name in COPIES}
    while more := {name for name, used in uses.items() if used & reach} - reach:
        reach |= more
    last = {name.split(".")[-1] for name in reach if not name.startswith("_core.")}
    found = sorted(last & set(pyconv.functional.__all__) - BORROWED)
    assert {"conv2d", "dropout2d", "exp", "gelu", "max"} <= set(found)
    return found


KERNELS = functions_with_kernels()


@pytest.mark.parametrize("op", KERNELS)
def test_op_has_a_reference_twin(op: str) -> None:
    assert callable(getattr(reference, op, None)), f"pyconv.reference has no {op}"
    backward = callable(getattr(reference, f"{op}_backward", None))
    assert backward or op in INTEGERS, f"and no {op}_backward"


# What twins do not take, as the docstring of pyconv.reference says.
NOT_TAKEN = {
    **dict.fromkeys(("sum", "mean", "softmax", "log_softmax"), "dtype"),
    "interpolate": "antialias",
}


@pytest.mark.parametrize("op", sorted(set(reference.__all__) & set(pyconv.functional.__all__)))
def test_twin_has_the_arguments_of_its_function(op: str) -> None:
    function, twin = (
        {p.name: p.default for p in inspect.signature(getattr(module, op)).parameters.values()}
        for module in (pyconv.functional, reference)
    )
    seed = {"seed": 0} if op.startswith("dropout") else {}
    left = {k: v for k, v in function.items() if k != NOT_TAKEN.get(op)}
    assert list(twin.items()) == list((left | seed).items())


@pytest.mark.parametrize("name", [n for n in reference.__all__ if n.endswith("_backward")])
def test_gradient_has_the_arguments_of_its_twin(name: str) -> None:
    taken = inspect.signature(getattr(reference, name)).parameters
    of_twin = inspect.signature(getattr(reference, name.removesuffix("_backward"))).parameters
    left_out = {"bias", "return_indices"} - taken.keys()
    given = [argument for argument in taken if not argument.startswith("grad_")]
    assert given == [argument for argument in of_twin if argument not in left_out]


@pytest.mark.parametrize("op", KERNELS)
def test_op_has_cases(op: str) -> None:
    assert (CASES | OTHERS).get(op), f"tests/ops has no cases of {op}"


@pytest.mark.parametrize("op", sorted(CASES | OTHERS))
def test_op_has_an_example(op: str) -> None:
    text = getattr(pyconv.functional, op).__doc__
    assert "Examples\n" in text, op
    assert ">>>" in text, op


@pytest.mark.parametrize("name", [n for n in pyconv.nn.__all__ if n[0].isupper()])
def test_layer_has_an_example(name: str) -> None:
    """Of its own, or of a sibling that its documentation names."""
    text = getattr(pyconv.nn, name).__doc__
    siblings = {other for other in re.findall(r"`(\w+)`", text) if other in pyconv.nn.__all__}
    assert any(">>>" in doc for doc in (text, *(getattr(pyconv.nn, s).__doc__ for s in siblings)))


@pytest.mark.parametrize("op", sorted(set(KERNELS) - NOT_MEASURED))
def test_op_has_a_benchmark_shape(op: str) -> None:
    files = (ROOT / "bench" / "shapes").glob("*.txt")
    lines = [line for path in files for line in path.read_text().splitlines()]
    measured = {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}
    assert op in measured, f"no line in bench/shapes begins with {op}"


def functions_in(folder: str) -> Iterator[ast.FunctionDef]:
    for path in python_files(folder):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node


def test_reference_exports_what_it_defines() -> None:
    defined = {function.name for function in functions_in("pyconv/reference")}
    assert defined == set(reference.__all__)


def test_functional_exports_what_has_an_example() -> None:
    """Functions without one are for the package itself."""
    functions = functions_in("pyconv/functional")
    shown = {function.name for function in functions if ">>>" in str(ast.get_docstring(function))}
    assert shown == set(pyconv.functional.__all__)


def test_stubs_name_what_is_compiled() -> None:
    stubs: set[str] = set()
    for node in ast.parse((PYTHON / "_core.pyi").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            stubs.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            stubs.add(ast.unparse(node.target))
        elif isinstance(node, ast.ClassDef):
            members = [m.name for m in node.body if isinstance(m, ast.FunctionDef)]
            public = [member for member in members if not member.startswith("_")]
            stubs |= {node.name, *(f"{node.name}.{member}" for member in public)}
    compiled: set[str] = set()
    for name, value in vars(_core).items():
        if not name.startswith("_") or name == "__version__":
            compiled.add(name)
        if isinstance(value, type):
            compiled |= {f"{name}.{m}" for m in vars(value) if not m.startswith("_")}
    assert stubs == compiled


# ---- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", python_files("pyconv", "tests", "bench") + cpp_files(), ids=name_of
)
def test_files_are_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= (600 if path.name.endswith(".isa.cc") else 400)
    for number, line in enumerate(lines, 1):
        assert len(line) <= 100, f"{name_of(path)}:{number} has {len(line)} columns"


@pytest.mark.parametrize("path", python_files("pyconv", "bench"), ids=name_of)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            documented = isinstance(node.body[0], ast.Expr)
            first = (node.body[0].end_lineno or 0) if documented else node.lineno
            where = f"{name_of(path)}:{node.lineno} {node.name}"
            assert node.end_lineno - first <= 60, where


# ---- examples ----------------------------------------------------------------------------------

MODULES = ["pyconv"] + [
    module.name
    for module in pkgutil.walk_packages(pyconv.__path__, "pyconv.")
    # An editable install has the root of the sources in its path, for the sake of bench/.
    if not module.name.startswith(("pyconv.pyconv", "pyconv.noxfile", "pyconv.tests"))
    and not module.name.endswith(("__main__", "._core"))
    and not module.name.startswith("pyconv.bench.")  # other libraries' adaptors are among them
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0
