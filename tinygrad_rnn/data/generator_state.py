"""The state of a random generator, saved and restored: a resumed run must draw the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of a generator, as plain numbers, strings, lists and dicts (JSON can hold it)."""
    state: dict[str, Any] = _plain(rng.bit_generator.state)
    return state


def restore_generator(rng: np.random.Generator, state: Any) -> None:
    """Put a generator into a state from ``generator_state``; raise, and leave it unchanged, if the state is wrong.

    Raises:
        ValueError: if the state isn't one of a generator of this kind.
    """
    kind = type(rng.bit_generator)
    try:
        # NumPy doesn't check these two, and reads beyond its buffer if they are wrong.
        if kind is np.random.MT19937 and state["state"]["pos"] not in range(625):
            raise ValueError("pos is not a place in its key")
        if kind is np.random.Philox and state["buffer_pos"] not in range(5):
            raise ValueError("buffer_pos is not a place in its buffer")
        trial = kind()
        trial.state = state
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"this is not a state of a generator of the kind {kind.__name__}: {error!r}") from None
    rng.bit_generator.state = trial.state


def _plain(state: Any) -> Any:
    """A generator's state with lists in place of arrays."""
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return state.tolist()
    return state.item() if isinstance(state, np.generic) else state
