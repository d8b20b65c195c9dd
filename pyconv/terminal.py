"""Arguments, progress and output of the commands."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any


def above(bound: int, kind: Callable[[str], Any], most: float = math.inf) -> Callable[[str], Any]:
    """Make a reader of numbers above a bound, up to another, for argparse.

    Examples
    --------
    >>> above(0, int)("3")
    3
    """

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = bound
        if not bound < value <= most:
            end = f", at most {most}" if most < math.inf else ""
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above {bound}{end}")
        return value

    return read


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``, within the bounds of `pyconv.set_num_threads`."""
    help = "default: all cores of the process"
    parser.add_argument("--threads", type=above(0, int, most=1024), metavar="N", help=help)


def check_outputs(*paths: str | None, plot: str | None) -> None:
    """Refuse, before a long run, what could not be saved after it.

    Raises
    ------
    ValueError
        If the folder of a file does not exist, or may not be written to.
    ImportError
        If a plot is asked for without matplotlib.

    Examples
    --------
    >>> check_outputs("result.json", None, plot=None)
    """
    for path in [path for path in (*paths, plot) if path is not None]:
        file, folder = Path(path), Path(path).resolve().parent
        if not path:
            raise ValueError("cannot write '': expected the name of a file")
        if not folder.is_dir():
            raise ValueError(f"cannot write {path}: there is no such folder")
        if file.is_dir():
            raise ValueError(f"cannot write {path}: it is a folder")
        if not os.access(file if file.exists() else folder, os.W_OK):
            raise ValueError(f"cannot write {path}: no permission")
    if plot and not find_spec("matplotlib"):
        raise ImportError("--plot needs matplotlib: pip install 'pyconv[plot]'")


@contextmanager
def writing(path: str, mode: str = "w") -> Iterator[IO[str]]:
    """Open a file to write; any error names it, as one of a full disk does not.

    Examples
    --------
    >>> with writing("/dev/full") as file:
    ...     print("text", file=file)
    Traceback (most recent call last):
    OSError: cannot write /dev/full: No space left on device
    """
    try:
        with open(path, mode, newline="") as file:
            yield file
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from None


class Progress:
    """A bar on stderr if that is a terminal: tqdm's if it is installed, else one line.

    Examples
    --------
    >>> with Progress(2, "work") as progress:
    ...     for step in range(2):
    ...         progress.advance(text=f"step {step}")
    ...     progress.write("done")
    done
    """

    def __init__(self, total: int, label: str) -> None:
        self._total, self._label = total, label
        self._done = 0
        self._terminal = sys.stderr is not None and sys.stderr.isatty()  # None: it was closed
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._terminal:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            self._bar = tqdm(total=self._total, desc=self._label, leave=False)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        self._clear()

    def advance(self, steps: int = 1, text: str = "") -> None:
        """Count steps, and say what is being done."""
        self._done += steps
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(steps)
        elif self._terminal:
            line = f"\r{self._label} {self._done}/{self._total} {text}\x1b[K"
            print(line, end="", file=sys.stderr, flush=True)

    def write(self, line: str) -> None:
        """Print a line to stdout without disturbing the bar."""
        if self._bar is not None and sys.stdout:
            self._bar.write(line, file=sys.stdout)
            sys.stdout.flush()
        else:
            self._clear()
            print(line, flush=True)

    def _clear(self) -> None:
        if self._terminal and self._bar is None:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
