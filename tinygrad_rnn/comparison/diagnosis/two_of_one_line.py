"""Two edits of one line that has to give known values: what each changes adds up in a sum, and multiplies in a product.

So the values that single edits give tell which two can be meant, and no others are tried together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...derivation.edits.edits import Edit, edits_of_edited
from ...derivation.edits.hand import Hand
from ...derivation.equations.lines import Line
from .needed import CLOSE, Needed

MOST_PAIRS = 6


def two_of_one_line(line: Line, needed: Needed, edits: Sequence[Edit], hand: Hand) -> Iterator[Edit]:
    """Two of some usual edits as one, if they give what the line has to give.

    Args:
        line: the line.
        needed: what it has to give.
        edits: its usual edits.
        hand: the values that could stand in the line instead.
    """
    for first, second in _pairs(line, needed, edits)[:MOST_PAIRS]:
        for both in edits_of_edited(first, hand, 0):
            if both.what.endswith(second.what) and needed.fits(both):
                yield both


def _pairs(line: Line, needed: Needed, edits: Sequence[Edit]) -> list[tuple[Edit, Edit]]:
    """The pairs of edits whose changes together are the wanted one; the usual ones first."""
    tried = {}
    for edit in edits:
        try:
            tried[edit] = needed.values(line, edit.expression)
        except Exception:  # an edit that can't be run can't have been made
            continue
    right, wanted, values = needed.values(line, line.expression), needed.wanted(line), np.array(list(tried.values()))
    if not tried or not right.size:
        return []
    factors, every = (right != 0) & (wanted != 0), list(tried)
    with np.errstate(all="ignore"):
        by = np.log(np.abs(values[:, factors] / right[factors]))
        multiplied = _with_sum(by, np.log(np.abs(wanted[factors] / right[factors])))
        found = {*_with_sum(values - right, wanted - right), *multiplied}
    return [(every[i], every[j]) for i, j in sorted(found, key=sum)]


def _with_sum(changes: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[int, int]]:
    """The rows, in pairs, that add up to the wanted one, as their random projections do."""
    weights = np.random.default_rng(0).normal(size=len(wanted))
    sums, allowed = changes @ weights, CLOSE * np.max(np.abs(wanted), initial=0.0)
    order = np.argsort(sums)
    for i, needed in enumerate(wanted @ weights - sums):
        begin, end = np.searchsorted(sums[order], [needed - 10 * allowed, needed + 10 * allowed])
        yield from ((i, j) for j in order[begin:end] if np.max(np.abs(changes[i] + changes[j] - wanted)) <= allowed)
