"""Tensor: a NumPy array, its gradient and its place in the graph.

Arithmetic and the other operations live in `pyconv.functional`; the methods here only name them,
and look them up when called, because `functional` itself is built on this file.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import pyconv

from ._core import in_c_order

Array = NDArray[Any]


def _operator(name: str) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        result: Tensor = getattr(pyconv.functional, name)(self, other)
        return result

    return method


def _reflected(name: str) -> Callable[[Tensor, Any], Tensor]:
    operation = _operator(name)
    return lambda self, other: operation(other, self)


def _in_place(name: str) -> Callable[[Tensor, Any], Tensor]:
    operation = _operator(name)
    return lambda self, other: self._replace(operation(self, other))


class Tensor:
    """A NumPy array that can record how it was computed.

    Make one with `pyconv.tensor`, which copies, or `pyconv.from_numpy`, which shares memory.

    Attributes
    ----------
    requires_grad : bool
        Whether operations on this tensor are recorded for `backward`.
    grad : Tensor or None
        The gradient that `backward` accumulated here; only leaves (tensors that were not computed
        by a recorded operation) receive one.

    Examples
    --------
    >>> import pyconv
    >>> x = pyconv.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = (
        "__weakref__", "_array", "_hooks", "_index", "_node", "_requires_grad", "_version", "grad",
    )  # fmt: skip

    # Above ndarray's: `array + tensor` is then left to `Tensor.__radd__`.
    __array_priority__ = 1000

    _array: Array
    _requires_grad: bool
    _node: Any  # the Node that computed this tensor, None for a leaf
    _index: int  # which output of that node this is; set together with _node
    _hooks: dict[Any, Any]  # of a leaf; not set until there is one
    _version: list[int] | None  # counts changes in place; made when a tensor is saved for backward
    grad: Tensor | None

    def __init__(self, array: Array, requires_grad: bool = False) -> None:
        self._array = array
        self._requires_grad = requires_grad
        self._node = None
        self._version = None
        self.grad = None

    # ---- what it is --------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of the elements."""
        return self._array.dtype

    @property
    def device(self) -> str:
        """Where the memory lies: always ``"cpu"``."""
        return "cpu"

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed this tensor."""
        return self._node is None

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for `backward`."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._array.dtype.kind != "f":
            raise ValueError(f"requires_grad: only floating tensors can, this one is {self.dtype}")
        if not value and self._node is not None:
            raise ValueError("requires_grad: this tensor was computed; use .detach() instead")
        self._requires_grad = bool(value)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the number of elements along `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Return the number of elements."""
        return self._array.size

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a tensor without dimensions")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = np.array2string(self._array, precision=4, separator=", ", prefix="tensor(")
        if not self._array.size:
            text += f", shape={self.shape}"
        if self.dtype not in (np.float32, np.int64, np.bool_):
            text += f", dtype={self.dtype}"
        if self._node is not None:
            text += f", grad_fn={self._node.function.__name__}"
        elif self._requires_grad:
            text += ", requires_grad=True"
        return f"tensor({text})"

    # ---- to and from others ------------------------------------------------------------------

    def numpy(self) -> Array:
        """Return the NumPy array that this tensor wraps, sharing memory.

        RuntimeError if it requires grad: changes through the array would not be recorded.
        """
        if self._requires_grad:
            raise RuntimeError("numpy: the tensor requires grad; use .detach().numpy()")
        # Kernels may leave the channels last, others expect C order: the tensor changes over to it
        # if nobody else holds the array (2: this tensor, and the argument of getrefcount).
        if not self._array.flags.c_contiguous and sys.getrefcount(self._array) == 2:
            self._array = in_c_order(self._array)
        return self._array

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if copy:
            return np.array(array, dtype)
        if copy is False and dtype is not None and array.dtype != dtype:
            raise ValueError(f"a tensor of {array.dtype} cannot become {dtype} without a copy")
        return np.asarray(array, dtype)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def item(self) -> Any:
        """Return the only element as a Python number; ValueError if there are more or none."""
        if self._array.size != 1:
            raise ValueError(f"item: the tensor has shape {self.shape}, one element is needed")
        return self._array.item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __reduce__(self) -> tuple[Any, ...]:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be copied or pickled; use .detach()")
        return type(self), (self._array, self._requires_grad)

    def detach(self) -> Tensor:
        """Return a tensor that shares this memory and is cut off from the graph."""
        result = Tensor(self._array)
        result._version = version_of(self)
        return result

    def to(self, dtype: DTypeLike) -> Tensor:
        """Return the tensor with elements of `dtype`: itself if it has that dtype already."""
        return pyconv.functional.cast(self, dtype)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor to the ``.grad`` of the leaves it was computed from.

        Parameters
        ----------
        gradient : array_like, optional
            Gradient with respect to this tensor, of its shape; 1 for one element if left out.
        retain_graph : bool, optional
            Keep what the graph saved, so that it can be used again. Default: `create_graph`.
        create_graph : bool
            Record the computation of the gradients too, for derivatives of higher order.

        Errors are those of `pyconv.autograd.backward`.
        """
        pyconv.autograd.backward(self, gradient, retain_graph, create_graph)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> Any:
        """Call ``hook(grad)`` in backward; what it returns, unless None, replaces the gradient.

        The result's ``remove()`` ends it. RuntimeError if the tensor does not require grad.
        """
        return pyconv.autograd.hooks.register_hook(self, hook)

    def retain_grad(self) -> None:
        """Let backward keep the gradient of this tensor in ``.grad`` though it is no leaf."""
        pyconv.autograd.hooks.retain_grad(self)

    # ---- changes in place --------------------------------------------------------------------

    def _replace(self, result: Tensor) -> Tensor:
        """Write `result` into this tensor's memory and let the graph continue from it."""
        if result.shape != self.shape:
            raise ValueError(f"in place: shape {self.shape} cannot hold {result.shape}")
        if result._requires_grad:
            if self._requires_grad and self._node is None:
                raise RuntimeError(
                    "a leaf that requires grad was changed in place; use pyconv.no_grad()"
                )
            if isinstance(self._array.base, np.ndarray):
                raise RuntimeError(
                    "a view was changed in place while recording; write x = x + y, not x += y"
                )
        np.copyto(self._array, result._array)
        if result._requires_grad:
            self._requires_grad, self._node, self._index = True, result._node, result._index
        changed(self)
        return self

    __iadd__ = _in_place("add")
    __isub__ = _in_place("sub")
    __imul__ = _in_place("mul")
    __itruediv__ = _in_place("div")

    def __setitem__(self, key: Any, value: Any) -> None:
        recorded = self._requires_grad
        if isinstance(value, Tensor):
            recorded, value = recorded or value._requires_grad, value._array
        if recorded and pyconv.is_grad_enabled():
            raise NotImplementedError(
                "x[key] = value is not recorded for backward; use pyconv.where, or pyconv.no_grad()"
            )
        self._array[pyconv.functional.shape.array_key(key)] = value
        changed(self)

    # ---- operations: names for functions of pyconv.functional --------------------------------

    __add__ = __radd__ = _operator("add")
    __mul__ = __rmul__ = _operator("mul")
    __sub__ = _operator("sub")
    __rsub__ = _reflected("sub")
    __truediv__ = _operator("div")
    __rtruediv__ = _reflected("div")
    __pow__ = _operator("pow")
    __rpow__ = _reflected("pow")
    __matmul__ = _operator("matmul")
    __rmatmul__ = _reflected("matmul")
    __lt__ = _operator("lt")
    __le__ = _operator("le")
    __gt__ = _operator("gt")
    __ge__ = _operator("ge")
    __eq__ = _operator("eq")  # type: ignore[assignment]
    __ne__ = _operator("ne")  # type: ignore[assignment]
    __getitem__ = _operator("index")

    def __neg__(self) -> Tensor:
        return pyconv.functional.neg(self)

    __hash__ = object.__hash__

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape; one entry may be -1."""
        return pyconv.functional.reshape(self, size_of(shape, "shape", least=-1))

    view = reshape

    def expand(self, *shape: Any) -> Tensor:
        """Repeat dimensions of size 1 without copying; -1 keeps a dimension."""
        return pyconv.functional.expand(self, size_of(shape, "shape", least=-1))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Join the dimensions from `start_dim` to `end_dim` into one."""
        return pyconv.functional.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Exchange two dimensions."""
        return pyconv.functional.transpose(self, dim0, dim1)

    def permute(self, *dims: Any) -> Tensor:
        """Reorder the dimensions."""
        return pyconv.functional.permute(self, size_of(dims, "dims", least=-self.ndim))

    def squeeze(self, dim: int | None = None) -> Tensor:
        """Drop dimension `dim` if its size is 1, or all dimensions of size 1."""
        return pyconv.functional.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert a dimension of size 1 at `dim`."""
        return pyconv.functional.unsqueeze(self, dim)

    def sum(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
        """Sum over `dim`, or over everything."""
        return pyconv.functional.sum(self, dim, keepdim)

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Tensor:
        """Average over `dim`, or over everything."""
        return pyconv.functional.mean(self, dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the largest element, or with `dim` the pair (values, indices) along it."""
        return pyconv.functional.max(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Return the index of the largest element along `dim`, or in the flattened tensor."""
        return pyconv.functional.argmax(self, dim, keepdim)

    def exp(self) -> Tensor:
        """Apply the exponential function to each element."""
        return pyconv.functional.exp(self)

    def log(self) -> Tensor:
        """Apply the natural logarithm to each element."""
        return pyconv.functional.log(self)

    def sqrt(self) -> Tensor:
        """Take the square root of each element."""
        return pyconv.functional.sqrt(self)

    def abs(self) -> Tensor:
        """Take the absolute value of each element."""
        return pyconv.functional.abs(self)

    __abs__ = abs

    def relu(self) -> Tensor:
        """Replace negative elements by zero."""
        return pyconv.functional.relu(self)


def version_of(tensor: Tensor) -> list[int]:
    """Return the counter of changes in place, from now on kept."""
    if tensor._version is None:
        tensor._version = [0]
    return tensor._version


def changed(tensor: Tensor) -> None:
    """Note that the elements were changed in place."""
    if tensor._version is not None:
        tensor._version[0] += 1


def size_of(size: tuple[Any, ...], name: str, least: int = 0) -> tuple[int, ...]:
    """Read sizes given one by one or as one sequence; ValueError for one below `least`."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    sizes = tuple(map(operator.index, size))
    if any(s < least for s in sizes):
        raise ValueError(f"{name} is {sizes}, entries must be at least {least}")
    return sizes
