"""Whatever is drawn, the answer is a picture or a sentence."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import elman, parameters
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.formats import graphviz as render


def test_a_value_without_a_graph_is_one_box():
    with pytest.warns(UserWarning, match="nothing was recorded"):
        picture = draw(tr.tensor(1.0))
    assert len(picture.graph.vertices) == 1
    ET.fromstring(picture.svg)
    assert draw(tr.tensor(1.0, requires_grad=True, name="w")).graph.vertices[0].kind == "parameter"


@pytest.mark.parametrize("x", [np.ones(3), None, "loss", 1.0, []])
def test_what_has_no_graph_is_refused_by_name(x):
    with pytest.raises(TypeError, match=f"an object of type {type(x).__name__} has no graph"):
        draw(x)


@pytest.mark.parametrize("highlight", [3, "W", (3,), ("W", 3), (3, "W", "U"), (3, None)])
def test_what_is_to_be_highlighted_is_a_step_and_a_name(highlight):
    with pytest.raises(TypeError, match=r'a step and a parameter\'s name, as in \(3, "W"\)'):
        draw(elman(3)[0], highlight=highlight)


def test_a_freed_graph_says_what_to_do():
    loss, _ = elman(2)
    loss.backward(keep=False)
    with pytest.raises(RuntimeError, match="keep=True"):
        draw(loss)


def test_a_page_of_a_graph_that_was_freed_since_says_not_computed():
    loss, _ = elman(2)
    picture = draw(loss)
    loss.backward(keep=False)
    assert "not computed" in picture.text
    assert "<svg" in picture.html


@pytest.mark.parametrize(
    ("name", "value"), [("level", "neuron"), ("view", "folded"), ("direction", "up"), ("color", "rainbow")]
)
def test_a_choice_that_there_is_not_lists_those_that_there_are(name, value):
    with pytest.raises(ValueError, match=f"{name}='{value}' is not one of"):
        draw(elman(2)[0], **{name: value})


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    "name",
    ['W"', "<b>", "a & b", "back\\slash", "line\nbreak", "{|}", "", "名前", "]]>", "</script>", "\x01\x7f", "\udce9"],
)
def test_any_name_can_be_drawn(name, tmp_path):
    W = tr.tensor(np.eye(2), requires_grad=True, name=name)
    ys, _ = tr.unroll(lambda x, h: tr.named(name, np.tanh(x + h @ W)), np.ones((3, 2)), state=np.zeros(2))
    picture = draw(ys.sum(), values=True, gradients=True, title=name)
    ET.fromstring(picture.svg)
    assert picture.html.count("</script>") == 2
    for form in ("html", "dot", "json", "txt"):
        assert picture.save(tmp_path / f"graph.{form}").stat().st_size > 100
    if render.renderers():
        assert picture.save(tmp_path / "graph.png").stat().st_size > 1000
        ET.parse(picture.save(tmp_path / "graph.svg"))


def test_ten_thousand_nodes_in_full():
    w = tr.tensor(0.999, requires_grad=True, name="w")
    y = w * 1.0
    for _ in range(10_000):
        y = y * w
    picture = draw(y, elide=False)
    assert len(picture.graph.vertices) == 10_002
    assert picture.svg.count("<g class=") > 10_000


def test_a_node_with_thousands_of_inputs():
    many = [tr.tensor(float(i), requires_grad=True) for i in range(2000)]
    picture = draw(np.stack([2 * one for one in many]).sum())
    assert len(picture.graph.vertices) == 4002
    assert len(repr(picture)) < 400
    assert max(map(len, picture.text.splitlines())) < 1000


def test_no_numbers_at_all():
    x = tr.tensor(np.ones((0, 3)), requires_grad=True, name="x")
    picture = draw(np.sum(x * 2), values=True, gradients=True, color="gradient")
    ET.fromstring(picture.svg)


def test_scalars_of_a_large_model_are_refused_with_a_way_out():
    leaves = parameters(np.random.default_rng(0), W=(300, 300))
    with pytest.raises(ValueError, match='level="op" or "gate"'):
        draw(np.sum(leaves["W"] @ leaves["W"]), level="scalar")


def test_scalars_of_an_operation_that_they_do_not_know_are_refused_by_name():
    x = tr.tensor([0.1, 0.2], requires_grad=True)
    with pytest.raises(ValueError, match="arctan"):
        draw(np.sum(np.arctan(x)), level="scalar")


def test_two_sequences_after_another_are_two_lanes():
    leaves = parameters(np.random.default_rng(0), W=(2, 2))
    cell = lambda x, h: np.tanh(x + h @ leaves["W"])  # noqa: E731
    _, h = tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))
    _, h = tr.unroll(cell, np.ones((3, 2)), state=h)
    picture = draw(h.sum())
    states = [vertex for vertex in picture.graph.vertices if vertex.kind == "state" and vertex.step]
    assert len(states) == 6
    assert len({vertex.lane for vertex in states}) == 2
