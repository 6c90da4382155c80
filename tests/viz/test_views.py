"""Views are quotients of one graph: rolled, grouped, elided; and scalars are the same graph, number by number."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import NETWORKS, built_in, elman, elman_at_once, skipping, stacked
from tinygrad_rnn.viz import draw


def kinds(picture):
    found = {}
    for vertex in picture.graph.vertices:
        found[vertex.kind] = found.get(vertex.kind, 0) + 1
    return found


def names(picture):
    return {vertex.title for vertex in picture.graph.vertices if vertex.title}


@pytest.mark.parametrize("make", [elman, elman_at_once])
@pytest.mark.parametrize("level", ["op", "gate", "cell"])
def test_the_size_of_a_rolled_view_does_not_depend_on_the_number_of_steps(make, level):
    short, long = (draw(make(T)[0], view="rolled", level=level) for T in (5, 60))
    assert len(short.graph.vertices) == len(long.graph.vertices)
    assert len(short.graph.edges) == len(long.graph.edges)
    assert (short.scene.width, short.scene.height) == (long.scene.width, long.scene.height)


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell"])
def test_a_state_that_a_cell_reads_twice_is_handed_on_once_a_step(cell):
    scene = draw(built_in(getattr(tr.nn, cell)(3, 2, seed=0), 4), level="cell", view="rolled").scene
    assert [label.text for label in scene.labels if label.kind == "loop"] == ["delay 1, 3×"]


def test_the_recurrent_edge_is_a_loop_with_delay_and_count():
    picture = draw(elman(12)[0], view="rolled")
    texts = [label.text for label in picture.scene.labels if label.kind == "loop"]
    assert texts == ["delay 1, 11×", "delay 1, 11×"]  # the state, and the running sum
    assert {edge.delay for edge in draw(skipping(6), view="rolled").graph.edges} == {0, 1, 2}


def test_an_operation_with_the_same_value_twice_has_two_edges():
    x = tr.tensor(3.0, requires_grad=True, name="x")
    picture = draw(x * x)
    assert [(edge.source, edge.target, edge.argument) for edge in picture.graph.edges] == [(0, 1, 0), (0, 1, 1)]


def test_gates_are_boxes_with_what_only_they_are_made_of():
    picture = draw(built_in(tr.nn.LSTMCell(3, 2), T=3), level="gate")
    assert {"f", "i", "g", "o", "c", "h"} <= names(picture)
    assert kinds(picture)["gate"] == 4 * 3
    per_step = [v for v in picture.graph.vertices if v.step == 2]
    assert len(per_step) == 8  # six named values, the input, and the sum that the four gates share


def test_a_cell_is_one_box_with_its_equations_below():
    picture = draw(built_in(tr.nn.GRUCell(3, 2), T=4), level="cell")
    assert kinds(picture)["cell"] == 4
    written = [label.text for label in picture.scene.labels if label.kind == "formula"]
    assert "h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}" in written


def test_layers_have_lanes_and_titles():
    picture = draw(stacked())
    assert [panel.title for panel in picture.scene.panels if panel.kind == "lane"] == [
        "layer 0 · RNNCell",
        "layer 1 · RNNCell",
    ]
    layers = draw(stacked(), level="layer")
    assert kinds(layers)["cell"] == 2


def test_more_than_eight_steps_are_elided_in_the_middle():
    assert "elided" not in kinds(draw(elman(8)[0]))
    picture = draw(elman(100)[0])
    titles = {vertex.title for vertex in picture.graph.vertices if vertex.kind == "elided"}
    assert titles == {"⋯ 95 steps"}
    headings = [label.text for label in picture.scene.labels if label.kind == "heading"]
    assert headings == ["t = 1", "t = 2", "t = 98", "t = 99", "t = 100"]
    assert "elided" not in kinds(draw(elman(20)[0], elide=False))


def test_direction_flips_arrows_and_nothing_else():
    loss, _ = elman(3)
    forward, backward, both = (draw(loss, direction=way).scene for way in ("forward", "backward", "both"))
    places = [[(box.name, box.x, box.y) for box in scene.boxes] for scene in (forward, backward, both)]
    assert places[0] == places[1] == places[2]
    assert [path.points for path in forward.paths] == [path.points for path in backward.paths]
    carrying = [path for path in backward.paths if path.flows and path.kind != "bus"]
    assert all(path.arrow == "start" for path in carrying)
    assert {path.arrow for path in backward.paths if not path.flows} == {""}
    arrows = [path.arrow for path in both.paths]
    assert arrows.count("end") == sum(path.arrow == "end" for path in forward.paths)
    assert arrows.count("start") == len(carrying)


def test_the_scalar_view_has_a_node_for_each_number():
    loss, leaves = elman(3)
    picture = draw(loss, level="scalar", gradients=True)
    assert kinds(picture)["parameter"] == sum(leaf.size for leaf in leaves.values())
    found = {
        v.title: picture.measured.adjoint[i] for i, v in enumerate(picture.graph.vertices) if v.kind == "parameter"
    }
    loss.backward()
    for name, leaf in leaves.items():
        for index in np.ndindex(leaf.shape):
            assert found[f"{name}[{','.join(map(str, index))}]"] == pytest.approx(leaf.grad[index], abs=1e-12)


def test_scalars_drawn_directly_are_the_same_graph():
    U, W = tr.scalars(np.full((1, 2), 0.5), name="U"), tr.scalars(np.full((2, 2), 0.1), name="W")
    xs = tr.scalars(np.ones((3, 1)), requires_grad=False, name="x")
    ys, _ = tr.unroll(lambda x, h: np.tanh(x @ U + h @ W), xs, state=tr.scalars(np.zeros(2), requires_grad=False))
    picture = draw(ys)
    assert [label.text for label in picture.scene.labels if label.kind == "heading"] == ["t = 1", "t = 2", "t = 3"]
    assert {"h[0]", "h[1]", "U[0,0]", "W[1,1]"} <= names(picture)


def test_a_learned_initial_state_stands_before_the_first_step():
    h0 = tr.tensor([0.1, 0.2], requires_grad=True, name="h0")
    W = tr.tensor(np.eye(2), requires_grad=True, name="W")
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 2)), state=h0)
    picture = draw(ys.sum(), gradients=True)
    (start,) = [i for i, vertex in enumerate(picture.graph.vertices) if vertex.step == 0]
    assert picture.graph.vertices[start].kind == "state"
    assert start in picture.measured.adjoint


def test_a_sequence_that_requires_a_gradient_is_a_bus():
    xs = tr.tensor(np.ones((3, 2)), requires_grad=True, name="xs")
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h), xs, state=np.zeros(2))
    picture = draw(ys.sum())
    assert sum(path.kind == "tap" for path in picture.scene.paths) == 3


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_grouping_keeps_what_flows_into_the_loss(name):
    loss = NETWORKS[name]()
    for level in ("op", "gate", "cell"):
        picture = draw(loss, level=level, gradients=True)
        leaves = [i for i, vertex in enumerate(picture.graph.vertices) if vertex.kind == "parameter"]
        for i in leaves:
            parts = [picture.measured.contribution[n] for n, e in enumerate(picture.graph.edges) if e.source == i]
            np.testing.assert_allclose(sum(parts), picture.measured.adjoint[i], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("wrap", [tr.checkpoint, tr.compile])
def test_a_node_that_stands_for_many_is_drawn_as_those(wrap):
    _, leaves = elman_at_once(4)
    U, W, b, _, _ = leaves.values()
    xs = np.random.default_rng(0).normal(size=(4, 3))

    def run(xs, U, W, b):
        return tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), xs, state=np.zeros(2))[0]

    drawn, expected = (draw(np.sum(ys), gradients=True) for ys in (wrap(run)(xs, U, W, b), run(xs, U, W, b)))
    assert len(drawn.graph.vertices) == len(expected.graph.vertices)
    written = [[label.text for label in p.scene.labels if label.kind in ("heading", "tap")] for p in (drawn, expected)]
    assert written[0] == written[1]
    assert sum(text.startswith("t = ") for text in written[0]) == 4
