"""The operations of a Tensor as methods and operators.

They live in `pyconv.functional`; the methods only name them, and look them up when called, because
`functional` itself is built on Tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

import pyconv

from .arguments import FLOATING, DType, broadcast, one_size, placement_of, value_of

if TYPE_CHECKING:
    from .tensor import Tensor

Dims = int | Sequence[int] | None


def operator_method(name: str) -> Callable[[Tensor, Any], Tensor]:
    """Make the method of an operator."""

    def method(self: Tensor, other: Any) -> Tensor:
        result: Tensor = getattr(pyconv.functional, name)(self, other)
        return result

    method.__name__ = name
    method.__doc__ = f"Return what `pyconv.functional.{name}` does of the tensor and another."
    return method


def _reflected(name: str) -> Callable[[Tensor, Any], Tensor]:
    operation = operator_method(name)
    return lambda self, other: operation(other, self)


def _or_not_equal(name: str) -> Callable[[Tensor, Any], Any]:
    operation = operator_method(name)

    def method(self: Tensor, other: Any) -> Any:
        try:
            return operation(self, other)
        except TypeError:  # no numbers: Python then says that they are not equal
            return NotImplemented

    return method


def of_masks(name: str, *operands: Any) -> Tensor:
    """Compute a function of NumPy's of one or two tensors of bools or integers."""
    if len(operands) == 2:
        operands = pyconv.functional.arithmetic.tensors_of(*operands)
    arrays = [operand._array for operand in operands]
    for array in arrays:
        if array.dtype.kind in FLOATING:
            raise TypeError(f"{name}: a dtype is {array.dtype}, expected bools or integers")
    named = dict(zip(("input", "other"), arrays))
    return pyconv.from_numpy(np.asarray(broadcast(name, getattr(np, name), **named)))


def _of_masks(name: str) -> Callable[..., Tensor]:
    return lambda *operands: of_masks(name, *operands)


class Conversions:
    """Methods named as types of Python, which annotations beside them would take for these."""

    __slots__ = ()

    def float(self: Any) -> Any:
        """Return the tensor in float32."""
        return pyconv.functional.cast(self, np.float32)

    def double(self: Any) -> Any:
        """Return the tensor in float64."""
        return pyconv.functional.cast(self, np.float64)

    def int(self: Any) -> Any:
        """Return the tensor in int32."""
        return pyconv.functional.cast(self, np.int32)

    def long(self: Any) -> Any:
        """Return the tensor in int64."""
        return pyconv.functional.cast(self, np.int64)

    def bool(self: Any) -> Any:
        """Return whether each element is other than 0."""
        return pyconv.functional.cast(self, np.bool_)


class Operations(Conversions):
    """What Tensor inherits."""

    __slots__ = ()

    add = __add__ = __radd__ = operator_method("add")
    mul = __mul__ = __rmul__ = operator_method("mul")
    sub = __sub__ = operator_method("sub")
    __rsub__ = _reflected("sub")
    div = __truediv__ = operator_method("div")
    __rtruediv__ = _reflected("div")
    __pow__ = operator_method("pow")
    __rpow__ = _reflected("pow")
    matmul = __matmul__ = operator_method("matmul")
    __rmatmul__ = _reflected("matmul")
    lt = __lt__ = operator_method("lt")
    le = __le__ = operator_method("le")
    gt = __gt__ = operator_method("gt")
    ge = __ge__ = operator_method("ge")
    eq, __eq__ = operator_method("eq"), _or_not_equal("eq")
    ne, __ne__ = operator_method("ne"), _or_not_equal("ne")
    __getitem__ = operator_method("index")
    __and__ = __rand__ = _of_masks("bitwise_and")
    __or__ = __ror__ = _of_masks("bitwise_or")
    __xor__ = __rxor__ = _of_masks("bitwise_xor")
    __invert__ = _of_masks("invert")

    def __pos__(self) -> Any:
        return self

    def __reversed__(self: Any) -> Any:
        return self[::-1].clone() if self.ndim else self

    def __neg__(self) -> Tensor:
        return pyconv.functional.neg(self)

    __hash__ = object.__hash__

    def pow(self, exponent: Any) -> Tensor:
        """Raise to a power, with broadcasting."""
        return pyconv.functional.pow(self, exponent)

    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        """Return the elements in another shape; one entry may be -1."""
        return pyconv.functional.reshape(self, one_size("reshape: shape", sizes, shape))

    def view(self, *sizes: Any, shape: Any = None) -> Tensor:
        """Do what `reshape` does."""
        try:
            return self.reshape(*sizes, shape=shape)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("reshape", "view", 1)) from None

    def view_as(self, other: Any) -> Tensor:
        """Return the elements in the shape of another tensor."""
        return self.view(pyconv.creation.as_tensor(other, "view_as: other").shape)

    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """Repeat dimensions of size 1 without copying; -1 keeps a dimension."""
        return pyconv.functional.expand(self, one_size("expand: size", sizes, size))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Join the dimensions from `start_dim` to `end_dim` into one."""
        return pyconv.functional.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Exchange two dimensions."""
        return pyconv.functional.transpose(self, dim0, dim1)

    def t(self: Any) -> Any:
        """Return the transpose of a matrix; with fewer dimensions, what there is."""
        if self.ndim > 2:
            raise ValueError(f"t: the tensor has shape {self.shape}, expected at most 2 dimensions")
        return self.transpose(0, -1)

    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        """Reorder the dimensions."""
        return pyconv.functional.permute(self, one_size("permute: dims", order, dims))

    def to(
        self: Any,
        *args: Any,
        dtype: DType = None,
        device: str | None = None,
        non_blocking: bool = False,
        copy: bool = False,
    ) -> Tensor:
        """Return the tensor with elements of a dtype; itself if it has that, unless `copy`.

        Call it as ``to(dtype)``, ``to(device, dtype)`` or ``to(other)``, for the dtype of another
        tensor. There is one device, ``"cpu"``, and nothing that `non_blocking` could change.
        """
        wanted, anew = placement_of("to", args, dtype, device, non_blocking, copy)
        result: Tensor = self if wanted is None else pyconv.functional.cast(self, wanted)
        return result.clone() if anew and result is self else result

    def cpu(self: Any) -> Any:
        """Return the tensor, which is on the CPU."""
        return self

    def clone(self) -> Tensor:
        """Return a copy; gradients flow back through it."""
        return pyconv.functional.shape.Clone.apply(self)

    def contiguous(self: Any) -> Any:
        """Return the tensor if its elements lie in C order, else a copy of which they do."""
        if self._array.flags.c_contiguous:
            return self
        reshape = pyconv.functional.reshape  # which plans write down
        flat = reshape(self, (-1,))  # a copy, or a view with gaps
        return reshape(flat if flat._array.flags.c_contiguous else flat.clone(), self._array.shape)

    def new_zeros(self: Any, *sizes: Any, dtype: DType = None, **options: Any) -> Tensor:
        """Return what `pyconv.zeros` does, in the dtype of the tensor unless one is given."""
        return pyconv.zeros(*sizes, dtype=self.dtype if dtype is None else dtype, **options)

    def copy_(self: Any, src: Any) -> Tensor:
        """Take over the elements of `src`, which broadcasts; return the tensor."""
        if not isinstance(src, pyconv.Tensor):
            src = pyconv.Tensor(value_of(src, self.dtype, "copy_: src"))
        try:
            wide = pyconv.functional.expand(src, self.shape)
        except ValueError:
            raise ValueError(
                f"copy_: src has shape {src.shape}, expected one that broadcasts to {self.shape}"
            ) from None
        result: Tensor = self
        if pyconv.creation.makes_only_shapes() and not self._array.flags.writeable:
            return result
        wide = wide.to(self.dtype)
        if self._requires_grad and pyconv.is_grad_enabled():  # its old elements get gradients of 0
            wide = pyconv.functional.where(True, wide, self)
        return result._replace(wide)

    def fill_(self: Any, value: Any) -> Tensor:
        """Set all elements to one number; return the tensor."""
        if not isinstance(value, pyconv.Tensor):
            value = pyconv.Tensor(value_of(value, self.dtype, "fill_: value"))
        if value.ndim:
            raise ValueError(f"fill_: value has shape {value.shape}, expected a number")
        result: Tensor = self.copy_(value)
        return result

    def masked_fill(self: Any, mask: Any, value: Any) -> Tensor:
        """Return the elements with one number in place of those where `mask`, of bools, holds."""
        mask = pyconv.creation.as_tensor(mask, "masked_fill: mask")
        if mask.dtype.kind != "b":
            raise TypeError(f"masked_fill: mask.dtype is {mask.dtype}, expected bools")
        broadcast("masked_fill", np.broadcast, input=self._array, mask=mask._array)
        number = pyconv.zeros((), dtype=self.dtype).fill_(value)
        return pyconv.functional.where(mask, number, self)

    def zero_(self: Any) -> Tensor:
        """Set all elements to 0; return the tensor."""
        result: Tensor = self.copy_(pyconv.Tensor(np.zeros((), self.dtype)))
        return result

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        """Drop those dimensions of `dim` whose size is 1, or all dimensions of size 1."""
        return pyconv.functional.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert a dimension of size 1 at `dim`."""
        return pyconv.functional.unsqueeze(self, dim)

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> Tensor:
        """Sum over `dim`, or over everything; in `dtype` if that is given."""
        return pyconv.functional.sum(self, dim, keepdim, dtype=dtype)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType = None) -> Tensor:
        """Average over `dim`, or over everything; in `dtype` if that is given."""
        return pyconv.functional.mean(self, dim, keepdim, dtype=dtype)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the largest element, or with `dim` the pair (values, indices) along it.

        With a tensor in place of `dim`, return the larger of each two elements.
        """
        return pyconv.functional.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the smallest element, or with `dim` the pair (values, indices) along it.

        With a tensor in place of `dim`, return the smaller of each two elements.
        """
        return pyconv.functional.min(self, dim, keepdim)

    def var(
        self,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the variance over `dim`, or over everything; `unbiased` may come first."""
        return pyconv.functional.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self: Any,
        dim: Dims = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Tensor:
        """Return the square root of `var`."""
        return pyconv.functional.reduce.std(self, dim, unbiased, keepdim, correction)

    def softmax(self, dim: int, dtype: DType = None) -> Tensor:
        """Scale exponentials so that they sum to 1 along a dimension."""
        return pyconv.functional.softmax(self, dim, dtype=dtype)

    def log_softmax(self, dim: int, dtype: DType = None) -> Tensor:
        """Return the logarithm of `softmax`."""
        return pyconv.functional.log_softmax(self, dim, dtype=dtype)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Replace elements below `min` by `min` and those above `max` by `max`."""
        return pyconv.functional.clamp(self, min, max)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Cut into parts of a size, or of several sizes, along a dimension."""
        return pyconv.functional.split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Cut into a number of parts along a dimension."""
        return pyconv.functional.chunk(self, chunks, dim)

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

    def sigmoid(self) -> Tensor:
        """Apply the logistic function to each element."""
        return pyconv.functional.sigmoid(self)

    def tanh(self) -> Tensor:
        """Apply the hyperbolic tangent to each element."""
        return pyconv.functional.tanh(self)


# As errors name them.
for _name, _method in (vars(Operations) | vars(Conversions)).items():
    if isinstance(_method, FunctionType) and _method.__name__ == _name:
        _method.__qualname__, _method.__module__ = f"Tensor.{_name}", "pyconv.tensor"
del _name, _method
