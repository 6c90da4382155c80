"""The distance between two arrays, and the place of the first NaN in a recording."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.graph import Node, Observer, observe_backward
from ..recorded.recording import Recording

ROUNDING = 1e-13  # the share of the largest element that remains when terms cancel


def distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The largest difference of two elements; and that, divided by the largest element of both arrays.

    The error is relative to the array, not to each element: an element that is small because large terms cancel in it
    has as much rounding error as its neighbours.
    """
    with np.errstate(invalid="ignore"):
        absolute = largest(np.subtract(a, b, dtype=np.float64))
        if math.isnan(absolute):  # two infinities of one sign are equal
            absolute = largest(np.where(np.equal(a, b), 0.0, np.subtract(a, b, dtype=np.float64)))
    if not absolute or math.isinf(absolute):
        return absolute, absolute
    return absolute, absolute / max(largest(a), largest(b))


def largest(a: np.ndarray) -> float:
    """The largest absolute value in an array; 0 if it is empty."""
    return float(np.maximum.reduce(np.abs(a), axis=None, initial=0.0))


def angle(a: np.ndarray, b: np.ndarray) -> float | None:
    """The angle between two arrays as vectors, in degrees; None if one is zero.

    By ``2 atan2(‖u - v‖, ‖u + v‖)`` of the unit vectors, which keeps its digits near 0 and 180 (Kahan, "How futile are
    mindless assessments of roundoff in floating-point computation?", 2006).
    """
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if not all(np.isfinite(lengths)) or min(lengths) == 0:
        return None
    u, v = a / lengths[0], b / lengths[1]
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))


class Tolerance(NamedTuple):
    """The difference up to which two arrays count as equal.

    Attributes:
        relative: the relative error, see ``distance``.
        decimals: the number of decimals to which the manual numbers were rounded (for a book): they equal whatever
            rounds to them. None if they weren't rounded.
    """

    relative: float
    decimals: int | None = None

    def accepts(self, absolute: float, relative: float) -> bool:
        """Return True for a difference that is small enough."""
        if self.decimals is not None and absolute <= 0.5 * 10.0**-self.decimals * (1 + 1e-9):
            return True
        return relative <= self.relative

    def equal(self, a: np.ndarray, b: np.ndarray, beside: np.ndarray | None = None) -> bool:
        """Return True if two arrays of the same shape are equal; a NaN is never equal.

        Args:
            a: the first array.
            b: the second array.
            beside: an array of the same kind, which gives the scale if all of ``a`` cancels.
        """
        absolute, relative = distance(a, b)
        if self.accepts(absolute, relative):
            return True
        return beside is not None and absolute <= ROUNDING * largest(beside)

    def elements(self, a: np.ndarray, b: np.ndarray, beside: np.ndarray) -> np.ndarray:
        """A mask of the elements of two arrays that are equal, on the scale of the arrays.

        Args:
            a: the first array.
            b: the second array.
            beside: an array of the same kind, as for ``equal``.
        """
        allowed = max(self.relative * max(largest(a), largest(b)), ROUNDING * largest(beside))
        if self.decimals is not None:
            allowed = max(allowed, 0.5 * 10.0**-self.decimals * (1 + 1e-9))
        return np.asarray(np.abs(a - b) <= allowed) if np.isfinite(allowed) else np.equal(a, b)


def default_tolerance(*arrays: np.ndarray) -> float:
    """The default tolerance: 1e-9 in float64; 1e-4 if float32 is among the types; 1e-2 with float16."""
    coarsest = max((float(np.finfo(a.dtype).eps) for a in arrays), default=0.0)
    return 1e-9 if coarsest < 1e-12 else 1e-4 if coarsest < 1e-5 else 1e-2


class _FirstNaN(Observer):
    def __init__(self) -> None:
        self.found: Node | None = None

    def cotangent(self, node: Node, g: Any) -> None:
        if self.found is None and _has_nan(g):
            self.found = node


def first_nan(recording: Recording) -> str:
    """The place of the first NaN in a recorded loss: in its forward pass, else in its backward pass; or empty."""
    for node in reversed(recording.nodes):
        if _has_nan(node._data):  # type: ignore[attr-defined]
            return f"the forward pass has its first NaN in {place(node)}"
    observer = _FirstNaN()
    observe_backward(recording.loss, observer)
    return "" if observer.found is None else f"the backward pass has its first NaN at {place(observer.found)}"


def place(node: Node) -> str:
    """A node in words: "tanh at layer 0, step 3"."""
    what = node.labels[0].name if node.labels else node.name or (node.op.name if node.op else "a leaf")
    return f"{what} at {node.scope}" if str(node.scope) else str(what)


def _has_nan(value: Any) -> bool:
    return any(map(_has_nan, value)) if isinstance(value, tuple) else value is not None and bool(np.isnan(value).any())


def constant_of(right: np.ndarray, given: np.ndarray) -> float:
    """The quotient of two arrays where the right one is largest; 0 if all of it is 0."""
    where = np.unravel_index(np.argmax(np.abs(right)), right.shape)
    return float(given[where] / right[where]) if right[where] else 0.0
