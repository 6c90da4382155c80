"""Lines as the derivation calls them, of all kinds of network: right ones agree, and the first wrong one is named."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS
from tinygrad_rnn.autodiff.rules import elementwise
from tinygrad_rnn.derivation.equations.expressions import apply


def derived(name):
    network = NETWORKS[name]
    return network, tr.derive(network.loss, network.parameters, network.data)


def as_lines(derivation, edits=None):
    """The values of all lines but the gradients, by the names that print them."""
    given = {}
    for quantity, by_step in derivation.evaluate(edits=edits).items():
        if not isinstance(quantity.adjoint_of, str):
            for t, value in by_step.items():
                name = quantity.name if t is None else f"{quantity.name}[{t}]"
                given[name] = np.broadcast_to(0.0 if value is None else value, quantity.shape)
    return given


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.one_in(3)
def test_the_lines_of_a_right_derivation_agree(name):
    network, derivation = derived(name)
    given = {**derivation.gradients(), **as_lines(derivation)}
    report = tr.compare(network.loss, given, network.parameters, network.data)
    verdicts = [line.verdict for line in report.lines]
    assert report.agrees and "differs" not in verdicts
    assert verdicts.count("agrees") > len(verdicts) / 2


@pytest.mark.parametrize(
    "name",
    ["minimal gated unit", "peephole", "attention", "fast weights", "slow context", "two delays", "selective scan"],
)
def test_the_first_wrong_line_is_named_with_the_edit_of_it(name):
    """Each backward line with a sign too many: nothing that is wrong comes before it."""
    network, derivation = derived(name)
    right = as_lines(derivation)
    lines = [line for line in derivation.lines if line.kind == "backward"]
    for line in lines:
        given = as_lines(derivation, {line: apply(elementwise.negative, line.expression)})
        off = {called for called in given if not np.allclose(given[called], right[called])}
        if off:
            report = tr.compare(network.loss, {**derivation.gradients(), **given}, network.parameters, network.data)
            assert report.first_wrong_line.name.partition("[")[0] == line.name
            assert any(one.complete for one in report.diagnoses)
