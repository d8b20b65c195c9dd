"""The switch between the kernels and their twins in NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from . import functional, reference
from .arguments import one_of
from .autograd.function import Function
from .autograd.grad_mode import is_grad_enabled, no_grad
from .creation import as_tensor, zeros
from .functional.rnn import Config, recurrent, stream_step
from .tensor import Tensor, changed

_depth = 0


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run every op that has a twin in `pyconv.reference` on that twin, forward and backward.

    A twin has the name and the arguments of its function in `pyconv.functional`, and takes floating
    numbers: functions of integers stay as they are.
    Results are those of the twin, which computes in float64, rounded to the dtype of the input.
    Twins are slow, and have first derivatives only. The kernel runs too, for its checks of the
    arguments. Optimizers keep their kernels. The choice holds for all threads.

    Parameters
    ----------
    name : {"cpu", "reference"}
        "cpu" changes nothing.

    Raises
    ------
    ValueError
        If the name is another.
    NotImplementedError
        When an op is given an argument that its twin does not have, or backward is to be recorded.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> with pyconv.backend("reference"):
    ...     F.relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    global _depth
    if one_of("backend: name", name, ("cpu", "reference")) == "cpu":
        yield
        return
    _depth += 1
    if _depth == 1:
        _exchange_all()
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            _exchange_all()


# ---- exchanging functions ----------------------------------------------------------------------
#
# A public function may be held anywhere: by a layer, another function, a user's module. So it is
# its code that is exchanged, which costs nothing while the kernels run.

_code: dict[str, tuple[CodeType, Any, Any]] = {}

# Under the recurrent layers and cells, whose twins are for one layer in one direction.
_RECURRENT: dict[str, Any] = {"recurrent": recurrent, "stream_step": stream_step}


def _exchange_all() -> None:
    """Exchange the code of every function that has a twin with what `_code` holds."""
    for op in (*functional.__all__, *_RECURRENT):
        if op in _RECURRENT or _has_twin(op):
            function: FunctionType = _RECURRENT.get(op) or getattr(functional, op)
            other = _code.get(op) or (_caller_of_twin(op), None, None)
            _code[op] = function.__code__, function.__defaults__, function.__kwdefaults__
            function.__defaults__ = None  # never more of them than the code has arguments
            function.__code__, function.__defaults__, function.__kwdefaults__ = other


def _caller_of_twin(op: str) -> CodeType:
    names: dict[str, Any] = {}
    exec(
        f"def {op}(*args, **kwargs):\n"
        "    from pyconv.backend import call_twin\n"
        f"    return call_twin({op!r}, args, kwargs)",
        names,
    )
    code: CodeType = names[op].__code__
    return code


@cache
def _has_twin(op: str) -> bool:
    """Look, before the first exchange; a twin that asks for more, such as a seed, is none."""
    twin = getattr(reference, op, None)
    if twin is None or not hasattr(reference, f"{op}_backward"):
        return False
    return inspect.signature(twin).parameters.keys() <= _signature(op).parameters.keys()


@cache
def _signature(op: str) -> inspect.Signature:
    return inspect.signature(getattr(functional, op))


# ---- running a twin ----------------------------------------------------------------------------


def call_twin(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the twin with the arguments of the public function, once that has taken them."""
    if op == "stream_step":  # is then taken by `recurrent`
        return None
    if op == "recurrent":
        return _recurrent(*args)
    if _checking.get():  # the function calls others on its way
        return _kernel_of(op)(*args, **kwargs)
    signature, twin = _signature(op), getattr(reference, op)
    given = signature.bind(*args, **kwargs).arguments
    _check(op, given)
    known = inspect.signature(twin).parameters
    for name in [name for name in given if name not in known]:
        value = given[name]
        if isinstance(value, (Tensor, np.ndarray)) or value != signature.parameters[name].default:
            raise NotImplementedError(f"backend('reference'): {op} has no {name} there")
        del given[name]
    arrays = {
        name: as_tensor(value, name)
        for name, value in given.items()
        if isinstance(value, (Tensor, np.ndarray))
        or name == "input"
        or (name in _ARRAYS and not isinstance(value, (int, float, type(None))))
    }
    if not any(tensor.dtype.kind == "f" for tensor in arrays.values()):
        return _kernel_of(op)(*args, **kwargs)
    options = {name: value for name, value in given.items() if name not in arrays}
    if options.get("training") and "running_mean" in arrays:
        _update_running(arrays, options)
    return _Twin.apply(op, tuple(arrays), options, *arrays.values())


_checking = ContextVar("_checking", default=False)


def _check(op: str, given: dict[str, Any]) -> None:
    """Run the kernel, whose result is not used: twins do not check what they are given."""
    kept = ("running_mean", "running_var")  # which the kernel would move
    copies = {
        name: np.array(as_tensor(given[name])._array)
        for name in kept
        if given.get(name) is not None
    }
    token = _checking.set(True)
    try:
        with no_grad():
            _kernel_of(op)(**(given | copies))
    finally:
        _checking.reset(token)


# Also arrays if given as lists; and the order of the gradients that a twin returns.
_ARRAYS = (
    *("input", "other", "exponent", "target", "weight", "bias"),
    *("hx", "cx", "weight_ih", "weight_hh", "bias_ih", "bias_hh"),
)


def _kernel_of(op: str) -> FunctionType:
    """Return the public function as it is outside."""
    code, defaults, keywords = _code[op]
    function = FunctionType(code, getattr(functional, op).__globals__, op, defaults)
    function.__kwdefaults__ = keywords
    return function


def _update_running(arrays: dict[str, Tensor], options: dict[str, Any]) -> None:
    """Write the statistics that batch norm keeps, which its twin leaves to another function."""
    mean, var = arrays["running_mean"], arrays["running_var"]
    momentum = {name: options[name] for name in ("momentum",) if name in options}
    values = reference.batch_norm_running(
        arrays["input"]._array, mean._array, var._array, **momentum
    )
    for tensor, value in zip((mean, var), values):
        tensor._array[...] = value
        changed(tensor)


def _recurrent(
    x: Tensor, states: list[Tensor] | None, weights: Any, config: Config
) -> tuple[Tensor, ...]:
    """One layer in one direction, or a step of it, as `functional.rnn.recurrent` is called."""
    op, _, nonlinearity = config.mode.lower().partition("_")
    options: dict[str, Any] = {"lengths": config.lengths, "reverse": config.reverse}
    if nonlinearity:
        options["nonlinearity"] = nonlinearity
    step = x.ndim == 2
    batch, hidden = x.shape[-2], weights[1].shape[1]
    if states is None:
        states = [zeros(batch, hidden, dtype=x.dtype)] * (2 if op == "lstm" else 1)
    states = [state.reshape(batch, hidden) for state in states]
    names = ("input", "hx", *["cx"][: op == "lstm"], *_ARRAYS[-4:])
    given = zip(names, (x.unsqueeze(0) if step else x, *states, *weights))
    arrays = {name: tensor for name, tensor in given if tensor is not None}
    output, *last = _Twin.apply(op, tuple(arrays), options, *arrays.values())
    return (output.squeeze(0), *last) if step else (output, *(h.unsqueeze(0) for h in last))


class _Twin(Function):
    """An op as its reference computes it."""

    @staticmethod
    def forward(ctx: Any, op: str, names: Any, options: dict[str, Any], *tensors: Tensor) -> Any:
        ctx.op, ctx.names, ctx.options = op, names, options
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        arrays = {name: tensor._array for name, tensor in zip(names, tensors)}
        dtype = np.result_type(*(a.dtype for a in arrays.values() if a.dtype.kind == "f"))
        result = getattr(reference, op)(**arrays, **options)
        if isinstance(result, tuple):
            return tuple(_rounded(part, dtype) for part in result)
        return _rounded(result, dtype)

    @staticmethod
    def backward(ctx: Any, *given: Any) -> Any:
        twin = getattr(reference, f"{ctx.op}_backward")
        known = inspect.signature(twin).parameters
        count = sum(name.startswith("grad_") for name in known)  # of results that have a gradient
        if is_grad_enabled() or any(grad is not None for grad in given[count:]):
            raise NotImplementedError(
                "backend('reference') has first derivatives only, and those of a first result"
            )
        tensors = ctx.saved_tensors
        arguments = ctx.options | {n: t._array for n, t in zip(ctx.names, tensors)}
        outputs = (
            np.zeros(*shape) if grad is None else grad._array
            for grad, shape in zip(given[:count], ctx.outputs)
        )
        grads = twin(*outputs, **{n: v for n, v in arguments.items() if n in known})
        kinds = {name: tensor.dtype.kind for name, tensor in zip(ctx.names, tensors)}
        # Indices and classes have no gradient; an integer operand has one that nobody asks for.
        operands = "other" in kinds or "exponent" in kinds
        order = [name for name in _ARRAYS if kinds.get(name) == "f" or (operands and name in kinds)]
        of = dict(zip(order, grads if isinstance(grads, tuple) else (grads,)))
        of_each = (
            _rounded(of[name], tensor.dtype) if name in of and kinds[name] == "f" else None
            for name, tensor in zip(ctx.names, tensors)
        )
        return None, None, None, *of_each


def _rounded(array: Any, dtype: Any) -> Tensor:
    array = np.asarray(array)
    return Tensor(array.astype(dtype) if array.dtype.kind == "f" else array)
