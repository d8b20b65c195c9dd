"""Settings that all tests share."""

import sys
from pathlib import Path

# The cases are imported as `ops`: the root itself must stay off the path, where the folder pyconv,
# which holds no compiled module, would hide the installed package.
sys.path.insert(0, str(Path(__file__).parent))
