"""Checkpoints: what backward needs is computed again instead of kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._core import version_of
from ..arguments import number, parts_of
from ..creation import as_tensor
from ..random import default_generator
from ..tensor import Tensor
from .function import Node
from .grad_mode import state


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function; keep of it only the arguments, and call it once more in backward.

    Memory is saved for time. The second call draws the random numbers of the first. It also repeats
    other effects, such as batch norm's update of its running mean.

    Parameters
    ----------
    function : callable
        Has to do the same each time. Changes of what it gets from elsewhere, such as a closure, are
        not seen, unless it is a leaf that requires grad.
    *args, **kwargs
        Its arguments. Tensors among them, also in tuples, lists and dicts, may not be changed in
        place before backward.

    Returns
    -------
    What the function returns.

    Raises
    ------
    RuntimeError
        In backward, if the second call recorded other operations than the first, or a tensor that
        it needs was changed in place.
    TypeError
        If `function` is none.

    See Also
    --------
    checkpoint_sequential : Does it for layers, as far as a budget of memory asks for it.

    References
    ----------
    Chen et al., *Training deep nets with sublinear memory cost*, arXiv:1604.06174.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.tensor([1.0, 2.0], requires_grad=True)
    >>> pyconv.autograd.checkpoint(lambda x: x.exp().log(), x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """
    if not callable(function):
        raise TypeError(f"checkpoint: function is {function!r}, expected a function")
    if not state.enabled:
        return function(*args, **kwargs)
    segment = _Segment(function, args, kwargs)
    result = segment.run()
    segment.forget()
    return result


def checkpoint_sequential(
    layers: Iterable[Callable[[Any], Any]], input: Any, budget_mb: float = 0
) -> Any:
    """Call layers one after the other, and keep what backward needs as long as memory allows.

    From the first layer on, all is kept while it fits into the budget. A layer whose part does not
    fit keeps only its input and is computed again in backward, one layer at a time: at the peak
    there is its memory on top. The inputs of layers are kept in any case.

    Parameters
    ----------
    layers : iterable of callable
        For example a `pyconv.nn.Sequential`; larger parts save more.
    input : array_like
        Goes into the first.
    budget_mb : float
        How many MB (10**6 bytes) of results within layers to keep; 0 keeps none.

    Returns
    -------
    What the last layer returns.

    Raises
    ------
    ValueError
        If `budget_mb` is negative.
    TypeError
        If `budget_mb` is no number, or `layers` are no functions.
    RuntimeError
        In backward, as for `checkpoint`.

    Examples
    --------
    >>> import pyconv
    >>> net = pyconv.nn.Sequential(pyconv.nn.Linear(4, 8), pyconv.nn.ReLU())
    >>> x = pyconv.zeros(2, 4)
    >>> pyconv.autograd.checkpoint_sequential(net, x, budget_mb=100).shape
    (2, 8)
    """
    if number("checkpoint_sequential: budget_mb", budget_mb) < 0:
        raise ValueError(f"checkpoint_sequential: budget_mb is {budget_mb}, must not be negative")
    if not isinstance(layers, Iterable):
        kind = type(layers).__name__
        raise TypeError(f"checkpoint_sequential: layers is a {kind}, expected functions")
    x, left = as_tensor(input, "input"), budget_mb * 1e6
    for layer in layers:
        if not callable(layer):
            raise TypeError(f"checkpoint_sequential: layers holds {layer!r}, expected functions")
        if not state.enabled:
            x = layer(x)
            continue
        segment = _Segment(layer, (x,), {})
        result = segment.run()
        size = segment.bytes_within(x, result)
        if size <= left:
            left -= size
        else:
            segment.forget()
        x = result
    return x


class Deferred:
    """In place of what a node saved: where to get it from."""

    def __init__(self, segment: _Segment, index: int, versions: list[int | None]) -> None:
        self.segment, self.index, self.versions = segment, index, versions

    def compute_again(self) -> tuple[Any, ...]:
        """Return what was saved, after the first such call ran the segment again."""
        saved = self.segment.saved_again(self.index)
        if list(map(_version_of_parameter, saved)) != self.versions:
            raise RuntimeError(
                "checkpoint: a tensor that backward needs was changed in place since forward"
            )
        return saved


class _Segment:
    """One call, and the nodes that it recorded."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        tensors = [x for x in parts_of((args, kwargs)) if isinstance(x, Tensor)]
        self.versions = [(version_of(tensor), version_of(tensor)[0]) for tensor in tensors]
        self.random = default_generator().bit_generator.state
        self.nodes: list[Node] = []
        self.count = 0
        self.again: dict[int, tuple[Any, ...]] = {}

    def add(self, node: Node) -> None:
        """Note a node that saved something."""
        self.nodes.append(node)

    def run(self) -> Any:
        self.nodes = []  # a run that ended with an error left some
        outer, state.segment = state.segment, self
        try:
            return self.function(*self.args, **self.kwargs)
        finally:
            state.segment = outer

    def forget(self) -> None:
        """Drop what the nodes saved."""
        for index, node in enumerate(self.nodes):
            node._saved = Deferred(self, index, list(map(_version_of_parameter, node._saved)))
        self.count, self.nodes = len(self.nodes), []

    def saved_again(self, index: int) -> tuple[Any, ...]:
        """Hand out what a node saved; each piece once, so that it lives no longer than needed."""
        if index not in self.again:
            self.again = self.run_again()
        return self.again.pop(index)

    def run_again(self) -> dict[int, tuple[Any, ...]]:
        if any(counter[0] != version for counter, version in self.versions):
            raise RuntimeError("checkpoint: an argument was changed in place since forward")
        generator = default_generator().bit_generator
        now, enabled = generator.state, state.enabled
        generator.state, state.enabled = self.random, True
        try:
            self.run()
        finally:
            generator.state, state.enabled = now, enabled
        nodes, self.nodes = self.nodes, []
        if len(nodes) != self.count:
            raise RuntimeError(
                f"checkpoint: the function recorded {self.count} operations that save something, "
                f"and {len(nodes)} when it was called again"
            )
        return {index: node._saved for index, node in enumerate(nodes)}

    def bytes_within(self, *outside: Any) -> int:
        """Count the bytes of saved arrays but for parameters and these tensors."""
        kept = [entry[0] for node in self.nodes for entry in node._saved if entry is not None]
        known = {id(_memory(x._array)) for x in outside if isinstance(x, Tensor)}
        arrays = {id(m): m for t in kept if not _is_parameter(t) for m in [_memory(t._array)]}
        return sum(array.nbytes for key, array in arrays.items() if key not in known)


def _is_parameter(tensor: Tensor) -> bool:
    return tensor._node is None and tensor._requires_grad


def _version_of_parameter(entry: Any) -> Any:
    """Return the version of a saved parameter; the second run finds the same tensor, or a newer."""
    return entry[2] if entry is not None and _is_parameter(entry[0]) else None


def _memory(array: Any) -> Any:
    """Return the array that owns the memory of a view."""
    while getattr(array, "base", None) is not None and hasattr(array.base, "nbytes"):
        array = array.base
    return array
