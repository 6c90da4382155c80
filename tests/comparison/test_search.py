"""Every edit of every line of ten derivations is found again from the gradients that it gives; pairs of slips, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.found_again import TEN, found_again
from tinygrad_rnn.derivation.edits.everywhere import everywhere
from tinygrad_rnn.derivation.edits.hand import Hand

EVERY = 9  # of the edits of a line, so many apart; ``python -m tests.comparison.planted -e`` takes all


@pytest.mark.one_in(10)
@pytest.mark.parametrize("name", TEN)
def test_an_edit_is_found_again_from_its_gradients(name):
    found, tried = found_again(NETWORKS[name], EVERY)
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
    (1, 0, -1, 1): ("the other sign", "1 - h_t² was left out"),
    (1, 0, 1, 0): ("1 - h_t² was left out", "h_t stands where h_{t-1} belongs"),
    (0, 1, 1, 0): ("W stands where its transpose belongs", "h_t stands where h_{t-1} belongs"),
    (1, 1, -1, 0): ("the other sign", "h_t stands where h_{t-1} belongs"),
}


@pytest.mark.one_in(10)
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


def test_sums_along_a_kept_axis_are_changed_together() -> None:
    """The means of a norm, in all lines at once: sums in their place, or means over the other axis."""

    def loss(p: dict[str, Any]) -> Any:
        a = p["x"] @ p["W"]
        centred = a - a.mean(axis=1, keepdims=True)
        return np.sum(np.tanh(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)))

    rng = np.random.default_rng(0)
    derivation = tr.derive(loss, {"x": rng.normal(size=(3, 2)), "W": rng.normal(size=(2, 5))})
    said = {edits[0].what for edits in everywhere(derivation, Hand(derivation))}
    assert "sums over 5 numbers stand where their means belong, everywhere" in said
    assert "the means over the other axis, everywhere" in said
