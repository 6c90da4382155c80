"""Edits of right derivations, each found again by the search from the gradients that it gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import Network
from tests.comparison.planted.fresh import edits_kept
from tinygrad_rnn.comparison.diagnosis.search import Search
from tinygrad_rnn.comparison.diagnosis.stages import further_stages, usual_stages
from tinygrad_rnn.comparison.measures import Tolerance
from tinygrad_rnn.derivation.edits.budget import Budget
from tinygrad_rnn.derivation.edits.editing import Bench
from tinygrad_rnn.derivation.edits.edits import edits_of
from tinygrad_rnn.derivation.edits.hand import Hand

TEN = ["elman in rows", "elman in columns", "elman in one matrix", "jordan", "stacked", "both directions", "leaky",
       "residual", "embedding", "learnt beginning"]  # fmt: skip


def found_again(network: Network, every: int = 1, ranks: Iterable[int] = (0,)) -> tuple[int, int]:
    """How many edits of a network's lines the search names, itself or one that gives the same; and of how many.

    Args:
        network: whose derivation is edited.
        every: of the edits of a line, so many apart.
        ranks: of the edits: 0 the usual ones, 1 others, 2 rare ones.
    """
    derivation = tr.derive(network.loss, network.parameters, network.data)
    bench, hand, tolerance = Bench(derivation), Hand(derivation), Tolerance(1e-9)
    tried, found = 0, 0
    lines = [line for line in derivation.lines if line.kind != "forward"]
    with np.errstate(all="ignore"), edits_kept():
        for edit in (edit for line in lines for rank in ranks for edit in list(edits_of(line, hand, rank))[::every]):
            try:
                run = bench.run([edit])
                given = {name: run.gradient(name) for name in run.touched}
            except Exception:  # an edit that can't be run can't be made
                continue
            right = {name: bench.gradient(name) for name in given}
            wrong = {
                n: g for n, g in given.items() if not tolerance.equal(g, right[n], right[n]) and np.isfinite(g).all()
            }
            if wrong:
                tried += 1
                search = Search(derivation, wrong, frozenset(bench.shapes) - set(wrong), tolerance, Budget(60))
                found += any(itertools.chain(usual_stages(search), further_stages(search)))
    return found, tried
