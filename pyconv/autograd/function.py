"""Function: an operation and its derivative; Node: one recorded use of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor, version_of
from .grad_mode import state

# An edge says where a gradient goes: (leaf, 0), or (node, number of its output).
Edge = tuple[Any, int]

_sequence = itertools.count()


class Observer:
    """What `detect_anomaly` installs: called with each result, None while there is none."""

    call: Callable[[Any, tuple[Any, ...], Any], None] | None = None
    in_backward = False


class Node:
    """One use of a Function in the graph; `forward` and `backward` receive it as `ctx`.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `apply`, whether its gradient is wanted.
    """

    # Class attributes serve as initial values: a call that is not recorded then makes its ctx
    # without running any __init__.
    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple[Tensor | None, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _materialize = True
    _saved: Any = ()  # a tuple; a checkpoint.Deferred; None when it was freed
    _hooks: dict[int, dict[Any, Callable[..., Any]]] | None = None  # per output
    _retained: dict[int, Any] | None = None  # per output: weak reference to what keeps its gradient

    function: type[Function]
    sequence: int  # grows with every node: a node is newer than all it depends on
    edges: tuple[Edge | None, ...]  # per argument of apply
    outputs: tuple[tuple[tuple[int, ...], Any], ...]  # shape and dtype of each output

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs of `forward` for `backward`."""
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs have no gradient; integer outputs never have one."""
        self._non_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether `backward` gets zeros (True, the default) or None where none arrived."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept.

        Raises
        ------
        RuntimeError
            If it was freed by an earlier backward, or changed in place since it was saved.
        """
        if self._saved is None:
            raise RuntimeError(
                "backward through the same graph a second time: what it saved was freed; "
                "use backward(retain_graph=True) the first time"
            )
        if self._saved.__class__ is not tuple:
            self._saved = self._saved.compute_again()
        return tuple(None if entry is None else self._unpack(*entry) for entry in self._saved)

    def _unpack(self, tensor: Tensor, output: int | None, version: int) -> Tensor:
        if version_of(tensor)[0] != version:
            raise RuntimeError(
                f"a tensor of shape {tensor.shape} that {self.function.__name__} saved for "
                "backward was changed in place afterwards"
            )
        if output is None:
            return tensor
        result = Tensor(tensor._array, requires_grad=True)
        result._node, result._index, result._version = self, output, tensor._version
        return result

    def _pack(self) -> None:
        """Turn what was saved into (tensor, number if it is an own output, version) entries.

        An output is replaced by a twin without graph: it would hold this node, and this node it,
        and such a cycle keeps its memory until the garbage collector runs.
        """
        entries: list[Any] = []
        for tensor in self._to_save:
            if tensor is None:
                entries.append(None)
                continue
            output = None
            if tensor._node is self:
                output, tensor = tensor._index, tensor.detach()
            entries.append((tensor, output, version_of(tensor)[0]))
        self._saved = tuple(entries)
        self._to_save = ()
        if state.segment is not None:
            state.segment.add(self)


class Function:
    """Base class of operations with a derivative.

    Subclass it with two static methods. ``forward(ctx, *args)`` computes the result, a Tensor or
    a tuple of Tensors; nothing inside it is recorded. ``backward(ctx, *grads)`` gets one gradient
    per output and returns one per argument of `forward`, None where there is none. If it uses
    recorded operations only, higher derivatives work too. Use it by ``apply``.

    Examples
    --------
    >>> import pyconv
    >>> class Square(pyconv.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad_output
    >>> x = pyconv.tensor([3.0], requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor([6.])
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the result from the arguments of `apply`."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradient of each argument from the gradients of the outputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Run `forward`, and record it if an argument requires grad.

        Returns what `forward` returns: a Tensor, or a tuple of them.
        """
        result: Tensor
        if not state.enabled:
            result = cls.forward(Node(), *args)
            if Observer.call is not None:
                Observer.call(cls, args, result)
            return result
        record = False
        for arg in args:
            if isinstance(arg, Tensor) and arg._requires_grad:
                record = True
                break
        state.enabled = False
        try:
            result = _record(cls, args) if record else cls.forward(Node(), *args)
        finally:
            state.enabled = True
        if Observer.call is not None:
            Observer.call(cls, args, result)
        return result


def edge_of(tensor: Tensor) -> Edge:
    """Return where the gradient of a tensor goes."""
    return (tensor, 0) if tensor._node is None else (tensor._node, tensor._index)


# Plain loops below: generator expressions would cost as much as a small kernel.


def _record(function: type[Function], args: tuple[Any, ...]) -> Any:
    node = Node()
    node.function = function
    edges: list[Edge | None] = []
    for arg in args:
        wanted = isinstance(arg, Tensor) and arg._requires_grad
        edges.append(edge_of(arg) if wanted else None)
    node.edges = tuple(edges)
    node.needs_input_grad = tuple([edge is not None for edge in edges])
    result = function.forward(node, *args)
    node.sequence = next(_sequence)
    if isinstance(result, tuple):
        result = tuple([_attach(out, i, node, args) for i, out in enumerate(result)])
        node.outputs = tuple([(out._array.shape, out._array.dtype) for out in result])
    else:
        result = _attach(result, 0, node, args)
        node.outputs = ((result._array.shape, result._array.dtype),)
    if node._to_save:
        node._pack()
    if node._non_differentiable:
        node._non_differentiable = ()
    return result


def _attach(output: Any, index: int, node: Node, args: tuple[Any, ...]) -> Tensor:
    """Make `output` the result number `index` of `node`."""
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        raise TypeError(f"{node.function.__name__}.forward must return Tensors, got {kind}")
    result: Tensor = output
    if output._array.dtype.kind != "f":
        return result
    for tensor in node._non_differentiable:
        if output is tensor:
            return result
    handed_through = output._requires_grad
    for arg in args:
        handed_through = handed_through or output is arg
    if handed_through:
        result = output.detach()  # an input keeps its own place in the graph
    result._requires_grad, result._node, result._index = True, node, index
    return result
