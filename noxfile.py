"""Tasks: `nox -s check` before a commit; `format` and `coverage` write style and a page."""

import os
from pathlib import Path

import nox

nox.options.sessions = ["check"]

PACKAGE = os.environ.get("PYCONV_PACKAGE", ".")  # or the path of a wheel
CLANG_FORMAT = "clang-format==23.1.5"
RUFF = "ruff==0.17.6"
TYPES = ["mypy==2.4.1", "types-tqdm"]
STUBTEST_ALLOWS = str(Path("tests/stubtest-allowlist.txt").resolve())
CPP = sorted(str(p) for p in Path("csrc").rglob("*") if p.suffix in (".cc", ".h"))


@nox.session
def check(session: nox.Session) -> None:
    """Style, types, stubs against the compiled module, and the tests: what a change must pass."""
    session.install(f"{PACKAGE}[test]", CLANG_FORMAT, RUFF, *TYPES)
    session.run("clang-format", "--dry-run", "-Werror", *CPP, log=False)
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("mypy")
    # Elsewhere: the folder pyconv of the sources holds no compiled module.
    with session.chdir(session.create_tmp()):
        session.run("stubtest", "pyconv._core", "--allowlist", STUBTEST_ALLOWS)
    session.run("pytest", *session.posargs)


@nox.session
def format(session: nox.Session) -> None:
    """Write the style into the sources."""
    session.install(CLANG_FORMAT, RUFF)
    session.run("clang-format", "-i", *CPP, log=False)
    session.run("ruff", "format")
    session.run("ruff", "check", "--fix")


@nox.session
def coverage(session: nox.Session) -> None:
    """Write docs/coverage.md: every public name, and what checks it."""
    session.install(".[test]")
    session.run("python", "tests/coverage_page.py", "docs/coverage.md")
