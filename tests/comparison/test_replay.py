"""A recorded graph, run again: with other numbers, as a new recording, with something else in it."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.recorded.landmarks import Landmarks
from tinygrad_rnn.recorded.replay import expanded, replay, run_again


def recorded():
    cell = nn.LSTMCell(2, 3, dtype=np.float64)
    xs = np.random.default_rng(0).normal(size=(4, 5, 2))
    return np.sum(tr.unroll(cell, xs)[0] ** 2), cell, xs


def test_with_the_same_numbers_it_gives_the_same():
    loss, _, _ = recorded()
    assert float(replay(loss, {})[loss]) == loss.item()


def test_with_other_numbers_it_gives_what_the_function_would():
    loss, cell, xs = recorded()
    values = {p: p.data * 1.5 for p in cell.parameters()}
    found = float(replay(loss, values)[loss])
    for p in cell.parameters():
        p.data = p.data * 1.5
    assert found == pytest.approx(np.sum(tr.unroll(cell, xs)[0] ** 2).item(), rel=1e-14)


def test_on_tensors_it_is_recorded_with_its_scopes_and_labels():
    loss, cell, _ = recorded()
    new = replay(loss, {p: p for p in cell.parameters()})
    assert all(new[node].scope == node.scope and new[node].labels == node.labels for node in new if node.op is not None)
    new[loss].backward()
    again = {name: p.grad for name, p in cell.named_parameters()}
    cell.zero_grad()
    loss.backward()
    for name, p in cell.named_parameters():
        np.testing.assert_array_equal(again[name], p.grad)


def test_operations_with_several_results_are_replayed_too():
    a = tr.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
    values, vectors = np.linalg.eigh(a)
    loss = np.sum(values**2) + np.sum(vectors**2)
    assert float(replay(loss, {a: 2 * a.data})[loss]) == pytest.approx(4 * np.sum(values.data**2) + 2)


def test_a_node_can_be_changed():
    w = tr.tensor([1.0, 2.0], requires_grad=True)
    squared = w * w
    loss = np.sum(squared)
    found = replay(loss, {}, {squared: lambda node, known: run_again(node, known) * 10})
    assert float(found[loss]) == 50.0


def test_what_was_detached_stays_as_it_was():
    w = tr.tensor(3.0, requires_grad=True)
    loss = w * w.detach()
    assert float(replay(loss, {w: np.array(5.0)})[loss]) == 15.0


def test_checkpoints_inside_checkpoints_are_expanded():
    w = tr.tensor([0.5, 0.2], requires_grad=True)
    inner = tr.checkpoint(lambda w: np.tanh(w) * 2)
    loss = np.sum(tr.checkpoint(lambda w: inner(w) * inner(w * 2))(w))
    place = expanded(loss)
    names = {node.op.name for node in replay(place[loss], {}) if node.op is not None}
    assert "checkpoint" not in names and "tanh" in names
    assert place[loss].item() == loss.item()
    (new,) = tr.autodiff.graph.observe_backward(place[loss], tr.autodiff.graph.Observer()).values()
    loss.backward()
    np.testing.assert_allclose(new, w.grad, rtol=1e-14)


def test_without_anything_to_expand_every_node_stands_for_itself():
    loss, _, _ = recorded()
    assert all(old is new for old, new in expanded(loss).items())


@pytest.mark.parametrize("wrapped", [tr.checkpoint, tr.compile])
def test_what_is_expanded_keeps_the_names_of_its_constants(wrapped):
    xs = np.random.default_rng(0).normal(size=(3, 2))
    W = tr.tensor(np.eye(2), requires_grad=True)
    loss = np.sum(tr.unroll(wrapped(lambda x, h: np.tanh(x + h @ W)), xs, state=np.zeros(2))[0])
    marks = Landmarks([expanded(loss)[loss]])
    for t in (1, 2, 3):
        np.testing.assert_array_equal(marks.find("x", t, role="input")._data, xs[t - 1])
    np.testing.assert_array_equal(marks.find("h", 0, role="state")._data, np.zeros(2))
