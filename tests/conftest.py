"""Settings that all tests share."""

import sys
from pathlib import Path

import pytest

# The cases are imported as `ops`: the root itself must stay off the path, where the folder pyconv,
# which holds no compiled module, would hide the installed package.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: many more drawn cases; run with -m slow")
    config.addinivalue_line("markers", "torch: compares with PyTorch, if it is installed")
