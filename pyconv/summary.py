"""What a network costs, layer by layer, found without computing it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from . import _core, nn
from .arguments import MOST_ELEMENTS, size_of
from .autograd import backward, enable_grad, no_grad
from .autograd.grad_mode import state
from .nn.conv import ConvBase
from .nn.pool_base import (
    AdaptiveAvgPoolBase,
    AdaptiveMaxPoolBase,
    AvgPoolBase,
    LPPoolBase,
    MaxPoolBase,
    MaxUnpoolBase,
)
from .nn.rnn_base import RNNBase
from .rehearsal import left_as_it_was, peak_bytes, tensors_in, watch_calls, without_memory
from .tensor import Array, Tensor

# Whose outputs count as activations.
ACTIVE = (ConvBase, nn.Linear, MaxPoolBase, AvgPoolBase, LPPoolBase)
# Whose elements see more than those of their input, if its dimensions are those of an image.
OF_IMAGES = (
    *(ConvBase, MaxPoolBase, AvgPoolBase, LPPoolBase, AdaptiveAvgPoolBase, AdaptiveMaxPoolBase),
    *(MaxUnpoolBase, nn.Upsample),
)


class View(NamedTuple):
    """What an element of a layer's output sees of the network's input, in one dimension."""

    size: float | Fraction = 1  # pixels of the input, in the mean; infinity for all of them
    stride: Fraction = Fraction(1)  # pixels of the input between neighbouring elements
    padding: Fraction = Fraction(0)  # how far the first element's window begins outside the input


@dataclass
class Layer:
    """One call of a layer.

    Attributes
    ----------
    name, kind : str
        Its name in the network, and its class.
    output : tuple of int
        Shape of the first output.
    parameters : int
        Elements of its parameters.
    multiply_adds : int
        Of convolutions, linear and recurrent layers; adding a bias counts as one.
    activations : int
        Elements of the output if it is a convolution, a pool with a window, or a linear layer, else
        0: as the authors of RegNet count in their code (``blocks.py`` of pycls).
    views : tuple of View
        Receptive field, effective stride and padding in each dimension of an image; empty where
        they are not known.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activations: int
    views: tuple[View, ...]

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * self.multiply_adds

    @property
    def receptive_field(self) -> tuple[float, ...]:
        """Pixels of the input that an element sees in each dimension; infinity for all.

        Behind a transposed convolution or an unpooling, elements differ, and this is their mean.
        """
        return tuple(float(view.size) for view in self.views)


@dataclass
class Summary:
    """What `summary` returns; its text is a table.

    Attributes
    ----------
    layers : list of Layer
        In the order of their calls.
    parameters, multiply_adds, activations : int
        Of the whole network; parameters that are shared count once.
    inference_bytes, training_bytes : int or None
        What the allocator of `pyconv.memory_stats` holds at the worst moment of a forward pass, and
        of a forward and a backward pass in training: parameters, buffers, the input, results,
        gradients and the scratch memory of as many threads as are set. An optimizer's state comes
        on top. None if it is more than can be addressed, or a batch of this size cannot be trained.
    """

    layers: list[Layer] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0
    activations: int = 0
    inference_bytes: int | None = None
    training_bytes: int | None = None

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * self.multiply_adds

    def __str__(self) -> str:
        head = ["layer", "", "output", "parameters", "multiply-adds", "FLOPs", "activations"]
        rows = [[*head, "field", "stride", "padding"]]
        for layer in self.layers:
            numbers = layer.parameters, layer.multiply_adds, layer.flops, layer.activations
            columns = [_shown(column) for column in zip(*layer.views)] or [""] * 3
            shape = "x".join(map(str, layer.output))
            rows.append([layer.name, layer.kind, shape, *map("{:,}".format, numbers), *columns])
        total = self.parameters, self.multiply_adds, self.flops, self.activations
        rows.append(["total", "", "", *map("{:,}".format, total), "", "", ""])
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(
                text.ljust(width) if i < 3 else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        ]
        inference, training = (
            "impossible" if count is None else f"{count:,} bytes"
            for count in (self.inference_bytes, self.training_bytes)
        )
        lines.append(f"memory: {inference} for inference, {training} for training, at the peak")
        return "\n".join(lines)


def _shown(values: tuple[Any, ...]) -> str:
    """Return the number of each dimension, or the one that all have."""
    texts = ["all" if value == math.inf else f"{float(value):g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def summary(model: nn.Module, input: Any) -> Summary:
    """Count what a network costs on an input, layer by layer, without computing it.

    The network runs twice, on zeros, in evaluation and in training. Everything is allocated in
    address space alone, and kernels compute one part of their work; if that is more than can be
    addressed, it runs on an empty batch. It is left as it was. Together with `pyconv.shapes_only`
    no memory is needed even for parameters.

    Parameters
    ----------
    model : Module
        In evaluation; the first dimension of its input is the batch.
    input : tuple of int, Tensor or array
        The input, or the shape of one of float32.

    Returns
    -------
    Summary
        Its ``layers``, totals, and a table as text. Functions that are called outside of layers
        count towards memory alone, and are taken to keep what an element sees.

    Raises
    ------
    ValueError
        If the shape has no batch, or the network cannot take it.
    TypeError
        If `model` is no Module, or `input` none of these.

    References
    ----------
    Activations are counted as in Radosavovic et al., *Designing network design spaces*,
    arXiv:2003.13678; receptive fields as in Araujo, Norris and Sim, *Computing receptive fields of
    convolutional neural networks*, Distill, 2019.

    Examples
    --------
    >>> import pyconv
    >>> with pyconv.shapes_only():
    ...     model = pyconv.models.resnet50()
    >>> pyconv.summary(model, (1, 3, 224, 224)).multiply_adds
    4089185256
    """
    result = count_layers(model, input)
    shape, dtype = shape_of_input("summary", input)
    with in_mode(model, training=True), suppress(ValueError):  # batch norm of a single value
        result.training_bytes = peak_bytes(model, lambda: _train(model, shape, dtype))
    return result


def count_layers(model: nn.Module, input: Any, op: str = "summary") -> Summary:
    """Return what `summary` does but for the memory of training."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{op}: model is {model!r}, expected a Module")
    shape, dtype = shape_of_input(op, input)
    watch = _Watch(model)
    with in_mode(model, training=False), no_grad():
        peak = peak_bytes(model, lambda: watch.run(_core.empty(shape, dtype)))
        if peak is None:
            watch = _Watch(model, batch=shape[0])
            with left_as_it_was(model, without_memory):
                watch.run(np.empty((0, *shape[1:]), dtype))
    result = Summary(watch.layers, inference_bytes=peak)
    result.parameters = sum(param.numel() for param in model.parameters())
    result.multiply_adds = sum(layer.multiply_adds for layer in result.layers)
    result.activations = sum(layer.activations for layer in result.layers)
    return result


@contextmanager
def in_mode(model: Any, training: bool) -> Iterator[None]:
    """Set a Module to training or evaluation, then back as it was; a function is left alone."""
    before = {m: m.training for m in model.modules()} if isinstance(model, nn.Module) else {}
    if before:
        model.train(training)
    try:
        yield
    finally:
        for module, was in before.items():
            module.training = was


def shape_of_input(op: str, input: Any) -> tuple[tuple[int, ...], Any]:
    """Return the shape and the dtype of an input, or of one of float32 that has a shape alone."""
    known = isinstance(input, (Tensor, np.ndarray))
    if not known and not isinstance(input, (tuple, list)):
        raise TypeError(f"{op}: input is {input!r}, expected a shape, a Tensor or an array")
    shape = size_of(tuple(input.shape if known else input), f"{op}: input", 1)
    if not shape or math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"{op}: input is {shape}, expected a batch, and at most 2**40 elements")
    return shape, input.dtype if known else np.dtype(np.float32)


# ---- running -----------------------------------------------------------------------------------


def _train(model: nn.Module, shape: tuple[int, ...], dtype: Any) -> None:
    with enable_grad():
        result = model(Tensor(_core.empty(shape, dtype)))
    outputs = [x for x in tensors_in(result) if x.requires_grad]
    backward(outputs, [Tensor(_core.empty(x.shape, x.dtype)) for x in outputs])


class _Watch:
    """Runs a model, and sees each layer and each result on the way."""

    def __init__(self, model: nn.Module, batch: int = 0) -> None:
        self.model, self.batch = model, batch  # for which an empty one stands, if any does
        self.layers: list[Layer] = []
        self.views: dict[int, Any] = {}  # with a weak reference, by id of a Tensor

    def run(self, array: Array) -> None:
        """Run and count."""
        input = Tensor(array)
        self.remember(input, (View(),) * (input.ndim - 2))
        watch_calls(self.model, self.see_layer)
        with _observed(self.see):
            self.model(input)

    def see(self, function: Any, args: tuple[Any, ...], result: Any) -> None:
        """Take note of what a function returned."""
        inputs = [self.views[id(arg)][0] for arg in args if id(arg) in self.views]
        joined = tuple(_join(views) for views in zip(*inputs))
        for output in result if isinstance(result, tuple) else (result,):
            self.remember(output, joined)

    def remember(self, tensor: Tensor, views: tuple[View, ...]) -> None:
        """Keep what an element of a tensor sees, while it lives."""
        key = id(tensor)
        self.views[key] = views, weakref.ref(tensor, lambda _: self.views.pop(key, None))

    def shape(self, array: Any) -> tuple[int, ...]:
        """Return a shape, with the batch for which an empty one stands."""
        return tuple(n or self.batch for n in getattr(array, "shape", ()))

    def see_layer(self, name: str, layer: nn.Module, given: Any, made: Tensor) -> None:
        """Take note of a call of a layer."""
        input, output = self.shape(given), self.shape(made)
        known = given if isinstance(layer, (nn.Linear, *OF_IMAGES)) else made
        before = (self.views.get(id(known)) or self.views.get(id(given), ((),)))[0]
        if isinstance(layer, OF_IMAGES) and len(before) != len(input) - 2:
            before = ()
        views = tuple(_see_through(layer, i, view, input, output) for i, view in enumerate(before))
        self.remember(made, views)
        parameters = sum(p.numel() for p in layer.parameters())
        activations = math.prod(output) if isinstance(layer, ACTIVE) else 0
        work = _multiply_adds(layer, input, output)
        kind = type(layer).__name__
        self.layers.append(Layer(name, kind, output, parameters, work, activations, views))


@contextmanager
def _observed(call: Any) -> Iterator[None]:
    before, state.observer = state.observer, call
    try:
        yield
    finally:
        state.observer = before


# ---- what a layer does -------------------------------------------------------------------------


def _multiply_adds(module: nn.Module, input: tuple[int, ...], output: tuple[int, ...]) -> int:
    weights = sum(p.numel() for n, p in module.named_parameters() if n.startswith("weight"))
    biases = sum(p.numel() for n, p in module.named_parameters() if n.startswith("bias"))
    if isinstance(module, ConvBase):
        where = input if module._transposed else output  # a whole window at each of these
        windows = math.prod(where) // where[1]
        return windows * weights + (math.prod(output) if biases else 0)
    if isinstance(module, nn.Linear):
        return math.prod(output[:-1]) * (weights + biases)
    if isinstance(module, (RNNBase, nn.RNNCell, nn.LSTMCell, nn.GRUCell)):
        return math.prod(input[:-1]) * (weights + biases)
    return 0


def _see_through(
    module: nn.Module, i: int, view: View, input: tuple[int, ...], output: tuple[int, ...]
) -> View:
    """Return what an element behind a layer sees in dimension `i` of an image."""
    if isinstance(module, nn.Linear):
        return view._replace(size=math.inf)
    if isinstance(module, ConvBase):
        kernel, step, dilation = module.kernel_size[i], module.stride[i], module.dilation[i]
        if module._transposed:
            return _enlarged(view, (kernel - 1) * dilation, step, module.padding[i])
        return _windowed(view, kernel, step, module.borders()[i][0], dilation)
    if isinstance(module, (MaxPoolBase, AvgPoolBase, LPPoolBase)):
        kernel = _at(module.kernel_size, i)
        step = kernel if module.stride is None else _at(module.stride, i)
        padding, dilation = getattr(module, "padding", 0), getattr(module, "dilation", 1)
        return _windowed(view, kernel, step, _at(padding, i), _at(dilation, i))
    if isinstance(module, (AdaptiveAvgPoolBase, AdaptiveMaxPoolBase)):
        step = max(input[2 + i] // output[2 + i], 1)
        return _windowed(view, input[2 + i] - (output[2 + i] - 1) * step, step, 0, 1)
    if isinstance(module, MaxUnpoolBase):
        return view._replace(stride=view.stride / _at(module.stride, i))
    if isinstance(module, nn.Upsample):
        taps = {"nearest": 1, "bicubic": 4}.get(module.mode, 2)
        size = view.size + (taps - 1) * view.stride
        return View(size, view.stride * Fraction(input[2 + i], output[2 + i]), view.padding)
    return view


def _join(views: tuple[View, ...]) -> View:
    """Return what an element sees that was computed from several."""
    sizes, strides, paddings = zip(*views)
    return View(max(sizes), min(strides), max(paddings))


def _windowed(view: View, kernel: int, step: int, padding: int, dilation: int) -> View:
    size = view.size + (kernel - 1) * dilation * view.stride
    return View(size, view.stride * step, view.padding + padding * view.stride)


def _enlarged(view: View, reach: int, step: int, padding: int) -> View:
    """Go through a transposed convolution: a convolution of the input with zeros in between."""
    stride = view.stride / step
    more = max(Fraction(reach + 1, step) - 1, Fraction(0))  # elements of the input, but the first
    outside = view.padding + (reach - padding) * stride
    return View(view.size + more * view.stride, stride, outside)


def _at(value: Any, i: int) -> int:
    return int(value[i] if isinstance(value, (tuple, list)) else value)
