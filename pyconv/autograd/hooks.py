"""Functions that users hang on tensors and modules."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from ..arguments import flag
from ..tensor import Tensor


class Hooks(OrderedDict[object, Callable[..., Any]]):
    """The hooks of one tensor or module, each with a key that its handle knows."""


class WithKwargs(partial[Any]):
    """A hook of a module that is given the arguments by name as well."""


class RemovableHandle:
    """Ends a hook: ``remove()``, or the end of ``with handle:``.

    It keeps neither the hook alive nor what that holds.
    """

    def __init__(
        self,
        hooks: Hooks,
        hook: Callable[..., Any],
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> None:
        if not callable(hook):
            raise TypeError(f"hook is a {type(hook).__name__}, expected a function")
        prepend = flag("prepend", prepend)
        self._hooks, self._key = weakref.ref(hooks), object()
        hooks[self._key] = WithKwargs(hook) if flag("with_kwargs", with_kwargs) else hook
        if prepend:
            hooks.move_to_end(self._key, last=False)

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self._key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __getstate__(self) -> Any:
        return self._hooks() or Hooks(), self._key

    def __setstate__(self, state: Any) -> None:
        hooks, self._key = state
        self._hooks = weakref.ref(hooks)


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call the hook with each gradient of the tensor; see `Tensor.register_hook`."""
    if not tensor.requires_grad:
        raise RuntimeError("register_hook: the tensor does not require grad")
    if tensor._node is None:
        if tensor._hooks is None:
            tensor._hooks = Hooks()
        return RemovableHandle(tensor._hooks, hook)
    if tensor._node._hooks is None:
        tensor._node._hooks = {}
    return RemovableHandle(tensor._node._hooks.setdefault(tensor._index, Hooks()), hook)


def retain_grad(tensor: Tensor) -> None:
    """Let backward keep the gradient of a computed tensor; see `Tensor.retain_grad`."""
    if not tensor.requires_grad:
        raise RuntimeError("retain_grad: the tensor does not require grad")
    if tensor._node is not None:
        if tensor._node._retained is None:
            tensor._node._retained = {}
        tensor._node._retained[tensor._index] = weakref.ref(tensor)


def hooks_of(leaf: Tensor) -> dict[Any, Callable[..., Any]]:
    """Return the hooks of a leaf; few have any, so there is no dict until one comes."""
    return leaf._hooks or {}


def call_hooks(hooks: dict[Any, Callable[..., Any]], gradient: Tensor) -> Tensor:
    """Return the gradient after each hook could replace it."""
    for hook in list(hooks.values()):
        replaced = hook(gradient)
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor) or replaced.shape != gradient.shape:
            found = getattr(replaced, "shape", type(replaced).__name__)
            raise ValueError(
                f"a hook returned {found} for a gradient of shape {gradient.shape}, expected a "
                "Tensor of that shape or None"
            )
        gradient = replaced.to(gradient.dtype)
    return gradient
