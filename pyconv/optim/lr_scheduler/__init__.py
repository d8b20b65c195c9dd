"""Schedules of the learning rate; call ``step()`` after the optimizer's, as a rule per epoch."""

from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler
from .schedules import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR, StepLR

__all__ = [
    "CosineAnnealingLR",
    "LRScheduler",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
