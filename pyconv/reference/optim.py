"""Steps of optimisers, on one parameter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def sgd_step(
    param: ArrayLike,
    grad: ArrayLike,
    momentum_buffer: ArrayLike | None,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array | None]:
    """Take one step of stochastic gradient descent.

    With ``g`` the gradient (its negative to maximise) plus ``weight_decay * param``,

        buffer = momentum * buffer + (1 - dampening) * g      (the first time: buffer = g)
        step   = g + momentum * buffer if nesterov, else buffer
        param  = param - lr * step

    as in `torch.optim.SGD`: Sutskever et al., *On the importance of initialization and momentum in
    deep learning*, 2013, with the learning rate outside the buffer. Without momentum the step is g.

    Returns
    -------
    param, momentum_buffer : the new ones; the buffer is None without momentum

    Examples
    --------
    >>> param, buffer = sgd_step([1.0], [2.0], None, lr=0.1, momentum=0.9)
    >>> sgd_step(param, [2.0], buffer, lr=0.1, momentum=0.9)
    (array([0.42]), array([3.8]))
    """
    p, g = np.asarray(param, float), np.asarray(grad, float)
    g = (-g if maximize else g) + weight_decay * p
    if momentum == 0:
        return p - lr * g, None
    if momentum_buffer is None:
        buffer = g
    else:
        buffer = momentum * np.asarray(momentum_buffer, float) + (1 - dampening) * g
    return p - lr * (g + momentum * buffer if nesterov else buffer), buffer
