"""Writing down which functions a model calls on an input."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..arguments import dtype_of, parts_of
from ..exchange import LEAVING, exchanged
from ..rehearsal import tensors_in
from ..tensor import Array, Tensor
from .steps import Constant, Step, Value, signature_of

# What a plan may hold of a call, besides Tensors.
PLAIN = (bool, int, float, str, type(None), type(...))


class Trace:
    """The steps that depend on the inputs; all else is a constant.

    Attributes
    ----------
    steps : list of Step
    constants : list of Tensor
        Copies.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.steps: list[Step] = []
        self.constants: list[Tensor] = []
        self._of_tensor: dict[int, Value | Constant] = {}
        self._of_array: dict[int, Value | Constant] = {}  # the same memory by another Tensor
        self._kept: list[Any] = []  # so that their ids stay theirs
        self._equal: dict[Any, list[Constant]] = {}  # by shape, dtype and checksum
        self._count = 0
        self._thread = threading.get_ident()
        self._inside = False
        # The first size of all inputs, if that is the batch.
        firsts = {x.shape[0] if x.ndim else 0 for x in inputs}
        self.batch = firsts.pop() or None if len(firsts) == 1 else None
        for tensor in inputs:
            self._make(tensor)

    def run(self, function: Any, *args: Any) -> Any:
        """Call a function, write down what it calls in this thread, and return its result so."""
        take = self._call
        with exchanged(take, before_others=True):
            result = function(*args)
        written = self._result(result)
        self._kept.clear()
        return written

    def _call(self, op: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != self._thread:
            return function(*args, **kwargs)
        if op == "default_generator":
            raise NotImplementedError(
                "compile: the model draws random numbers in evaluation, which a plan does not"
            )
        if self._inside:  # it is part of another
            return function(*args, **kwargs)
        if op == "stream_step":
            return None  # it is left to `recurrent`
        # Of a layer's input, `lengths_of` wants the shape alone.
        given = args[1] if op == "lengths_of" else (args, kwargs)
        depends = any(type(self._find(x)) is Value for x in _tensors(given))
        if depends:
            self._refuse(op, args, kwargs)
        if op in LEAVING:
            return function(*args, **kwargs)
        if op == "__setitem__":
            self._forget(args[0])
            return function(*args, **kwargs)
        self._inside = True
        try:
            result = function(*args, **kwargs)
        finally:
            self._inside = False
        if op == "_replace":
            self._replace(*args)
        elif depends:
            if op == "recurrent":
                config = args[3]
                args = (*args[:3], config.mode, config.lengths, config.reverse, *args[4:])
            elif op == "of_masks":
                op, args = args[0], args[1:]
            self._write(op, args, kwargs, list(tensors_in(result)))
        return result

    def _refuse(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise NotImplementedError if what depends on the input is used as no plan can."""
        if op in LEAVING:
            raise NotImplementedError(
                f"compile: the model calls {op} of a tensor that depends on the input: what "
                "depends on its elements is no list of calls"
            )
        if op == "__setitem__":
            raise NotImplementedError(
                "compile: the model does x[key] = value where one of them depends on the input, "
                "which is no call of pyconv.functional; use where, cat or pad"
            )
        if op == "index":
            key = signature_of(op).bind(*args, **kwargs).arguments["key"]
            if any(type(self._find(x)) is Value and x.dtype == bool for x in _tensors(key)):
                raise NotImplementedError(
                    "compile: the model calls index with a mask that depends on the input: how "
                    "many elements that takes is known in no list of calls; use where"
                )

    def _take(self, part: Any) -> Any:
        """Return an argument, or the model's result, as the plan keeps it."""
        kind = type(part)
        if isinstance(part, (Tensor, np.ndarray)):
            return self._find(part) or self._keep(part)
        if isinstance(part, (tuple, list)):
            inner = [self._take(x) for x in part]
            return kind(*inner) if hasattr(part, "_fields") else kind(inner)
        if kind is range:
            return list(part)
        if kind is slice:
            return slice(*map(self._take, (part.start, part.stop, part.step)))
        if isinstance(part, dict) and all(type(name) is str for name in part):
            return {name: self._take(inner) for name, inner in part.items()}
        if isinstance(part, np.generic):
            return part.item()
        if isinstance(part, (np.dtype, type)):
            return dtype_of("compile: dtype", part).name
        if isinstance(part, PLAIN):
            return part
        raise NotImplementedError(f"compile: a plan cannot hold {part!r}")

    def _result(self, part: Any) -> Any:
        """Return what the model returned as the plan keeps it; constants are copied each time."""
        if any(isinstance(inner, np.ndarray) for inner in parts_of(part)):
            raise NotImplementedError("compile: the model returns an array of NumPy, not a Tensor")
        for tensor in tensors_in(part):
            if type(self._find(tensor)) is not Value:
                self._write("clone", (tensor,), {}, [tensor])
        return self._take(part)

    # ---- which tensor is which ---------------------------------------------------------------

    def _find(self, tensor: Tensor | Array) -> Value | Constant | None:
        if isinstance(tensor, Tensor):
            found = self._of_tensor.get(id(tensor))
            return found or self._of_array.get(id(tensor._array))
        return self._of_array.get(id(tensor))

    def _name(self, tensor: Tensor | Array, leaf: Value | Constant) -> None:
        array = tensor
        if isinstance(tensor, Tensor):
            array = tensor._array
            self._of_tensor[id(tensor)] = leaf
        self._of_array[id(array)] = leaf
        self._kept += tensor, array

    def _make(self, tensor: Tensor) -> int:
        self._name(tensor, Value(self._count))
        self._count += 1
        return self._count - 1

    def _keep(self, tensor: Tensor | Array) -> Constant:
        """Copy what is no constant yet, as it will come from a file."""
        array = np.array(getattr(tensor, "_array", tensor), order="C")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        array.flags.writeable = False
        known = self._equal.setdefault((array.shape, array.dtype, zlib.crc32(array.tobytes())), [])
        for constant in known:
            if self.constants[constant.number]._array.tobytes() == array.tobytes():
                break
        else:
            constant = Constant(len(self.constants))
            known.append(constant)
            self.constants.append(Tensor(array))
        self._name(tensor, constant)
        return constant

    def _write(
        self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Tensor]
    ) -> None:
        if all(type(self._find(result)) is Value for result in results):
            return  # it returned what it was given, such as dropout in evaluation
        bound = signature_of(op).bind(*args, **kwargs)
        if op == "reshape":
            shape = results[0].shape
            if shape[:1] == bound.arguments["input"].shape[:1] == (self.batch,) and all(shape):
                bound.arguments["shape"] = (-1, *shape[1:])  # as any batch
        given = self._take(bound.args), self._take(bound.kwargs)
        made = [self._make(result) for result in results]
        self.steps.append(Step(op, *given, made, [result.shape for result in results]))

    def _replace(self, tensor: Tensor, result: Tensor) -> None:
        """`tensor` holds the elements of `result` now."""
        leaf = self._find(result)
        self._forget(tensor)
        if result.dtype != tensor.dtype:
            self._write("cast", (result, tensor.dtype), {}, [tensor])
        elif leaf is not None:
            self._name(tensor, leaf)

    def _forget(self, tensor: Tensor) -> None:
        """`tensor` changes; a constant perhaps with others that share its memory."""
        constant = type(self._find(tensor)) is not Value
        for known, own in ((self._of_tensor, tensor), (self._of_array, tensor._array)):
            known.pop(id(own), None)
            for key in [key for key in known if constant and type(known[key]) is Constant]:
                del known[key]


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the Tensors in an argument, also in slices."""
    for part in parts_of(value):
        if isinstance(part, slice):
            yield from tensors_in((part.start, part.stop, part.step))
        elif isinstance(part, Tensor):
            yield part
