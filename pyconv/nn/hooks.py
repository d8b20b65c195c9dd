"""How a module's hooks are called, and how those of backward see the gradients that pass it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Function
from ..autograd.hooks import WithKwargs
from ..tensor import Tensor

Gradients = tuple[Any, ...]


def call_pre_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the arguments of `forward` after each hook could replace them."""
    for hook in list(module._forward_pre_hooks.values()):
        if not isinstance(hook, WithKwargs):
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
            continue
        changed = hook(module, args, kwargs)
        if changed is not None:
            if not (
                isinstance(changed, tuple)
                and len(changed) == 2
                and isinstance(changed[0], (tuple, list))
                and isinstance(changed[1], dict)
            ):
                name = type(module).__name__
                raise TypeError(f"a hook of {name} returned {changed!r}, expected (args, kwargs)")
            args, kwargs = changed
    return args, kwargs


def call_forward_hooks(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    """Return the result of `forward` after each hook could replace it."""
    for hook in list(module._forward_hooks.values()):
        given = (args, kwargs) if isinstance(hook, WithKwargs) else (args,)
        changed = hook(module, *given, result)
        result = result if changed is None else changed
    return result


class _Passage(Function):
    """Hands tensors through, and their gradients through a function."""

    @staticmethod
    def forward(ctx: Any, see: Callable[[Gradients], Gradients], *tensors: Tensor) -> Any:
        ctx.see = see
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.see(grads)


class Passages:
    """Stands before and behind one call of a module, and calls its hooks in backward."""

    def __init__(self, module: Any, hooks: dict[Any, Callable[..., Any]]) -> None:
        self.module, self.hooks = module, list(hooks.values())
        self.count = 0  # arguments of the module
        self.shapes: list[Any] = []
        self.differentiable: list[int] = []
        self.given: list[int] = []  # which results have a gradient, of `results`
        self.results = 0
        self.grad_output: Gradients | None = None  # of the backward pass that is under way

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the module's arguments, the gradients of which will be seen."""
        self.count, self.shapes = len(args), [getattr(arg, "shape", None) for arg in args]
        args, self.differentiable = _watch(args, self._at_input)
        return args

    def leave(self, result: Any) -> Any:
        """Return the module's result, the gradients of which will be seen."""
        results = result if isinstance(result, tuple) else (result,)
        self.results = len(results)
        results, self.given = _watch(results, self._at_output)
        if not isinstance(result, tuple):
            return results[0]
        return result._make(results) if hasattr(result, "_make") else results

    def _at_output(self, grads: Gradients) -> Gradients:
        self.grad_output = _spread(grads, self.given, self.results)
        if not self.differentiable:
            self._call((None,) * self.count)
        return grads

    def _at_input(self, grads: Gradients) -> Gradients:
        if self.grad_output is None:  # they came by another way than through the results
            return grads
        seen = self._call(_spread(grads, self.differentiable, self.count))
        return tuple(seen[i] for i in self.differentiable)

    def _call(self, grad_input: Gradients) -> Gradients:
        for hook in self.hooks:
            replaced = hook(self.module, grad_input, self.grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
        self.grad_output = None
        if len(grad_input) != self.count:
            raise ValueError(
                f"a backward hook of {type(self.module).__name__} returned {len(grad_input)} "
                f"gradients for {self.count} arguments"
            )
        for i in self.differentiable:
            grad, shape = grad_input[i], self.shapes[i]
            if grad is not None and (not isinstance(grad, Tensor) or grad.shape != shape):
                found = grad.shape if isinstance(grad, Tensor) else type(grad).__name__
                raise ValueError(
                    f"a backward hook of {type(self.module).__name__} returned {found} for an "
                    f"argument of shape {shape}, expected a Tensor of that shape or None"
                )
        return grad_input


def _spread(grads: Gradients, places: list[int], count: int) -> Gradients:
    """Return `count` gradients: those given at their places, and None elsewhere."""
    by_place = dict(zip(places, grads))
    return tuple(by_place.get(i) for i in range(count))


def _watch(values: tuple[Any, ...], see: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int]]:
    """Lead the tensors that require grad through a `_Passage`; return where they are as well."""
    places = [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]
    result = list(values)
    if places:
        for i, tensor in zip(places, _Passage.apply(see, *(values[i] for i in places))):
            result[i] = tensor
    return tuple(result), places
