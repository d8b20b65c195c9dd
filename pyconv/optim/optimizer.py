"""Optimizer: groups of parameters with their settings, and the state of each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from .. import _core
from ..autograd.engine import clear_grad
from ..autograd.grad_mode import enable_grad, no_grad
from ..tensor import Array, Tensor, changed


class Optimizer:
    """Base class of optimizers; a subclass defines `update`, or `update_all`.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to train. Each dict is a group: ``"params"`` and settings of its own.
    defaults : dict
        Settings of groups that do not have their own.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their settings; may be changed between steps.
    state : dict of Tensor to dict
        What is remembered about each parameter, such as its momentum.

    Raises
    ------
    ValueError
        If there are no parameters, or one appears twice.
    TypeError
        If something is not a Tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params is a Tensor, expected an iterable of Tensors or of dicts")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        groups = list(params)
        if not groups:
            raise ValueError("params is empty")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add a dict with ``"params"``, and settings that differ from the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f"a group is {group!r}, expected a dict with 'params'")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = set(chain.from_iterable(g["params"] for g in self.param_groups))
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(f"params holds a {type(param).__name__}, expected Tensors")
            if not param.is_leaf:
                raise ValueError("params holds a computed Tensor; only leaves can be trained")
            if param in known:
                raise ValueError(f"params holds a Tensor of shape {param.shape} twice")
            known.add(param)
        settings = {**self.defaults, **group, "params": params}
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
            self.update(param, group, self.state.setdefault(param, {}))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change each parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew and its gradients; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                params = [param for param in group["params"] if param.grad is not None]
                self.update_all(params, group)
                for param in params:
                    changed(param)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                clear_grad(param, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state by number of parameter, and the groups with such numbers."""
        numbers = {param: i for i, param in enumerate(self._params())}
        return {
            "state": {numbers[param]: dict(state) for param, state in self.state.items()},
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
            If the groups have other sizes, or there is state of other parameters.
        TypeError
            If it is no dict with ``"state"`` and ``"param_groups"``.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise TypeError(
                f"load_state_dict: state_dict is {state_dict!r}, expected a dict with 'state' and "
                "'param_groups'"
            )
        groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in groups]
        own = [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(f"load_state_dict: groups of {sizes} parameters, expected {own}")
        numbers = chain.from_iterable(group["params"] for group in groups)
        params = dict(zip(numbers, self._params()))
        strangers = state_dict["state"].keys() - params.keys()
        if strangers:
            raise ValueError(f"load_state_dict: state of {sorted(strangers)}, in no group")
        for group, new in zip(self.param_groups, groups):
            group.update({name: value for name, value in new.items() if name != "params"})
        self.state = {
            params[number]: {name: _copy(value) for name, value in state.items()}
            for number, state in state_dict["state"].items()
        }

    def _params(self) -> list[Tensor]:
        return list(chain.from_iterable(group["params"] for group in self.param_groups))

    def __repr__(self) -> str:
        lines = [
            f"  group {i}: "
            + ", ".join(f"{k}={v!r}" for k, v in sorted(group.items()) if k != "params")
            + f", {len(group['params'])} tensors"
            for i, group in enumerate(self.param_groups)
        ]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def arrays_of(params: list[Tensor]) -> tuple[list[Array], list[Array]]:
    """Return the arrays of parameters and of their gradients."""
    return [p._array for p in params], [p.grad._array for p in params]  # type: ignore[union-attr]


def zeros_like(param: Tensor) -> Tensor:
    """Return what a state begins with, in a block of the kernels' own allocator."""
    array = _core.empty(param.shape, param.dtype)
    array.fill(0)
    return Tensor(array)


def check_not_negative(owner: str, group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError for a setting below 0, or NaN; TypeError for what is no number."""
    for name in names:
        try:
            good = group[name] >= 0
        except TypeError:
            raise TypeError(f"{owner}: {name} is {group[name]!r}, expected a number") from None
        if not good:
            raise ValueError(f"{owner}: {name} is {group[name]!r}, must not be negative")


def _copy(value: Any) -> Any:
    return Tensor(np.array(value._array)) if isinstance(value, Tensor) else value
