"""What a layer is, found by trying it: its matrix, and whether it moves with its input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from . import nn
from .arguments import FLOATING, precision, wide
from .autograd import enable_grad, grad, no_grad
from .config import get_precision, set_precision
from .nn.conv import ConvBase, int_at_least, ints_at_least
from .rehearsal import left_as_it_was, watch_calls
from .summary import count_layers, in_mode, shape_of_input
from .tensor import Array, Tensor

MOST_ENTRIES = 2**28  # of a matrix: 1 GiB of float32
# Of the inputs that a layer is tried with: some layers are linear about zero alone.
SCALES = 2.0 ** np.array([-8, 0, 10, 20])


def as_matrix(layer: nn.Module | Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Array:
    """Write a linear layer as the matrix that its input is multiplied with.

    Entry ``[i, j]`` is the weight of element j of the input in element i of the output, counted in
    C order: ``layer(x) = M x + layer(0)``. A bias is not part of the matrix.

    Parameters
    ----------
    layer : Module or function
        Takes a batch, and does not mix its elements. A Module is looked at in evaluation.
    shape : tuple of int
        Of one input, without the batch.

    Returns
    -------
    ndarray of shape (outputs, inputs)
        Dense, of the dtype of the layer's parameters; float32 if it has none.

    Raises
    ------
    ValueError
        If the layer cannot take the shape, is not linear, or the matrix has over 2**28 entries.
    TypeError
        If a size is no integer, or the layer returns something else than a Tensor.

    References
    ----------
    Prince, *Understanding deep learning*, figure 10.4.

    Examples
    --------
    >>> import pyconv
    >>> conv = pyconv.nn.Conv1d(1, 1, 3, padding=1)
    >>> _ = pyconv.nn.init.constant_(conv.weight, 2.0)
    >>> pyconv.as_matrix(conv, (1, 4))
    array([[2., 2., 0., 0.],
           [2., 2., 2., 0.],
           [0., 2., 2., 2.],
           [0., 0., 2., 2.]], dtype=float32)
    """
    if not callable(layer):
        raise TypeError(f"as_matrix: layer is {layer!r}, expected a Module or a function")
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    sizes = tuple(int_at_least("as_matrix: a size of shape", n, 0) for n in sizes)
    dtype, inputs = _dtype_of(layer), math.prod(sizes)
    _check_entries(sizes, 1)
    with enable_grad(), in_mode(layer, training=False), _plain_sums():
        one = layer(Tensor(np.zeros((1, *sizes), dtype)))
        if not isinstance(one, Tensor) or one.shape[:1] != (1,):
            what = getattr(one, "shape", type(one).__name__)
            raise TypeError(f"as_matrix: layer makes {what} of one input, expected a batch of one")
        outputs = math.prod(one.shape[1:])
        _check_entries(sizes, outputs)
        # Row i is the gradient of output i. The columns, what the layer makes of the unit vectors,
        # would carry the rounding of a bias added and taken off again.
        x = Tensor(np.zeros((outputs, *sizes), dtype), requires_grad=True)
        y, rows = layer(x), np.eye(outputs, dtype=dtype)
        (found,) = grad(y, x, rows.reshape(y.shape)) if y.requires_grad else (x.detach(),)
        matrix: Array = found.numpy().reshape(outputs, inputs)
        _check_linear(layer, matrix, sizes)
    return matrix


def _check_entries(sizes: tuple[int, ...], outputs: int) -> None:
    if math.prod(sizes) * outputs > MOST_ENTRIES:
        raise ValueError(
            f"as_matrix: shape is {sizes}, which makes {outputs} x {math.prod(sizes)} entries or "
            f"more, expected at most {MOST_ENTRIES}"
        )


def _check_linear(layer: Callable[[Tensor], Tensor], matrix: Array, sizes: tuple[int, ...]) -> None:
    """Compare with what the layer makes of a drawn input and of its negative, at each scale."""
    x = np.multiply.outer([0, *SCALES, *-SCALES], np.random.default_rng(0).standard_normal(sizes))
    x = x.astype(matrix.dtype)
    origin, *y = layer(Tensor(x)).detach().numpy().reshape(len(x), -1)
    x = x[1:].reshape(len(y), -1)
    tiny = np.finfo(wide(matrix.dtype)).tiny
    with np.errstate(all="ignore"):
        wrong = np.abs(x @ matrix.T + origin - y)
        size = np.abs(x) @ np.abs(matrix.T)
        right = wrong <= math.sqrt(precision(matrix.dtype)) * (size + np.abs(origin)) + tiny
        right |= size == np.inf  # no number to compare with; NaN is not right
    if not (right.all() and np.isfinite(matrix).all()):
        name = type(layer).__name__ if isinstance(layer, nn.Module) else repr(layer)
        raise ValueError(f"as_matrix: layer is {name}, which is not linear, expected one that is")


@contextmanager
def _plain_sums() -> Iterator[None]:
    """Keep to sums of products: Winograd's convolution leaves rounding where zeros belong."""
    before = get_precision()
    set_precision("strict")
    try:
        yield
    finally:
        set_precision(before)


def _dtype_of(model: Any) -> Any:
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    return next((p.dtype for p in parameters), np.dtype(np.float32))


# ---- equivariance ------------------------------------------------------------------------------


@dataclass
class Shifted:
    """What a layer does where the network's input is shifted; see `equivariance`.

    Attributes
    ----------
    name, kind : str
        The layer's name in the network, and its class.
    shift : tuple of Fraction
        The shift in pixels of this layer's output; empty where that is no image.
    error : float
        The largest difference from the shifted output, as a share of the largest finite output.
    wrong : ndarray of bool, of the size of the output's image
        Where they differ by more than rounding in some channel.
    """

    name: str
    kind: str
    shift: tuple[Fraction, ...]
    error: float
    wrong: Array

    def __str__(self) -> str:
        shift = f"({', '.join(map(str, self.shift))})"
        where = f"differs by {self.error:.2f} in {self.wrong.sum()} of {self.wrong.size} places"
        return f"{self.name:8} {self.kind:18} {shift:9}  {where if self.wrong.any() else 'equal'}"


def equivariance(
    model: nn.Module, shift: int | tuple[int, ...], input: Any = None
) -> list[Shifted]:
    """Measure, layer by layer, whether a shift of the input shifts the output: f(t(x)) = t(f(x)).

    A shift is circular: what leaves on one side comes in on the other. Behind layers of stride s
    the output should move by shift / s pixels; where that is no integer, by the next below.

    Parameters
    ----------
    model : Module
        In evaluation.
    shift : int or tuple of int
        Pixels in each dimension of the image.
    input : tuple of int, Tensor or array, optional
        A batch of images, or the shape of one to draw. If left out: one of 32 pixels in each
        dimension, with the channels that the model's first convolution takes.

    Returns
    -------
    list of Shifted
        One for each call of a layer, in order; as text, a line of a table.

    Raises
    ------
    ValueError
        If the shift has not as many numbers as the image has dimensions, or the model cannot take
        the input.
    TypeError
        If `shift` holds no integers.

    References
    ----------
    Prince, *Understanding deep learning*, equation 10.2.

    Examples
    --------
    >>> import pyconv
    >>> conv = pyconv.nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
    >>> print(*pyconv.check.equivariance(pyconv.nn.Sequential(conv), (3, 5)))
    0        Conv2d             (3, 5)     equal
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"equivariance: model is a {type(model).__name__}, expected a Module")
    x = _image(model, shift, input)
    steps = ints_at_least("equivariance: shift", shift, x.ndim - 2, -(2**63))
    moved = _roll(x, steps)
    result = []
    layers = count_layers(model, x, "equivariance").layers
    for layer, plain, other in zip(layers, _outputs(model, x), _outputs(model, moved)):
        image = plain.ndim == x.ndim
        here = [Fraction(n) / view.stride for n, view in zip(steps, layer.views)] if image else []
        difference = _difference(other, _roll(plain, [math.floor(n) for n in here]))
        size = np.abs(plain).max(initial=0, where=np.isfinite(plain)) or 1
        worst = difference.max(axis=tuple(range(plain.ndim))[:2], initial=0) / size
        wrong = worst > math.sqrt(precision(x.dtype))
        error = float(worst.max(initial=0))
        result.append(Shifted(layer.name, layer.kind, tuple(here), error, wrong))
    return result


def _image(model: nn.Module, shift: Any, input: Any) -> Array:
    """Return the batch of images that was given, or draw one."""
    if isinstance(input, (Tensor, np.ndarray)):
        x = np.asarray(input.detach() if isinstance(input, Tensor) else input)
    else:
        if input is None:
            first = next((m for m in model.modules() if isinstance(m, ConvBase)), None)
            dimensions = len(shift) if isinstance(shift, (tuple, list)) else 2
            channels, dimensions = (first.in_channels, first._ndim) if first else (1, dimensions)
            input = (1, channels, *(32,) * dimensions)
        sizes, _ = shape_of_input("equivariance", input)
        x = np.random.default_rng(0).standard_normal(sizes).astype(_dtype_of(model))
    if x.ndim < 3 or x.dtype.kind not in FLOATING:
        raise ValueError(
            f"equivariance: input has shape {x.shape} and dtype {x.dtype}, expected a batch, "
            "channels and an image, of floating numbers"
        )
    return x


def _roll(x: Array, steps: Any) -> Array:
    """Shift the last dimensions, as many as there are steps."""
    if not steps:  # which a number cannot be rolled by either
        return x
    axes = range(x.ndim - len(steps), x.ndim)
    return np.roll(x, [n % max(1, x.shape[axis]) for n, axis in zip(steps, axes)], tuple(axes))


def _difference(x: Array, y: Array) -> Array:
    """Return |x - y|: 0 where both are infinite or NaN alike, infinity where one of them is."""
    with np.errstate(invalid="ignore"):
        difference = np.nan_to_num(np.abs(x - y), nan=np.inf, posinf=np.inf)
    return np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0, difference)


def _outputs(model: nn.Module, x: Array) -> list[Array]:
    """Return what each layer returns, in the order of the calls, which is that of `summary`."""
    found: list[Array] = []

    def keep(name: str, layer: nn.Module, input: Any, output: Tensor) -> None:
        array = output._array
        found.append(array.astype(wide(array.dtype) if array.dtype.kind in FLOATING else float))

    with no_grad(), in_mode(model, training=False), left_as_it_was(model):
        watch_calls(model, keep)
        model(Tensor(x))
    return found
