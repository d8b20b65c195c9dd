"""Optimizer: groups of parameters with their settings, and the state of each parameter."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import is_not
from typing import Any

import numpy as np

from .. import _core
from ..arguments import flag, integer, number, quiet, wide
from ..autograd.engine import clear_grad
from ..autograd.grad_mode import enable_grad, no_grad
from ..tensor import Array, Tensor, changed

MOST_WORK = 1000  # of the search for a byte of two arrays; beyond it they are taken to share one


class Optimizer:
    """Base class of optimizers; a subclass defines `update`, or `update_all`.

    Parameters
    ----------
    params : iterable of Tensor, of pairs of a name and a Tensor, or of dict
        What to train. Each dict is a group: ``"params"`` and settings of its own. Names stand in
        the groups as ``"param_names"``; all parameters have one, or none has.
    defaults : dict
        Settings of groups that do not have their own.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their settings; may be changed between steps.
    state : dict of Tensor to dict
        What is remembered about each parameter, such as its momentum; at first an empty dict.

    Raises
    ------
    ValueError
        If there are no parameters, one appears twice or cannot be changed, or only some have names.
    TypeError
        If something is not a Tensor.
    """

    # What a subclass remembers of a parameter: arrays of its shape and dtype, but float32 for
    # bfloat16, and integers.
    arrays: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    _checked: Sequence[Any] = ()  # the settings of all groups that were found to make sense

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            kind = type(params).__name__
            raise TypeError(f"params is a {kind}, expected an iterable of Tensors or of dicts")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        groups = list(params)
        for one in groups:
            if not isinstance(_unnamed(one), (Tensor, Mapping)):
                kind = type(one).__name__
                raise TypeError(f"params holds a {kind}, expected Tensors or dicts")
        if not groups:
            raise ValueError("params is empty")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add a dict with ``"params"``, and settings that differ from the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f"a group is {group!r}, expected a dict with 'params'")
        params = group["params"]
        if not isinstance(params, Iterable):
            raise TypeError(f"params is a {type(params).__name__}, expected Tensors")
        given = [params] if isinstance(params, Tensor) else list(params)
        known = set(chain.from_iterable(g["params"] for g in self.param_groups))
        params, names = [], [pair[0] for pair in given if _unnamed(pair) is not pair]
        for param in map(_unnamed, given):
            if not isinstance(param, Tensor):
                raise TypeError(f"params holds a {type(param).__name__}, expected Tensors")
            if not param.is_leaf:
                raise ValueError("params holds a computed Tensor; only leaves can be trained")
            if param.requires_grad and not (param._array.flags.behaved and param.dtype.isnative):
                raise ValueError(
                    f"params holds a Tensor of shape {param.shape} that is read-only, misaligned "
                    "or of foreign byte order, expected one that can be changed"
                )
            if param in known:
                raise ValueError(f"params holds a Tensor of shape {param.shape} twice")
            known.add(param)
            params.append(param)
        own = {**self.defaults, **group, "params": params}
        if names:
            own["param_names"] = names
        named = {"param_names" in one for one in (own, *self.param_groups)}
        if len(named) > 1 or 0 < len(names) < len(params):
            raise ValueError("params holds some with names and some without, expected all or none")
        settings = {n: _plain(v) if n in self.defaults else v for n, v in own.items()}
        self.check(settings)
        self.param_groups.append(settings)

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""

    def update(self, param: Tensor, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Change one parameter by its gradient."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def update_all(self, params: list[Tensor], group: Mapping[str, Any]) -> None:
        """Change the parameters of a group that have gradients; calls `update` for each."""
        for param in params:
            self.update(param, group, self.state[param])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change each parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew and its gradients; its result is returned.

        Raises
        ------
        ValueError, TypeError
            If a setting of a group is missing or makes no sense; nothing is changed then. If a
            parameter that is not in C order shares its memory with another; its group is not
            changed then.
        """
        loss = None
        if closure is not None:
            if not callable(closure):
                raise TypeError(f"step: closure is {closure!r}, expected a function")
            with enable_grad():
                loss = closure()
        self._check_changes()
        with no_grad():
            for group in self.param_groups:
                params = [param for param in group["params"] if param.grad is not None]
                check_memory(params, [p for p in params if not p._array.flags.c_contiguous])
                try:
                    self.update_all(params, group)
                except TypeError:
                    self._check_dtypes(params)
                    raise
                for param in params:
                    changed(param)
        return loss

    def _check_dtypes(self, params: list[Tensor]) -> None:
        """Raise TypeError for a parameter that was converted and its state was not."""
        for param in params:
            for name in self.arrays:
                kept = self.state.get(param, {}).get(name, param)
                if wide(kept.dtype) != wide(param.dtype):
                    raise TypeError(
                        f"{type(self).__name__}: {name}.dtype is {kept.dtype} and that of its "
                        f"parameter is {param.dtype}, expected {wide(param.dtype)}: convert the "
                        "model before making the optimizer"
                    ) from None

    def _check_changes(self) -> None:
        """Check the settings again if one is not what it was at the last step."""
        settings = [value for group in self.param_groups for value in group.values()]
        for group in self.param_groups:  # a list of betas may change and be the same list
            betas = group.get("betas")
            settings += betas if isinstance(betas, (tuple, list)) else ()
        known = self._checked
        if len(settings) == len(known) and not any(map(is_not, settings, known)):
            return
        for group in self.param_groups:
            for name in self.defaults:
                if name not in group:
                    raise ValueError(f"{type(self).__name__}: a group has no {name!r}")
            self._check_again(group)
        self._checked = settings

    def _check_again(self, group: Mapping[str, Any]) -> None:
        """Check settings that were good once; schedules together may take the rate below 0."""
        lr: Any = group.get("lr")
        falls = isinstance(lr, (int, float, np.integer, np.floating)) and -np.inf < lr < 0
        self.check({**group, "lr": -lr} if falls else group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        set_to_none = flag("zero_grad: set_to_none", set_to_none)
        for group in self.param_groups:
            for param in group["params"]:
                clear_grad(param, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state by number of parameter, and the groups with such numbers."""
        numbers = {param: i for i, param in enumerate(self._params())}
        return {
            "state": {numbers.get(key, key): dict(s) for key, s in self.state.items() if s},
            "param_groups": [
                {**group, "params": [numbers[param] for param in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned for an optimizer of the same parameters.

        Raises
        ------
        ValueError
            If the groups have other sizes, there is state of other parameters, or of other shape
            or dtype than theirs, or a setting makes no sense. Nothing is changed then.
        TypeError
            If it is no dict with ``"state"`` and ``"param_groups"``.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise TypeError(
                f"load_state_dict: state_dict is {state_dict!r}, expected a dict with 'state' and "
                "'param_groups'"
            )
        groups, state = state_dict["param_groups"], state_dict["state"]
        check_groups(groups)
        sizes = [len(group["params"]) for group in groups]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(f"load_state_dict: groups of {sizes} parameters, expected {own}")
        numbers = chain.from_iterable(group["params"] for group in groups)
        params = dict(zip(numbers, self._params()))
        if not isinstance(state, Mapping) or not all(
            isinstance(s, Mapping) for s in state.values()
        ):
            raise TypeError(
                "load_state_dict: state is no dict of dicts, expected one per parameter"
            )
        strangers = state.keys() - params.keys()
        if strangers:
            raise ValueError(f"load_state_dict: state of {list(strangers)}, in no group")
        loaded = {
            params[number]: {
                name: self._loaded(params[number], name, value) for name, value in part.items()
            }
            for number, part in state.items()
        }
        settings = [
            {n: _plain(v) if n in self.defaults else v for n, v in new.items() if n != "params"}
            for new in groups
        ]
        for group, new in zip(self.param_groups, settings):
            self._check_again({**group, **new})
        for group, new in zip(self.param_groups, settings):
            group.update(new)
        self.state = defaultdict(dict, loaded)

    def _loaded(self, param: Tensor, name: str, value: Any) -> Any:
        """Check and copy a part of the state of a parameter."""
        if name in self.arrays:
            kind = f"a {type(value).__name__}"
            if hasattr(value, "__array__"):
                value = np.asarray(value)
                value = Tensor(np.asarray(value, wide(value.dtype)))
                kind = f"of shape {value.shape} and {value.dtype}"
            if kind != f"of shape {param.shape} and {wide(param.dtype)}":
                raise ValueError(
                    f"load_state_dict: {name} is {kind}, expected a Tensor of the parameter's "
                    f"shape {param.shape} and {wide(param.dtype)}"
                )
        elif name in self.counts:
            value = _plain(value)  # PyTorch counts in float32
            whole = isinstance(value, float) and value.is_integer()
            value = integer(f"load_state_dict: {name}", int(value) if whole else value, 0)
        return Tensor(value._array.copy()) if isinstance(value, Tensor) else value

    def state_of(self, param: Tensor, names: Iterable[str]) -> list[Array]:
        """Return the arrays that are kept of a parameter; zeros, at first, of its shape."""
        state = self.state[param]
        for name in names:
            if name not in state:
                # In a block of the kernels' own allocator.
                array = _core.empty(param.shape, wide(param.dtype))
                array.fill(0)
                state[name] = Tensor(array)
        return [state[name]._array for name in names]

    def _params(self) -> list[Tensor]:
        return list(chain.from_iterable(group["params"] for group in self.param_groups))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def run(kernel: Callable[..., None], params: list[Tensor], *rest: Any) -> None:
    """Call a kernel with the arrays of parameters and of their gradients.

    It gets copies of parameters that are not in C order, and of bfloat16 as float32.
    """
    arrays = [np.asarray(param._array, order="C") for param in params]
    grads = [param.grad._array for param in params]  # type: ignore[union-attr]
    if "V" in [array.dtype.kind for array in arrays]:
        check_memory(params, [p for p in params if p.dtype.kind == "V"])
        arrays, grads = ([np.asarray(x, wide(x.dtype)) for x in some] for some in (arrays, grads))
    kernel(arrays, grads, *rest)
    for param, array in zip(params, arrays):
        if array is not param._array:
            with quiet():
                np.copyto(param._array, array, "same_kind")


def check_memory(params: list[Tensor], copied: list[Tensor]) -> None:
    """Raise ValueError if one that `run` copies is a view of the same memory as another."""
    chosen = set(copied)
    spans = [(*_span(p._array), p) for p in params if p._array.size] if copied else []
    before: list[tuple[int, int, Tensor]] = []  # those that may reach as far as the next one
    for span in sorted(spans, key=lambda span: span[0]):
        before = [other for other in before if other[1] > span[0]]
        for _, _, other in before:
            pair = [p for p in (span[2], other) if p in chosen]
            arrays: Any = span[2]._array, other._array, MOST_WORK  # NumPy's stubs know only 0
            if pair and np.may_share_memory(*arrays):
                what = "of bfloat16" if pair[0].dtype.kind == "V" else "not in C order"
                raise ValueError(
                    f"a parameter of shape {pair[0].shape} that is {what} shares its memory with "
                    "another"
                )
        before.append(span)


def _span(array: Array) -> tuple[int, int]:
    """Return the addresses of the first byte of an array and of the one after its last."""
    reaches = [(n - 1) * stride for n, stride in zip(array.shape, array.strides)]
    first = array.__array_interface__["data"][0] + sum(min(reach, 0) for reach in reaches)
    return first, first + sum(map(abs, reaches)) + array.itemsize


def _unnamed(param: Any) -> Any:
    """Return the parameter of a pair such as `Module.named_parameters` yields."""
    pair = isinstance(param, tuple) and len(param) == 2 and isinstance(param[0], str)
    return param[1] if pair else param


def _plain(value: Any) -> Any:
    """Return the number of an array or a Tensor that has one, the two of one that has a pair."""
    if type(value) in (list, tuple):
        return type(value)(map(_number, value))
    pair = hasattr(value, "shape") and math.prod(value.shape) == 2
    return value.tolist() if pair else _number(value)


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "shape") and math.prod(value.shape) == 1 else value


def check_not_negative(owner: str, group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError for a setting below 0, or NaN; TypeError for what is no number."""
    for name in names:
        if number(f"{owner}: {name}", group[name]) < 0:
            raise ValueError(f"{owner}: {name} is {group[name]!r}, must not be negative")


def check_flags(owner: str, group: Mapping[str, Any], *names: str) -> None:
    """Raise TypeError for what is neither True nor False."""
    for name in names:
        flag(f"{owner}: {name}", group[name])


def check_groups(groups: Any) -> None:
    """Raise TypeError unless these are the groups of a state dict."""
    if not isinstance(groups, (list, tuple)) or not all(
        isinstance(group, Mapping)
        and isinstance(group.get("params"), (list, tuple))
        and all(isinstance(n, int) for n in group["params"])
        for group in groups
    ):
        raise TypeError(
            "load_state_dict: param_groups is no list of dicts, each with the numbers of its "
            "parameters as 'params'"
        )
