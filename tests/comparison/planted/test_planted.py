"""Slips planted in derivations of many kinds of network: each one is noticed, and the right derivations agree."""

from __future__ import annotations

import pytest

from tests.comparison.planted import dressed
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.fresh import derivations_kept, false_names

NAMES = sorted(NETWORKS)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_derivation_agrees(name):
    assert NETWORKS[name].compare().agrees


@pytest.mark.parametrize("name", dressed.DRESSES)
def test_a_right_derivation_in_unusual_dress_is_accepted(name):
    report = dressed.compare(name)
    assert report.agrees and not report.diagnoses


# Slips that no small edit of the lines gives: two things at once, or a line that nobody would write.
UNNAMED = {
    "residual": {"slope of the skip"},
    "layer norm": {"variance for deviation"},
    "lengths": {"mask forgotten in db"},
    "normed residual": {"gain left out", "1/r for r"},
    "radial units": {"h for v"},
    "chunks": {"target of the step after", "slope left out of the carry"},
    "oscillator": {"dv for dx"},
    "elman in one matrix": {"h after in dW"},
    "mean and spread": {"deviation for variance", "slope and mask exchanged for their sum"},
    "learnt beginning": {"h0 with a slope", "h0 by the first loss alone"},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_slip_is_noticed_and_nearly_every_one_is_named(name):
    """None happens to give the right gradient, no name is refuted by other numbers, and the comparison never fails."""
    network, unnamed = NETWORKS[name], set()
    for slip in network.slips():
        with derivations_kept() as derivations:
            seconds = 1 if slip in UNNAMED.get(name, ()) else 60
            report = network.compare(slip, referee="never", seconds=seconds)
        assert not report.agrees
        assert not false_names(report, network, slip, derivations), slip
        if not any(one.complete for one in report.diagnoses):
            unnamed.add(slip)
    assert unnamed <= UNNAMED.get(name, set())
