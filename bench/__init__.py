"""The benchmarks of `pyconv bench`: in an installed package this folder is `pyconv.bench`."""
