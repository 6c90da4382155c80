"""The referee between two gradients that disagree: finite differences of the loss itself.

For a small loss, each element of a gradient is measured. For a large loss, every evaluation is expensive, so only one
derivative is measured, along a direction through all that disagrees: four evaluations settle every parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from ..autodiff.gradcheck import central_differences
from ..recorded.recording import Recording
from .report import Row, Ruling

RTOL, ATOL = 1e-6, 1e-8  # the precision of central differences in float64
EPS = float(np.finfo(np.float64).eps)
LONG_STEP, LONGEST = 6e-4, 1e4
STEP, STEP_ALONG = 6e-6, 1e-4  # the best steps for differences of second and of fourth order, if no number is large
SHORTER = (1e-1, 1e-2, 1e-3)  # factors of the step for a loss that curves much, as where gradients explode
FINEST = 1e-5  # a step isn't made so short that rounding is more than this part of the gradient
MOST_ELEMENTS = 200
MOST_SECONDS = 0.2  # for all elements together, as estimated
FEW = 8  # elements so few that they are as good as a direction

HELD = "holding constant what the loss does (stop_gradient, detach)"
WHY_NOT = "the loss holds something constant (stop_gradient, detach), and finite differences don't"
Arrays = Mapping[str, np.ndarray]
Evaluate = Callable[[Arrays], float]


class _Point(NamedTuple):
    """The point at which the loss is differentiated."""

    evaluate: Evaluate  # returns the loss at other values of its parameters
    values: Arrays  # the values of the parameters, in float64
    loss: float  # its value there; the rounding of this value limits the precision of differences


class Referee:
    """Finite differences of one recorded loss.

    Attributes:
        notes: remarks about the loss, besides the rulings.
    """

    def __init__(self, recording: Recording) -> None:
        values = {name: array.astype(np.float64) for name, array in recording.values().items()}
        self.recording = recording
        self.notes: list[str] = []
        self.held = _Point(recording.evaluate_again, values, recording.loss.item())
        self.point = self.held if recording.function is None and not recording.stopped else self._called(values)

    def _called(self, values: Arrays) -> _Point:
        """The loss from the user's function; from the recording if that function's results change from call to call."""
        evaluate = self.recording.evaluate
        try:
            now, again = evaluate(values), evaluate(values)
        except Exception:  # a function that needs Tensors, or that can be called only once
            return self.held
        if again != now and np.isfinite(now):
            digits = 6 if abs(again - now) > 1e-5 * abs(now) else 15
            calls = ", ".join(f"{loss:.{digits}g}" for loss in (self.held.loss, now, again))
            self.notes.append(
                f"The loss changes from call to call ({calls}), so no two of them have the same gradient: draw what is "
                "random (a dropout mask) before, and pass it in data."
            )
            return self.held
        return _Point(evaluate, values, now)

    def rule(self, rows: Sequence[Row]) -> list[Row]:
        """The same rows with rulings."""
        if not rows:
            return []
        affordable = int(MOST_SECONDS / seconds_of(self.recording) / 2 / len(rows))
        if affordable >= min(FEW, max(row.autograd.size for row in rows)):
            limit = min(affordable, MOST_ELEMENTS)
            return [replace(row, ruling=self._explained(partial(by_elements, row, limit))) for row in rows]
        rulings = _jointly(self.point, rows)
        if not all(ruling.autograd_agrees for ruling in rulings):
            rulings = [self._explained(partial(_alone, row)) for row in rows]
        return [replace(row, ruling=ruling) for row, ruling in zip(rows, rulings)]

    def _explained(self, ask: Callable[[_Point, float], Ruling]) -> Ruling:
        """A ruling; if autograd seems wrong, the loss may hold something constant, or curve much."""
        ruling = ask(self.point, 1.0)
        if ruling.autograd_agrees:
            return ruling
        if self.point is not self.held:
            held = ask(self.held, 1.0)
            if held.autograd_agrees:
                return ruling._replace(note=WHY_NOT) if ruling.manual_agrees else held._replace(note=HELD)
        finer = (ask(self.point, shorter) for shorter in SHORTER)
        return next((one for one in finer if one.autograd_agrees), ruling)


def seconds_of(recording: Recording) -> float:
    """The estimated time of one evaluation, from its operations and multiplications: the same on every machine."""
    total = 1e-5
    for node in recording.nodes:
        if not node.is_leaf and not isinstance(node._data, tuple):  # type: ignore[attr-defined]
            inner = node._arrays[0].shape[-1:] if node.op.name == "matmul" else ()  # type: ignore[attr-defined]
            total += 1e-5 + 1e-9 * node.size * (1 + math.prod(inner) / 4)  # type: ignore[attr-defined]
    return total


def by_elements(row: Row, limit: int, point: _Point, shorter: float = 1.0) -> Ruling:
    """Central differences, two evaluations for each element; of larger parameters, the elements that differ most."""
    flat = point.values[row.name].ravel()
    interest = np.abs(row.autograd if row.manual is None else row.autograd - row.manual).ravel()
    elements = np.sort(np.argsort(-interest, kind="stable")[:limit])

    def loss(chosen: np.ndarray) -> float:
        moved = flat.copy()
        moved[elements] = chosen
        return point.evaluate({**point.values, row.name: moved.reshape(row.shape)})

    step = _shortened(STEP * _lengthened(point.loss, row.autograd, 3), shorter, point.loss, row.autograd)
    numeric = central_differences(loss, [flat[elements]], step)[0]
    allowed, inexact = 10 * EPS * abs(point.loss) / step, step * step * 100
    if step > LONG_STEP:  # how far it is from the limit is measured, by half the step, and allowed for
        half = central_differences(loss, [flat[elements]], step / 2)[0]
        numeric, inexact = (4 * half - numeric) / 3, 0.0
        allowed = 4 * allowed + float(np.max(np.abs(numeric - half), initial=0.0)) / 2

    def near(gradient: np.ndarray) -> bool:
        """Return True for a value near a gradient, on the scale of the whole parameter."""
        rtol = max(RTOL, 100 * float(np.finfo(gradient.dtype).eps), inexact)
        scale = float(np.max(np.abs(numeric), initial=0.0))
        return bool(np.all(np.abs(gradient.ravel()[elements] - numeric) <= ATOL + allowed + rtol * scale))

    return Ruling(elements, numeric, near(row.autograd), None if row.manual is None else near(row.manual))


def _lengthened(loss: float, gradient: np.ndarray, order: int) -> float:
    """The factor by which a step is longer than usual, since a large loss has large rounding errors."""
    size = float(np.max(np.abs(gradient), initial=1e-8))
    return float(min(max(1.0, abs(loss) / size) ** (1 / order), LONGEST))


def _shortened(step: float, shorter: float, loss: float, gradient: np.ndarray) -> float:
    """The step times a factor, or what rounding leaves of it."""
    finest = 10 * EPS * abs(loss) / (FINEST * float(np.max(np.abs(gradient), initial=1e-8)))
    return min(step, max(shorter * step, finest))


def _alone(row: Row, point: _Point, shorter: float) -> Ruling:
    return _jointly(point, [row], shorter)[0]


def _jointly(point: _Point, rows: Sequence[Row], shorter: float = 1.0) -> list[Ruling]:
    """The rulings by one derivative along a direction in all these parameters: along the difference, and elsewhere."""
    along = {row.name: _direction(row, seed) for seed, row in enumerate(rows)}
    step = STEP_ALONG * min(_lengthened(point.loss, row.autograd, 5) for row in rows)
    step = max(_shortened(step, shorter, point.loss, row.autograd) for row in rows)
    at = [
        point.evaluate({**point.values, **{name: point.values[name] + m * step * u for name, u in along.items()}})
        for m in (-2, -1, 1, 2)
    ]
    slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    claimed = {row.name: float(np.vdot(row.autograd, along[row.name])) for row in rows}
    size = sum(float(np.linalg.norm(row.autograd)) * float(np.linalg.norm(along[row.name])) for row in rows)
    rtol = max(RTOL, 100 * step**4, *(100 * float(np.finfo(row.autograd.dtype).eps) for row in rows))
    allowed = ATOL + 10 * EPS * max(map(abs, at)) / step + rtol * size
    agrees = bool(abs(slope - sum(claimed.values())) <= allowed)
    rulings = []
    for row in rows:
        numeric = slope - sum(value for name, value in claimed.items() if name != row.name)
        own = None if row.manual is None else float(np.vdot(row.manual, along[row.name]))
        manual_agrees = None if own is None else bool(abs(own - numeric) <= allowed)
        rulings.append(Ruling(np.zeros(0, int), np.array([numeric]), agrees, manual_agrees, along[row.name]))
    return rulings


def _direction(row: Row, seed: int) -> np.ndarray:
    """A direction along the difference, if there is one, with half as much elsewhere."""
    aside = np.random.default_rng(seed).normal(size=row.shape)
    off = row.autograd if row.manual is None else np.subtract(row.manual, row.autograd, dtype=np.float64)
    length = float(np.linalg.norm(off))
    towards = off / length if length and np.isfinite(length) else 0.0
    return np.asarray(towards + 0.5 * aside / float(np.linalg.norm(aside)))
