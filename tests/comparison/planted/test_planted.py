"""Slips planted in derivations of many kinds of network: each one is noticed, and the right derivations agree."""

from __future__ import annotations

import pytest

from tests.comparison.planted import dressed
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.fresh import derivations_kept, edits_kept, false_names

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
    "radial units": {"h for v"},
    "mean and spread": {"slope and mask exchanged for their sum"},
    "sums over paths": {"the character of the outer step"},
    "policy": {"advantage of the step before"},
    "translator": {"new decoder state in dUa"},  # another state, of another step: two edits within one factor
    "joined and square": {"the rows of x for those of h"},  # of one of two products, whose sum has one slice
    "one gate of joined columns": {"the columns of x for those of h in one"},  # the same, and not named before either
    "stacked with caches": {"V by the dropped state of layer one", "slope of f by i"},
    "characters in dicts": {"each gradient of norm one"},  # a constant for each, which is another at other values
    "hidden markov": {  # by probabilities, where the loss has logarithms
        "A transposed in dE", "division by L left out of ds",
    },
}  # fmt: skip


SHARE = 8


@pytest.mark.one_in(8)
@pytest.mark.parametrize("are_others", [False, pytest.param(True, marks=pytest.mark.sweep)], ids=["some", "the others"])
@pytest.mark.parametrize("name", NAMES)
def test_every_slip_is_noticed_and_nearly_every_one_is_named(name, are_others):
    """None happens to give the right gradient, no name is refuted by other numbers, and the comparison never fails.

    By default one slip in eight is made, in one network of eight, beginning with another one in each: with the first,
    the second, ...
    """
    network, unnamed, derivations = NETWORKS[name], set(), []
    slips = network.slips()
    first = NAMES.index(name) % min(SHARE, len(slips))
    chosen = slips[first::SHARE]
    with edits_kept():
        for slip in [slip for slip in slips if (slip in chosen) != are_others]:
            with derivations_kept(derivations) as derivations:
                seconds = 1 if slip in UNNAMED.get(name, ()) else 60
                report = network.compare(slip, referee="never", seconds=seconds)
            assert not report.agrees
            assert not any("search for the mistake failed" in note for note in report.notes), report.notes
            assert not false_names(report, network, slip, derivations), slip
            if not any(one.complete for one in report.diagnoses):
                unnamed.add(slip)
    assert unnamed <= UNNAMED.get(name, set())
