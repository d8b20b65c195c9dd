"""Convolutional and recurrent networks on a CPU: fast, small, readable."""

from importlib import import_module
from typing import TYPE_CHECKING

from numpy import float32, float64, int32, int64, uint8

from . import autograd, check, functional, nn, optim
from ._core import __version__
from .autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .backend import backend
from .check import as_matrix
from .config import (
    algorithm,
    get_num_threads,
    get_precision,
    memory_stats,
    set_num_threads,
    set_precision,
    show_config,
)
from .conversion import as_tensor, from_dlpack, tensor
from .creation import (
    arange,
    empty,
    eye,
    from_numpy,
    full,
    linspace,
    ones,
    ones_like,
    shapes_only,
    zeros,
    zeros_like,
)
from .explain import explain
from .functional import (
    abs,
    add,
    argmax,
    cat,
    chunk,
    clamp,
    div,
    einsum,
    eq,
    exp,
    flatten,
    ge,
    gt,
    le,
    log,
    log_softmax,
    lt,
    matmul,
    max,
    mean,
    min,
    mul,
    ne,
    neg,
    permute,
    pow,
    relu,
    reshape,
    sigmoid,
    softmax,
    split,
    sqrt,
    squeeze,
    stack,
    sub,
    sum,
    tanh,
    transpose,
    unsqueeze,
    var,
    where,
)
from .plan import Plan, compile, load_plan
from .profile import Profile, profile
from .random import manual_seed, rand, randint, randn
from .serialization import load, save
from .summary import Summary, summary
from .tensor import Tensor

__all__ = [
    "Plan",
    "Profile",
    "Summary",
    "Tensor",
    "__version__",
    "abs",
    "add",
    "algorithm",
    "arange",
    "argmax",
    "as_matrix",
    "as_tensor",
    "autograd",
    "backend",
    "cat",
    "check",
    "chunk",
    "clamp",
    "compile",
    "data",
    "design",
    "div",
    "einsum",
    "empty",
    "enable_grad",
    "eq",
    "exp",
    "explain",
    "eye",
    "flatten",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "functional",
    "ge",
    "get_num_threads",
    "get_precision",
    "gt",
    "int32",
    "int64",
    "is_grad_enabled",
    "le",
    "linspace",
    "load",
    "load_plan",
    "log",
    "log_softmax",
    "lt",
    "manual_seed",
    "matmul",
    "max",
    "mean",
    "memory_stats",
    "min",
    "models",
    "mul",
    "ne",
    "neg",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "optim",
    "permute",
    "pow",
    "profile",
    "rand",
    "randint",
    "randn",
    "relu",
    "reshape",
    "save",
    "set_grad_enabled",
    "set_num_threads",
    "set_precision",
    "shapes_only",
    "show_config",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "summary",
    "tanh",
    "tensor",
    "transpose",
    "uint8",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]

if TYPE_CHECKING:
    from . import data, design, models
else:

    def __getattr__(name):  # these take time, and not every program needs them
        if name in ("data", "design", "models"):
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
