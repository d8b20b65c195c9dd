"""The backward pass: where it starts, and what it does beside the loop over the recorded nodes.

That loop is `_core.walk`, in csrc/bind/bind_autograd.cc.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import _core
from ..arguments import flag, quiet
from ..creation import as_tensor
from ..tensor import Tensor, changed
from .anomaly import observed
from .function import Edge, Node, edge_of
from .hooks import call_hooks, hooks_of

_adding = threading.Lock()  # to a gradient that another thread may add to


def backward(
    tensors: Tensor | Iterable[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of `tensors` to the ``.grad`` of the leaves they were computed from.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
        Where to start.
    grad_tensors : array_like or sequence of array_like, optional
        The gradient of the final result with respect to each of `tensors`; 1 for a tensor of one
        element if left out.
    retain_graph, create_graph
        As in `Tensor.backward`.

    Raises
    ------
    RuntimeError
        If a tensor does not require grad, or its graph was freed.
    ValueError
        If a gradient is missing or has a wrong shape.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.ones(2, requires_grad=True)
    >>> pyconv.autograd.backward(x.sum())
    >>> x.grad
    tensor([1., 1.])
    """
    _Run(retain_graph, create_graph).start("backward: tensors", tensors, grad_tensors)


def grad(
    outputs: Tensor | Iterable[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Compute the gradients of `outputs` with respect to `inputs`, leaving every ``.grad`` alone.

    Only what leads from `inputs` to `outputs` is computed.

    Parameters
    ----------
    outputs : Tensor or iterable of Tensor
        Results of a recorded computation.
    inputs : Tensor or iterable of Tensor
        Leaves or tensors within that computation.
    grad_outputs : array_like or sequence of array_like, optional
        The gradient with respect to each of `outputs`; 1 for one element if left out.
    retain_graph, create_graph
        As in `Tensor.backward`.
    allow_unused : bool
        Return None for an input that `outputs` do not depend on, instead of raising.

    Returns
    -------
    tuple of Tensor
        One gradient for each of `inputs`.

    Raises
    ------
    RuntimeError
        If an input does not require grad, or was not used.
    ValueError
        If a gradient is missing or has a wrong shape.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.tensor(2.0, requires_grad=True)
    >>> (first,) = pyconv.autograd.grad(x * x * x, x, create_graph=True)
    >>> pyconv.autograd.grad(first, x)
    (tensor(12.),)
    """
    inputs = _tensors("grad: inputs", inputs)
    allow_unused = flag("grad: allow_unused", allow_unused)
    for i, tensor in enumerate(inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"grad: inputs[{i}] does not require grad")
    wanted = [edge_of(tensor) for tensor in inputs]
    run = _Run(retain_graph, create_graph, wanted)
    run.start("grad: outputs", outputs, grad_outputs)
    result = tuple(run.captured.get(edge) for edge in wanted)
    if not allow_unused and any(g is None for g in result):
        raise RuntimeError("grad: an input was not used to compute outputs; see allow_unused")
    return result


def clear_grad(tensor: Tensor, set_to_none: bool) -> None:
    """Forget the gradient of a tensor, or set it to zero."""
    if set_to_none or tensor.grad is None:
        tensor.grad = None
    elif tensor.grad._requires_grad or not tensor.grad._array.flags.writeable:
        tensor.grad = Tensor(np.zeros_like(tensor.grad._array))
    else:
        tensor.grad._array.fill(0)
        changed(tensor.grad)


class _Run:
    """One backward pass; with `wanted`, it captures the gradients at these edges only.

    The loop calls the methods below that have no underscore, for what is not each node's business.
    """

    observed = staticmethod(observed)

    def __init__(
        self, retain_graph: bool | None, create_graph: bool, wanted: Sequence[Edge] | None = None
    ) -> None:
        self.create_graph = flag("backward: create_graph", create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        self.retain_graph = flag("backward: retain_graph", keep)
        self.wanted = None if wanted is None else set(wanted)
        self.useful: set[Node] = set()
        self.captured: dict[Edge, Tensor] = {}
        self.hooked: dict[Tensor, Tensor] = {}  # leaves with hooks: what arrived there

    def start(self, what: str, tensors: Tensor | Iterable[Tensor], gradients: Any) -> None:
        roots = _tensors(what, tensors)
        one = isinstance(gradients, (tuple, list)) and len(gradients) == 1
        listed = one and isinstance(gradients[0], Tensor)  # else a number of an array_like
        if gradients is None or (isinstance(tensors, Tensor) and not listed):
            gradients = (gradients,) * len(roots)
        if not isinstance(gradients, (tuple, list)):
            kind = type(gradients).__name__
            raise TypeError(f"backward: gradients is a {kind}, expected one for each tensor")
        if len(gradients) != len(roots):
            raise ValueError(f"backward: {len(gradients)} gradients for {len(roots)} tensors")
        starts = [(edge_of(t), _first_gradient(t, g)) for t, g in zip(roots, gradients)]
        if self.wanted is not None:
            self.useful = _leading_to(self.wanted, [edge[0] for edge, _ in starts])
        _core.walk(self, starts, bool(self.retain_graph), bool(self.create_graph))

    def run_hooks(self, node: Node, gradients: list[Tensor | None]) -> None:
        """Show the gradients of a node's outputs, now complete, to those who asked."""
        for index, gradient in enumerate(gradients):
            if gradient is None:
                continue
            hooks = (node._hooks or {}).get(index)
            if hooks:
                gradient = gradients[index] = call_hooks(hooks, gradient)
                if (node, index) in self.captured:
                    self.captured[node, index] = gradient
            tensor = (node._retained or {}).get(index, lambda: None)()
            if tensor is not None and self.wanted is None:
                tensor.grad = gradient.clone() if tensor.grad is None else tensor.grad + gradient

    def finish_hooks(self) -> None:
        """Do the same for leaves, and for what was asked for and not passed by."""
        for edge, gradient in self.captured.items():
            target, index = edge
            if target not in self.useful:
                hooks = (target._hooks or {}).get(index) if isinstance(target, Node) else None
                hooks = hooks_of(target) if isinstance(target, Tensor) else hooks
                self.captured[edge] = call_hooks(hooks, gradient) if hooks else gradient
        for leaf, gradient in self.hooked.items():
            self._add_to_leaf(leaf, call_hooks(hooks_of(leaf), gradient))

    def capture(self, edge: Edge, gradient: Tensor) -> None:
        """Add what arrived at an edge that was asked for."""
        before = self.captured.get(edge)
        self.captured[edge] = gradient if before is None else before + gradient

    def deliver_to_leaf(self, leaf: Tensor, gradient: Tensor) -> None:
        """Add what arrived at a leaf to its gradient, unless the leaf can just keep it."""
        if hooks_of(leaf):  # they see the sum of all that arrives
            before = self.hooked.get(leaf)
            self.hooked[leaf] = gradient if before is None else before + gradient
        else:
            self._add_to_leaf(leaf, gradient)

    def _add_to_leaf(self, leaf: Tensor, gradient: Tensor) -> None:
        if leaf._grad is None:
            first = gradient.clone()
            if leaf._grad is None:  # still: other threads ran meanwhile
                leaf._grad = first
                return
        with _adding:
            if self.create_graph or not leaf._grad._array.flags.writeable:
                leaf._grad = leaf._grad + gradient
                return
            with quiet():
                np.add(leaf._grad._array, gradient._array, out=leaf._grad._array)
            changed(leaf._grad)


def _tensors(what: str, value: Any) -> tuple[Tensor, ...]:
    """Read a Tensor or several."""
    if isinstance(value, Tensor):
        return (value,)
    tensors = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        kind = type(value).__name__
        raise TypeError(f"{what} is a {kind}, expected a Tensor or several")
    return tensors


def _first_gradient(tensor: Tensor, gradient: Any) -> Tensor:
    if not tensor._requires_grad:
        raise RuntimeError("backward: the tensor does not require grad: nothing was recorded")
    array = tensor._array
    if gradient is None:
        if array.size != 1:
            raise ValueError(f"backward: a tensor of shape {array.shape} needs a gradient argument")
        return Tensor(np.ones_like(array))
    first = as_tensor(gradient, "backward: gradient")
    if first.shape != array.shape:
        raise ValueError(f"backward: gradient has shape {first.shape}, tensor {array.shape}")
    # Functions such as a sum hand gradients on as they are: in the machine's own byte order.
    native = first.dtype.num == array.dtype.num and first.dtype.isnative
    return first if native else first.to(array.dtype.newbyteorder("="))


def _leading_to(wanted: set[Edge], roots: list[Any]) -> set[Node]:
    """Return the nodes from which a wanted edge can be reached."""
    # What leads to a node is newer than it; leaves have no age.
    oldest = min((n._sequence if isinstance(n, Node) else -1 for n, _ in wanted), default=-1)
    nodes: set[Node] = set()
    stack = [root for root in roots if isinstance(root, Node)]
    while stack:
        node = stack.pop()
        if node not in nodes and node._sequence > oldest:
            nodes.add(node)
            stack.extend(e[0] for e in node._edges if e is not None and isinstance(e[0], Node))
    useful: set[Node] = set()
    for node in sorted(nodes, key=lambda node: node._sequence):
        if any(e is not None and (e in wanted or e[0] in useful) for e in node._edges):
            useful.add(node)
    return useful
