"""Modules made of modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import groupby
from typing import Any, TypeVar

from ..arguments import integer
from ..tensor import Tensor
from .module import Module
from .state import kind_of

_L = TypeVar("_L", bound="_Numbered")


class _Numbered(Module):
    """A list of modules, named by their places."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)._of(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    @classmethod
    def _of(cls: type[_L], named: dict[str, Any]) -> _L:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), self._checked(module, index))

    def __delitem__(self, index: int | slice) -> None:
        if not isinstance(index, slice):
            self._name(index)
        rest = list(self)
        del rest[index]
        self._fill(rest)

    def append(self: _L, module: Module) -> _L:
        """Add a module at the end."""
        return self.extend([module])

    def extend(self: _L, modules: Iterable[Module]) -> _L:
        """Add modules at the end."""
        if isinstance(modules, str) or not isinstance(modules, Iterable):
            kind, own = type(modules).__name__, type(self).__name__
            raise TypeError(f"{own}: modules is a {kind}, expected an iterable of Modules")
        number = len(self)
        for module in list(modules):  # which may be these modules themselves
            while str(number) in self._modules:  # a slice keeps the names it had
                number += 1
            self.add_module(str(number), self._checked(module, number))
        return self

    def __iadd__(self: _L, modules: Iterable[Module]) -> _L:
        return self.extend(modules)

    def __add__(self: _L, modules: Iterable[Module]) -> _L:
        return self._of({str(i): module for i, module in enumerate(self)}).extend(modules)

    def pop(self, index: int | slice) -> Any:
        """Remove a module, or several, and return what was removed."""
        removed = self[index]
        del self[index]
        return removed

    def insert(self: _L, index: int, module: Module) -> _L:
        """Add a module before the one at `index`, or at the end."""
        modules = list(self)
        if index != len(modules):
            self._name(index)
        modules.insert(index, self._checked(module, index))
        self._fill(modules)
        return self

    def _fill(self, modules: Iterable[Any]) -> None:
        self._modules = {str(i): module for i, module in enumerate(modules)}

    def _name(self, index: int) -> str:
        place = integer(f"{type(self).__name__}: index", index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index is {place}, there are {len(self)} modules")
        return list(self._modules)[place]

    def _checked(self, module: Any, name: Any) -> Module:
        if not isinstance(module, Module):
            own = type(self).__name__
            raise TypeError(f"{own}: argument {name} is {kind_of(module)}, expected a Module")
        return module


class Sequential(_Numbered):
    """Runs modules one after the other.

    Parameters
    ----------
    *args : Module, or one dict of str to Module
        Named ``"0"``, ``"1"``, ..., or by the keys of the dict.

    Raises
    ------
    TypeError
        If an argument is not a Module.

    Examples
    --------
    >>> import pyconv
    >>> net = pyconv.nn.Sequential(pyconv.nn.Linear(4, 3), pyconv.nn.ReLU())
    >>> net
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], dict) else None
        for name, module in named.items() if named is not None else enumerate(args):
            self.add_module(str(name), self._checked(module, name))

    @classmethod
    def _of(cls, named: dict[str, Any]) -> Any:
        # Not cls: a network that inherits has other arguments.
        return Sequential(named)

    def forward(self, input: Any) -> Any:
        """Pass the input through all modules in order."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list whose modules belong to the module that owns it.

    Parameters
    ----------
    modules : iterable of Module, optional

    Raises
    ------
    TypeError
        If one is not a Module.

    Examples
    --------
    >>> import pyconv
    >>> layers = pyconv.nn.ModuleList(pyconv.nn.Linear(n, n + 1) for n in (2, 3))
    >>> len(layers), layers[-1].out_features
    (2, 4)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    @classmethod
    def _of(cls, named: dict[str, Any]) -> Any:
        return ModuleList(named.values())

    def _reprs(self) -> Iterator[tuple[str, str]]:
        first = 0
        for text, equal in groupby(map(repr, self)):  # neighbours
            count = len(list(equal))
            one = str(first), text
            yield one if count == 1 else (f"{first}-{first + count - 1}", f"{count} x {text}")
            first += count


class ModuleDict(Module):
    """A dict whose modules belong to the module that owns it.

    Parameters
    ----------
    modules : mapping or iterable of pairs, of str and Module, optional

    Raises
    ------
    TypeError
        If a value is not a Module.
    ValueError
        If a key is empty, has a dot or is an attribute of modules.

    Examples
    --------
    >>> import pyconv
    >>> heads = pyconv.nn.ModuleDict({"shape": pyconv.nn.Linear(4, 3)})
    >>> heads["colour"] = pyconv.nn.Linear(4, 2)
    >>> list(heads)
    ['shape', 'colour']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(() if modules is None else modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Any]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Any]:
        """Return pairs of a name and its module."""
        return self._modules.items()

    def update(self, modules: Any) -> None:
        """Add or replace modules, as `dict.update` does."""
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        try:
            named = dict(pairs)
        except (TypeError, ValueError):
            kind = type(modules).__name__
            raise TypeError(
                f"ModuleDict: modules is a {kind}, expected names and Modules"
            ) from None
        for key, module in named.items():
            self[key] = module

    def pop(self, key: str) -> Any:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()


class Residual(Module):
    """Adds to its input what a module makes of it: ``x + f(x)``.

    Parameters
    ----------
    f : Module
        Keeps the shape.

    References
    ----------
    He et al., *Deep residual learning for image recognition*, arXiv:1512.03385.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Residual(pyconv.nn.ReLU())(pyconv.tensor([-1.0, 2.0]))
    tensor([-1.,  4.])
    """

    def __init__(self, f: Module) -> None:
        super().__init__()
        if not callable(f) or isinstance(f, type):
            raise TypeError(f"Residual: f is {kind_of(f)}, expected a Module")
        self.f = f

    def forward(self, input: Any) -> Tensor:
        """Compute ``input + f(input)``."""
        result: Tensor = input + self.f(input)
        return result
