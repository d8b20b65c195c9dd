"""`pyconv bench` from a checkout: python bench/run.py --quick."""

import sys

from pyconv.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
