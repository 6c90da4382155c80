"""The same problem with a shorter sequence, if both sides can be called on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recorded.landmarks import Landmarks
from ..recorded.recording import record
from .rows import Sides, compared

STEPS = 4


def shortened(sides: Sides, length: int = STEPS) -> Sides | None:
    """The comparison on a few steps; None if a side can't be called on these.

    Args:
        sides: both sides.
        length: the number of steps.
    """
    recording, manual = sides.recording, sides.manual
    T = Landmarks([recording.loss]).steps or _length(recording.data)
    timed = [np.ndim(a) > 0 and len(a) == T for a in recording.data]
    is_function = callable(manual) or callable(getattr(manual, "backward", None))
    if recording.function is None or not is_function or length >= T or not any(timed):
        return None
    data = tuple(a[:length] if cut else a for a, cut in zip(recording.data, timed))
    try:
        short = record(recording.function, recording.arguments(recording.values()), data)
        found = compared(short, manual, sides.tolerance)
    except Exception:  # one of the two doesn't take a shorter sequence
        return None
    return found if all(claim.gradient is not None for claim in found.claims.gradients.values()) else None


def _length(data: Sequence[Any]) -> int:
    """The longest first axis of the data: the steps of a plain loop, as a rule."""
    return max((len(a) for a in data if np.ndim(a) > 0), default=0)
