"""Two mistakes at once, isolated: with a parameter at zero, everything that passes through it vanishes.

With W = 0 nothing comes back from the step after, so a slip there has no effect, and the other one is alone. What
explains the gradients there is held, and the second one is looked for at the recorded values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..derivation.editing import Bench
from .search import Explanation, Search
from .witness import Witness


def isolated_pairs(search: Search, witness: Witness) -> Iterator[list[Explanation]]:
    """Pairs of edits, for each parameter those of which one shows where that is zero."""
    places = list(_elsewhere(search, witness))
    for ranks in ((0, 1), (2,)):
        for there in places:
            yield search.with_a_second(Explanation(one.edits, (), False) for one in there.singles(ranks))


def _elsewhere(search: Search, witness: Witness) -> Iterator[Search]:
    """The search with each parameter at zero, where something is wrong there, too."""
    values = search.derivation.parameters
    for name, value in sorted(values.items(), key=lambda item: -item[1].ndim):
        at = {**values, name: np.zeros_like(value)}
        given = witness.at(at, Bench(search.derivation, at))
        there = search.elsewhere(at, given) if given is not None else None
        if there is not None:
            yield there
