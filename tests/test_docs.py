"""The README and the pages of docs: the example runs as printed, and what they name exists."""

from __future__ import annotations

import doctest
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coverage_page import exists, promised

import pyconv

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COURSE = ROOT / "docs" / "course"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = blocks("python")
    exec(example, {})
    assert capsys.readouterr().out in blocks("text")


def test_commands_are_two_lines() -> None:
    install, test = blocks("sh")
    assert install.count("\n") == test.count("\n") == 1


FUNCTION_ROWS = ("convolution", "pooling, resizing", "normalisation", "elements, sums", "losses")


@pytest.mark.parametrize(
    ("row", "places"),
    [
        *((row, [pyconv.functional]) for row in FUNCTION_ROWS),
        ("recurrent", [pyconv]),
        ("autograd", [pyconv, pyconv.autograd]),
        ("`pyconv.nn`", [pyconv, pyconv.nn]),
        ("training", [pyconv, pyconv.optim, pyconv.data]),
        ("looking inside", [pyconv]),
        ("state", [pyconv]),
    ],
)
def test_table_of_what_works_is_true(row: str, places: list[Any]) -> None:
    (works,) = re.findall(rf"^\| {re.escape(row)} \| (.*?) \| .*?\|$", README, re.MULTILINE)
    names = re.findall(r"`(?:pyconv\.)?([\w.]+?)((?:[1-3]d/)*[1-3]d)?[`(]", works)
    assert names
    for name, ranks in names:
        for rank in ranks.split("/"):
            assert any(has(place, name + rank) for place in places), name + rank


def has(place: Any, name: str) -> bool:
    for part in name.split("."):
        place = getattr(place, part, None)
    return place is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


RUN = [*sorted(COURSE.glob("*.md")), ROOT / "docs" / "inference.md"]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_page_is_what_it_prints(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(page.parent)
    text = re.sub("^```.*$", "", page.read_text(), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_course_has_the_pictures_that_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    runpy.run_path(str(COURSE / "pictures.py"))["main"](tmp_path)
    drawn, kept = ({path.name for path in folder.glob("*.png")} for folder in (tmp_path, COURSE))
    text = "".join(page.read_text() for page in COURSE.glob("*.md"))
    shown = set(re.findall(r"\((\w+\.png)\)", text))
    trained = {"adding.png", "copy.png"}  # by `pyconv train`, in minutes
    assert drawn | trained == kept == shown
    assert max(path.stat().st_size for path in COURSE.glob("*.png")) < 60_000


def test_version_has_an_entry_in_the_changelog() -> None:
    assert f"## {pyconv.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_promised_names_are_there() -> None:
    names = promised()
    assert len(names) > 300
    gone = [name for name in names if not exists(name)]
    assert not gone, f"promised in tests/public_names.txt: {gone}"


def test_page_of_coverage_names_all_that_is_promised() -> None:
    """A function or a layer in a row of its own, anything else in the row of its place."""
    page = (ROOT / "docs" / "coverage.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE))
    for name in promised():
        place, _, last = name.rpartition(".")
        own_row = place in ("pyconv.functional", "pyconv.nn") and last in rows
        assert own_row or f"`{last}`" in rows.get(place, ""), name


def test_page_of_coverage_is_true(tmp_path: Path) -> None:
    """All of it but the number of cases, which change every day."""
    command = [sys.executable, ROOT / "tests" / "coverage_page.py", tmp_path / "coverage.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = (ROOT / "docs" / "coverage.md", tmp_path / "coverage.md")
    then, now = (re.sub(r"\| \d+ \|", "| |", page.read_text()) for page in pages)
    assert now == then, "docs/coverage.md is not what `nox -s coverage` writes"
