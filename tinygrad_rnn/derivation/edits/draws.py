"""Other numbers for a derivation: an answer that is right by chance for some weights is wrong for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .editing import Bench

if TYPE_CHECKING:
    from .derived import Derived

MOST_TRIES = 4


def draws(derivation: Derived, rng: np.random.Generator, others: int = 2) -> Iterator[Bench]:
    """Right runs with the recorded numbers, then with some others, drawn so that all lines have finite values."""
    parameters = {name: _in_float64(value) for name, value in derivation.parameters.items()}
    data = {name: _in_float64(value) for name, value in derivation.data.items()}
    yield Bench(derivation, parameters, data)
    found = 0
    for _ in range(MOST_TRIES * others):
        drawn = _tried(
            derivation,
            {name: _moved(value, rng) for name, value in parameters.items()},
            {name: _like_data(value, rng) for name, value in data.items()},
        )
        if drawn is not None:
            found += 1
            yield drawn
        if found == others:
            return


def _tried(derivation: Derived, parameters: dict[str, Any], data: dict[str, Any]) -> Bench | None:
    try:
        with np.errstate(all="ignore"):
            drawn = Bench(derivation, parameters, data)
    except Exception:  # these numbers can't be used: an index is out of range, a matrix has no inverse
        return None
    values = [v for by_step in drawn.right.values.values() for v in by_step.values() if v is not None]
    return drawn if all(np.all(np.isfinite(v)) for v in values) else None


def _in_float64(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _moved(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other numbers of the same size; positive ones stay positive."""
    if value.dtype.kind != "f" or not value.size:
        return value
    if np.all(value > 0):
        return np.asarray(value * np.exp(0.3 * rng.normal(size=value.shape)))
    size = float(np.std(value)) or float(np.max(np.abs(value))) or 0.5
    return np.asarray(value + size * rng.normal(size=value.shape))


def _like_data(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other numbers for measurements; masks, probabilities and places keep their numbers, in another order."""
    if not value.ndim or not value.size:
        return value
    if value.dtype.kind == "f" and np.any(value < 0):
        return _moved(value, rng)
    return rng.permutation(value, axis=0)
