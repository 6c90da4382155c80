"""Pictures of what is rarely drawn: paths that there are not, several results at once, scales, attention."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import elman
from tinygrad_rnn.viz import draw, plot_attention, plot_losses
from tinygrad_rnn.viz.formats.dot import to_digraph


def test_a_loss_term_that_no_path_leads_to():
    """The output weight K stands in the last step alone: the first one's loss has nothing to do with it."""
    W, K = (tr.tensor(np.eye(2), requires_grad=True, name=name) for name in "WK")
    ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 2)), state=np.zeros(2))
    with tr.scope(step=1):
        first = tr.named("L", np.sum(ys[0]))
    with tr.scope(step=3):
        last = tr.named("L", np.sum(ys[2] @ K))
    picture = draw(first + last, highlight=(1, "K"))
    assert picture.terms == []
    assert "∂L₁/∂K = 0: no path" in [label.text for label in picture.scene.labels]
    assert all(box.dimmed for box in picture.scene.boxes if box.kind == "parameter" and box.vertex >= 0)


def test_several_results_have_no_gradient_that_all_could_start_from():
    a = tr.tensor(np.ones(2), requires_grad=True, name="a")
    picture = draw((np.sum(a), np.sum(a * 2)), gradients=True)
    assert picture.measured is None
    assert [vertex.kind for vertex in picture.graph.vertices].count("loss") == 2
    with pytest.raises(ValueError, match="draw one number that requires a gradient"):
        draw((np.sum(a), np.sum(a * 2)), highlight=(1, "a"))


def test_the_page_has_the_scale_of_its_colours():
    picture = draw(elman(3)[0], color="gradient")
    scale = [box.lines[0].text for box in picture.scene.boxes if box.name.startswith(("scale", "sign"))]
    assert len(scale) == 7 + 4
    assert "norm of the gradient" in picture.html and "norm of the gradient" not in draw(elman(3)[0]).html
    assert all(f">{text}<" in picture.html for text in scale)


def test_scalars_of_constants_without_a_name_are_numbers():
    x = tr.tensor(np.ones(2), requires_grad=True, name="x")
    plain = draw(np.sum(x * tr.tensor([2.0, 3.0])), level="scalar")
    assert [vertex.symbol for vertex in plain.graph.vertices] == ["", "", "× 2", "× 3", "+"]
    named = draw(np.sum(x * tr.tensor([2.0, 3.0], name="k")), level="scalar")
    assert [vertex.title for vertex in named.graph.vertices if vertex.title] == ["x[0]", "x[1]", "k[0]", "k[1]"]


def test_a_constant_that_all_steps_share_is_drawn_once_without_a_step():
    W = tr.tensor(np.eye(2), requires_grad=True, name="W")
    k = tr.tensor([1.0, 2.0])
    graph = draw(tr.unroll(lambda x, h: np.tanh(x + h @ W) * k, np.ones((3, 2)), state=np.zeros(2))[0].sum()).graph
    (i,) = [i for i, vertex in enumerate(graph.vertices) if vertex.kind == "constant"]
    assert graph.vertices[i].step is None and graph.vertices[i].lane is None
    assert [graph.vertices[edge.target].step for edge in graph.edges if edge.source == i] == [1, 2, 3]


def test_attention_is_a_matrix():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"an array with 2 axes is needed, not one of shape \(3,\)"):
        plot_attention(np.ones(3))


@pytest.mark.parametrize(
    ("call", "module", "said"),
    [
        (lambda: plot_losses(np.ones(3)), "matplotlib", r'pip install .*\[plot\]"'),
        (lambda: to_digraph(draw(elman(2)[0]).scene), "graphviz", 'pip install "graphviz>=0.20"'),
    ],
)
def test_a_library_that_is_not_there_is_named(call, module, said, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=said):
        call()


def test_an_initial_state_that_no_step_works_on():
    start = [tr.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
    _, (a, b) = tr.unroll(lambda x, state: (x, state), np.ones((3, 2)), state=tuple(start))
    first, second = [box for box in draw(np.sum(a * b)).scene.boxes if box.kind == "state" and box.vertex >= 0]
    assert first.y == second.y and first.x + first.width <= second.x
