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
    recording: Recording, manual: Any, wrong: Sequence[Row], tolerance: Tolerance
) -> tuple[Recording, Claims, list[Row]] | None:
    """The comparison on a few steps; None if a side can't be called on these, or if fewer gradients are wrong there.

    Args:
        recording: the loss.
        manual: the manual side.
        wrong: the gradients that are wrong on the whole sequence.
        tolerance: the difference up to which two arrays are equal.
    """
    T = Landmarks([recording.loss]).steps or _length(recording.data)
    timed = [np.ndim(a) > 0 and len(a) == T for a in recording.data]
    is_function = callable(manual) or callable(getattr(manual, "backward", None))
    if recording.function is None or not is_function or T <= STEPS or not any(timed):
        return None
    data = tuple(a[:STEPS] if cut else a for a, cut in zip(recording.data, timed))
    try:
        short = record(recording.function, recording.arguments(recording.values()), data)
        claims = read_claims(manual, short)
        rows = compare_rows(short, claims, short.gradients(), tolerance)
    except Exception:  # one of the two doesn't take a shorter sequence
        return None
    off = {row.name for row in rows if row.verdict == DIFFERS}
    return (short, claims, rows) if off == {row.name for row in wrong} else None


def _length(data: Sequence[Any]) -> int:
    """The longest first axis of the data: the steps of a plain loop, as a rule."""
    return max((len(a) for a in data if np.ndim(a) > 0), default=0)
