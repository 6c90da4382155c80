"""Highlighted paths: exactly those of the derivation, with the terms that the hand-written sum over paths gives."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import NETWORKS, elman, elman_at_once
from tinygrad_rnn.manual import worked_example
from tinygrad_rnn.manual.paths import sum_over_paths
from tinygrad_rnn.viz import draw, highlight
from tinygrad_rnn.viz.reading.model import read
from tinygrad_rnn.viz.reading.paths import parameter_names


def worked(at_once=False):
    """The worked example of the articles, recorded."""
    p = worked_example.PARAMS
    U, W, V, b, c = (tr.tensor(a, requires_grad=True, name=n) for n, a in zip("UWVbc", (p.U, p.W, p.V, p.b, p.c)))
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), worked_example.INPUTS, state=np.zeros(2))
    if at_once:
        return -np.sum(worked_example.TARGETS * np.log(tr.sigmoid(hs[3:] @ V + c)))
    loss = 0
    for target, t in zip(worked_example.TARGETS, worked_example.OUTPUT_STEPS):
        loss = loss - np.sum(target * np.log(tr.sigmoid(hs[t - 1] @ V + c)))
    return loss


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("parameter", ["W", "U", "b"])
@pytest.mark.parametrize("t", worked_example.OUTPUT_STEPS)
def test_terms_are_those_of_the_sum_over_paths(parameter, t, at_once):
    by_hand = sum_over_paths(worked_example.run()[0])
    picture = draw(worked(at_once), highlight=highlight(loss_term=t, parameter=parameter))
    assert [term.step for term in picture.terms] == list(range(1, t + 1))
    for term in picture.terms:
        expected = getattr(by_hand.terms, parameter)[t - 1, term.step - 1]
        np.testing.assert_allclose(term.value, expected, rtol=1e-12, atol=1e-15)
        assert term.norm == pytest.approx(np.linalg.norm(expected), abs=1e-15)


def test_exactly_what_is_on_a_path_is_lit():
    loss, _ = elman(4)
    picture = draw(loss, highlight=(3, "W"))
    graph = picture.graph
    lit = {(vertex.title or vertex.symbol, vertex.step) for vertex in graph.vertices if vertex.lit}
    recurrent = {(name, t) for name in ("@", "+", "h") for t in (1, 2, 3)}
    readout = {(name, 3) for name in ("σ", "log", "×", "Σ")}
    assert lit == recurrent | readout | {("W", None)}
    assert sum(vertex.lit for vertex in graph.vertices) == 3 * 4 + 2 + 4 + 1  # two sums a step; product and sum after
    uses = [edge for edge in graph.edges if graph.vertices[edge.source].title == "W" and edge.lit]
    assert [graph.vertices[edge.target].step for edge in uses] == [1, 2, 3]
    dimmed = {box.vertex for box in picture.scene.boxes if box.dimmed}
    assert dimmed == {i for i, vertex in enumerate(graph.vertices) if not vertex.lit}


def test_formulas_name_the_chain():
    picture = draw(elman(4)[0], highlight=(3, "W"))
    assert [term.formula for term in picture.terms] == [
        "∂L₃/∂h₃ · ∂h₃/∂h₁ · ∂⁺h₁/∂W",
        "∂L₃/∂h₃ · ∂h₃/∂h₂ · ∂⁺h₂/∂W",
        "∂L₃/∂h₃ · ∂⁺h₃/∂W",
    ]
    notes = [label.text for label in picture.scene.labels if label.kind in ("heading", "formula")]
    assert any(note.startswith("∂L₃/∂W is the sum of 3 terms") for note in notes)


def test_a_readout_weight_is_reached_in_its_own_step_alone():
    picture = draw(elman(4)[0], highlight=(3, "V"))
    assert [(term.step, term.formula) for term in picture.terms] == [(3, "∂L₃/∂V")]


def test_all_terms_add_up_to_the_gradient():
    loss, leaves = elman_at_once(4)
    total = sum(term.value for t in range(1, 5) for term in draw(loss, highlight=(t, "W")).terms)
    loss.backward()
    np.testing.assert_allclose(total, leaves["W"].grad, atol=1e-12)


def test_a_step_in_the_middle_of_many_stays_visible():
    picture = draw(elman(60)[0], highlight=(30, "W"))
    shown = [label.text for label in picture.scene.labels if label.kind == "heading"]
    assert {"t = 29", "t = 30"} <= set(shown)
    assert len(picture.terms) == 30


def test_what_is_not_there_is_said():
    loss, _ = elman(3)
    with pytest.raises(ValueError, match="no loss at step 9; steps with a loss: 1, 2, 3"):
        draw(loss, highlight=(9, "W"))
    with pytest.raises(ValueError, match="no parameter is called 'Q'; parameters: U, W, b, V, c"):
        draw(loss, highlight=(1, "Q"))
    hs, _ = tr.unroll(lambda x, h: np.tanh(x + h), tr.tensor(np.ones((3, 2)), requires_grad=True), state=np.zeros(2))
    with pytest.raises(ValueError, match="draw one number"):
        draw(hs, highlight=(1, "W"))


def test_parameters_of_the_same_name_are_numbered():
    loss = NETWORKS["normalised"]()
    names = parameter_names(read([loss]))
    assert {"cell.b", "of_state.b"} <= set(names)
    for short, full in (("b#2", "of_input.b"), ("cell.b", "cell.b")):
        assert draw(loss, highlight=(5, short)).terms[0].value.shape == read([loss]).vertices[names[full]].value.shape
    a, b = (tr.tensor(2.0, requires_grad=True, name="w") for _ in range(2))
    assert list(parameter_names(read([a * b]))) == ["w", "w#2"]
