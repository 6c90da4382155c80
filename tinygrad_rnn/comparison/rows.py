"""The gradients, parameter by parameter: how much they differ, and whether that is more than rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..derivation.derivation import Derivation
from ..recorded.contributions import contributions_by_step
from ..recorded.outside import data_outside, has_attributes, reading_others
from ..recorded.recording import Recording, record
from ..recorded.rounding import rounded
from .claims.claims import Claims, read_claims
from .deriving import derived
from .measures import Tolerance, angle, distance, first_nan
from .report import AGREES, DIFFERS, NAN, NOTHING, Row


@dataclass(frozen=True)
class Sides:
    """The two sides of a comparison."""

    recording: Recording  # the loss, by which autograd's gradients are known
    manual: Any  # the manual side
    tolerance: Tolerance  # the difference up to which two arrays are equal
    claims: Claims  # the claims of the manual side

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of the report, one for each parameter."""
        gradients = self.recording.gradients().items()
        rows = [_row(self.recording, self.claims, name, g, self.tolerance) for name, g in gradients]
        return _forgiven(self.recording, rows, self.tolerance.relative)

    @property
    def wrong(self) -> list[Row]:
        """The rows of the gradients that differ."""
        return [row for row in self.rows if row.verdict == DIFFERS]

    @property
    def right(self) -> list[Row]:
        """The rows of the gradients that agree."""
        return [row for row in self.rows if row.verdict == AGREES]

    @cached_property
    def derived(self) -> tuple[Derivation | None, str]:
        """The derivation of the loss; None, and the reason, if it couldn't be written down."""
        return derived(self.recording)

    @property
    def can_be_asked(self) -> bool:
        """True if the manual side is a function, or a module of derivations, which can be called again."""
        return callable(self.manual) or callable(getattr(self.manual, "backward", None))

    def again(
        self, values: Mapping[str, np.ndarray] | None = None, all_data: Sequence[Any] | None = None
    ) -> Sides | None:
        """The same sides at other values of the parameters, or with other data; None if one of them can't be called.

        A loss that came recorded has no function to call: with the same data, its manual side alone is called again.
        """
        recording, function, manual = self.recording, self.recording.function, self.manual
        values = recording.values() if values is None else values
        others = {} if all_data is None else recording.others(all_data)
        if not self.can_be_asked or (function is None and all_data is not None) or (others and not self._read_alike):
            return None
        data = recording.data if all_data is None else all_data[: len(recording.data)]
        try:
            if function is not None:
                function, manual = reading_others([function, manual], others)
                recording = record(function, recording.arguments(values), data)
            return replace(self, recording=recording, manual=manual, claims=read_claims(manual, recording, values))
        except Exception:  # a user's function may fail in any way at unusual values
            return None

    @cached_property
    def _read_alike(self) -> bool:
        """True if the manual side reads no other data from outside than the loss, so that both can be given others."""
        known = set(map(id, self.recording.outside.values()))
        is_visible = isinstance(self.manual, (FunctionType, MethodType, partial)) or has_attributes(self.manual)
        return is_visible and known >= set(map(id, data_outside(self.manual, None, self.recording.data).values()))


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

    def cancels(row: Row) -> bool:
        eps = max(float(np.finfo(g.dtype).eps) for g in (row.autograd, row.manual) if g is not None)
        return (row.absolute or 0.0) <= min(tolerance, 100 * eps) * found[row.name].magnitude

    apart = {row.name: row.absolute or 0.0 for row in rows if row.verdict == DIFFERS and not cancels(row)}
    left = apart.keys() - rounded(recording, apart)
    return [replace(row, verdict=AGREES) if row.verdict == DIFFERS and row.name not in left else row for row in rows]
