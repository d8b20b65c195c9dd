"""Normalisation: batch, instance, group and layer norm.

All of them are

    normal = (x - mean) / sqrt(var + eps),        output = normal * weight + bias

and differ in the axes over which mean and variance (divided by n, not n - 1) are taken:

    batch norm      batch and pixels          Ioffe and Szegedy, arXiv:1502.03167
    instance norm   pixels                    Ulyanov et al., arXiv:1607.08022
    group norm      pixels and channels of    Wu and He, arXiv:1803.08494
                    a group
    layer norm      the last dimensions       Ba et al., arXiv:1607.06450

With g the gradient of `normal`, averages taken over the same axes, and since mean and variance are
functions of x too,

    grad_x = (g - average(g) - normal * average(g * normal)) / sqrt(var + eps).

Where mean and variance are given constants, ``grad_x = g / sqrt(var + eps)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Gradients = tuple[Array, Array, Array]


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel of (N, C, ...) over the batch; outside training by given statistics.

    The running statistics stay as they are; `batch_norm_running` returns the new ones.

    Examples
    --------
    >>> batch_norm([[1], [3]], None, None, training=True, eps=0)
    array([[-1.],
           [ 1.]])
    """
    x = np.asarray(input, float)
    given = None if training else (running_mean, running_var)
    return _affine(_normal(x, _batch_axes(x), eps, given)[0], weight, bias)


def batch_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Gradients:
    """Gradients of `batch_norm` with respect to input, weight and bias.

    Examples
    --------
    >>> batch_norm_backward([[1], [0]], [[1], [3]], [0], [1], eps=0)[0]
    array([[1.],
           [0.]])
    """
    x, g = np.asarray(input, float), np.asarray(grad_output, float)
    given = None if training else (running_mean, running_var)
    normal, scale = _normal(x, _batch_axes(x), eps, given)
    grad = _gradient(_affine(g, weight), normal, scale, _batch_axes(x) if training else None)
    return grad, *_parameter_gradients(g, normal)


def batch_norm_running(
    input: ArrayLike, running_mean: ArrayLike, running_var: ArrayLike, momentum: float = 0.1
) -> tuple[Array, Array]:
    """Update the running statistics after a batch; the variance among them is divided by n - 1.

    Examples
    --------
    >>> batch_norm_running([[1], [3]], [0], [1], momentum=0.5)
    (array([1.]), array([1.5]))
    """
    x = np.asarray(input, float)
    mean, var = x.mean(axis=_batch_axes(x)), x.var(axis=_batch_axes(x), ddof=1)
    old_mean, old_var = np.asarray(running_mean, float), np.asarray(running_var, float)
    return old_mean + momentum * (mean - old_mean), old_var + momentum * (var - old_var)


def batch_norm_relu(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Take the larger of `batch_norm` and 0.

    Examples
    --------
    >>> batch_norm_relu([[1], [3]], None, None, training=True, eps=0)
    array([[0.],
           [1.]])
    """
    y = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return np.where(y < 0, 0, y)


def batch_norm_relu_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Gradients:
    """Gradients of `batch_norm_relu`: those of `batch_norm` where the result is above 0.

    Examples
    --------
    >>> batch_norm_relu_backward([[1], [1]], [[-1], [3]], [0], [1], eps=0)[0]
    array([[0.],
           [1.]])
    """
    y = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    g = np.where(y <= 0, 0, np.asarray(grad_output, float))
    return batch_norm_backward(g, input, running_mean, running_var, weight, training, momentum, eps)


def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel of each sample of (N, C, ...).

    Examples
    --------
    >>> instance_norm([[[1, 3]]], eps=0)
    array([[[-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    return group_norm(input, np.shape(input)[1], weight, bias, eps)


def instance_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Gradients:
    """Gradients of `instance_norm` with respect to input, weight and bias.

    Examples
    --------
    >>> instance_norm_backward([[[1, 1]]], [[[1, 3]]], eps=0)[0]
    array([[[0., 0.]]])
    """
    if not use_input_stats:
        return batch_norm_backward(grad_output, input, running_mean, running_var, weight, eps=eps)
    return group_norm_backward(grad_output, input, np.shape(input)[1], weight, eps)


def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalise groups of neighbouring channels of each sample of (N, C, ...).

    Examples
    --------
    >>> group_norm([[1, 3, 4, 8]], 2, eps=0)
    array([[-1.,  1., -1.,  1.]])
    """
    x = np.asarray(input, float)
    groups = _groups(x, num_groups)
    normal, _ = _normal(groups, tuple(range(2, groups.ndim)), eps)
    return _affine(normal.reshape(x.shape), weight, bias)


def group_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Gradients:
    """Gradients of `group_norm` with respect to input, weight and bias.

    Examples
    --------
    >>> group_norm_backward([[1, 1]], [[1, 3]], 1, eps=0)[0]
    array([[0., 0.]])
    """
    x, g = np.asarray(input, float), np.asarray(grad_output, float)
    groups = _groups(x, num_groups)
    axes = tuple(range(2, groups.ndim))
    normal, scale = _normal(groups, axes, eps)
    grad = _gradient(_groups(_affine(g, weight), num_groups), normal, scale, axes)
    return grad.reshape(x.shape), *_parameter_gradients(g, normal.reshape(x.shape))


def layer_norm(
    input: ArrayLike,
    normalized_shape: int | tuple[int, ...],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalise over the last dimensions; weight and bias go along them.

    Examples
    --------
    >>> layer_norm([[1, 3]], 2, eps=0)
    array([[-1.,  1.]])
    """
    normal, _ = _normal(np.asarray(input, float), _last(normalized_shape), eps)
    output = normal if weight is None else normal * np.asarray(weight, float)
    return output if bias is None else output + np.asarray(bias, float)


def layer_norm_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    normalized_shape: int | tuple[int, ...],
    weight: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Gradients:
    """Gradients of `layer_norm` with respect to input, weight and bias.

    Examples
    --------
    >>> layer_norm_backward([[1, 1]], [[1, 3]], 2, eps=0)[0]
    array([[0., 0.]])
    """
    g, axes = np.asarray(grad_output, float), _last(normalized_shape)
    normal, scale = _normal(np.asarray(input, float), axes, eps)
    weighted = g if weight is None else g * np.asarray(weight, float)
    rest = tuple(range(g.ndim - len(axes)))
    return (
        _gradient(weighted, normal, scale, axes),
        (g * normal).sum(axis=rest),
        g.sum(axis=rest),
    )


def _batch_axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _last(normalized_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-np.size(normalized_shape), 0))


def _groups(x: Array, num_groups: int) -> Array:
    return x.reshape(len(x), num_groups, x.shape[1] // num_groups, *x.shape[2:])


def _per_channel(values: ArrayLike, ndim: int) -> Array:
    """Shape one number for each channel so that it meets (N, C, ...)."""
    return np.asarray(values, float).reshape(1, -1, *(1,) * (ndim - 2))


def _normal(x: Array, axes: tuple[int, ...], eps: float, given: Any = None) -> tuple[Array, Array]:
    """Return x with mean 0 and variance 1, and 1 / sqrt(var + eps)."""
    if not x.size:
        return x, np.ones(())
    if given is None:
        mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    else:
        mean, var = (_per_channel(values, x.ndim) for values in given)
    scale = 1 / np.sqrt(var + eps)
    return (x - mean) * scale, scale


def _affine(x: Array, weight: ArrayLike | None, bias: ArrayLike | None = None) -> Array:
    scaled = x if weight is None else x * _per_channel(weight, x.ndim)
    return scaled if bias is None else scaled + _per_channel(bias, x.ndim)


def _gradient(g: Array, normal: Array, scale: Array, axes: tuple[int, ...] | None) -> Array:
    """Return the gradient of x; `axes` is None where mean and variance are given."""
    if axes is None or not g.size:
        return g * scale
    dot = (g * normal).mean(axis=axes, keepdims=True)
    grad_x: Array = (g - g.mean(axis=axes, keepdims=True) - normal * dot) * scale
    return grad_x


def _parameter_gradients(g: Array, normal: Array) -> tuple[Array, Array]:
    return (g * normal).sum(axis=_batch_axes(g)), g.sum(axis=_batch_axes(g))
