"""The functions of `pyconv.functional`, where PyTorch has them."""

from ..functional import *  # noqa: F403
from ..functional import __all__ as __all__
