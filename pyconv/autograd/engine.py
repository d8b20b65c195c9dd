"""The backward pass: a loop over the recorded nodes, newest first.

Each node carries a number larger than those of all nodes it depends on. Taking the largest number
from a heap therefore meets a node only when every gradient that flows into it has arrived. There
is no recursion, so the depth of a graph is bounded by memory alone.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import flag
from ..creation import as_tensor
from ..tensor import Tensor, changed
from .function import Edge, Node, Observer, edge_of
from .grad_mode import state
from .hooks import call_hooks, hooks_of


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of `tensors` to the ``.grad`` of the leaves they were computed from.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
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
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Compute the gradients of `outputs` with respect to `inputs`, leaving every ``.grad`` alone.

    Only what leads from `inputs` to `outputs` is computed.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        Results of a recorded computation.
    inputs : Tensor or sequence of Tensor
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
    else:
        tensor.grad._array.fill(0)
        changed(tensor.grad)


class _Run:
    """One backward pass; with `wanted`, it captures the gradients at these edges only."""

    def __init__(
        self, retain_graph: bool | None, create_graph: bool, wanted: Sequence[Edge] | None = None
    ) -> None:
        self.create_graph = flag("backward: create_graph", create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        self.retain_graph = flag("backward: retain_graph", keep)
        self.wanted = None if wanted is None else set(wanted)
        self.useful: set[Node] = set()
        self.captured: dict[Edge, Tensor] = {}
        self.heap: list[tuple[int, Node]] = []
        self.arrived: dict[Node, list[Tensor | None]] = {}
        self.hooked: dict[Tensor, Tensor] = {}  # leaves with hooks: what arrived there

    def start(self, what: str, tensors: Tensor | Sequence[Tensor], gradients: Any) -> None:
        roots = _tensors(what, tensors)
        if isinstance(tensors, Tensor) or gradients is None:
            gradients = (gradients,) * len(roots)
        if not isinstance(gradients, (tuple, list)):
            kind = type(gradients).__name__
            raise TypeError(f"backward: gradients is a {kind}, expected one for each tensor")
        if len(gradients) != len(roots):
            raise ValueError(f"backward: {len(gradients)} gradients for {len(roots)} tensors")
        starts = [(edge_of(t), _first_gradient(t, g)) for t, g in zip(roots, gradients)]
        if self.wanted is not None:
            self.useful = _leading_to(self.wanted, [edge[0] for edge, _ in starts])
        previous, state.enabled = state.enabled, self.create_graph
        try:
            for edge, gradient in starts:
                self.deliver(edge, gradient, owned=False)
            while self.heap:
                self.step(heapq.heappop(self.heap)[1])
            self.finish_hooks()
        finally:
            state.enabled = previous

    def step(self, node: Node) -> None:
        """Run one node's backward and pass on what it returns."""
        needs = node.needs_input_grad
        if self.wanted is not None:
            node.needs_input_grad = tuple(e is not None and self.goes_on(e) for e in node.edges)
        try:
            arrived = self.arrived.pop(node)
            if node._hooks or node._retained:
                self.run_hooks(node, arrived)
            gradients = _call(node, arrived)
            for i, edge in enumerate(node.edges):
                if edge is not None and node.needs_input_grad[i] and gradients[i] is not None:
                    owned = _only_here(gradients, i)  # before the call, whose arguments hold it too
                    self.deliver(edge, gradients[i], owned)
        finally:
            node.needs_input_grad = needs
        if not self.retain_graph and node._saved:
            node._saved = None

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
                tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient

    def finish_hooks(self) -> None:
        """Do the same for leaves, and for what was asked for and not passed by."""
        for edge, gradient in self.captured.items():
            target, index = edge
            if target not in self.useful:
                hooks = (target._hooks or {}).get(index) if isinstance(target, Node) else None
                hooks = hooks_of(target) if isinstance(target, Tensor) else hooks
                self.captured[edge] = call_hooks(hooks, gradient) if hooks else gradient
        for leaf, gradient in self.hooked.items():
            self.add_to_leaf(leaf, call_hooks(hooks_of(leaf), gradient), owned=False)

    def goes_on(self, edge: Edge) -> bool:
        return self.wanted is None or edge in self.wanted or edge[0] in self.useful

    def deliver(self, edge: Edge, gradient: Tensor, owned: bool) -> None:
        """Add a gradient to what has arrived at the end of an edge."""
        target, index = edge
        if self.wanted is not None and edge in self.wanted:
            before = self.captured.get(edge)
            self.captured[edge] = gradient if before is None else before + gradient
        if isinstance(target, Node):
            if self.wanted is None or target in self.useful:
                self.deliver_to_node(target, index, gradient)
        elif self.wanted is None:
            self.deliver_to_leaf(target, gradient, owned)

    def deliver_to_node(self, node: Node, index: int, gradient: Tensor) -> None:
        slots = self.arrived.get(node)
        if slots is None:
            slots = self.arrived[node] = [None] * len(node.outputs)
            heapq.heappush(self.heap, (-node.sequence, node))
        before = slots[index]
        slots[index] = gradient if before is None else before + gradient

    def deliver_to_leaf(self, leaf: Tensor, gradient: Tensor, owned: bool) -> None:
        if hooks_of(leaf):  # they see the sum of all that arrives
            before = self.hooked.get(leaf)
            self.hooked[leaf] = gradient if before is None else before + gradient
        else:
            self.add_to_leaf(leaf, gradient, owned)

    def add_to_leaf(self, leaf: Tensor, gradient: Tensor, owned: bool) -> None:
        if self.create_graph:
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
        elif leaf.grad is None:
            leaf.grad = gradient if owned else Tensor(np.array(gradient._array))
        else:
            np.add(leaf.grad._array, gradient._array, out=leaf.grad._array)
            changed(leaf.grad)


def _tensors(what: str, value: Any) -> tuple[Tensor, ...]:
    """Read a Tensor or several."""
    if isinstance(value, Tensor):
        return (value,)
    if not isinstance(value, (tuple, list)) or not all(isinstance(t, Tensor) for t in value):
        kind = type(value).__name__
        raise TypeError(f"{what} is a {kind}, expected a Tensor or a list of them")
    return tuple(value)


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
    nodes: set[Node] = set()
    stack = [root for root in roots if isinstance(root, Node)]
    while stack:
        node = stack.pop()
        if node not in nodes:
            nodes.add(node)
            stack.extend(e[0] for e in node.edges if e is not None and isinstance(e[0], Node))
    useful: set[Node] = set()
    for node in sorted(nodes, key=lambda node: node.sequence):
        if any(e is not None and (e in wanted or e[0] in useful) for e in node.edges):
            useful.add(node)
    return useful


def _call(node: Node, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    """Run a node's backward and check what it returns."""
    if node._materialize:
        for i, (shape, dtype) in enumerate(node.outputs):
            if gradients[i] is None:
                gradients[i] = Tensor(np.zeros(shape, dtype))
    if Observer.call is None:
        result = node.function.backward(node, *gradients)
    else:
        result = _observed(node, gradients)
    if not isinstance(result, tuple):
        result = (result,)
    if len(result) != len(node.edges):
        raise RuntimeError(
            f"{node.function.__name__}.backward returned {len(result)} gradients "
            f"for {len(node.edges)} arguments of forward"
        )
    return tuple(
        gradient if gradient is None or edge is None else _checked(node, edge, gradient)
        for edge, gradient in zip(node.edges, result)
    )


def _observed(node: Node, gradients: list[Tensor | None]) -> Any:
    """Run a node's backward under `detect_anomaly`."""
    outer, Observer.in_backward = Observer.in_backward, True
    try:
        result = node.function.backward(node, *gradients)
    finally:
        Observer.in_backward = outer
    if Observer.call is not None:
        Observer.call(node, tuple(gradients), result)
    return result


def _checked(node: Node, edge: Edge, gradient: Any) -> Tensor:
    """Give a gradient the dtype of what it belongs to; raise if its shape is another."""
    target, index = edge
    if isinstance(target, Node):
        shape, dtype = target.outputs[index]
    else:
        shape, dtype = target._array.shape, target._array.dtype
    array = gradient._array
    if array.shape != shape:
        raise RuntimeError(
            f"{node.function.__name__}.backward returned a gradient of shape {array.shape} "
            f"for an argument of shape {shape}"
        )
    # The number of a dtype leaves out the byte order: gradients are in the machine's own.
    result: Tensor = gradient if array.dtype.num == dtype.num else gradient.to(dtype)
    return result


def _only_here(gradients: tuple[Any, ...], i: int) -> bool:
    """Return whether nobody else holds gradients[i]: a leaf may then keep it without copying.

    Two references each are this tuple or Tensor itself, and the argument of getrefcount.
    """
    return (
        sys.getrefcount(gradients[i]) == 2
        and sys.getrefcount(gradients[i]._array) == 2
        and not isinstance(gradients[i]._array.base, np.ndarray)
    )
