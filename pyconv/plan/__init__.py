"""Whole networks as a straight list of calls, for inference."""

from .file import load_plan
from .plan import Plan, compile

__all__ = ["Plan", "compile", "load_plan"]
