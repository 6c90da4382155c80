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

from math import isqrt, log

import numpy as np

from .. import thresholds

LARGEST_GROWTH = 8.0  # of the products of factors in a chunk: at most three bits are lost


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
        _write(start, factor, term, out, steps, length)
    return bool(np.isfinite(out[-1] if out.ndim > start.ndim else out).all())


def _stays_small(factor: np.ndarray, length: int) -> bool:
    """Return True if no product of factors in a chunk can be large. With NaN among them it is False."""
    largest = max(float(np.max(factor)), -float(np.min(factor)))
    return largest <= 1 or length * log(largest) <= log(LARGEST_GROWTH)


def _write(start: np.ndarray, factor: np.ndarray, term: np.ndarray, out: np.ndarray, steps: int, length: int) -> None:
    """Compute all states by chunks of this length; or the last one, if ``out`` has no time axis."""
    count = steps // length
    whole = count * length

    def cut(x: np.ndarray) -> np.ndarray:
        """The steps as chunks, (count, length, ...), without those left over; (1, length, ...) if all are alike."""
        if x.ndim == start.ndim:
            return np.broadcast_to(x, (1, length, *x.shape))
        return x[:whole].reshape(count, length, *x.shape[1:])

    a, b = cut(factor), cut(term)
    states = _between_chunks(start, a, b, count)
    if out.ndim > start.ndim:
        h, chunks = states[:-1], cut(out)
        for i in range(length):
            h = np.multiply(a[:, i], h, out=chunks[:, i])
            h += b[:, i]
    h = states[-1, ...]
    for t in range(whole, steps):
        now = [part if part.ndim == h.ndim else part[t] for part in (factor, term)]
        h = np.multiply(now[0], h, out=out[t, ...] if out.ndim > start.ndim else h)
        h += now[1]
    if out.ndim == start.ndim:
        out[...] = h


def _between_chunks(start: np.ndarray, a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The states before each chunk, and after the last."""
    factors, terms = (np.broadcast_to(part[:, 0], (count, *start.shape)).copy() for part in (a, b))
    for i in range(1, a.shape[1]):
        terms *= a[:, i]
        terms += b[:, i]
        if len(a) == count:
            factors *= a[:, i]
    if len(a) < count:  # the same at all steps
        factors **= a.shape[1]
    states = np.empty((count + 1, *start.shape), start.dtype)
    states[0] = start
    for i in range(count):
        after = np.multiply(factors[i], states[i], out=states[i + 1, ...])
        after += terms[i]
    return states
