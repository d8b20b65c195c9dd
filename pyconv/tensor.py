"""Tensor: a NumPy array, its gradient and its place in the graph."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import pyconv

from ._core import TensorBase, edge_of, in_c_order, is_of_leaf, set_tensor_class, view_of
from ._core import version_of as version_of
from .arguments import FLOATING, flag, value_of, wide
from .methods import Operations, operator_method

Array = NDArray[Any]

READ_ONLY = "{}: the tensor is read-only, as an expanded one is; change its clone()"
LEAF = "a leaf that requires grad, or a view of it, was changed in place; use pyconv.no_grad()"


def _in_place(name: str, operation: Any = None) -> Callable[[Tensor, Any], Tensor]:
    operation = operation or operator_method(name)

    def method(self: Tensor, other: Any) -> Tensor:
        before = self
        saves = isinstance(other, Tensor) and other._requires_grad and name not in ("add", "sub")
        if (saves or (name == "pow" and self._requires_grad)) and pyconv.is_grad_enabled():
            before = Tensor(self._array.copy(), self._requires_grad)  # for backward
            edge_of(self)  # raises if it is out of date
            before._node, before._index = self._node, self._index
        return self._replace(operation(before, other))

    return method


class Tensor(TensorBase, Operations):
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

    __slots__ = ("__weakref__",)

    # Above ndarray's: `array + tensor` is then left to `Tensor.__radd__`.
    __array_priority__ = 1000

    # The members, made in csrc/bind/graph.cc.
    _array: Array
    _requires_grad: bool
    _node: Any  # the Node that computed this tensor, None for a leaf
    _index: int  # which output of that node this is; set together with _node
    _hooks: Any  # of a leaf: autograd.hooks.Hooks; None until there is one
    # Changes in place, and how many of these were recorded: shared by all tensors of one memory.
    # Made when there is a second one, or when a tensor is saved for backward.
    _version: list[int] | None
    _recorded: int  # of the recorded changes, those that its place in the graph knows
    _grad: Tensor | None

    if TYPE_CHECKING:

        def __init__(self, array: Array, requires_grad: bool = False) -> None: ...

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
        value = flag("requires_grad", value)
        if value and self._array.dtype.kind not in FLOATING:
            raise ValueError(f"requires_grad: only floating tensors can, this one is {self.dtype}")
        if not value and self._node is not None:
            raise ValueError("requires_grad: this tensor was computed; use .detach() instead")
        self._requires_grad = value
        if self._version is not None and self._node is None:
            self._recorded = self._version[1]  # whatever was recorded before, it begins here

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`; return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated here, None if there is none."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad is a {type(value).__name__}, expected a Tensor or None")
            self._check_alike("grad", value)
        self._grad = value

    @property
    def data(self) -> Tensor:
        """What `detach` returns; ``x.data = y`` lets `x` hold the memory of `y`, unrecorded."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        value = pyconv.creation.as_tensor(value, "data")
        self._check_alike("data", value)
        version, before = version_of(value), self._version or [-1]
        version[0] = max(version[0], before[0] + 1)  # those who saved the tensor must see a change
        self._array, self._version, self._recorded = value._array, version, version[1]

    def _check_alike(self, name: str, value: Tensor) -> None:
        array, own = value._array, self._array
        if array.shape != own.shape or array.dtype.num != own.dtype.num:
            raise ValueError(
                f"{name} has shape {array.shape} and dtype {array.dtype}, expected those of the "
                f"tensor, {own.shape} and {own.dtype}"
            )

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix."""
        if self.ndim != 2:
            raise ValueError(f"T: the tensor has shape {self.shape}, expected two dimensions")
        return pyconv.functional.transpose(self, 0, 1)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the number of elements along `dim`."""
        if dim is None:
            return self.shape
        if not self.ndim:
            raise ValueError("size: dim is given, but the tensor has no dimensions")
        return self.shape[pyconv.functional.shape.dim_of(dim, self.ndim, "size: dim")]

    def dim(self) -> int:
        """Return the number of dimensions, as `ndim`."""
        return self._array.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self._array.size

    nelement = numel

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a tensor without dimensions")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a tensor without dimensions")
        return (self[i] for i in range(len(self)))

    def __contains__(self, element: Any) -> bool:
        return bool(pyconv.functional.eq(self, element)._array.any())

    def __format__(self, spec: str) -> str:
        if not self._array.ndim:
            return format(self.item(), spec)
        if spec:
            raise TypeError(f"format {spec!r} is for numbers, the tensor has shape {self.shape}")
        return str(self)

    def __repr__(self) -> str:
        array = np.asarray(self._array, wide(self.dtype))
        text = np.array2string(array, precision=4, separator=", ", prefix="tensor(")
        if not self._array.size:
            text += f", shape={self.shape}"
        if self.dtype not in (np.float32, np.int64, np.bool_):
            text += f", dtype={self.dtype}"
        if self._node is not None:
            text += f", grad_fn={self._node._function.__name__}"
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
        return self._element("item")

    def _element(self, name: str) -> Any:
        if self._array.size != 1:
            raise ValueError(f"{name} of a tensor of shape {self.shape}: one element is needed")
        return self._array.item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._array.tolist()

    def __bool__(self) -> bool:
        return bool(self._element("bool"))

    def __float__(self) -> float:
        return float(self._element("float"))

    def __int__(self) -> int:
        return int(self._element("int"))

    def __index__(self) -> int:
        return operator.index(self._element("index"))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be copied or pickled; use .detach()")
        return type(self), (self._array, self._requires_grad)

    def __copy__(self) -> Tensor:
        """Return a leaf that shares this memory; `deepcopy` copies it."""
        make, arguments = self.__reduce__()[:2]
        twin: Tensor = make(*arguments)
        twin._version, twin._recorded = version_of(self), self._recorded
        return twin

    def detach(self) -> Tensor:
        """Return a tensor that shares this memory and is cut off from the graph."""
        return view_of(self, self._array)

    def detach_(self) -> Tensor:
        """Cut off from the graph; ``backward(create_graph=True)`` to where it was is an error."""
        self._node, self._requires_grad = None, False
        return self

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
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
        inputs : Tensor or iterable of Tensor, optional
            Add to the ``.grad`` of these only, which need not be leaves.

        Errors are those of `pyconv.autograd.backward`.
        """
        pyconv.autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

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
            if self._requires_grad and is_of_leaf(self):
                raise RuntimeError(LEAF)
            # 3: this tensor, the name, and the argument of getrefcount. Others of this memory would
            # not learn that they require grad now.
            version = version_of(self)
            if not self._requires_grad and sys.getrefcount(version) > 3:
                raise RuntimeError(
                    "a view was changed in place while recording; write x = x + y, not x += y"
                )
        if result.dtype.num != self.dtype.num:
            integers = {result.dtype.kind, self.dtype.kind} <= {"i", "u"}
            if not (integers or np.can_cast(result.dtype, self.dtype, "same_kind")):
                raise TypeError(f"in place: a tensor of {self.dtype} cannot hold {result.dtype}")
            result = result.to(self.dtype)
        if not self._array.flags.writeable:
            raise ValueError(READ_ONLY.format("in place"))
        np.copyto(self._array, result._array)
        changed(self)
        if result._requires_grad:
            retained = (getattr(self._node, "_retained", None) or {}).pop(self._index, None)
            self._requires_grad, self._node, self._index = True, result._node, result._index
            version[1] += 1  # others that share the memory are out of date
            self._recorded = version[1]
            if retained:
                self.retain_grad()
        return self

    __iadd__ = _in_place("add")
    __isub__ = _in_place("sub")
    __imul__ = _in_place("mul")
    __itruediv__ = _in_place("div")
    __ipow__ = _in_place("pow")
    __iand__ = _in_place("and", Operations.__and__)
    __ior__ = _in_place("or", Operations.__or__)
    __ixor__ = _in_place("xor", Operations.__xor__)

    def __setitem__(self, key: Any, value: Any) -> None:
        recorded = self._requires_grad
        if isinstance(value, Tensor):
            recorded, value = recorded or value._requires_grad, value._array
        else:
            value = value_of(value, self._array.dtype, "value")
        if recorded and pyconv.is_grad_enabled():
            if self._requires_grad and self._node is None:
                raise RuntimeError(LEAF)
            raise NotImplementedError(
                "x[key] = value is not recorded for backward; use pyconv.where, or pyconv.no_grad()"
            )
        indexing = pyconv.functional.indexing
        indexing.assign(self._array, indexing.array_key(key), value)
        changed(self)


set_tensor_class(Tensor)


def changed(tensor: Tensor) -> None:
    """Note that the elements were changed in place."""
    if tensor._version is not None:
        tensor._version[0] += 1
