"""Linear recurrences ``h_t = a_t ∘ h_{t-1} + b_t`` by NumPy: a scan over chunks of steps.

In NumPy, each step takes a microsecond, however few its numbers are. So the steps are cut into chunks, and all chunks
advance together, twice. The first time, they compute their factors and terms (a state h before a chunk becomes
``A ∘ h + B`` after it), from which the states between chunks follow one by one. The second time, they compute all
states from these.

There are no divisions, so factors may be zero, and their products may underflow. But if these products grow while a
state stays small, the state is a difference of large numbers, which it needn't be step by step. Such recurrences are
refused, and so are those whose states end in infinity or NaN. The caller then goes step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, log

import numpy as np

from .. import thresholds

LARGEST_GROWTH = 8.0  # of the products of factors in a chunk: at most three bits are lost

At = Callable[[int], np.ndarray]  # a factor or a term of all chunks, by the number of a step in its chunk


def scanned(
    steps: int, start: np.ndarray, factor: np.ndarray, term: np.ndarray, out: np.ndarray, backwards: bool
) -> bool:
    """Compute the states of a linear recurrence, or refuse to.

    Args:
        steps: T.
        start: the state before the first step.
        factor: a: of all steps, (T, ...), or of the form of the state if it is the same at each.
        term: b, likewise.
        out: the array for the states after all steps, (T, ...); or for the last one, if it has the form of a state.
        backwards: whether the last row is the first step.

    Returns:
        False if going step by step is faster or more precise; ``out`` then holds no valid result.
    """
    if steps < thresholds.FEWEST_STEPS_TO_SCAN or not 0 < start.size <= thresholds.WIDEST_SCAN:
        return False
    if backwards:
        factor, term, out = (a[::-1] if a.ndim > start.ndim else a for a in (factor, term, out))
    # Many chunks have to be connected one by one; few are long. Odd: what lies powers of two apart shares little cache.
    length = max(isqrt(steps // 8), steps * start.size // thresholds.LARGEST_SCAN_STEP) | 1
    if not _stays_small(factor, length):
        return False
    with np.errstate(all="ignore"):  # overflow is seen at the end, and the states are computed again
        _Scan(start, factor, term, length, steps // length).write(out, steps)
    return bool(np.isfinite(out[-1] if out.ndim > start.ndim else out).all())


def _stays_small(factor: np.ndarray, length: int) -> bool:
    """Return True if no product of factors in a chunk can be large. With NaN among them it is False."""
    largest = max(float(np.max(factor)), -float(np.min(factor)))
    return largest <= 1 or length * log(largest) <= log(LARGEST_GROWTH)


class _Scan:
    """A recurrence, cut into chunks."""

    def __init__(self, start: np.ndarray, factor: np.ndarray, term: np.ndarray, length: int, count: int) -> None:
        self.factor, self.term, self.length, self.count = factor, term, length, count
        self.is_fixed = factor.ndim == start.ndim
        self.a, self.b = self._of_chunks(factor, start), self._of_chunks(term, start)
        self.states = self._between_chunks(start)

    def _of_chunks(self, a: np.ndarray, start: np.ndarray) -> At:
        if a.ndim == start.ndim:
            return lambda i: a
        cut = self.cut(a)
        return lambda i: cut[:, i]

    def cut(self, a: np.ndarray) -> np.ndarray:
        """An array of all steps as chunks, (count, length, ...), without the steps that are left over."""
        whole = self.count * self.length
        return a[:whole].reshape(self.count, self.length, *a.shape[1:])

    def _between_chunks(self, start: np.ndarray) -> np.ndarray:
        """The states before each chunk, and after the last."""
        shape = (self.count, *start.shape)
        factors = np.broadcast_to(self.a(0), shape).copy()
        terms = np.broadcast_to(self.b(0), shape).copy()
        for i in range(1, self.length):
            terms *= self.a(i)
            terms += self.b(i)
            if not self.is_fixed:
                factors *= self.a(i)
        if self.is_fixed:
            factors **= self.length
        states = np.empty((self.count + 1, *start.shape), start.dtype)
        states[0] = start
        for i in range(self.count):
            after = np.multiply(factors[i], states[i], out=states[i + 1, ...])
            after += terms[i]
        return states

    def write(self, out: np.ndarray, steps: int) -> None:
        """Write all states; or the last one, if there is no time axis."""
        has_steps = out.ndim == self.states.ndim
        if has_steps:
            h, chunks = self.states[:-1], self.cut(out)
            for i in range(self.length):
                h = np.multiply(self.a(i), h, out=chunks[:, i])
                h += self.b(i)
        h = self.states[-1, ...]
        for t in range(self.count * self.length, steps):
            a, b = (part if part.ndim == h.ndim else part[t] for part in (self.factor, self.term))
            h = np.multiply(a, h, out=out[t, ...] if has_steps else h)
            h += b
        if not has_steps:
            out[...] = h
