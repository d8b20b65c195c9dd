"""Cases of functions of each element."""

from ops.case import Case

RELU = [
    Case("4-axes", {"input": (2, 3, 5, 7)}),
    Case("zeros", {"input": (40,)}, ties=True),
    Case("scalar", {"input": ()}),
    Case("one", {"input": (1,)}),
    Case("tail-of-a-vector", {"input": (3, 67)}),
    Case("two-threads-of-work", {"input": (1000, 301)}),
    Case("empty", {"input": (0, 4)}),
]
