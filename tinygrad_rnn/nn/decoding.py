"""Decoding: whole sequences from a model that predicts the next symbol, greedily or by beam search.

Both call a model only as ``step(symbols, state)``, which returns the logits of the next symbols and the new state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autodiff import log_softmax, no_grad
from ..autodiff.array_node import value_of
from ..autodiff.trees import tree_map

Step = Callable[[np.ndarray, Any], tuple[Any, Any]]


class Hypothesis(NamedTuple):
    """A sequence that a search has found, with its score.

    Attributes:
        symbols: the sequence, without start and end symbol.
        log_probability: the sum over its symbols, including the end symbol if it has been reached.
        score: the value for ranking, ``log_probability / ((5 + length) / 6) ** length_penalty``.
    """

    symbols: tuple[int, ...]
    log_probability: float
    score: float


def greedy(step: Step, state: Any, *, batch: int, start: int, end: int | None, max_steps: int) -> list[list[int]]:
    """Take the likeliest symbol at each step, for a whole batch.

    Args:
        step: ``step(symbols, state)``: symbols (B,) to logits (B, k) and the new state.
        state: the state to begin with.
        batch: B.
        start: the symbol to begin with.
        end: the symbol that ends a sequence; None if no symbol does.
        max_steps: the largest number of steps.

    Returns:
        A list of symbols for each sequence, without start and end.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> count = lambda symbols, state: (np.eye(5)[symbols + 1], state)  # after each number the next
        >>> nn.greedy(count, None, batch=1, start=0, end=4, max_steps=10)
        [[1, 2, 3]]
    """
    symbols = np.full(batch, start)
    written: list[list[int]] = [[] for _ in range(batch)]
    open_ones = set(range(batch))
    with no_grad():
        for _ in range(max_steps):
            logits, state = step(symbols, state)
            symbols = np.argmax(value_of(logits), axis=-1)
            open_ones = {b for b in open_ones if symbols[b] != end}
            if not open_ones:
                break
            for b in open_ones:
                written[b].append(int(symbols[b]))
    return written


def beam_search(
    step: Step,
    state: Any,
    *,
    start: int,
    end: int,
    width: int,
    max_steps: int,
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """Keep the likeliest beginnings at each step, and find the likeliest whole sequence among their continuations.

    Args:
        step: ``step(symbols, state)``: symbols (rows,) to logits (rows, k) and the new state.
        state: the state to begin with, a tree of arrays (1, ...): one sequence at a time.
        start: the symbol to begin with.
        end: the symbol that ends a sequence.
        width: the number of beginnings that are kept. 1 is greedy search; k to the power of all steps is exhaustive.
        max_steps: the largest number of symbols, with the end; a sequence that isn't finished then counts as it is.
        length_penalty: α; with 0, short sequences have an advantage.

    Returns:
        At most ``width`` hypotheses, the best first.

    Source: Wu et al., "Google's neural machine translation system" (2016), section 7, for the length penalty.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> count = lambda symbols, state: (5 * np.eye(5)[symbols + 1], state)  # after each number probably the next
        >>> nn.beam_search(count, None, start=0, end=4, width=3, max_steps=10)[0].symbols
        (1, 2, 3)
    """
    if width < 1 or max_steps < 1:
        raise ValueError(f"beam_search: width={width} and max_steps={max_steps} must be 1 or more")
    alive, totals = [()], np.zeros(1)  # beginnings, and the log-probability of each
    symbols, finished = np.array([start]), []
    with no_grad():
        for taken in range(1, max_steps + 1):
            logits, state = step(symbols, state)
            continued = totals[:, None] + value_of(log_softmax(logits, axis=-1))
            rows, following = _largest(continued, 2 * width)  # of which at most ``width`` end here
            ended = following == end
            for row, total in zip(rows[ended], continued[rows[ended], end]):
                finished.append(_hypothesis(alive[row], float(total), taken, length_penalty))
            rows, following = rows[~ended][:width], following[~ended][:width]
            finished = sorted(finished, key=lambda h: h.score, reverse=True)[:width]
            if not len(rows):
                return finished
            alive = [(*alive[row], int(symbol)) for row, symbol in zip(rows, following)]
            totals, symbols = continued[rows, following], following
            state = tree_map(lambda a: a[rows], state)  # noqa: B023
            best_to_come = max(float(totals.max()) / _penalty(n, length_penalty) for n in (taken + 1, max_steps))
            if len(finished) == width and best_to_come <= finished[-1].score:
                return finished
    cut = [_hypothesis(s, float(total), max_steps, length_penalty) for s, total in zip(alive, totals)]
    return sorted(finished + cut, key=lambda h: h.score, reverse=True)[:width]


def _largest(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the largest elements above -inf, the largest first."""
    order = np.argsort(-scores, axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(order, scores.shape)
    possible = scores[rows, columns] > -math.inf
    return rows[possible], columns[possible]


def _hypothesis(symbols: tuple[int, ...], total: float, length: int, length_penalty: float) -> Hypothesis:
    return Hypothesis(symbols, total, total / _penalty(length, length_penalty))


def _penalty(length: int, alpha: float) -> float:
    return float(((5 + length) / 6) ** alpha)
