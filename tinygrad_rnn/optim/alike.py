"""Parameters that start alike because they were made with the same seed, where nobody meant them to."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from ..autodiff.tensor import Tensor

CURE = (
    "They were made with the same seed. Make one generator, rng = np.random.default_rng(0), and pass seed=rng to "
    "every part of the model."
)


def warn_of_parameters_alike(parameters: Sequence[Tensor], stacklevel: int) -> None:
    """Warn if parameters start with the same random numbers.

    Seeds have a default, so two layers of one shape start alike unless one says otherwise, and side by side they would
    learn the same. What is meant to be one thing is shared as one object.
    """
    alike = groups_alike(
        (f"parameter {number} ({p.name or 'without a name'})", (p.shape, p.data.tobytes()))
        for number, p in enumerate(parameters)
        if np.unique(p.data).size > 2  # zeros, ones and identity matrices are alike on purpose
    )
    if alike:
        warnings.warn(f"{listed(alike)} start with the same random numbers. {CURE}", UserWarning, stacklevel + 1)


def groups_alike(named: Iterable[tuple[str, Hashable]]) -> list[list[str]]:
    """The names of equal things, where there are at least two."""
    groups: dict[Hashable, list[str]] = {}
    for name, value in named:
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def listed(groups: list[list[str]]) -> str:
    """The groups in words."""
    return "; ".join(" and ".join(group) for group in groups)
