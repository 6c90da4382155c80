"""Numbers on pictures: they are those of the engine, and what is not known is not called zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import NETWORKS, elman, elman_at_once
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.writing.norm_colors import GradientScale


def written(picture, name):
    (box,) = [box for box in picture.scene.boxes if box.lines and box.lines[0].text == name and box.vertex >= 0]
    return [line.text for line in box.lines]


@pytest.mark.parametrize("T", [3, 30])
@pytest.mark.parametrize("make", [elman, elman_at_once])
def test_contributions_on_taps_sum_to_the_gradient(make, T):
    loss, leaves = make(T)
    picture = draw(loss, gradients=True)
    sums = dict.fromkeys(leaves, 0)
    for n, edge in enumerate(picture.graph.edges):
        title = picture.graph.vertices[edge.source].title
        if title in leaves:
            sums[title] = sums[title] + picture.measured.contribution[n]
    assert all(leaf.grad is None for leaf in leaves.values())  # looking doesn't touch
    loss.backward()
    for name, leaf in leaves.items():
        np.testing.assert_allclose(sums[name], leaf.grad, rtol=0, atol=1e-12 * max(1, np.abs(leaf.grad).max()))


def test_values_and_gradients_are_written_as_numbers():
    loss, leaves = elman(2)
    picture = draw(loss, values=True, gradients=True)
    loss.backward()
    value = [f"{number:.4g}".replace("-", "−") for number in leaves["b"].data]
    gradient = [f"{number:.4g}".replace("-", "−") for number in leaves["b"].grad]
    assert written(picture, "b") == ["b", "\u2002".join(value), "∇ " + "\u2002".join(gradient)]
    assert written(picture, "x₁")[-1] == "∇ not computed"


def test_large_values_are_summed_up():
    x = tr.tensor(np.arange(20.0).reshape(4, 5), requires_grad=True, name="x")
    lines = written(draw(np.sum(x * x), values=True, gradients=True), "x")
    norm = f"{np.linalg.norm(2 * np.arange(20.0)):.4g}"
    assert lines == ["x", "(4, 5) float64", "mean 9.5", "0 … 19", f"∇ norm {norm}"]


def test_gradients_of_what_is_not_one_number_are_not_computed():
    x = tr.tensor([1.0, 2.0], requires_grad=True, name="x")
    assert written(draw(np.tanh(x), gradients=True), "x") == ["x", "∇ not computed"]


def test_elided_steps_show_the_sum_of_their_contributions_and_the_range_of_norms():
    loss, leaves = elman(40)
    picture = draw(loss, gradients=True)
    full = draw(loss, gradients=True, elide=False)
    (hidden,) = [
        i
        for i, vertex in enumerate(picture.graph.vertices)
        if vertex.kind == "elided" and picture.measured.hidden.get(i)
    ]
    assert picture.graph.vertices[hidden].title == "⋯ 35 steps"
    norms = [
        np.linalg.norm(full.measured.adjoint[i])
        for i, vertex in enumerate(full.graph.vertices)
        if vertex.kind == "state" and 3 <= vertex.step <= 37
    ]
    assert min(picture.measured.hidden[hidden]) == pytest.approx(min(norms), rel=1e-12)
    assert max(picture.measured.hidden[hidden]) == pytest.approx(max(norms), rel=1e-12)
    summed = {}
    for n, edge in enumerate(full.graph.edges):
        step = full.graph.vertices[edge.target].step
        name = full.graph.vertices[edge.source].title
        if name in leaves and 3 <= step <= 37:
            summed[name] = summed.get(name, 0) + full.measured.contribution[n]
    for n, edge in enumerate(picture.graph.edges):
        name = picture.graph.vertices[edge.source].title
        if edge.target == hidden and name in leaves:
            np.testing.assert_allclose(picture.measured.contribution[n], summed[name], rtol=1e-12)


def test_a_vanishing_gradient_shows_as_steps_of_colour():
    W = tr.tensor([[0.6]], requires_grad=True, name="W")
    ys, _ = tr.unroll(lambda x, h: h @ W + x, np.ones((50, 1)), state=np.zeros(1))
    picture = draw(np.sum(ys[49]), color="gradient", elide=False)
    fills = [vertex.fill for vertex in picture.graph.vertices if vertex.kind == "state" and vertex.step]
    assert len(fills) == len(set(fills)) == 50
    for box in picture.scene.boxes:
        if box.kind == "state" and box.step:
            assert float(box.lines[-1].text.replace("−", "-")) == pytest.approx(0.6 ** (50 - box.step), rel=0.06)


def test_zero_infinite_nan_and_missing_norms_have_signs_of_their_own():
    scale = GradientScale([1e-3, 1.0, 0.0, math.inf, math.nan, None])
    assert [scale.text(norm) for norm in (0.0, math.inf, math.nan, None)] == ["0", "∞", "NaN", "not computed"]
    special = {scale.fill(norm) for norm in (0.0, math.inf, math.nan, None)}
    assert len(special) == 4
    assert not special & {scale.at(n / 10) for n in range(11)}
    assert GradientScale([]).text(2.5) == "2.5"


def test_a_gradient_that_is_nan_is_shown_as_nan():
    x = tr.tensor([0.0, 1.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        lines = written(draw(np.sum(np.log(x) * 0), color="gradient"), "x")
    assert lines[-1] == "NaN"


def test_scalars_show_their_numbers():
    a = tr.Scalar(0.5, name="a")
    b = tr.Scalar(-2.0, name="b")
    assert written(draw((a * b).tanh(), values=True, gradients=True), "a") == ["a", "0.5", "∇ −0.8399"]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_can_be_measured(name):
    loss = NETWORKS[name]()
    picture = draw(loss, values=True, gradients=True)
    assert len(picture.measured.adjoint) > 3
    assert "data-parameter" in picture.html
