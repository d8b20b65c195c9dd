"""Module: parameters, buffers and submodules in a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, TypeVar

from ..arguments import flag, placement_of
from ..autograd.engine import clear_grad
from ..autograd.hooks import Hooks, RemovableHandle
from ..tensor import Tensor
from .hooks import Passages, call_forward_hooks, call_pre_hooks
from .parameter import Parameter as Parameter
from .state import LoadResult, collect, convert, kind_of, load, named_state

_M = TypeVar("_M", bound="Module")


class Module:
    """Base class of layers and networks.

    A subclass calls ``super().__init__()``, then assigns parameters and submodules as attributes,
    which registers them, and defines ``forward``. Calling the module runs ``forward`` between the
    hooks.

    Attributes
    ----------
    training : bool
        True until `eval` is called.

    Examples
    --------
    >>> import pyconv
    >>> class Scale(pyconv.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = pyconv.nn.Parameter(2.0)
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(3).item()
    6.0
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("pyconv.nn.") and "__init__" not in vars(cls):
            # A copy of the inherited one: Python's errors name the class to which it belongs.
            f: Any = cls.__init__
            own = FunctionType(f.__code__, f.__globals__, None, f.__defaults__, f.__closure__)
            own.__kwdefaults__, own.__annotations__ = f.__kwdefaults__, f.__annotations__
            own.__qualname__ = f"{cls.__name__}.__init__"
            cls.__init__ = own  # type: ignore[method-assign]

    def __init__(self) -> None:
        # Not through __setattr__, which needs these.
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _not_saved=set(),
            _forward_pre_hooks=Hooks(),
            _forward_hooks=Hooks(),
            _backward_hooks=Hooks(),
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks:
            args, kwargs = call_pre_hooks(self, args, kwargs)
        passages = Passages(self, self._backward_hooks) if self._backward_hooks else None
        if passages:
            args = passages.enter(args)
        result = self.forward(*args, **kwargs)
        if self._forward_hooks:
            result = call_forward_hooks(self, args, kwargs, result)
        return passages.leave(result) if passages else result

    # ---- attributes --------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        known = "_parameters" in self.__dict__ or isinstance(value, (Parameter, Module))
        for kind, owned in self._kinds() if known else ():  # what is plain may come before __init__
            if kind is not Tensor and isinstance(value, kind):
                self._forget(name, owned)
                owned[name] = value
                return
            if name in owned:
                if value is not None and not isinstance(value, kind):
                    is_now = f"{name} is a {'buffer' if kind is Tensor else kind.__name__}"
                    raise TypeError(f"{is_now}, cannot become a {type(value).__name__}")
                owned[name] = value
                return
        object.__setattr__(self, name, value)

    def _kinds(self) -> tuple[tuple[type, dict[str, Any]], ...]:
        return (Parameter, self._parameters), (Module, self._modules), (Tensor, self._buffers)

    def _forget(self, name: str, but: dict[str, Any] | None = None) -> None:
        """Drop an attribute wherever it is; in the dict `but` it stays, and keeps its place."""
        for owned in (self._parameters, self._buffers, self._modules, self.__dict__):
            if owned is not but:
                owned.pop(name, None)
        self._not_saved.discard(name)

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not an ordinary attribute.
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() first")
        for owned in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[owned]:
                return self.__dict__[owned][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        getattr(self, name)  # raises if there is none
        self._forget(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None reserves the name."""
        self._register(self._parameters, name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that belongs to the state but is not trained.

        One that is not `persistent` stays out of `state_dict`.
        """
        saved = flag("register_buffer: persistent", persistent)
        self._register(self._buffers, name, tensor, Tensor)
        if not saved:
            self._not_saved.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule."""
        self._register(self._modules, name, module, Module)

    def _register(self, owned: dict[str, Any], name: str, value: Any, kind: type) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name is a {type(name).__name__}, expected a str")
        if not name or "." in name or (hasattr(self, name) and name not in owned):
            raise ValueError(f"name is {name!r}: empty, with a dot, or taken already")
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is {kind_of(value)}, expected a {kind.__name__}")
        self._not_saved.discard(name)
        owned[name] = value

    # ---- hooks -------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before `forward`, ahead of other hooks if `prepend`.

        What it returns, unless None, replaces the positional arguments: a tuple of them, or the
        only one. If `with_kwargs`, ``hook(module, args, kwargs)`` is called, and returns the pair.
        The handle's ``remove()``, or the end of ``with handle:``, ends it.
        """
        return RemovableHandle(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after `forward`, ahead of other hooks if `prepend`.

        What it returns, unless None, replaces the output. If `with_kwargs`,
        ``hook(module, args, kwargs, output)`` is called. It ends as those before `forward` do.
        """
        return RemovableHandle(self._forward_hooks, hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when backward has passed the module.

        Both are tuples, of the gradients of the positional arguments and of the results, with None
        for what has none. What the hook returns, unless None, replaces `grad_input`. The handle's
        ``remove()`` ends it.
        """
        return RemovableHandle(self._backward_hooks, hook)

    # ---- the tree ----------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it with dotted names.

        A module that is shared comes once, or under each of its names without `remove_duplicate`.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly below, with names, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below, each once."""
        return (module for _, module in self.named_children())

    def get_submodule(self, target: str) -> Module:
        """Return the module of a dotted name; AttributeError if there is none."""
        module = self
        if not isinstance(target, str):
            raise TypeError(f"get_submodule: target is {target!r}, expected a str")
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{target!r}: {type(module).__name__} has no module {name!r}")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter of a dotted name; AttributeError if there is none."""
        parameter: Parameter = self._get("_parameters", target)
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer of a dotted name; AttributeError if there is none."""
        buffer: Tensor = self._get("_buffers", target)
        return buffer

    def _get(self, kind: str, target: str) -> Any:
        if not isinstance(target, str):
            raise TypeError(f"target is {target!r}, expected a str")
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module.__dict__[kind].get(name)
        if found is None:
            what = kind[1:-1]
            raise AttributeError(f"{target!r}: {type(module).__name__} has no {what} {name!r}")
        return found

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with dotted names, each once or under each of its names."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield all parameters, each once."""
        return (param for _, param in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield all buffers with dotted names, each once or under each of its names."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield all buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, kind: str, prefix: str, recurse: bool, once: bool) -> Iterator[Any]:
        seen: set[Tensor] = set()
        alone = not flag("recurse", recurse)
        for path, module in [(prefix, self)] if alone else self.named_modules(None, prefix, once):
            for name, tensor in getattr(module, kind).items():
                if tensor is not None and tensor not in seen:
                    if once:
                        seen.add(tensor)
                    yield f"{path}.{name}" if path else name, tensor

    def apply(self: _M, fn: Callable[[Module], Any]) -> _M:
        """Call `fn` on every module below, then on this one."""
        if not callable(fn):
            raise TypeError(f"apply: fn is {fn!r}, expected a function")
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- state -------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Return all parameters and persistent buffers by dotted name, sharing memory.

        They are put into `destination`, a new dict if that is left out, with `prefix` before the
        names: themselves if `keep_vars`, else cut off from the graph.
        """
        return collect(self, {} if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy parameters and buffers from a mapping such as `state_dict` returns.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or array_like
            Values by dotted name.
        strict : bool
            Raise if names are missing or unexpected. Sizes have to fit in any case.

        Returns
        -------
        LoadResult
            The pair (missing_keys, unexpected_keys).

        Raises
        ------
        ValueError
            Listing all that does not fit; nothing was loaded then.
        TypeError
            If `state_dict` is no mapping of names to arrays.
        """
        strict = flag("load_state_dict: strict", strict)
        return load(type(self).__name__, dict(named_state(self)), state_dict, strict)

    # ---- changes -----------------------------------------------------------------------------

    def train(self: _M, mode: bool = True) -> _M:
        """Set training mode, here and below."""
        self.training = flag("train: mode", mode)
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: _M) -> _M:
        """Leave training mode, here and below."""
        return self.train(False)

    def requires_grad_(self: _M, requires_grad: bool = True) -> _M:
        """Choose whether the parameters are trained."""
        for param in self.parameters():
            param.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        set_to_none = flag("zero_grad: set_to_none", set_to_none)
        for param in self.parameters():
            clear_grad(param, set_to_none)

    def to(
        self: _M, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False
    ) -> _M:
        """Convert parameters, gradients and buffers of floating dtype to a dtype, in place.

        Call it as ``to(dtype)``, ``to(device, dtype)`` or ``to(other)``, as `Tensor.to`.
        """
        wanted, _ = placement_of("to", args, dtype, device, non_blocking)
        if wanted is not None:
            convert((*self.parameters(), *self.buffers()), wanted)
        return self

    def cpu(self: _M) -> _M:
        """Return the module: the only device is the CPU."""
        return self

    def float(self: _M) -> _M:
        """Convert what is floating to float32, in place."""
        return self.to("float32")

    def double(self: _M) -> _M:
        """Convert what is floating to float64, in place."""
        return self.to("float64")

    # ---- repr --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what `repr` shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        head, extra = type(self).__name__, self.extra_repr()
        children = [f"({name}): {text}" for name, text in self._reprs()]
        if not children and "\n" not in extra:
            return f"{head}({extra})"
        lines = "\n".join(([extra] if extra else []) + children).replace("\n", "\n  ")
        return f"{head}(\n  {lines}\n)"

    def _reprs(self) -> Iterator[tuple[str, str]]:
        return ((name, repr(module)) for name, module in self._modules.items())
