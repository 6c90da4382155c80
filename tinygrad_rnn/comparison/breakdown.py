"""A disagreement, traced to the first place where the two gradients differ: by step, loss term, gate and unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.tables import Table, number
from ..recorded.contributions import contributions_by_step
from ..recorded.gates import gate_columns
from ..recorded.landmarks import Landmarks
from ..recorded.recording import Recording
from .claims.claims import Claims, plain_array
from .lines import Request, read_line
from .measures import Tolerance, largest
from .report import Row
from .rows import Sides
from .smaller import shortened

SHOWN = 10  # the most columns of a table; beyond, only the first that differ
LENGTHS = 8  # how many lengths of a sequence to try


def breakdown(sides: Sides) -> tuple[list[Table], list[str]]:
    """Tables of the places where the gradients differ.

    Gates and units are read from the gradients themselves. Steps and loss terms need further lines of the derivation:
    ``dL/dW[3]`` (the contribution of step 3) and ``dL4/dW`` (the gradient of L_4 alone), or a ``backward`` that
    returns its contributions. If both sides are functions, they are also called on shorter sequences.

    Returns:
        A table for each aspect with a result, and a sentence for each parameter.
    """
    wrong = sides.wrong
    if not wrong:
        return [], []
    landmarks = Landmarks([sides.recording.loss])
    columns = {row.name: gate_columns(landmarks, sides.recording.parameters[row.name]) for row in wrong}
    parts: list[tuple[str, Callable[[Row], Mapping[str, float]]]] = [
        ("step k", partial(_by_step, sides.recording, sides.claims)),
        ("loss term t", partial(_by_term, sides.recording, sides.claims)),
        ("gate", lambda row: {gate: largest(row.difference[..., mask]) for gate, mask in columns[row.name].items()}),
        ("unit", lambda row: _by_unit(row, columns[row.name])),
    ]
    tables = []
    places: dict[str, list[str]] = {row.name: [] for row in wrong}
    for aspect, measure in parts:
        errors = {row.name: measure(row) for row in wrong}
        tables += _table(aspect, {name: found for name, found in errors.items() if found})
        for row in wrong:
            first = _first(errors[row.name], row, sides.tolerance, latest=aspect in ("step k", "loss term t"))
            places[row.name] += [f"{aspect.removesuffix(' k').removesuffix(' t')} {first}"] if first is not None else []
    sentences = [f"{name} parts first at {', '.join(found)}." for name, found in places.items() if found]
    return tables, sentences + _by_length(sides)


def _by_step(recording: Recording, claims: Claims, row: Row) -> dict[str, float]:
    """The error of each step's contribution, from the last to the first, as the backward pass goes."""
    given: dict[Any, np.ndarray] = dict(claims.by_step.get(row.name, {}))
    given |= {r.step: array for r, array in _lines_by(claims, row) if r.step is not None and r.term is None}
    if not given:
        return {}
    found = contributions_by_step(recording.loss, {row.name: recording.parameters[row.name]})[row.name].steps
    if all(step is None for step in found):  # all its uses are outside the steps: there is nothing to compare with
        return {}
    nothing = np.zeros(row.shape)
    return {str(step): largest(found.get(step, nothing) - given[step]) for step in sorted(given, reverse=True)}


def _by_term(recording: Recording, claims: Claims, row: Row) -> dict[str, float]:
    """The error of the gradient of each loss term, from the last to the first."""
    given = {r.term: array for r, array in _lines_by(claims, row) if r.term in recording.terms and r.step is None}
    leaf, errors = recording.parameters[row.name], {}
    for term in sorted(given, reverse=True):
        right = contributions_by_step(recording.terms[term], {"": leaf})[""].total()
        errors[str(term)] = largest(right - given[term])
    return errors


def _lines_by(claims: Claims, row: Row) -> Iterator[tuple[Request, np.ndarray]]:
    """The lines that are derivatives by a parameter, of a step or of a loss term."""
    for line, value in claims.lines.items():
        request = read_line(line)
        is_by_row = request is not None and request.is_derivative and request.name == row.name.rpartition(".")[2]
        if request is not None and is_by_row and np.shape(value) == row.shape:
            yield request, plain_array(value)


def _by_unit(row: Row, gates: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The error of each column; if there are gates, of each unit in each gate."""
    if not row.shape or row.shape[-1] == 1:
        return {}
    columns = np.max(np.abs(row.difference).reshape(-1, row.shape[-1]), axis=0)
    if len({int(mask.sum()) for mask in gates.values()}) == 1:
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
    if len(errors) < 2:
        return None
    scale = max(largest(gradient) for gradient in (row.autograd, row.manual) if gradient is not None)
    off = [place for place, error in errors.items() if not tolerance.accepts(error, error / scale)]
    if not off or (len(off) == len(errors) and not latest):
        return None
    return off[0]


def _by_length(sides: Sides) -> list[str]:
    """The shortest sequence for which the two sides differ, if both can be called on shorter ones."""
    for length in range(1, LENGTHS + 1):
        short = shortened(sides, length)
        if short is None or len(short.recording.nodes) == len(sides.recording.nodes):  # rows, and no steps
            return []
        off = [row.name for row in short.wrong]
        if off:
            differ, agree = ("differ", "they agree") if len(off) > 1 else ("differs", "it agrees")
            agreed = f"; of {length - 1} {agree}" if length > 1 else ""
            return [f"On sequences of {length} step{'s'[: length > 1]} {', '.join(off)} {differ} already{agreed}."]
    return []
