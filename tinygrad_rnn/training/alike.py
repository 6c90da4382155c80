"""Noise that would be drawn alike in two parts of a model, because they were made with the same seed."""

from __future__ import annotations

import warnings

from ..data.generator_state import generator_state
from ..nn import Dropout, Module, ZoneoutCell
from ..optim.alike import CURE, groups_alike, listed


def warn_of_noise_alike(model: Module) -> None:
    """Warn if two dropouts would drop the same units; of parameters that start alike the optimiser warns."""
    drawing = {
        id(module.generator): (path, module.generator)  # those that share a generator draw one after another from it
        for path, module in model.named_modules()
        if isinstance(module, (Dropout, ZoneoutCell)) and module.p
    }
    alike = groups_alike((path, str(generator_state(generator))) for path, generator in drawing.values())
    if alike:
        warnings.warn(f"{listed(alike)} would draw the same random numbers. {CURE}", UserWarning, stacklevel=3)
