"""The switch between the kernels and their twins in NumPy."""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from . import functional, reference
from .arguments import FLOATING, one_of, quiet
from .autograd.function import Function
from .autograd.grad_mode import is_grad_enabled, no_grad
from .creation import as_tensor, zeros
from .exchange import exchanged, is_taken_by
from .functional.arithmetic import tensors_of
from .functional.casting import cast
from .functional.rnn import Config, state_sizes
from .random import default_generator
from .tensor import Tensor


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Run every op that has a twin in `pyconv.reference` on that twin, forward and backward.

    A twin has the name and the arguments of its function in `pyconv.functional`, and takes floating
    numbers: functions of integers stay as they are, and so do copies, such as `cat`.
    Results are those of the twin, which computes in float64, rounded to the dtype of the input.
    Twins are slow, and have first derivatives only. The kernel runs too, for its checks of the
    arguments. Dropout drops the same elements. Optimizers keep their kernels. The choice holds for
    all threads.

    Parameters
    ----------
    name : {"cpu", "reference"}
        "cpu" changes nothing.

    Raises
    ------
    ValueError
        If the name is another.
    NotImplementedError
        When an op is given an argument, or asked for a gradient, that its twin does not have, or
        backward is to be recorded.

    Examples
    --------
    >>> import pyconv
    >>> import pyconv.functional as F
    >>> with pyconv.backend("reference"):
    ...     F.relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    if one_of("backend: name", name, ("cpu", "reference")) == "cpu":
        yield
        return
    with exchanged(call_twin):
        yield


def runs_twin(op: str) -> bool:
    """Return whether a function of `pyconv.functional` is computed by its twin now."""
    return is_taken_by(call_twin) and op in reference.__all__


@cache
def _signature(op: str) -> inspect.Signature:
    return inspect.signature(getattr(functional, op))


# ---- running a twin ----------------------------------------------------------------------------


def call_twin(op: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the twin with the arguments of the public function, once that has taken them."""
    if op == "stream_step":  # is then taken by `recurrent`
        return None
    if op == "recurrent":  # one layer in one direction, as the twins
        return _recurrent(*args)
    if _checking.get() or op not in reference.__all__:  # the function calls others on its way
        return function(*args, **kwargs)
    signature, twin = _signature(op), getattr(reference, op)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if isinstance(given.get("dim"), bool):  # of `var`, where it stands for `unbiased`
        return function(*args, **kwargs)
    if op in ("max", "min") and isinstance(given["dim"], (Tensor, np.ndarray)):
        return function(*args, **kwargs)  # of two tensors, which is NumPy's already
    running = {n: as_tensor(given[n], n) for n in _RUNNING if given.get(n) is not None}
    before = {name: np.array(tensor._array) for name, tensor in running.items()}
    known = inspect.signature(twin).parameters
    generator = copy.deepcopy(default_generator()) if "seed" in known else None
    checked = _check(function, given)
    dtype = (checked[0] if isinstance(checked, tuple) else checked).dtype
    given |= before
    if given.get("dtype") is not None:
        given["input"] = cast(given["input"], given.pop("dtype"))
    for name in ("other", "exponent"):
        if name in given:  # whose dtype a number is given
            given["input"] = tensors_of(given["input"], given[name])[0]
    for name in [name for name in given if name not in known]:
        value = given[name]
        if isinstance(value, (Tensor, np.ndarray)) or value != signature.parameters[name].default:
            raise NotImplementedError(f"backend('reference'): {op} has no {name} there")
        del given[name]
    arrays = {
        name: as_tensor(value, name)
        for name, value in given.items()
        if name == "input"
        or (name in _ARRAYS + _FIXED and not isinstance(value, (int, float, type(None))))
    }
    bounds = [given[name] for name in ("min", "max") if name in given]
    if any(isinstance(bound, (Tensor, np.ndarray)) for bound in bounds):
        return function(*args, **kwargs)  # the twin's are numbers
    if not any(tensor.dtype.kind in FLOATING for tensor in arrays.values()):
        return function(*args, **kwargs)
    options = {name: _plain(value) for name, value in given.items() if name not in arrays}
    if running:
        _update_running(op, running, arrays, options)
    if generator is not None:  # the seed that the function drew
        options["seed"] = int(generator.bit_generator.random_raw())
    result = _Twin.apply(op, dtype, tuple(arrays), options, *arrays.values())
    named = hasattr(checked, "_fields")  # values and indices
    return type(checked)(*result) if named else result


_checking = ContextVar("_checking", default=False)


def _check(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Run the kernel, and return what it does: twins do not check what they are given."""
    token = _checking.set(True)
    try:
        with no_grad():
            return function(**given)
    finally:
        _checking.reset(token)


def _plain(value: Any) -> Any:
    """Return an option in Python's own types, which are all that twins know."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_plain, value))
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return value.item()
    if isinstance(value, (bool, type(None))) or not hasattr(type(value), "__index__"):
        return value
    integer = operator.index(value)
    return integer if abs(integer) < 2**63 else float(integer)  # which NumPy cannot hold else


# The arguments that are arrays. Those with a gradient, in the order in which twins return them:
_ARRAYS = (
    *("input", "other", "exponent", "target", "weight", "bias"),
    *("hx", "cx", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"),
)
# and those without.
_RUNNING = ("running_mean", "running_var")
_FIXED = (*_RUNNING, "indices", "pos_weight")


def _update_running(
    op: str, running: dict[str, Tensor], arrays: dict[str, Tensor], options: dict[str, Any]
) -> None:
    """Write the statistics that a norm keeps, which its twin leaves to another function."""
    x = arrays["input"]._array
    of_samples = op == "instance_norm"
    if not x.size or not options["use_input_stats" if of_samples else "training"]:
        return
    mean, var = (arrays[name]._array for name in _RUNNING)
    parts = np.split(x, len(x)) if of_samples else [x]
    after = [reference.batch_norm_running(x, mean, var, options["momentum"]) for x in parts]
    for name, values in zip(_RUNNING, zip(*after)):
        running[name]._array[...] = np.mean(values, axis=0)


def _recurrent(
    x: Tensor, states: list[Tensor] | None, weights: Any, config: Config, weight_hr: Any = None
) -> tuple[Tensor, ...]:
    """One layer in one direction, or a step of it, as `functional.rnn.recurrent` is called."""
    op, _, nonlinearity = config.mode.lower().partition("_")
    lengths = None if config.lengths is None else config.lengths._array
    options: dict[str, Any] = {"lengths": lengths, "reverse": config.reverse}
    if nonlinearity:
        options["nonlinearity"] = nonlinearity
    step = x.ndim == 2
    sizes = state_sizes(config.mode, weights[1])
    if states is None:
        states = [zeros(x.shape[-2], size, dtype=x.dtype) for size in sizes]
    states = [state.reshape(x.shape[-2], size) for state, size in zip(states, sizes)]
    names = ("input", "hx", *["cx"][: op == "lstm"], *_ARRAYS[-5:])
    given = zip(names, (x.unsqueeze(0) if step else x, *states, *weights, weight_hr))
    arrays = {name: tensor for name, tensor in given if tensor is not None}
    dtype = x.dtype.newbyteorder("=")
    output, *last = _Twin.apply(op, dtype, tuple(arrays), options, *arrays.values())
    return (output.squeeze(0), *last) if step else (output, *(h.unsqueeze(0) for h in last))


class _Twin(Function):
    """An op as its reference computes it."""

    @staticmethod
    def forward(
        ctx: Any, op: str, dtype: Any, names: Any, options: dict[str, Any], *tensors: Tensor
    ) -> Any:
        ctx.op, ctx.names, ctx.options = op, names, options
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        arrays = {name: tensor._array for name, tensor in zip(names, tensors)}
        with np.errstate(all="ignore"):  # kernels do not warn
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
            for grad, shape in zip(given[:count], ctx._outputs)
        )
        with np.errstate(all="ignore"):
            grads = twin(*outputs, **{n: v for n, v in arguments.items() if n in known})
        # Indices and classes have no gradient; an integer operand has one that nobody asks for.
        takes = inspect.signature(getattr(reference, ctx.op)).parameters
        kinds = {name: tensor.dtype.kind for name, tensor in zip(ctx.names, tensors)}
        operands = "other" in takes or "exponent" in takes
        order = [n for n in _ARRAYS if n in takes and (operands or kinds.get(n, "f") == "f")]
        of = dict(zip(order, grads if isinstance(grads, tuple) else (grads,)))
        for name, need in zip(ctx.names, ctx.needs_input_grad[4:]):
            if need and name in _ARRAYS and name not in of:
                raise NotImplementedError(
                    f"backend('reference'): {ctx.op} has no gradient of {name} there"
                )
        of_each = (
            _rounded(of[name], tensor.dtype.newbyteorder("="))
            if name in of and kinds[name] == "f"
            else None
            for name, tensor in zip(ctx.names, tensors)
        )
        return None, None, None, None, *of_each


def _rounded(array: Any, dtype: Any) -> Tensor:
    array = np.asarray(array)
    with quiet():
        return Tensor(array.astype(dtype) if array.dtype.kind == "f" else array)
