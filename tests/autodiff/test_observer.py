"""Scopes, labels, and the observed backward walk that pictures and explanations stand on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.graph import Node, Observer, ancestors, backpropagate, observe_backward


class Recorder(Observer):
    def __init__(self) -> None:
        self.contributions: list[tuple[Node, int, Any]] = []
        self.cotangents: dict[Node, Any] = {}

    def cotangent(self, node: Node, g: Any) -> None:
        self.cotangents[node] = g

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        self.contributions.append((node, argument, c))


def written_out(node: Any, c: Any) -> Any:
    return c.assembled(node.shape) if hasattr(c, "assembled") else c


def test_looking_does_not_touch() -> None:
    w = tr.tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(np.tanh(w) * w)
    first = observe_backward(y, Recorder())
    second = observe_backward(y, Recorder())
    assert w.grad is None
    assert np.array_equal(first[w], second[w])
    y.backward()
    assert np.array_equal(first[w], w.grad)


def test_contributions_add_up_to_the_cotangents() -> None:
    w = tr.tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True)
    y = np.sum(np.concatenate([w[0] * w[1], np.tanh(w).sum(axis=0), w[0, ::2] ** 2]) * w[1, 1]) + np.sum(w) + w[0, 0]
    seen = Recorder()
    leaves = observe_backward(y, seen)
    sums: dict[Node, Any] = {}
    for node, i, c in seen.contributions:
        parent = node.inputs[i]
        sums[parent] = sums.get(parent, 0) + written_out(parent, c)
    assert set(sums) == set(seen.cotangents) - {y}
    for node, total in sums.items():
        assert np.allclose(total, seen.cotangents[node])
    y.backward()
    assert np.allclose(leaves[w], w.grad)


def test_what_an_observer_keeps_stays_as_it_was_told() -> None:
    x = tr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x[0] * 2 + np.sum(x) + x[1] * 3  # pieces, a whole, and pieces again
    seen = Recorder()
    observe_backward(y, seen)
    into_x = [written_out(x, c).tolist() for node, i, c in seen.contributions if node.inputs[i] is x]
    assert into_x == [[0, 3, 0], [1, 1, 1], [2, 0, 0]]


def test_nodes_come_in_descending_order_of_recording() -> None:
    x = tr.tensor(1.0, requires_grad=True)
    y = np.tanh(x) + np.exp(x)
    seen = Recorder()
    observe_backward(y * y, seen)
    order = [node.serial for node, _, _ in seen.contributions]
    assert order == sorted(order, reverse=True)


def test_a_freed_graph_cant_be_looked_at() -> None:
    x = tr.tensor(1.0, requires_grad=True)
    y = x * x
    y.backward(keep=False)
    with pytest.raises(RuntimeError, match="do so before backward"):
        observe_backward(y, Recorder())


def test_scalars_are_observed_by_the_same_walk() -> None:
    x = tr.scalars([1.0, 2.0])
    y = (x * x).sum()
    seen = Recorder()
    leaves = observe_backward(y, seen)
    assert leaves[x[1]] == 4.0 and x[1].grad is None
    assert {node.op.name for node, _, _ in seen.contributions} == {"add", "multiply"}


def test_non_scalar_roots_need_a_cotangent() -> None:
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"np\.ones"):
        observe_backward(x * 2, Recorder())
    assert observe_backward(x * 2, Recorder(), np.array([1.0, 10.0]))[x].tolist() == [2.0, 20.0]


# --- scopes and labels -----------------------------------------------------------------------------------------------


def test_every_node_carries_the_scope_it_was_made_in() -> None:
    x = tr.tensor(1.0, requires_grad=True)
    with tr.scope(layer="encoder"), tr.scope(layer=0), tr.scope(step=3):
        y = x * 2
        s = tr.Scalar(1.0) * 2
    assert y.scope == tr.Scope("encoder.0", 3) and s.scope == y.scope
    assert str(y.scope) == "layer encoder.0, step 3"
    assert (x * 2).scope == tr.Scope()


def test_a_scope_ends_when_an_error_leaves_it() -> None:
    with pytest.raises(ZeroDivisionError), tr.scope(layer=0):
        raise ZeroDivisionError
    assert str((tr.tensor(1.0) * 2).scope) == ""


def test_unroll_labels_inputs_outputs_and_states_from_step_1() -> None:
    W = tr.tensor([[0.5]], requires_grad=True)
    nodes: list[Any] = []

    def cell(x: Any, h: Any) -> Any:
        nodes.append(tr.named("a", x + h @ W))
        return np.tanh(nodes[-1])

    _, h = tr.unroll(cell, np.ones((3, 1)), state=np.zeros(1))
    assert [node.scope.step for node in nodes] == [1, 2, 3]
    assert [node.labels[0] for node in nodes] == [tr.Label("value", "a", None, t) for t in (1, 2, 3)]
    assert {(label.role, label.name, label.step) for label in h.labels} == {("output", "y", 3), ("state", "h", 3)}


def test_named_gives_the_value_back() -> None:
    x, a, s = tr.tensor(1.0, requires_grad=True), np.ones(2), tr.scalars(np.ones((2, 2)))
    y = x * 2
    assert tr.named("f", y) is y and tr.named("f", a) is a and tr.named("f", s) is s
    assert s[0, 1].labels[0].name == "f[0,1]"


def test_the_chain_rule_of_the_blackboard_gives_the_gradients_by_itself() -> None:
    """``backpropagate`` needs nothing around it but the rules and a sum."""
    w, h = tr.tensor([1.0, 2.0], requires_grad=True), tr.tensor([0.5, -0.5], requires_grad=True)
    y = np.sum(np.tanh(w * h) * w)
    found: dict[Node, Any] = {}

    def pull_back(node: Node, g: Any) -> Any:
        found[node] = g
        return () if node.is_leaf else node._pull_back(g)

    backpropagate({y: np.float64(1)}, ancestors([y]), pull_back, lambda node, total, c: total + c)
    y.backward()
    assert np.array_equal(found[w], w.grad) and np.array_equal(found[h], h.grad)


def test_the_first_files_to_read_are_short() -> None:
    import inspect

    from tinygrad_rnn.autodiff import scalar

    assert len(inspect.getsource(scalar).splitlines()) <= 120
    code = inspect.getsource(backpropagate).split('"""')[2]
    assert len(code.strip().splitlines()) <= 12
