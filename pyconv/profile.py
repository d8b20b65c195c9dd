"""Where the time of a network goes, layer by layer, forward and backward."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from . import _core, nn
from .arguments import integer
from .autograd import backward, enable_grad
from .autograd.anomaly import within
from .autograd.function import Node
from .autograd.grad_mode import state
from .creation import as_tensor, ones_like
from .explain import measured_peak
from .random import randn
from .rehearsal import tensors_in
from .summary import count_layers
from .tensor import Tensor

OUTSIDE = "outside of layers"


@dataclass
class LayerTime:
    """The time of a layer, the best of several passes.

    Attributes
    ----------
    name, kind : str
        Its name in the network, and its class.
    forward, backward : float
        Milliseconds.
    forward_share, backward_share : float
        The least time that the machine's measured peaks of arithmetic and of copying in memory
        allow, divided by the time. Arrays that fit into a cache may take less, a share above 1.
    algorithms : list of str
        That ran, in the order of their calls: forward, gradient of the input, of the weight.
    """

    name: str
    kind: str
    forward: float = 0.0
    backward: float = 0.0
    forward_share: float = 0.0
    backward_share: float = 0.0
    algorithms: list[str] = field(default_factory=list)


class Profile(list[LayerTime]):
    """What `profile` returns; its text is a table."""

    def __str__(self) -> str:
        rows = [["layer", "", "forward ms", "roofline", "backward ms", "roofline", "algorithms"]]
        for x in self:
            shares = [
                f"{share:.0%}" if share else "" for share in (x.forward_share, x.backward_share)
            ]
            times = f"{x.forward:.3f}", shares[0], f"{x.backward:.3f}", shares[1]
            rows.append([x.name, x.kind, *times, " ".join(x.algorithms)])
        total = [f"{sum(getattr(x, way) for x in self):.3f}" for way in ("forward", "backward")]
        rows.append(["total", "", total[0], "", total[1], "", ""])
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            "  ".join(
                text.rjust(width) if 2 <= i <= 5 else text.ljust(width)
                for i, (text, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        )


def profile(model: nn.Module, input: Any, repeats: int = 5) -> Profile:
    """Measure the time of each layer of a network, forward and backward.

    The network runs as it is, in training or not, and gradients are left as they were.

    Parameters
    ----------
    model : Module
        Its parameters, or some of them, require grad.
    input : tuple of int, Tensor or array
        The input, or the shape of one of float32; the first dimension is the batch.
    repeats : int
        Passes, of which the best time of each layer counts.

    Returns
    -------
    Profile
        A list of `LayerTime`, one for each layer without layers of its own, in the order of their
        first calls, and one for all that happens outside of them. Printed, a table.

    Raises
    ------
    ValueError
        If `repeats` is below 1, or the network cannot take the input.
    TypeError
        If `model` is no Module, `input` none of these, or `repeats` no integer.

    References
    ----------
    Williams, Waterman and Patterson, *Roofline: an insightful visual performance model for
    multicore architectures*, Communications of the ACM 52, 2009.

    Examples
    --------
    >>> import pyconv
    >>> rows = pyconv.profile(pyconv.models.lenet(), (1, 1, 28, 28), repeats=1)
    >>> rows[0].name, rows[0].kind, rows[0].forward > 0
    ('0', 'Conv2d', True)
    """
    repeats = integer("profile: repeats", repeats, 1)
    counted = count_layers(model, input, "profile")
    x = randn(*input) if isinstance(input, (tuple, list)) else as_tensor(input, "input")
    clocks = []
    before = [(tensor, tensor.grad) for tensor in (x, *model.parameters())]
    try:
        for _ in range(repeats):
            clocks.append(_Clock(model))
            clocks[-1].run(x)
    finally:
        for tensor, gradient in before:
            tensor.grad = gradient
    work: dict[str, int] = defaultdict(int)
    for layer in counted.layers:
        work[layer.name] += layer.flops
    result = Profile(clocks[-1].rows.values())
    for row in result:
        passes = [clock.rows[row.name] for clock in clocks if row.name in clock.rows]
        row.forward = min(row.forward for row in passes)
        row.backward = min(row.backward for row in passes)
        sizes = clocks[-1].sizes.get(row.name)
        if sizes:
            _judge(row, work[row.name], *sizes)
    return result


def _judge(row: LayerTime, flops: int, read: int, written: int, own: int, wanted: bool) -> None:
    """Compare times with the machine's peaks; bytes of input, output and parameters."""
    where = _core.isa(), _core.get_num_threads()
    per_ms = measured_peak("float32_flops", *where) * 1e6
    bytes_per_ms = measured_peak("copy_bandwidth", *where) * 1e6

    def least(times: int, moved: int) -> float:
        return max(times * flops / per_ms, moved / bytes_per_ms)

    row.forward_share = least(1, read + written + own) / row.forward
    if row.backward:  # the gradients of the parameters and, if it is wanted, of the input
        moved = read * (1 + wanted) + written + 2 * own
        row.backward_share = least(bool(own) + wanted, moved) / row.backward


class _Clock:
    """One pass: the time between any two events belongs to the layer that was at work."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.outside = self.now = LayerTime(OUTSIDE, "")
        self.rows: dict[str, LayerTime] = {}
        self.sizes: dict[str, tuple[int, int, int, bool]] = {}
        self.owners: dict[Node, LayerTime] = {}
        self.inner: list[str] = []  # algorithms within the backward of a node
        self.last = 0.0

    def run(self, input: Tensor) -> None:
        hooks = []
        for name, module in self.model.named_modules():
            if not module._modules:
                hooks.append(module.register_forward_pre_hook(self.enter(name)))
                hooks.append(module.register_forward_hook(self.leave(name)))
        outer, state.observer = state.observer, self.see
        _core.log_algorithms(True)
        try:
            self.last = time.perf_counter()
            with enable_grad():
                result = self.model(input)
            outputs = [x for x in tensors_in(result) if x.requires_grad]
            gradients = [ones_like(x) for x in outputs]
            self.outside.forward += self.lap()
            backward(outputs, gradients)
        finally:
            _core.log_algorithms(False)
            state.observer = outer
            for hook in hooks:
                hook.remove()
        self.rows[OUTSIDE] = self.outside

    def lap(self) -> float:
        """Return the milliseconds since the last call."""
        before, self.last = self.last, time.perf_counter()
        return (self.last - before) * 1e3

    def enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            self.outside.forward += self.lap()
            self.now = self.rows.setdefault(name, LayerTime(name, type(module).__name__))

        return hook

    def leave(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            self.now.forward += self.lap()
            self.now = self.outside
            read, written, own = (
                sum(x.numel() * x.dtype.itemsize for x in tensors)
                for tensors in (tensors_in(args), tensors_in(result), module.parameters())
            )
            self.sizes[name] = read, written, own, any(x.requires_grad for x in tensors_in(args))

        return hook

    def see(self, operation: Any, given: tuple[Any, ...], made: Any) -> None:
        """Take note of what a function returned, or the backward of a node."""
        names = _core.logged_algorithms()[:1]  # the rest are products of matrices within
        if isinstance(operation, Node):
            row = self.owners.get(operation, self.outside)
            row.backward += self.lap()
            row.algorithms += self.inner
            self.inner = []
        elif within.backward:
            self.inner += names
        else:
            self.now.algorithms += names
            self.owners |= {x._node: self.now for x in tensors_in(made) if x._node is not None}
