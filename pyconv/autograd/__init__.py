"""Automatic differentiation: recorded operations and the backward pass over them."""

from . import hooks
from .anomaly import detect_anomaly
from .checkpoint import checkpoint, checkpoint_sequential
from .engine import backward, grad
from .function import Function
from .grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .gradcheck import gradcheck, gradgradcheck

__all__ = [
    "Function",
    "backward",
    "checkpoint",
    "checkpoint_sequential",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hooks",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
