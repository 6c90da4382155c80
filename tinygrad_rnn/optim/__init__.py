"""Optimisers, clipping and schedules, with PyTorch's names, defaults and update rules."""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .clipping import clip_grad_norm_, clip_grad_value_
from .methods import SGD, Adagrad, Adam, AdamW, RMSprop
from .optimizer import Optimizer
from .schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
