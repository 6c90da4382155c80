"""``unroll`` is a loop: what it takes, what it gives, what it labels, and what it says when it can't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.graph import Observer, ancestors, observe_backward
from tinygrad_rnn.autodiff.rules.parts import Parts
from tinygrad_rnn.autodiff.scope import NOWHERE, Label, context
from tinygrad_rnn.autodiff.trees import leaves, tree_map

T, B, N, D = 5, 2, 3, 4
RNG = np.random.default_rng(0)
XS, H0 = RNG.normal(size=(T, B, N)), RNG.normal(size=(B, D))
U, W = (tr.tensor(RNG.normal(size=shape) / 2, requires_grad=True) for shape in ((N, D), (D, D)))


def elman(x: Any, h: Any) -> Any:
    """A cell that gives one array: its output is its state."""
    return np.tanh(x @ U + h @ W)


class TwoNumbers(NamedTuple):
    fast: Any
    slow: Any


def pair(x: Any, state: Any) -> Any:
    """A cell with an output of its own and two parts to its state."""
    fast, slow = state
    fast = np.tanh(x @ U + slow @ W)
    return fast * slow, TwoNumbers(fast, 0.9 * slow + 0.1 * fast)


def looped(cell: Any, xs: Any, state: Any) -> tuple[Any, Any]:
    outputs = []
    for x in xs:
        y, state = cell(x, state)
        outputs.append(y)
    return np.stack(outputs), state


def gradients(y: Any, *of: Any) -> list[np.ndarray]:
    for leaf in (U, W, *of):
        leaf.grad = None
    np.sum(y**2).backward()
    return [leaf.grad for leaf in (U, W, *of)]


@pytest.mark.parametrize("recorded", [False, True], ids=["array", "tensor"])
def test_it_is_the_loop(recorded: bool) -> None:
    xs, start = tr.tensor(XS, requires_grad=recorded), tr.tensor(H0, requires_grad=recorded)
    leaves = (xs, start) if recorded else ()
    given = (xs, start) if recorded else (XS, H0)
    for cell, state in ((elman, lambda h: h), (pair, lambda h: TwoNumbers(h, h))):
        ys, last = tr.unroll(cell, given[0], state(given[1]))
        both = cell if cell is pair else lambda x, h: (elman(x, h),) * 2
        expected_ys, expected_last = looped(both, [xs[t] for t in range(T)], state(start))
        assert isinstance(ys, tr.Tensor) and type(last) is type(expected_last)
        assert np.array_equal(ys.data, expected_ys.data)
        for a, b in zip(gradients(ys, *leaves), gradients(expected_ys, *leaves)):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@dataclass(frozen=True)
class Memory:
    h: Any
    c: Any


def test_a_state_may_be_a_dataclass() -> None:
    """Recorded, compiled and differentiated, with names of its parts; its hidden one is the part called h."""

    def cell(x: Any, state: Memory) -> tuple[Any, Memory]:
        c = 0.5 * state.c + np.tanh(x @ U)
        return c, Memory(np.tanh(c + state.h @ W), c)

    def pairs(x: Any, state: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        y, after = cell(x, Memory(*state))
        return y, (after.h, after.c)

    start = tr.tensor(H0, requires_grad=True)
    for one in (cell, tr.compile(cell)):
        ys, last = tr.unroll(one, XS, Memory(start, H0))
        expected_ys, expected = tr.unroll(pairs, XS, (start, H0))
        assert type(last) is Memory
        np.testing.assert_allclose(ys.data, expected_ys.data, rtol=1e-12)
        for a, b in zip(gradients(last.h, start), gradients(expected[0], start)):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    derivation = tr.derive(lambda p: np.sum(tr.unroll(cell, XS, Memory(p, H0))[1].h ** 2), H0)
    assert "h_t = tanh(" in str(derivation) and "c_t = " in str(derivation)
    changed = tr.grad(lambda state: np.sum(state.h * state.c))(Memory(XS[0], XS[1]))
    assert np.array_equal(changed.h, XS[1]) and np.array_equal(changed.c, XS[0])


@pytest.mark.parametrize("xs", [XS.tolist(), list(XS), tr.tensor(XS)], ids=["lists", "list of arrays", "tensor"])
def test_what_inputs_may_be(xs: Any) -> None:
    assert np.array_equal(tr.unroll(elman, xs, H0)[0].data, tr.unroll(elman, XS, H0)[0].data)


def test_steps_without_inputs_and_fewer_than_inputs() -> None:
    ys, h = tr.unroll(lambda x, h: h * 2, None, np.ones(3), steps=4)
    assert ys.data[:, 0].tolist() == [2, 4, 8, 16] and h.data.tolist() == [16] * 3
    assert np.array_equal(tr.unroll(elman, XS, H0, steps=2)[0].data, tr.unroll(elman, XS[:2], H0)[0].data)


def test_the_callers_arrays_may_change_afterwards() -> None:
    expected = gradients(tr.unroll(elman, XS, H0)[0])
    xs, start = XS.copy(), H0.copy()
    ys, _ = tr.unroll(elman, xs, start)
    xs[:] = start[:] = 99
    for a, b in zip(gradients(ys), expected):
        assert np.array_equal(a, b)
    assert xs.flags.writeable and start.flags.writeable


def test_every_node_knows_its_step_and_states_and_outputs_their_names() -> None:
    ys, last = tr.unroll(pair, tr.tensor(XS, requires_grad=True), TwoNumbers(H0, tr.tensor(H0, requires_grad=True)))
    nodes = ancestors([np.sum(ys) + np.sum(last.slow)])
    by_step = [sum(node.op is not None and node.scope.step == t for node in nodes) for t in range(1, T + 1)]
    assert len({*by_step[:-1]}) == 1 and by_step[0] >= 7  # two products, two sums, tanh, the output, the slow state
    labels = {label for node in nodes for label in node.labels}
    assert {(label.name, label.step) for label in labels if label.role == "output"} == {
        ("y", t) for t in range(1, T + 1)
    }
    states = {(label.name, label.step) for label in labels if label.role == "state"}
    assert states == {("slow", 0)} | {(name, t) for name in ("fast", "slow") for t in range(1, T + 1)}
    assert all(node.scope.step is None for node in nodes if not node.inputs)


@pytest.mark.parametrize("cell", [elman, tr.compile(elman)], ids=["eager", "compiled"])
def test_an_initial_state_is_labelled_once_however_often_it_starts_a_loop_or_is_looked_at(cell: Any) -> None:
    start = tr.tensor(H0, requires_grad=True)
    for _ in range(2):
        ys, _ = tr.unroll(cell, XS, start)
        loss = np.sum(ys)
        assert tr.draw(loss).svg == tr.draw(loss).svg
    assert start.labels == (Label("state", "h", None, 0),)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_state_may_be_a_list_of_arrays_and_inputs_a_list_of_numbers(kind: Any) -> None:
    def cell(x: Any, state: Any) -> tuple[Any, Any]:
        h, c = state
        return h + x, kind([h + c, 0.5 * c])

    for run in (cell, tr.compile(cell)):
        ys, (h, c) = tr.unroll(run, [1.0, 2.0, 3.0], kind([np.ones(2), np.ones(2)]))
        np.testing.assert_array_equal(ys.data, [[2, 2], [4, 4], [5.5, 5.5]])
        np.testing.assert_array_equal([h.data, c.data], [[2.75, 2.75], [0.125, 0.125]])


def test_the_graph_grows_with_the_steps_and_no_faster_though_inputs_need_a_gradient() -> None:
    """Each step hands back its piece of the inputs' gradient, not an array as long as the sequence."""

    class Size(Observer):
        handed = 0

        def contribution(self, node: Any, argument: int, c: Any) -> None:
            pieces = [piece for part in c.parts for piece in part] if isinstance(c, Parts) else [c]
            self.handed += sum(np.size(piece) for piece in pieces)

    sizes = []
    for steps in (10, 20, 40):
        xs, size = tr.tensor(np.ones((steps, N)), requires_grad=True), Size()
        ys, _ = tr.unroll(elman, xs, np.zeros(D))
        loss = sum((np.sum(ys[t] ** 2) for t in range(steps)), 0.0)
        observe_backward(loss, size)
        sizes.append(size.handed)
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tr.unroll(elman, XS), TypeError, r"elman has no initial_state.*state=np.zeros\(\(B, d\)\)"),
        (lambda: tr.unroll(tr.nn.Linear(3, 4), XS), TypeError, "Linear has no initial_state.* its class from nn.Cell"),
        (lambda: tr.unroll(elman, None, H0), ValueError, "steps=10"),
        (lambda: tr.unroll(elman, XS, H0, steps=9), ValueError, r"9 steps .* shape \(5, 2, 3\) has only 5"),
        (lambda: tr.unroll(elman, XS, H0, steps=-1), ValueError, "whole number from 0, not -1"),
        (lambda: tr.unroll(elman, None, H0, steps=2.5), ValueError, "whole number from 0, not 2.5"),
        (lambda: tr.unroll(elman, 3.0, H0), ValueError, r"\(T, ...\); this one is a single number"),
        (lambda: tr.unroll(elman, "text", H0), ValueError, r"\(T, ...\); this one is a str"),
        (lambda: tr.unroll(elman, XS[..., :2], H0), ValueError, r"matmul at step 1: .* inner sizes 2 and 3 differ"),
        (lambda: tr.unroll(lambda x, h: None, XS, H0), TypeError, "at step 1: .* gave NoneType"),
        (lambda: tr.unroll(lambda x, h: (h, h, h), XS, H0), TypeError, "gave tuple of length 3"),
        (lambda: tr.unroll(elman, [np.ones(3), np.ones(2)], H0), ValueError, r"shapes \[\(3,\), \(2,\)\]"),
        (lambda: tr.unroll(tr.nn.RNNCell, XS), TypeError, "this is the class RNNCell itself"),
        (lambda: tr.unroll(3, XS), TypeError, "this is of type int"),
        (
            lambda: tr.unroll(tr.nn.LSTMCell(12, 64), np.zeros((5, 32, 10))),
            ValueError,
            r"matmul at step 1: \(32, 10\) @ \(12, 256\): inner sizes 10 and 12 differ\. "
            r"LSTMCell\(12, 64\) takes x of shape \(B, 12\)",
        ),
    ],
)
def test_errors_say_what_and_where_and_the_cure(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert context.scope == NOWHERE


def test_unroll_in_reverse_is_unrolling_the_reversed_sequence() -> None:
    cell, xs = nn.GRUCell(N, D), XS.astype(np.float32)
    ys, h = tr.unroll(cell, xs, reverse=True)
    flipped, last = tr.unroll(cell, xs[::-1])
    np.testing.assert_array_equal(ys.data, flipped.data[::-1])
    np.testing.assert_array_equal(h.data, last.data)


def test_unroll_over_a_tree_of_inputs_and_outputs() -> None:
    def cell(x: dict, h: Any) -> Any:
        h = np.tanh(x["a"] + h)
        return {"sum": h + x["b"], "h": h}, h

    a = np.random.default_rng(0).normal(size=(T, N))
    ys, h = tr.unroll(cell, {"a": a, "b": 2 * a}, np.zeros(N))
    np.testing.assert_array_equal(ys["sum"].data, ys["h"].data + 2 * a)
    np.testing.assert_array_equal(ys["h"].data[-1], h.data)
    with pytest.raises(ValueError, match="different lengths: 5, 4 steps"):
        tr.unroll(cell, {"a": a, "b": a[1:]}, np.zeros(N))


def test_stop_gradient_walks_through_any_state() -> None:
    w = tr.tensor([1.0], requires_grad=True)
    state = tr.stop_gradient({"h": w * 2, "rest": (w, 3)})
    assert [getattr(a, "requires_grad", None) for a in leaves(state)] == [False, False, None]
    assert tree_map(np.sum, state) == {"h": 2.0, "rest": (1.0, 3)}


def test_a_plain_tuple_as_initial_state_has_the_names_of_the_cells_own() -> None:
    state = tuple(tr.tensor(np.ones((2, 4))) for _ in "hc")
    tr.unroll(nn.LSTMCell(3, 4, dtype=np.float64), np.ones((5, 2, 3)), state)
    assert [[(label.name, label.step) for label in part.labels] for part in state] == [[("h", 0)], [("c", 0)]]
