"""Run code in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the code and return what came of it, with extra environment variables.

    Not in the root of the sources: the folder pyconv there, which holds no compiled module, would
    be imported before the installed package.
    """
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=Path(__file__).parent,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def printed(code: str, **environment: str) -> str:
    """Run the code, which must not fail, and return what it printed."""
    ran = python(code, **environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
