"""Slips planted in derivations of many kinds of network: each one is noticed, and the right derivations agree."""

from __future__ import annotations

import pytest

from tests.comparison.planted import composed, gated, kept, plain  # noqa: F401  (they register their networks)
from tests.comparison.planted.common import NETWORKS

NAMES = sorted(NETWORKS)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_derivation_agrees(name):
    assert NETWORKS[name].compare().agrees


@pytest.mark.parametrize("name", NAMES)
def test_every_slip_is_noticed(name):
    """None of them happens to give the right gradient, and the comparison itself never fails."""
    network = NETWORKS[name]
    assert [slip for slip in network.slips() if network.compare(slip, referee="never").agrees] == []
