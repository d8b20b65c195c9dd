"""The state dict of a module, copying one into it, and its dtype."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import FLOATING, dtype_of, flag, quiet
from ..creation import as_tensor
from ..tensor import Tensor, changed


class LoadResult(NamedTuple):
    """What `Module.load_state_dict` did not find on one side or the other."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        missing, unexpected = self
        return f"LoadResult(missing_keys={missing}, unexpected_keys={unexpected})"


def named_state(module: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters and persistent buffers, under each of their dotted names."""
    for path, part in module.named_modules(remove_duplicate=False):
        for name, tensor in own_state(part):
            yield f"{path}.{name}" if path else name, tensor


def own_state(module: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and persistent buffers of a module without those below it."""
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None and name not in module._not_saved:
            yield name, tensor


def collect(module: Any, state: Any, prefix: str, keep_vars: bool) -> Any:
    """Put the state of a module into a dict."""
    if not isinstance(prefix, str):
        raise TypeError(f"state_dict: prefix is {prefix!r}, expected a str")
    if not isinstance(state, MutableMapping):
        kind = type(state).__name__
        raise TypeError(f"state_dict: destination is a {kind}, expected a dict")
    keep = flag("state_dict: keep_vars", keep_vars)
    for name, tensor in own_state(module):
        state[prefix + name] = tensor if keep else tensor.detach()
    for name, part in module._modules.items():
        if part is not None:  # which may have a method of its own
            part.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep)
    return state


def load(owner: str, own: dict[str, Tensor], state_dict: Any, strict: bool) -> LoadResult:
    """Copy the values into `own`, or raise before any is changed."""
    if not isinstance(state_dict, Mapping) or not all(isinstance(k, str) for k in state_dict):
        kind = type(state_dict).__name__
        raise TypeError(f"load_state_dict: state_dict is a {kind}, expected a mapping by names")
    result = missing, unexpected = LoadResult(
        [name for name in own if name not in state_dict and not _is_optional(name)],
        [name for name in state_dict if name not in own],
    )
    common = [name for name in own if name in state_dict]
    new = {name: as_tensor(state_dict[name], f"load_state_dict: {name}") for name in common}
    for name in common:
        if new[name].shape == (1,) and own[name].shape == ():  # as PyTorch once kept numbers
            new[name] = new[name][0]
    problems = [text for name in common if (text := _misfit(name, own[name], new[name]))]
    if strict:
        if unexpected:
            problems.append(f"unexpected keys: {', '.join(unexpected)}")
        if missing:
            problems.append(f"missing keys: {', '.join(missing)}")
            inner = [key for key in unexpected if _has(state_dict[key], missing)]
            problems += [
                f"state_dict[{key!r}] is a dict that has them; load that?" for key in inner
            ]
    if problems:
        lines = "\n    ".join(problems)
        raise ValueError(f"load_state_dict for {owner}:\n    {lines}")
    for name in common:
        with quiet():
            np.copyto(own[name]._array, new[name]._array, casting="same_kind")
        changed(own[name])
    return result


def convert(tensors: Iterable[Tensor], dtype: DTypeLike) -> None:
    """Convert what is floating, and its gradients, in place."""
    try:
        wanted = dtype_of("to: dtype", dtype)
    except TypeError:
        expected = "expected a floating dtype, or the device 'cpu'"
        raise TypeError(f"to: dtype is {dtype!r}, {expected}") from None
    if wanted.kind not in FLOATING:
        raise TypeError(f"to: dtype is {wanted}, expected a floating one")
    for tensor in tensors:
        for part in (tensor, tensor.grad):
            if part is not None and part.dtype.kind in FLOATING:
                with quiet():
                    part._array = part._array.astype(wanted, copy=False)


def kind_of(value: Any) -> str:
    """Say in an error what was given; of a class, such as a layer without brackets, which."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _is_optional(name: str) -> bool:
    """Tell whether old state dicts lack it: norm layers did not always count their batches."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _has(value: Any, names: list[str]) -> bool:
    return isinstance(value, Mapping) and value.keys() >= set(names)


def _misfit(name: str, own: Tensor, new: Tensor) -> str:
    if new.shape != own.shape:
        return f"size mismatch for {name}: {new.shape} in the state dict, {own.shape} in the module"
    if not np.can_cast(new.dtype, own.dtype, "same_kind"):
        return f"dtype of {name}: {new.dtype} in the state dict, {own.dtype} in the module"
    if not own._array.flags.writeable:
        return f"{name} is read-only in the module"
    return ""
