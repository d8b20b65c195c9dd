"""Parameter: a Tensor that is trained."""

from __future__ import annotations

from typing import Any

from ..creation import as_tensor
from ..tensor import Tensor, version_of


class Parameter(Tensor):
    """A Tensor that a Module owns and an optimizer changes.

    Parameters
    ----------
    data : Tensor or array_like
        The initial values; the memory of a Tensor or array is shared.
    requires_grad : bool
        Whether it is trained.

    Examples
    --------
    >>> import pyconv
    >>> pyconv.nn.Parameter([1.0])
    Parameter containing:
    tensor([1.], requires_grad=True)
    """

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        tensor = as_tensor(data)
        super().__init__(tensor._array)
        self._version = version_of(tensor)
        self.requires_grad = requires_grad

    def __reduce__(self) -> tuple[Any, ...]:
        super().__reduce__()  # refuses what is no leaf
        return _remade, (type(self), self._array, self._requires_grad), vars(self) or None

    def __copy__(self) -> Tensor:
        twin = super().__copy__()
        vars(twin).update(vars(self))
        return twin

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def _remade(kind: type[Parameter], array: Any, requires_grad: bool) -> Parameter:
    """Make a copy without the constructor of a subclass, which may take other arguments."""
    parameter = kind.__new__(kind)
    Parameter.__init__(parameter, array, requires_grad)
    return parameter
