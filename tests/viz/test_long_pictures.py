"""Pictures of more steps than are drawn: whatever is asked for, the column in the middle takes it."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import built_in, elman, skipping, stacked
from tinygrad_rnn.viz import draw

LONG = {
    "elman": lambda: elman(12)[0],
    "lstm": lambda: built_in(tr.nn.LSTMCell(3, 2), T=9),
    "skipping": lambda: skipping(11),
    "stacked": lambda: stacked(10),
    "padded": lambda: np.sum(tr.nn.GRU(2, 3)(np.ones((10, 2, 2), np.float32), lengths=[10, 7])[0]),
    "reversed": lambda: np.sum(tr.unroll(tr.nn.GRUCell(2, 2), np.ones((10, 2), np.float32), reverse=True)[0]),
}
# Every pair of these is drawn together with a level and a direction.
ASKED = [{"formulas": True}, {"values": True}, {"gradients": True}, {"color": "gradient"}, {"direction": "both"}]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("level", ["op", "gate", "cell"])
@pytest.mark.parametrize("network", LONG)
def test_every_two_options_go_together_with_elided_steps(network, level):
    loss = LONG[network]()
    for one, other in itertools.combinations(ASKED, 2):
        picture = draw(loss, level=level, **one, **other)
        assert any(vertex.kind == "elided" for vertex in picture.graph.vertices)
        for content in (picture.svg, picture.dot, picture.json, picture.text):
            assert content
        json.loads(picture.json)


@pytest.mark.parametrize("level", ["op", "gate", "cell"])
def test_formulas_are_those_of_the_short_picture(level):
    short, long = (draw(built_in(tr.nn.LSTMCell(3, 2), T=T), level=level, formulas=True) for T in (8, 9))

    def derivatives(picture):
        boxes = (box for box in picture.scene.boxes if box.step in (1, 2))
        return [line.text for box in boxes for line in box.lines if "∂" in line.text or "ā" in line.text]

    def equations(picture):
        return [label.text for label in picture.scene.labels if label.kind == "formula"]

    assert derivatives(short) == derivatives(long)
    assert equations(short) == equations(long) and "h_t = o_t ∘ tanh(c_t)" in equations(long)


def test_elided_cells_have_the_gradient_norms_of_their_states_too():
    loss = elman(12)[0]
    for_operations, for_cells = (
        [label.text for label in draw(loss, level=level, gradients=True).scene.labels if label.kind == "tap"]
        for level in ("op", "cell")
    )
    place = for_operations.index("∇ norms of the states:")
    assert for_operations[place + 1] == for_cells[for_cells.index("∇ norms of the states:") + 1]


def test_a_part_of_a_hidden_state_hands_back_a_gradient_of_that_states_shape():
    """Each step reads a slice of a state two steps back: the last of the hidden ones has another shape."""
    W = tr.tensor(np.eye(2), requires_grad=True, name="W")
    h, wide = np.zeros(2), tr.tensor(np.zeros(3), requires_grad=True)
    for t in range(1, 10):
        with tr.scope(step=t):
            wide = tr.named("wide", np.concatenate([h @ W, wide[:1]]), "state")
            h = tr.named("h", np.tanh(wide[1:] + 1), "state")
    picture = draw(np.sum(h), gradients=True)
    hidden = {i for i, vertex in enumerate(picture.graph.vertices) if vertex.kind == "elided"}
    crossing = [n for n, edge in enumerate(picture.graph.edges) if edge.source in hidden and edge.uses]
    for n in crossing:
        (node, argument), *_ = picture.graph.edges[n].uses
        assert np.shape(picture.measured.contribution[n]) == node.inputs[argument].shape
    assert crossing


def test_the_command_draws_formulas_of_many_steps(tmp_path):
    from tinygrad_rnn.cli import main

    out = tmp_path / "cell.svg"
    assert main(["draw", "lstm", "--steps=12", "--level=cell", "--formulas", f"--out={out}"]) == 0
    assert "ht = ot ∘ tanh(ct)" in "".join(ET.parse(out).getroot().itertext())  # indices stand below the line
