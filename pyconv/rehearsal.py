"""How much memory a run would take, found by going through it and computing next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core, nn
from .random import default_generator


def peak_bytes(model: nn.Module, run: Callable[[], Any]) -> int | None:
    """Return what the allocator would hold at the worst moment of a run, the model included.

    Everything is allocated, in address space alone, and each kernel computes the first part of its
    work. The model and the generator of `pyconv.manual_seed` are left as they were.

    Parameters
    ----------
    model : Module
        Its parameters and buffers are zeros meanwhile, and without gradients at the start.
    run : callable
        For example a forward and a backward pass.

    Returns
    -------
    int or None
        None if it is more than can be addressed.

    Examples
    --------
    >>> import pyconv
    >>> layer = pyconv.nn.Linear(64, 64, bias=False)
    >>> matrices = peak_bytes(layer, lambda: layer(pyconv.zeros(64, 64)).sum().backward()) / 64**2
    >>> matrices >= 3 * 4  # the weight, its gradient, and the result, of 4 bytes a number
    True
    """
    generator = default_generator().bit_generator
    random = generator.state
    kept = [(t, t._array, t.grad) for t in (*model.parameters(), *model.buffers())]
    _core.begin_rehearsal()
    try:
        for tensor, array, _ in kept:
            tensor._array, tensor.grad = _core.empty(array.shape, array.dtype), None
        with np.errstate(all="ignore"):  # a network of zeros
            run()
    except MemoryError:
        return None
    finally:
        for tensor, array, gradient in kept:
            tensor._array, tensor.grad = array, gradient
        peak = _core.end_rehearsal()
        generator.state = random
    return peak
