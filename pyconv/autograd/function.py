"""Function: an operation and its derivative; Node: one recorded use of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _core
from ..tensor import Tensor

# An edge says where a gradient goes: (leaf, 0), or (node, number of its output).
Edge = tuple[Any, int]


class Node(_core.NodeBase):
    """One use of a Function in the graph; `forward` and `backward` receive it as `ctx`.

    Its attributes, made in csrc/bind/graph.cc:

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `apply`, whether its gradient is wanted: none if nothing is recorded.
    saved_tensors : tuple of Tensor or None
        What ``save_for_backward(*tensors)`` kept, inputs or outputs of `forward`. RuntimeError if
        an earlier backward freed it, or if it was changed in place since.
    _function : type[Function]
    _sequence : int
        Grows with every node: a node is newer than all it depends on.
    _edges : tuple of (Edge or None)
        Per argument of `apply`; None if nothing is recorded.
    _outputs : tuple of (tuple of int, dtype) or None
        Shape and dtype of each output; None for what is no Tensor.
    """

    _saved: Any  # a tuple; a checkpoint.Deferred; None when it was freed
    _hooks: dict[int, Any] | None  # per output: hooks.Hooks
    _retained: dict[int, Any] | None  # per output: weak reference to what keeps its gradient

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs have no gradient; integer outputs never have one."""
        self._non_differentiable = outputs

    def mark_dirty(self, *args: Tensor) -> None:
        """Raise NotImplementedError: what `forward` changes in place is not recorded."""
        raise NotImplementedError("mark_dirty: forward may change no argument; return a new Tensor")

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether `backward` gets zeros (True, the default) or None where none arrived."""
        self._materialize = value


_core.set_node_class(Node)


class Function:
    """Base class of operations with a derivative.

    Subclass it with two static methods. ``forward(ctx, *args)`` computes the result, a Tensor or
    a tuple of Tensors and other values; nothing inside it is recorded. ``backward(ctx, *grads)``
    gets one gradient per output, None for what is no Tensor, and returns one per argument of
    `forward`, None where there is none. If it uses recorded operations only, higher derivatives
    work too. Use it by ``apply``. With a third, ``setup_context(ctx, inputs, output)``, which runs
    after it, `forward` gets the arguments without `ctx`.

    Attributes
    ----------
    takes_any_dtype : bool
        Whether `forward` gets bfloat16 as it is. Else it gets float32, and its results are rounded
        to bfloat16.
    promotes : bool
        Whether float32 among its arguments leaves these results as they are; else it is enough
        that the first argument is bfloat16.

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

    takes_any_dtype, promotes = False, True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "setup_context") and {"forward", "setup_context"} & set(vars(cls)):
            plain: Callable[..., Any] = getattr(cls.forward, "__wrapped__", cls.forward)

            @functools.wraps(plain)
            def forward(*args: Any) -> Any:
                if not (args and isinstance(args[0], Node)):
                    return plain(*args)  # a subclass calls it
                output = plain(*args[1:])
                cls.setup_context(args[0], args[1:], output)
                return output

            cls.forward = staticmethod(forward)  # type: ignore[assignment, method-assign]

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the result from the arguments of `apply`."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradient of each argument from the gradients of the outputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    if TYPE_CHECKING:

        @classmethod
        def apply(cls, *args: Any) -> Tensor:
            """Run `forward`, and record it if an argument requires grad.

            Returns what `forward` returns: a Tensor, or a tuple.
            """
            ...

    else:
        apply = classmethod(_core.apply)


# Where the gradient of a tensor goes: RuntimeError if its place in the graph is out of date.
edge_of: Callable[[Tensor], Edge] = _core.edge_of
