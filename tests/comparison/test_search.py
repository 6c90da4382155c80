"""Every edit of every line of ten derivations is found again from the gradients that it gives; pairs of slips, too."""

from __future__ import annotations

import time

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted import composed, gated, kept, plain, shapes_and_rates, systems, units  # noqa: F401  (they register their networks)
from tests.comparison.planted.common import NETWORKS
from tinygrad_rnn.comparison.measures import Tolerance
from tinygrad_rnn.comparison.search import Search
from tinygrad_rnn.derivation.editing import Bench
from tinygrad_rnn.derivation.edits import edits_of
from tinygrad_rnn.derivation.hand import Hand

TEN = ["elman in rows", "elman in columns", "elman in one matrix", "jordan", "stacked", "both directions", "leaky",
       "residual", "embedding", "learnt beginning"]  # fmt: skip
EVERY = 9  # of the edits of a line, so many apart


@pytest.mark.parametrize("name", TEN)
def test_an_edit_is_found_again_from_its_gradients(name):
    network = NETWORKS[name]
    derivation = tr.derive(network.loss, network.parameters, network.data)
    bench, hand, equal = Bench(derivation), Hand(derivation), Tolerance(1e-9).equal
    tried, found = 0, 0
    with np.errstate(all="ignore"):
        for line in derivation.lines:
            for edit in list(edits_of(line, hand, 0))[::EVERY] if line.kind != "forward" else ():
                try:
                    run = bench.run([edit])
                    given = {one: run.gradient(one) for one in run.touched}
                except Exception:  # an edit that can't be run can't be made
                    continue
                wrong = {
                    one: g for one, g in given.items() if not equal(g, bench.gradient(one)) and np.isfinite(g).all()
                }
                if not wrong:
                    continue
                tried += 1
                right = frozenset(bench.shapes) - set(wrong)
                search = Search(derivation, wrong, right, equal, time.perf_counter() + 60)
                found += any(search.usual())
    print(f"{name}: {found} of {tried} edits found again")
    assert tried > 20 and found == tried


def elman(p, transpose, slope, sign, before):
    h = [np.zeros(3)]
    for x in XS:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    U, W, dh = np.zeros((2, 3)), np.zeros((3, 3)), np.zeros(3)
    for t in (4, 3, 2, 1):
        delta = (2 * h[t] + dh) * (1 - h[t] ** 2 if slope else 1)
        U, W, dh = (
            U + np.outer(XS[t - 1], delta),
            W + np.outer(h[t - 1 if before else t], delta),
            delta @ (p["W"].T if transpose else p["W"]),
        )
    return {"U": sign * U, "W": sign * W}


XS = np.random.default_rng(0).normal(size=(4, 2))
SLIPS = {
    (0, 0, 1, 1): ("W stands where its transpose belongs", "1 - h_t² was left out"),
    (1, 0, -1, 1): ("with the other sign", "1 - h_t² was left out"),
    (1, 0, 1, 0): ("1 - h_t² was left out", "h_t stands where h_{t-1} belongs"),
    (0, 1, 1, 0): ("W stands where its transpose belongs", "h_t stands where h_{t-1} belongs"),
    (1, 1, -1, 0): ("with the other sign", "h_t stands where h_{t-1} belongs"),
}


@pytest.mark.parametrize("slips", SLIPS)
@pytest.mark.parametrize("asked", [True, False])
def test_two_slips_are_both_named(slips, asked):
    """Whether they show in different gradients, or both in all of them; with a function to ask, or with numbers."""
    rng = np.random.default_rng(1)
    values = {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3))}

    def loss(p):
        return np.sum(tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), XS, np.zeros(3))[0] ** 2)

    assert tr.compare(loss, lambda p: elman(p, 1, 1, 1, 1), values).agrees
    given = (lambda p: elman(p, *slips)) if asked else elman(values, *slips)
    found = [one.sentence for one in tr.compare(loss, given, values, seconds=60).diagnoses if one.complete]
    assert any(all(words in sentence for words in SLIPS[slips]) for sentence in found), found
