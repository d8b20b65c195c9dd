"""Arguments as users give them: each is returned in one type, or an error names it.

`what` is the argument as the user knows it, such as ``"Linear: bias"``.
"""

from __future__ import annotations

import math
import operator
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

DType = DTypeLike | None  # of a new tensor; None stands for the default

# Containers that can be changed; a kind before those that it is a kind of.
HOLDERS: tuple[Any, ...] = (OrderedDict, dict, list, set, deque)

# Around casts: what a dtype cannot hold is infinite in it, as in PyTorch, and nothing to warn of.
quiet = partial(np.errstate, over="ignore", invalid="ignore")

# Of elements. No memory holds more: such an array repeats elements, and no kernel would come to
# its end.
MOST_ELEMENTS = 2**40

# As PyTorch names them; there is the first.
DEVICES = ("cpu", "cuda", "meta", "mps", "xpu")

# The numbers of the dtypes for which there are kernels, in any byte order.
KERNELS = (np.dtype(np.float32).num, np.dtype(np.float64).num)

# The kinds of floating dtypes. V is that of ml_dtypes' bfloat16, the only one of it in a Tensor.
FLOATING = "fV"


def parts_of(value: Any) -> Iterator[Any]:
    """Yield a value, and all that its dicts, lists, tuples, sets and deques hold."""
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        yield part
        inner = part.values() if isinstance(part, Mapping) else part
        if isinstance(part, (Mapping, tuple, *HOLDERS)) and id(part) not in seen:
            seen.add(id(part))
            waiting += reversed(list(inner))


def flag(what: str, value: Any) -> bool:
    """Return True or False; TypeError for all but these, 1 and 0."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{what} is {value!r}, expected True or False")


def one_of(what: str, value: Any, known: Sequence[str]) -> str:
    """Return one of the known words; ValueError for all else."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{what} is {value!r}, expected one of {', '.join(map(repr, known))}")
    return value


def integer(what: str, value: Any, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """Return an integer within bounds; TypeError for what is none, such as a bool."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{what} is {value!r}, expected an integer")
    try:
        number = operator.index(value)
    except (TypeError, ValueError):  # an array of several, or of floats
        raise TypeError(f"{what} is {value!r}, expected an integer") from None
    if number < least:
        raise ValueError(f"{what} is {number}, must be at least {least}")
    if number > most:
        raise ValueError(f"{what} is {number}, must be at most {most}")
    return number


def number(what: str, value: Any, nan: bool = False) -> float:
    """Return a number as a float; TypeError for what is none, ValueError for NaN."""
    known = isinstance(value, (int, float, np.integer, np.floating))
    if not known or isinstance(value, (bool, np.timedelta64)):  # which NumPy counts as an integer
        raise TypeError(f"{what} is {value!r}, expected a number")
    try:
        result = float(value)
    except OverflowError:  # an integer beyond floats
        raise ValueError(f"{what} is {value!r}, expected a number that a float can hold") from None
    if result != result and not nan:
        raise ValueError(f"{what} is nan, expected a number")
    return result


def probability(what: str, value: Any) -> float:
    """Return a number from 0 to 1; TypeError for what is none, ValueError for another."""
    result = number(what, value)
    if not 0 <= result <= 1:
        raise ValueError(f"{what} is {value!r}, expected a number in [0, 1]")
    return result


def broadcast(op: str, function: Callable[..., Any], **arrays: Any) -> Any:
    """Call a function of NumPy's; ValueError that names the arrays if they do not broadcast."""
    most = 1
    for array in arrays.values():
        most *= array.size
    try:
        if most <= MOST_ELEMENTS or np.broadcast(*arrays.values()).size <= MOST_ELEMENTS:
            return function(*arrays.values())
    except ValueError as error:
        if "too large" not in str(error):
            raise unfit(op, "which do not broadcast together", **arrays) from None
    raise unfit(op, "expected shapes that broadcast to at most 2**40 elements", **arrays)


def unfit(op: str, why: str, **arrays: Any) -> ValueError:
    """Make the error of arrays whose shapes do not go together."""
    shapes = " and ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
    return ValueError(f"{op}: {shapes}, {why}")


def dtype_of(what: str, value: DTypeLike) -> np.dtype[Any]:
    """Return a dtype of numbers; TypeError for what is none."""
    if isinstance(value, str) and value == "bfloat16":
        return bfloat16()
    try:
        dtype = np.dtype(value if value is not None else "None")  # NumPy's None is float64
    except Exception:  # SyntaxError for "(1,", OverflowError for a dict, and others
        raise TypeError(f"{what} is {value!r}, expected a dtype of NumPy's") from None
    if not is_numeric(dtype):
        raise TypeError(f"{what} is {dtype}, expected one of numbers")
    return dtype


def bfloat16() -> np.dtype[Any]:
    """Return the dtype, whose name NumPy knows from then on; ImportError without ml_dtypes."""
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError("bfloat16 needs ml_dtypes: pip install 'pyconv[bfloat16]'") from error
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Return whether a Tensor may have this dtype: of numbers or bools."""
    return dtype.kind in "biuf" or (dtype.kind == "V" and dtype.name == "bfloat16")


def wide(dtype: np.dtype[Any]) -> Any:
    """Return the dtype to compute in: float32 for bfloat16, else the same."""
    return np.dtype(np.float32) if dtype.kind == "V" else dtype


def promoted(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype for several ones together; bfloat16 with another float is float32."""
    return np.result_type(*(dtypes if len(set(dtypes)) == 1 else map(wide, dtypes)))


def precision(dtype: np.dtype[Any]) -> float:
    """Return the distance from 1 to the next number of a floating dtype."""
    return 2.0**-7 if dtype.kind == "V" else float(np.finfo(dtype).eps)


def new_dtype(op: str, dtype: DType, device: Any, default: DType = np.float32) -> Any:
    """Return the dtype of a new tensor, the default for None; its device can be the CPU only."""
    if device is not None and (not isinstance(device, str) or device != "cpu"):
        raise NotImplementedError(f"{op}: device is {device!r}, only 'cpu' is supported")
    wanted = default if dtype is None else dtype
    return None if wanted is None else dtype_of(f"{op}: dtype", wanted)


def placement_of(
    what: str,
    args: Sequence[Any],
    dtype: DType,
    device: Any,
    non_blocking: Any = False,
    copy: Any = False,
) -> tuple[Any, bool]:
    """Return the dtype that the arguments of `to` ask for, None if they ask for none, and `copy`.

    `args` are those without a name: a device, a dtype or both, then `non_blocking` and `copy`; a
    tensor stands for its dtype, and None for nothing.
    """
    count = 1 if len(args) > 1 and isinstance(args[1], bool) else 2
    places = {"device": device, "dtype": dtype}
    for value in args[:count]:
        named = isinstance(value, str) and value.partition(":")[0] in DEVICES
        name = "device" if named else "dtype"
        if value is not None and places[name] is not None:
            raise TypeError(f"{what}: {name} is {value!r} and {places[name]!r}, expected one")
        if value is not None:
            places[name] = value._array.dtype if hasattr(value, "_array") else value
    device, dtype = places.values()
    if device is not None and (not isinstance(device, str) or device != "cpu"):
        raise ValueError(f"{what}: device is {device!r}, the only one is 'cpu'")
    if len(args) > count + 2:
        raise TypeError(f"{what}: {tuple(args)} are given, expected a device, a dtype and 2 flags")
    flags = {"non_blocking": non_blocking, "copy": copy}
    flags |= dict(zip(flags, args[count:]))
    _, anew = (flag(f"{what}: {name}", value) for name, value in flags.items())
    return None if dtype is None else dtype_of(f"{what}: dtype", dtype), anew


def one_size(name: str, sizes: tuple[Any, ...], named: Any) -> Any:
    """Return the sizes given one by one, as one sequence, or by name."""
    if named is None:
        return sizes[0] if len(sizes) == 1 else sizes
    if sizes:
        raise TypeError(f"{name} is {named!r}, and {sizes} are given too, expected one of them")
    return named


def size_of(size: tuple[Any, ...], name: str, least: int = 0) -> tuple[int, ...]:
    """Read sizes given one by one or as one sequence; ValueError for one below `least`."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    if len(size) > 32:
        raise ValueError(f"{name} has {len(size)} entries, expected at most 32")
    for entry in size:
        if type(entry) is not int or not least <= entry < 2**63:
            what = name if len(size) == 1 else f"{name} is {size!r}, of which an entry"
            return tuple([integer(what, n, least) for n in size])
    return size


def shape_of(*size: Any) -> tuple[int, ...]:
    """Read the size of a new array; ValueError if it is too large for any memory."""
    shape = size_of(size, "size")
    if math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"size is {shape}, expected at most 2**40 elements")
    return shape


def array_of(data: Any, dtype: DTypeLike | None = None, name: str = "data") -> NDArray[Any]:
    """Return `data` as an array of numbers, without a copy if possible."""
    array = _as_array(data, name)
    objects = array.dtype.kind == "O"
    integers = objects and all(isinstance(n, int) for n in array.flat)
    if dtype is None and (integers or array.dtype.char in "LQ") and not _has_dtype(data):
        raise ValueError(f"{name} holds an integer beyond int64; give a dtype that holds it")
    numbers = objects and dtype is not None and all(hasattr(n, "__float__") for n in array.flat)
    if not is_numeric(array.dtype) and not numbers:
        kind = f" of {array.dtype.type.__name__} ({array.dtype})"
        kind = kind if array.ndim or _has_dtype(data) else ""
        raise TypeError(f"{name} is a {type(data).__name__}{kind}, expected numbers")
    if array.ndim > 32:
        raise ValueError(f"{name} has {array.ndim} dimensions, expected at most 32")
    if array.size > MOST_ELEMENTS:
        raise ValueError(f"{name} has shape {array.shape}, expected at most 2**40 elements")
    if dtype is None and (array.dtype != np.float64 or (_has_dtype(data) and _has_float64(data))):
        return array
    wanted = np.dtype(np.float32 if dtype is None else dtype)
    try:
        with quiet():
            result = np.asarray(array, wanted)
        # Bools have no order with large integers, and fit everywhere.
        free = not array.size or array.dtype.kind == "b" or _has_dtype(data)
        possible = free or holds(wanted, array.min(), array.max())
    except (ArithmeticError, TypeError, ValueError):
        possible = False
    if not possible:
        raise ValueError(f"{name} holds a number that is not possible in {wanted}")
    return result


def _as_array(data: Any, name: str) -> NDArray[Any]:
    """Return what NumPy makes of `data`; others' arrays may raise anything on the way."""
    try:
        return np.asarray(data)
    except (MemoryError, NotImplementedError):  # the latter of `compile`
        raise
    except Exception as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} holds lists of unequal lengths, not equal ones") from None
        why = f"is a {type(data).__name__} that does not become an array: {error}"
        if any(getattr(part, "_requires_grad", False) for part in parts_of(data)):
            why = "holds Tensors that require grad: join them with pyconv.stack, or detach them"
        raise TypeError(f"{name} {why}") from None


def holds(dtype: np.dtype[Any], least: Any, most: Any) -> bool:
    """Return whether a dtype of integers holds numbers from least to most; others do."""
    if dtype.kind not in "iu":
        return True
    bits = 8 * dtype.itemsize
    low, high = (0, 2**bits) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return bool(low <= least and most < high)


def _has_dtype(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype") or hasattr(data, "__array__")


def _has_float64(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(map(_has_float64, data))
    return _has_dtype(data) and np.asarray(data).dtype == np.float64


def value_of(data: Any, dtype: DTypeLike | None, name: str) -> NDArray[Any]:
    """Return `data` as `array_of` does; ValueError for a number that is infinite in that dtype."""
    if type(data) in (int, float) and -3e38 < data < 3e38 and dtype is not None:
        kind = np.dtype(dtype)
        if kind.num in KERNELS:  # the common case, without delay
            return np.asarray(data, kind)
    array = array_of(data, dtype, name)
    if not array.ndim and np.isinf(array) and data not in (math.inf, -math.inf):
        raise ValueError(f"{name} is {data!r}, not possible in {array.dtype}")
    return array
