"""A disagreement, traced to the first place where the two gradients differ: by step, loss term, gate and unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.tables import Table, number
from ..recorded.contributions import contributions_by_step
from ..recorded.gates import gate_columns
from ..recorded.landmarks import Landmarks
from ..recorded.recording import Recording
from .claims import Claims, plain_array
from .lines import read_line
from .measures import Tolerance
from .report import DIFFERS, Row
from .shorter import shortened, wrong_in

SHOWN = 10  # the most columns of a table; beyond, only the first that differ
LENGTHS = 8  # how many lengths of a sequence to try


def breakdown(
    recording: Recording, manual: Any, claims: Claims, rows: Sequence[Row], tolerance: Tolerance
) -> tuple[list[Table], list[str]]:
    """Tables of the places where the gradients differ.

    Gates and units are read from the gradients themselves. Steps and loss terms need further lines of the derivation:
    ``dL/dW[3]`` (the contribution of step 3) and ``dL4/dW`` (the gradient of L_4 alone), or a ``backward`` that
    returns its contributions. If both sides are functions, they are also called on shorter sequences.

    Returns:
        A table for each aspect with a result, and a sentence for each parameter.
    """
    wrong = [row for row in rows if row.verdict == DIFFERS and row.manual is not None]
    if not wrong:
        return [], []
    landmarks = Landmarks([recording.loss])
    parts: list[tuple[str, Callable[[Row], Mapping[str, float]]]] = [
        ("step k", lambda row: _by_step(recording, claims, row)),
        ("loss term t", lambda row: _by_term(recording, claims, row)),
        ("gate", lambda row: _by_gate(landmarks, recording, row)),
        ("unit", lambda row: _by_unit(landmarks, recording, row)),
    ]
    tables = []
    places: dict[str, list[str]] = {row.name: [] for row in wrong}
    for aspect, measure in parts:
        errors = {row.name: measure(row) for row in wrong}
        tables += _table(aspect, {name: found for name, found in errors.items() if found})
        for row in wrong:
            first = _first(errors[row.name], row, tolerance, latest=aspect in ("step k", "loss term t"))
            places[row.name] += [f"{aspect.removesuffix(' k').removesuffix(' t')} {first}"] if first is not None else []
    sentences = [f"{name} parts first at {', '.join(found)}." for name, found in places.items() if found]
    return tables, sentences + _by_length(recording, manual, tolerance)


def _error(a: Any, b: Any) -> float:
    return float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)), initial=0.0))


def _by_step(recording: Recording, claims: Claims, row: Row) -> dict[str, float]:
    """The error of each step's contribution, from the last to the first, as the backward pass goes."""
    given = dict(claims.by_step.get(row.name, {}))
    for line, value in claims.lines.items():
        request = read_line(line)
        if request is None or request.step is None or request.term is not None or not request.is_derivative:
            continue
        if request.name == row.name.rpartition(".")[2] and np.shape(value) == row.shape:
            given[request.step] = plain_array(value)
    if not given:
        return {}
    found = contributions_by_step(recording.loss, {row.name: recording.parameters[row.name]})[row.name].steps
    if not any(
        step is not None for step in found
    ):  # all its uses are outside the steps, so there is nothing to compare with
        return {}
    nothing = np.zeros(row.shape)
    return {str(step): _error(found.get(step, nothing), given[step]) for step in sorted(given, reverse=True)}


def _by_term(recording: Recording, claims: Claims, row: Row) -> dict[str, float]:
    """The error of the gradient of each loss term, from the last to the first."""
    errors = {}
    for line, value in claims.lines.items():
        request = read_line(line)
        if request is None or request.term is None or request.step is not None or not request.is_derivative:
            continue
        term = recording.terms.get(request.term)
        if term is not None and request.name == row.name.rpartition(".")[2] and np.shape(value) == row.shape:
            found = contributions_by_step(term, {row.name: recording.parameters[row.name]})[row.name]
            errors[request.term] = _error(found.total(), plain_array(value))
    return {str(t): errors[t] for t in sorted(errors, reverse=True)}


def _by_gate(landmarks: Landmarks, recording: Recording, row: Row) -> dict[str, float]:
    assert row.manual is not None
    difference = row.autograd - row.manual
    columns = gate_columns(landmarks, recording.parameters[row.name])
    return {gate: _error(difference[..., mask], 0.0) for gate, mask in columns.items()}


def _by_unit(landmarks: Landmarks, recording: Recording, row: Row) -> dict[str, float]:
    """The error of each column; if there are gates, of each unit in each gate."""
    if not row.shape or row.shape[-1] == 1:
        return {}
    assert row.manual is not None
    columns = np.max(np.abs(row.autograd - row.manual).reshape(-1, row.shape[-1]), axis=0)
    gates = gate_columns(landmarks, recording.parameters[row.name])
    sizes = {int(mask.sum()) for mask in gates.values()}
    if len(sizes) == 1:
        columns = np.max([columns[mask] for mask in gates.values()], axis=0)
    return {str(unit): float(error) for unit, error in enumerate(columns)}


def _table(aspect: str, errors: Mapping[str, Mapping[str, float]]) -> list[Table]:
    """A table for one aspect: the parameters down, the places across."""
    if not errors:
        return []
    places = list(dict.fromkeys(place for found in errors.values() for place in found))
    if len(places) > SHOWN:
        worst = sorted(places, key=lambda place: -max(found.get(place, 0.0) for found in errors.values()))[:SHOWN]
        places = [place for place in places if place in worst]
    rows = [[name, *(number(found.get(place)) for place in places)] for name, found in errors.items()]
    return [Table(f"Largest error by {aspect}", ["", *places], rows)]


def _first(errors: Mapping[str, float], row: Row, tolerance: Tolerance, latest: bool) -> str | None:
    """The first place that differs; steps run from the last to the first. None if it tells nothing."""
    if row.manual is None or len(errors) < 2:
        return None
    scale = max(float(np.max(np.abs(row.autograd))), float(np.max(np.abs(row.manual))))
    off = [place for place, error in errors.items() if not tolerance.accepts(error, error / scale)]
    if not off or (len(off) == len(errors) and not latest):
        return None
    return off[0]


def _by_length(recording: Recording, manual: Any, tolerance: Tolerance) -> list[str]:
    """The shortest sequence for which the two sides differ, if both can be called on shorter ones."""
    for length in range(1, LENGTHS + 1):
        short = shortened(recording, manual, tolerance, length)
        if short is None:
            return []
        off = wrong_in(short[2])
        if off:
            differ, agree = ("differ", "they agree") if len(off) > 1 else ("differs", "it agrees")
            agreed = f"; of {length - 1} {agree}" if length > 1 else ""
            return [f"On sequences of {length} step{'s'[: length > 1]} {', '.join(off)} {differ} already{agreed}."]
    return []
