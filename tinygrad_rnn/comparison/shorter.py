"""The same problem with a shorter sequence, if both sides can be called on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recorded.landmarks import Landmarks
from ..recorded.recording import Recording, record
from .claims import Claims, read_claims
from .measures import Tolerance
from .report import DIFFERS, Row
from .rows import compare_rows

STEPS = 4


def shortened(
    recording: Recording, manual: Any, tolerance: Tolerance, length: int = STEPS
) -> tuple[Recording, Claims, list[Row]] | None:
    """The comparison on a few steps; None if a side can't be called on these.

    Args:
        recording: the loss.
        manual: the manual side.
        tolerance: the difference up to which two arrays are equal.
        length: the number of steps.
    """
    T = Landmarks([recording.loss]).steps or _length(recording.data)
    timed = [np.ndim(a) > 0 and len(a) == T for a in recording.data]
    is_function = callable(manual) or callable(getattr(manual, "backward", None))
    if recording.function is None or not is_function or length >= T or not any(timed):
        return None
    data = tuple(a[:length] if cut else a for a, cut in zip(recording.data, timed))
    try:
        short = record(recording.function, recording.arguments(recording.values()), data)
        claims = read_claims(manual, short)
        if any(claim.gradient is None for claim in claims.gradients.values()):
            return None
        return short, claims, compare_rows(short, claims, short.gradients(), tolerance)
    except Exception:  # one of the two doesn't take a shorter sequence
        return None


def wrong_in(rows: Sequence[Row]) -> list[str]:
    """The names of the wrong gradients."""
    return [row.name for row in rows if row.verdict == DIFFERS]


def _length(data: Sequence[Any]) -> int:
    """The longest first axis of the data: the steps of a plain loop, as a rule."""
    return max((len(a) for a in data if np.ndim(a) > 0), default=0)
