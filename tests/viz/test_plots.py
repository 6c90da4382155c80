"""Plots draw what they are given, on the axes that they are given."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz import plot_attention, plot_gates, plot_losses, plot_states, plot_table

figure = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def ax():
    return figure.Figure().subplots()


def test_losses_of_several_runs(ax):
    assert plot_losses({"one": [3.0, 2.0, 1.0], "two": [2.0, 1.0]}, ax) is ax
    assert [line.get_label() for line in ax.lines] == ["one", "two"]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    smooth = plot_losses([1.0, 1.0, 4.0], smoothing=0.5).lines[-1]
    np.testing.assert_allclose(smooth.get_ydata(), [1.0, 1.0, (4 + 1 / 2 + 1 / 4) / (1 + 1 / 2 + 1 / 4)])


def test_new_axes_are_pyplots_so_that_a_notebook_shows_them():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    drawn = [plot_states(np.eye(4)), tr.explanation.plot_terms(tr.explanation.bptt_terms(*one_step()))]
    assert [pyplot.figure(ax.figure.number) for ax in drawn] == [ax.figure for ax in drawn]
    pyplot.close("all")


def one_step():
    w = tr.tensor([[0.5]], requires_grad=True, name="W")
    hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ w), np.ones((1, 1)), state=np.ones(1))
    return [np.sum(hs)], w


def test_few_units_are_curves_and_many_a_heat_map(ax):
    states = np.random.default_rng(0).normal(size=(6, 2, 20))
    plot_states(tr.tensor(states[:, :, :3]), ax, example=1)
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), states[:, 1, 2])
    (image,) = plot_states(states, example=1).images
    np.testing.assert_array_equal(image.get_array(), states[:, 1].T)


def test_steps_are_whole_numbers(ax):
    for plotted in (plot_states(np.eye(4), ax), plot_losses([3.0, 2.0, 1.0]), plot_gates({"f": np.eye(4)})):
        np.testing.assert_array_equal(plotted.get_xticks() % 1, 0)


def test_gates_are_means_over_units(ax):
    gates = {"f": np.array([[0.2, 0.4], [0.6, 1.0]]), "i": np.zeros((2, 2))}
    plot_gates(gates, ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.3, 0.8])


def test_attention_is_read_across_and_written_down(ax):
    weights = np.array([[0.1, 0.9, 0.0], [0.5, 0.25, 0.25]])
    plot_attention(weights, ax, read=["a", "b", "c"])
    np.testing.assert_array_equal(ax.images[0].get_array(), weights)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2"]


def test_a_table_has_its_numbers_in_its_cells_and_a_dash_where_there_is_none(ax):
    plot_table([[0.5, 2.0, np.nan], [1e-5, np.inf, 3.0]], ax, rows=[0.01, 0.1])
    assert [text.get_text() for text in ax.texts] == ["0.5", "2", "–", "1e-05", "–", "3"]
    assert [text.get_position() for text in ax.texts][:4] == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0.01", "0.1"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert ax.images[0].get_array().mask.tolist() == [[False, False, True], [False, True, False]]


def test_a_table_of_failures_alone_is_drawn(ax):
    plot_table(np.full((2, 2), np.nan), ax)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == ["–"] * 4


def test_what_can_not_be_plotted_is_said():
    with pytest.raises(ValueError, match="plot_table: 1 names for 3 rows"):
        plot_table(np.zeros((3, 2)), rows=["a"])
    with pytest.raises(ValueError, match="no example 3 in a batch of 2"):
        plot_states(np.zeros((4, 2, 3)), example=3)
    with pytest.raises(ValueError, match=r"\(T, d\) or \(T, B, d\) is needed, not \(4,\)"):
        plot_states(np.zeros(4))
    with pytest.raises(ValueError, match="2 names for 3 steps read"):
        plot_attention(np.zeros((2, 3)), read=["a", "b"])
    with pytest.raises(ValueError, match="smoothing"):
        plot_losses([1.0], smoothing=1.0)
