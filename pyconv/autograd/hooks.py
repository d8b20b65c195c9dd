"""Functions that users hang on tensors and modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """Ends a hook: ``remove()``."""

    def __init__(self, hooks: dict[Any, Any], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self, None)
