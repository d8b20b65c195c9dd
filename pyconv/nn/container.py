"""Modules made of modules."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from .module import Module


class Sequential(Module):
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
            if not isinstance(module, Module):
                kind = type(module).__name__
                raise TypeError(f"Sequential: argument {name} is a {kind}, expected a Module")
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Pass the input through all modules in order."""
        for module in self:
            input = module(input)
        return input

    def append(self, module: Module) -> Sequential:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.children())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self.named_children())[index]))
        return list(self)[operator.index(index)]
