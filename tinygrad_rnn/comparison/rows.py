"""The gradients, parameter by parameter: how much they differ, and whether that is more than rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..recorded.contributions import contributions_by_step
from ..recorded.recording import Recording
from .claims import Claims, read_claims
from .measures import Tolerance, angle, distance, first_nan
from .report import AGREES, DIFFERS, NAN, NOTHING, Row


class Sides(NamedTuple):
    """The two sides of a comparison, and the row of each gradient.

    Attributes:
        recording: the loss, by which autograd's gradients are known.
        manual: the manual side.
        claims: its claims.
        tolerance: the difference up to which two arrays are equal.
        rows: the rows of the report, one for each parameter.
    """

    recording: Recording
    manual: Any
    claims: Claims
    tolerance: Tolerance
    rows: Sequence[Row]

    @property
    def wrong(self) -> list[Row]:
        """The rows of the gradients that differ."""
        return [row for row in self.rows if row.verdict == DIFFERS]


def compared(recording: Recording, manual: Any, tolerance: Tolerance, claims: Claims | None = None) -> Sides:
    """Compare the two sides, gradient by gradient.

    Args:
        recording: the loss.
        manual: the manual side.
        tolerance: the difference up to which two arrays are equal.
        claims: the claims of the manual side, if they have been read.
    """
    claims = read_claims(manual, recording) if claims is None else claims
    rows = [_row(recording, claims, name, g, tolerance) for name, g in recording.gradients().items()]
    return Sides(recording, manual, claims, tolerance, _forgiven(recording, rows, tolerance.relative))


def _row(recording: Recording, claims: Claims, name: str, autograd: np.ndarray, tolerance: Tolerance) -> Row:
    claim = claims.gradients[name]
    manual = claim.gradient
    if manual is None:
        return Row(name, autograd.shape, NOTHING, autograd, problem=claim.problem)
    if np.isnan(autograd).any() or np.isnan(manual).any():
        where = _where_nan(recording, autograd, manual, claims.by_step.get(name, {}))
        return Row(name, autograd.shape, NAN, autograd, manual, problem=where)
    absolute, relative = distance(autograd, manual)
    verdict = AGREES if tolerance.accepts(absolute, relative) else DIFFERS
    return Row(name, autograd.shape, verdict, autograd, manual, absolute, relative, angle(autograd, manual))


def _where_nan(
    recording: Recording, autograd: np.ndarray, manual: np.ndarray, by_step: Mapping[int, np.ndarray]
) -> str:
    said = []
    if np.isnan(manual).any():
        element = [int(i) for i in np.argwhere(np.isnan(manual))[0]]
        steps = [step for step, c in by_step.items() if np.isnan(c).any()]
        at = f"; going back from the last step, first at step {max(steps)}" if steps else ""
        said.append(f"the manual gradient is NaN, first in element {element}{at}")
    if np.isnan(autograd).any():
        said.append(first_nan(recording))
    return "; ".join(said)


def _forgiven(recording: Recording, rows: list[Row], tolerance: float) -> list[Row]:
    """The rows that differ, checked again: a gradient whose terms cancel may consist only of rounding errors."""
    if all(row.verdict != DIFFERS for row in rows):
        return rows
    found = contributions_by_step(recording.loss, recording.parameters)

    def is_rounding(row: Row) -> bool:
        if row.verdict != DIFFERS or row.absolute is None or row.manual is None:
            return False
        eps = max(float(np.finfo(g.dtype).eps) for g in (row.autograd, row.manual))
        return row.absolute <= min(tolerance, 100 * eps) * found[row.name].magnitude

    return [replace(row, verdict=AGREES) if is_rounding(row) else row for row in rows]
