"""Parts of a model that start alike because they were made with the same seed, where nobody meant them to."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable

import numpy as np

from ..data.generator_state import generator_state
from ..nn import Dropout, Module, ZoneoutCell


def warn_of_parts_alike(model: Module) -> None:
    """Warn if parameters start with the same random numbers, or noise will be drawn alike.

    Seeds have a default, so two layers of one shape start alike unless one says otherwise: side by side they would
    learn the same, and two dropouts would drop the same units. What is meant to be one thing is shared as one object.
    """
    parameters = (
        (path, (p.shape, p.data.tobytes()))
        for path, p in model.named_parameters()
        if np.unique(p.data).size > 2  # zeros, ones and identity matrices are alike on purpose
    )
    drawing = {
        id(module.generator): (path, module.generator)  # those that share a generator draw one after another from it
        for path, module in model.named_modules()
        if isinstance(module, (Dropout, ZoneoutCell)) and module.p
    }
    noise = ((path, str(generator_state(generator))) for path, generator in drawing.values())
    alike = [*_groups(parameters), *_groups(noise)]
    if alike:
        listed = "; ".join(" and ".join(group) for group in alike)
        warnings.warn(
            f"these start with the same random numbers: {listed}. They were made with the same seed. Make one "
            "generator, rng = np.random.default_rng(0), and pass seed=rng to all of them.",
            UserWarning,
            stacklevel=3,
        )


def _groups(named: Iterable[tuple[str, Hashable]]) -> list[list[str]]:
    """The names of equal things, where there are at least two."""
    groups: dict[Hashable, list[str]] = {}
    for name, value in named:
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
