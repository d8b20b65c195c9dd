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


def adam_step(
    param: ArrayLike,
    grad: ArrayLike,
    exp_avg: ArrayLike,
    exp_avg_sq: ArrayLike,
    max_exp_avg_sq: ArrayLike | None,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array, Array | None]:
    """Take step number `step` (from 1) of Adam, or of AdamW if `decoupled`.

    With ``g`` the gradient (its negative to maximise) plus ``weight_decay * param``,

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        param = param - lr * m / (1 - beta1**step) / (sqrt(v / (1 - beta2**step)) + eps)

    as in Kingma and Ba, *Adam: a method for stochastic optimization*, arXiv:1412.6980, algorithm 1.
    AdamW takes ``lr * weight_decay * param`` off the parameter first, and nothing into g:
    Loshchilov and Hutter, arXiv:1711.05101. With `max_exp_avg_sq` the largest v so far stands in
    the root: Reddi, Kale and Kumar, *On the convergence of Adam and beyond*, 2018.

    Returns
    -------
    param, exp_avg, exp_avg_sq, max_exp_avg_sq : the new ones

    Examples
    --------
    >>> param, m, v, _ = adam_step([1.0], [2.0], [0.0], [0.0], None, step=1, lr=0.1)
    >>> param.round(6), m.round(6), v.round(6)
    (array([0.9]), array([0.2]), array([0.004]))
    """
    p, g = np.asarray(param, float), np.asarray(grad, float)
    g = -g if maximize else g
    if decoupled:
        p = p - lr * weight_decay * p
    else:
        g = g + weight_decay * p
    m = betas[0] * np.asarray(exp_avg, float) + (1 - betas[0]) * g
    v = betas[1] * np.asarray(exp_avg_sq, float) + (1 - betas[1]) * g * g
    largest = None if max_exp_avg_sq is None else np.maximum(np.asarray(max_exp_avg_sq, float), v)
    root = np.sqrt((v if largest is None else largest) / (1 - betas[1] ** step))
    return p - lr * m / (1 - betas[0] ** step) / (root + eps), m, v, largest


def rmsprop_step(
    param: ArrayLike,
    grad: ArrayLike,
    square_avg: ArrayLike,
    momentum_buffer: ArrayLike | None,
    grad_avg: ArrayLike | None,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array | None, Array | None]:
    """Take one step of RMSprop.

    With ``g`` the gradient (its negative to maximise) plus ``weight_decay * param``,

        v     = alpha * v + (1 - alpha) * g**2
        mean  = alpha * mean + (1 - alpha) * g          (0 if `grad_avg` is None)
        move  = g / (sqrt(v - mean**2) + eps)
        param = param - lr * (buffer = momentum * buffer + move)

    as in Tieleman and Hinton, *Neural networks for machine learning*, lecture 6e, 2012; with a mean
    as in Graves, arXiv:1308.0850. The order of root and eps is that of `torch.optim.RMSprop`.

    Returns
    -------
    param, square_avg, momentum_buffer, grad_avg : the new ones

    Examples
    --------
    >>> param, v, _, _ = rmsprop_step([1.0], [2.0], [0.0], None, None, lr=0.01)
    >>> param.round(6), v.round(6)
    (array([0.9]), array([0.04]))
    """
    p, g = np.asarray(param, float), np.asarray(grad, float)
    g = (-g if maximize else g) + weight_decay * p
    v = alpha * np.asarray(square_avg, float) + (1 - alpha) * g * g
    mean, spread = None, v
    if grad_avg is not None:
        mean = alpha * np.asarray(grad_avg, float) + (1 - alpha) * g
        spread = v - mean * mean
    move, buffer = g / (np.sqrt(spread) + eps), None
    if momentum_buffer is not None:
        move = buffer = momentum * np.asarray(momentum_buffer, float) + move
    return p - lr * move, v, buffer, mean
