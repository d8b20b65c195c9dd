"""The backward pass: where it starts, and what it does beside the loop over the recorded nodes.

That loop is `_core.walk`, in csrc/bind/bind_autograd.cc.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
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
    *,
    inputs: Tensor | Iterable[Tensor] | None = None,
) -> None:
    """Add the gradients of `tensors` to the ``.grad`` of the leaves they were computed from.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
        Where to start.
    grad_tensors : array_like or sequence of array_like, optional
        The gradient of the final result with respect to each of `tensors`; 1 for a tensor of one
        element if left out.
    retain_graph, create_graph, inputs
        As in `Tensor.backward`.

    Raises
    ------
    RuntimeError
        If a tensor does not require grad, or its graph was freed.
    ValueError
        If a gradient is missing or has a wrong shape, or `inputs` is empty.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.ones(2, requires_grad=True)
    >>> pyconv.autograd.backward(x.sum())
    >>> x.grad
    tensor([1., 1.])
    """
    run = _Run("backward", retain_graph, create_graph)
    if inputs is not None:
        run.receivers = {edge_of(tensor): tensor for tensor in _inputs("backward", inputs)}
        run.wanted = set(run.receivers)
    names = "the tensor", "gradient"
    run.start(tensors, grad_tensors, *(names if isinstance(tensors, Tensor) else _NAMES))


_NAMES = "tensors", "grad_tensors"


def grad(
    outputs: Tensor | Iterable[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
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
    only_inputs : bool
        True.
    allow_unused : bool, optional
        Return None for an input that `outputs` do not depend on, instead of raising. Default:
        `materialize_grads`.
    is_grads_batched : bool
        False.
    materialize_grads : bool
        Return zeros in place of None.

    Returns
    -------
    tuple of Tensor
        One gradient for each of `inputs`.

    Raises
    ------
    RuntimeError
        If an input does not require grad, or was not used.
    ValueError
        If a gradient is missing or has a wrong shape, `inputs` is empty, or a flag cannot be as it
        is.
    NotImplementedError
        If `is_grads_batched` is set.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.tensor(2.0, requires_grad=True)
    >>> (first,) = pyconv.autograd.grad(x * x * x, x, create_graph=True)
    >>> pyconv.autograd.grad(first, x)
    (tensor(12.),)
    """
    fill = flag("grad: materialize_grads", materialize_grads)
    unused = fill if allow_unused is None else flag("grad: allow_unused", allow_unused)
    if fill and not unused:
        raise ValueError("grad: allow_unused is False, expected True with materialize_grads")
    if not flag("grad: only_inputs", only_inputs):
        raise ValueError("grad: only_inputs is False, expected True; see backward")
    if flag("grad: is_grads_batched", is_grads_batched):
        raise NotImplementedError("grad: is_grads_batched is True, only False is supported")
    tensors = _inputs("grad", inputs)
    wanted = [edge_of(tensor) for tensor in tensors]
    run = _Run("grad", retain_graph, create_graph)
    run.wanted = set(wanted)
    run.start(outputs, grad_outputs, "outputs", "grad_outputs")
    result: list[Any] = [run.captured.get(edge) for edge in wanted]
    for i, gradient in enumerate(result):
        if gradient is None and not unused:
            raise RuntimeError(
                f"grad: inputs[{i}] was not used to compute outputs; see allow_unused"
            )
        if gradient is None and fill:
            result[i] = Tensor(np.zeros_like(tensors[i]._array), run.create_graph)
    return tuple(result)


def _inputs(op: str, inputs: Any) -> tuple[Tensor, ...]:
    tensors = _tensors(f"{op}: inputs", inputs)
    if not tensors:
        raise ValueError(f"{op}: inputs is empty, expected a Tensor or several")
    for i, tensor in enumerate(tensors):
        if not tensor._requires_grad:
            raise RuntimeError(f"{op}: inputs[{i}] does not require grad")
    return tensors


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

    It adds them to the ``.grad`` of the `receivers`, which are tensors by edge.

    The loop calls the methods below that have no underscore, for what is not each node's business.
    """

    observed = staticmethod(observed)

    def __init__(self, op: str, retain_graph: bool | None, create_graph: bool) -> None:
        self.op = op
        self.create_graph = flag(f"{op}: create_graph", create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        self.retain_graph = flag(f"{op}: retain_graph", keep)
        self.wanted: set[Edge] | None = None
        self.receivers: dict[Edge, Tensor] = {}
        self.useful: set[Node] = set()
        self.captured: dict[Edge, Tensor] = {}
        self.hooked: dict[Tensor, Tensor] = {}  # leaves with hooks: what arrived there

    def start(self, tensors: Any, gradients: Any, name: str, gradient_name: str) -> None:
        roots = _tensors(f"{self.op}: {name}", tensors)
        one = isinstance(gradients, (tuple, list)) and len(gradients) == 1
        listed = one and isinstance(gradients[0], Tensor)  # else a number of an array_like
        if gradients is None or (isinstance(tensors, Tensor) and not listed):
            gradients = (gradients,) * len(roots)
        if not isinstance(gradients, (tuple, list)):
            kind = type(gradients).__name__
            raise TypeError(
                f"{self.op}: {gradient_name} is a {kind}, expected one for each of {name}"
            )
        if len(gradients) != len(roots):
            raise ValueError(
                f"{self.op}: {gradient_name} has {len(gradients)} entries and {name} {len(roots)}, "
                "expected as many"
            )
        starts = []
        for i, (tensor, gradient) in enumerate(zip(roots, gradients)):
            at = "" if isinstance(tensors, Tensor) else f"[{i}]"
            first = self._first_gradient(tensor, gradient, name + at, gradient_name + at)
            starts.append((edge_of(tensor), first))
        if self.wanted is not None:
            self.useful = _leading_to(self.wanted, [edge[0] for edge, _ in starts])
        _core.walk(self, starts, bool(self.retain_graph), bool(self.create_graph))

    def _first_gradient(self, tensor: Tensor, gradient: Any, name: str, given: str) -> Tensor:
        if not tensor._requires_grad:
            raise RuntimeError(f"{self.op}: {name} does not require grad: nothing was recorded")
        array = tensor._array
        if gradient is None:
            if array.size != 1:
                raise ValueError(
                    f"{self.op}: {name} of shape {array.shape} needs a gradient: {given} is None"
                )
            return Tensor(np.ones_like(array))
        first = as_tensor(gradient, f"{self.op}: {given}")
        if first.shape != array.shape:
            raise ValueError(
                f"{self.op}: {given} has shape {first.shape}, expected that of {name}, "
                f"{array.shape}"
            )
        # Functions such as a sum hand gradients on as they are: in the machine's own byte order.
        native = first.dtype.num == array.dtype.num and first.dtype.isnative
        return first if native else first.to(array.dtype.newbyteorder("="))

    def run_hooks(self, node: Node, gradients: list[Tensor | None]) -> None:
        """Show the gradients of a node's outputs, now complete, to those who asked."""
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                shown = gradients[index] = self._shown(node, index, gradient)
                if (node, index) in self.captured:
                    self.captured[node, index] = shown

    def _shown(self, node: Node, index: int, gradient: Tensor) -> Tensor:
        hooks = (node._hooks or {}).get(index)
        gradient = call_hooks(hooks, gradient) if hooks else gradient
        tensor = (node._retained or {}).get(index, lambda: None)()
        if tensor is not None and (node, index) not in self.receivers:
            tensor.grad = gradient.clone() if tensor.grad is None else tensor.grad + gradient
        return gradient

    def finish_hooks(self) -> None:
        """Do the same for leaves, and for what was asked for and not passed by."""
        for edge, gradient in self.captured.items():
            target, index = edge
            if isinstance(target, Tensor):
                self.captured[edge] = call_hooks(hooks_of(target), gradient)
            elif target not in self.useful:
                self.captured[edge] = self._shown(target, index, gradient)
        for leaf, gradient in self.hooked.items():
            self._add_to_leaf(leaf, call_hooks(hooks_of(leaf), gradient))
        for edge, tensor in self.receivers.items():
            if edge in self.captured:
                self._add_to_leaf(tensor, self.captured[edge])

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
        if not leaf._requires_grad:  # any more
            return
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
