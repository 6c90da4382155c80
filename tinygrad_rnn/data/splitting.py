"""Setting data aside to validate on."""

from __future__ import annotations

from typing import Any

import numpy as np


def train_validation_split(
    *data: Any,
    validation: float = 0.1,
    rng: np.random.Generator | int | None = None,
) -> list[Any]:
    """Split data into a part to train on and a part to validate on.

    Without a generator the end is set aside: a text stays in one piece, and a mapped file stays
    mapped. With a generator, examples are chosen at random; the order inside each part is kept.

    Args:
        *data: one or several sequences or arrays of equal length (inputs, targets, ...), split
            alike along their first axes.
        validation: the fraction to set aside, between 0 and 1.
        rng: a generator (or a seed) that chooses what is set aside.

    Returns:
        ``[train, validation]`` for each of the data, one after the other, each of the type of the
        argument (an array for an array, a list for a list).

    Raises:
        ValueError: if there are no data, if their lengths differ, or if a part would be empty.

    Example:
        >>> train, validation = train_validation_split(np.arange(10), validation=0.2)
        >>> validation
        array([8, 9])
        >>> inputs, targets = [[1], [2, 3], [4]], [0, 1, 0]
        >>> parts = train_validation_split(inputs, targets, validation=1 / 3)
        >>> train_inputs, validation_inputs, train_targets, validation_targets = parts
        >>> validation_inputs, validation_targets
        ([[4]], [0])
    """
    counts = {len(each) for each in data}
    if len(counts) != 1:
        raise ValueError(f"the data to split must have one and the same length, not {sorted(counts)}")
    count = counts.pop()
    if not 0 < validation < 1:
        raise ValueError(f"validation={validation} is not a fraction; pass a number between 0 and 1")
    set_aside = round(count * validation)
    if not 0 < set_aside < count:
        raise ValueError(
            f"validation={validation} of {count} would leave {count - set_aside} to train on and "
            f"{set_aside} to validate on; pass a fraction that leaves at least one for each"
        )
    if rng is None:
        border = count - set_aside
        return [part for each in data for part in (each[:border], each[border:])]
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(rng).choice(count, set_aside, replace=False)] = True
    train, held_out = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    return [_take(each, indices) for each in data for indices in (train, held_out)]


def _take(each: Any, indices: np.ndarray[Any, Any]) -> Any:
    """The chosen elements of an array or of a list."""
    return each[indices] if isinstance(each, np.ndarray) else [each[i] for i in indices.tolist()]
