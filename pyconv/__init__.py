"""Convolutional and recurrent networks on a CPU: fast, small, readable."""

from . import autograd, check, data, design, functional, models, nn, optim
from ._core import __version__
from .autograd import enable_grad, is_grad_enabled, no_grad
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
from .creation import (
    arange,
    as_tensor,
    empty,
    eye,
    from_dlpack,
    from_numpy,
    full,
    linspace,
    ones,
    ones_like,
    shapes_only,
    tensor,
    zeros,
    zeros_like,
)
from .explain import explain
from .functional import cat, chunk, einsum, matmul, split, stack, where
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
    "algorithm",
    "arange",
    "as_matrix",
    "as_tensor",
    "autograd",
    "backend",
    "cat",
    "check",
    "chunk",
    "compile",
    "data",
    "design",
    "einsum",
    "empty",
    "enable_grad",
    "explain",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "functional",
    "get_num_threads",
    "get_precision",
    "is_grad_enabled",
    "linspace",
    "load",
    "load_plan",
    "manual_seed",
    "matmul",
    "memory_stats",
    "models",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "optim",
    "profile",
    "rand",
    "randint",
    "randn",
    "save",
    "set_num_threads",
    "set_precision",
    "shapes_only",
    "show_config",
    "split",
    "stack",
    "summary",
    "tensor",
    "where",
    "zeros",
    "zeros_like",
]
