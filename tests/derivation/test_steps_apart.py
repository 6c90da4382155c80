"""Rows of states taken at steps that are apart: each is a term of its own, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS
from tinygrad_rnn.derivation.equations.order import after_reads
from tinygrad_rnn.derivation.equations.parts import references


@pytest.mark.parametrize("rows", [slice(1, None, 2), slice(None, None, 3), [0, 2, 3]], ids=["odd", "third", "some"])
def test_a_loss_at_some_steps(rows):
    rng = np.random.default_rng(0)
    values = {"W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 2))}
    xs = rng.normal(size=(6, 3))

    def loss(p, xs):
        hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ p["W"]), xs, np.zeros(3))
        return np.sum((hs[rows] @ p["V"]) ** 2)

    found = tr.derive(loss, values, (xs,)).gradients()
    for name, right in tr.grad(loss)(values, xs).items():
        np.testing.assert_allclose(found[name], right, rtol=1e-10, atol=1e-12)


def test_outputs_that_are_dropped_as_states_are_have_steps_of_their_own():
    """``h * mask / 0.8`` of a state and of an output are the same operations, and only one is there at each step."""
    rng = np.random.default_rng(1)
    xs, m, k = rng.normal(size=(6, 3)), 1.0 * (rng.random(3) < 0.8), 1.0 * (rng.random((6, 3)) < 0.8)

    def loss(p, xs, m, k):
        h, total = np.zeros(3), 0.0
        for t in range(6):
            h = np.tanh(xs[t] + (h * m / 0.8) @ p["W"])
            if t % 3 == 2:
                total = total + np.sum((h * k[t] / 0.8) @ p["V"])
        return total

    lines = str(tr.derive(loss, {"W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 2))}, (xs, m, k)))
    assert "for t in {3, T} (T = 6)" in lines and "∘ k_t" in lines


def test_a_softmax_written_out_from_some_step_on_has_its_steps():
    """``z - max(z)`` and ``z - log(...)`` are the same operation, of which one reads the other."""
    burn_in = NETWORKS["burn in"]
    lines = str(tr.derive(burn_in.loss, burn_in.parameters, burn_in.data)).splitlines()
    assert any("L = -Σ_{t = 3..T} sum(log_softmax(z_t)[·, " in line for line in lines)


def test_a_line_that_the_first_steps_lack_stands_before_the_line_that_reads_it():
    def loss(p, xs):
        states = [np.zeros(3)]
        for t, x in enumerate(xs):
            reach = np.tanh(states[t - 1] @ p["M"]) if t > 1 else np.zeros(3)
            states.append(np.tanh(x + states[-1] @ p["W"] + 2 * reach))
        return np.sum(states[-1] ** 2)

    rng = np.random.default_rng(0)
    values, xs = {"W": rng.normal(size=(3, 3)), "M": rng.normal(size=(3, 3))}, rng.normal(size=(6, 3))
    derivation = tr.derive(loss, values, (xs,))
    forward = [line for line in derivation.lines if line.kind == "forward" and len(line.steps) > 1]
    read = {line: {r.quantity for r, _ in references(line.expression, line.steps) if r.shift == 0} for line in forward}
    assert any(read.values())
    for k, line in enumerate(forward):
        assert not read[line] & {later.quantity for later in forward[k:]}, str(derivation)


def test_things_stand_after_what_they_read_and_else_in_their_own_order():
    reads = {"a": "d", "b": "", "c": "ab", "d": "x", "e": "f", "f": "e"}  # e and f read each other; x isn't among them
    assert "".join(after_reads("abcdef", reads.__getitem__)) == "dabcfe"
    assert after_reads(range(100_000), lambda n: [n + 1])[:2] == [99_999, 99_998]


# --- sequences one after another ------------------------------


def sequences(*lengths):
    return [np.random.default_rng(n).normal(size=(n, 2)) for n in lengths]


CELL = {"U": (2, 3), "W": (3, 3), "v": (3,)}
WEIGHTS = {name: np.random.default_rng(k).normal(size=size) for k, (name, size) in enumerate(CELL.items())}


def held_to_autograd(loss, *data):
    """The lines of a derivation, whose gradients are those of autograd; its source gives them, too."""
    derivation = tr.derive(loss, WEIGHTS, data)
    for name, right in tr.grad(loss)(WEIGHTS, *data).items():
        np.testing.assert_allclose(derivation.gradients()[name], right, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(derivation.run().gradients[name], right, rtol=1e-10, atol=1e-12)
    return str(derivation)


def each_by_itself(p, xs, ys):
    total = 0.0
    for x, y in zip(xs, ys):
        h = np.zeros(3)
        for row in x:
            h = np.tanh(row @ p["U"] + h @ p["W"])
        total = total + (h @ p["v"] - y) ** 2
    return total


def test_sequences_of_unequal_lengths_are_one_recursion_that_begins_anew():
    lines = held_to_autograd(each_by_itself, sequences(4, 2, 3), [1.0, 0.0, 1.0])
    assert "for t in {1, 5, 7}\n    u_t = 0 " in lines and "a_t = x_t U + u_t W" in lines
    assert "Δ_{t+1} Wᵀ [t in {1, 2, 3, 5, 7, 8}]" in lines
    assert "∂L/∂W = Σ_t u_t ⊗ Δ_t" in lines


def test_sequences_of_one_array_are_one_recursion_of_its_rows():
    xs = np.random.default_rng(0).normal(size=(3, 4, 2))
    lines = held_to_autograd(each_by_itself, xs, np.ones(3))
    assert "xs_rows_t U" in lines and lines.count("tanh'") == 1


def test_chunks_of_unequal_lengths_are_one_recursion():
    def loss(p, chunks):
        h, total = np.zeros(3), 0.0
        for chunk in chunks:
            h = tr.stop_gradient(h)
            for row in chunk:
                h = np.tanh(row @ p["U"] + h @ p["W"])
            total = total + (h @ p["v"]) ** 2
        return total

    lines = held_to_autograd(loss, sequences(3, 3, 1))
    assert "u_t = detach(h_{t-1})" in lines and "∂L/∂W = Σ_t u_t ⊗ Δ_t" in lines


@pytest.mark.parametrize("cut", [2, 3])
@pytest.mark.parametrize("looked_up", ["before", "at each step"])
def test_chunks_of_words_whose_outputs_are_read_in_a_loop_of_their_own_are_one_recursion(looked_up, cut):
    """The rows that a chunk reads are computed, or chosen by numbers; two layers that do the same stay two."""
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(3, 3)) / 2 for name in "EUWV"}
    words = rng.integers(3, size=(6, 2))

    def loss(p, words):
        embedded, hs, h = p["E"][words], [], np.zeros((2, 3))
        for t in range(len(words)):
            h = tr.stop_gradient(h) if t == cut else h
            x = embedded[t] if looked_up == "before" else p["E"][words[t]]
            h = np.tanh(x @ p["U"] + h @ p["W"])
            hs.append(h)
        return sum(np.sum((h @ p["V"] + 0.1) ** 2) for h in hs)

    derivation = tr.derive(loss, values, (words,))
    assert "⁽²⁾" not in str(derivation) and "for t = T..1 (T = 6)" in str(derivation)
    assert "def derivative" in derivation.source()

    def two_layers(p, xs):
        for _ in range(2):
            h, hs = np.zeros(3), []
            for t in range(4):
                h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
                hs.append(h)
            xs = np.stack(hs)
        return np.sum(xs**2)

    text = str(tr.derive(two_layers, values, (rng.normal(size=(4, 3)),)))
    assert "h⁽²⁾_t" in text and "(T = 4)" in text


def test_a_slice_of_a_sequence_is_the_same_rows():
    def loss(p, xs):
        h = np.zeros(3)
        for begin, end in ((0, 3), (3, 7)):
            part = xs[begin:end]
            for t in range(end - begin):
                h = np.tanh(part[t] @ p["U"] + h @ p["W"])
        return h @ p["v"]

    assert "a_t = x_t U + h_{t-1} W" in held_to_autograd(loss, *sequences(7))


def test_one_cell_that_reads_a_sequence_twice_is_two_recursions():
    def loss(p, xs):
        ends = []
        for way in (range(4), range(3, -1, -1)):
            h = np.zeros(3)
            for t in way:
                h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            ends.append(h)
        return (ends[0] - ends[1]) @ p["v"]

    assert held_to_autograd(loss, *sequences(4)).count("tanh'") == 2


def test_a_product_of_a_detached_state_is_that_of_each_step():
    """``0.3 * stop_gradient(h)`` is plain arithmetic, which was read as an array of its own at these steps."""

    def loss(p, xs):
        h, total = p["v"], 0.0
        for t in range(9):
            h = tr.stop_gradient(h) if t in (4, 7) else h
            h = 0.3 * h + 0.7 * np.tanh(xs[t] @ p["U"] + h @ p["W"])
            total = total + np.sum(h**2)
        return total

    lines = held_to_autograd(loss, *sequences(9))
    assert "h_t = 0.3 u_t + 0.7 " in lines and "∂L/∂u_{t+1} [t in {0, 1, 2, 3, 5, 6, 8}]" in lines


@pytest.mark.parametrize("borders", [(2, 4), (1, 4)])
def test_products_of_detached_states_belong_to_the_steps_of_all(borders):
    """Pieces of two steps were read as steps of two, and a first piece of one step as something before the loop."""

    def loss(p, xs):
        h, total = p["v"], 0.0
        for t in range(6):
            h = tr.stop_gradient(h) if t in borders else h
            h = 0.3 * h + 0.7 * np.tanh(xs[t] @ p["U"] + h @ p["W"])
            total = total + np.sum(h**2)
        return total

    lines = held_to_autograd(loss, *sequences(6))
    assert "h_t = 0.3 u_t + 0.7 " in lines and "∂L/∂W = Σ_t u_t ⊗ Δ_t" in lines


def test_an_output_of_the_last_state_is_no_further_step():
    """``V h_T`` and ``W[l] h_t`` are products of the same shapes."""
    weights, xs = {"W": np.ones((2, 3, 3)) / 3, "V": np.eye(3)}, np.ones((4, 3))

    def loss(p, xs):
        h = [np.zeros(3), np.zeros(3)]
        for x in xs:
            for layer in range(2):
                x = h[layer] = np.tanh(x + p["W"][layer] @ h[layer])
        return np.sum((p["V"] @ h[1]) ** 2)

    lines = str(tr.derive(loss, weights, (xs,)))
    assert "T = 4" in lines and "V[" not in lines and "∂L/∂V = " in lines


def test_a_learnt_first_state_of_several_sequences_gets_a_term_from_each():
    def loss(p, xs):
        ends = []
        for x in xs:
            h = p["v"]
            for row in x:
                h = np.tanh(row @ p["U"] + h @ p["W"])
            ends.append(np.sum(h**2))
        return sum(ends)

    lines = held_to_autograd(loss, sequences(3, 5, 2))
    assert "for t in {1, 4, 9}\n    u_t = v " in lines and "∂L/∂v = Σ_{t in {1, 4, 9}} ∂L/∂u_t" in lines


@pytest.mark.parametrize(("by_length", "said"), [(False, "L = Σ_t l_t² / 2"), (True, "Σ_{t = 4..T} l⁽²⁾_t / 2")])
def test_a_sum_of_each_chunk_is_part_of_one(by_length, said):
    def loss(p, xs):
        h, total = np.zeros(3), 0.0
        for begin in (0, 3):
            h, part = tr.stop_gradient(h), 0.0
            for x in xs[begin : begin + 3]:
                h = np.tanh(x @ p["U"] + h @ p["W"])
                part = part + (h @ p["v"]) ** 2
            total = total + part / (len(xs[begin : begin + 3]) if by_length else 2)
        return total

    lines = held_to_autograd(loss, *sequences(5))
    assert said in lines and "part" not in lines


def test_both_directions_of_several_sequences_are_two_recursions():
    """Between two sequences of one direction stands the other direction: the steps are numbered on all the same."""

    def loss(p, xs):
        total = 0.0
        for x in xs:
            f, b = np.zeros(3), np.zeros(3)
            for row in x:
                f = np.tanh(row @ p["U"] + f @ p["W"])
            for row in x[::-1]:
                b = np.tanh(row @ p["U"] + b @ p["W"])
            total = total + ((f * b) @ p["v"]) ** 2
        return total

    lines = held_to_autograd(loss, sequences(3, 4))
    assert "q_t = b_{t+1}" in lines and "for t in {3, T} (T = 7)\n    q_t = 0 " in lines
    assert lines.count("tanh'") == 2


def test_the_sum_of_a_chunk_of_one_step_is_that_step():
    def loss(p, xs):
        h, total = np.zeros(3), 0.0
        for begin in (0, 3, 6):
            h, part = tr.stop_gradient(h), 0.0
            for x in xs[begin : begin + 3]:
                h = np.tanh(x @ p["U"] + h @ p["W"])
                part = part + (h @ p["v"]) ** 2
            total = total + part / len(xs[begin : begin + 3])
        return total

    lines = held_to_autograd(loss, *sequences(7))
    assert "L = Σ_{t = 1..6} part_t / 3 + part_T" in lines


def test_a_learnt_state_in_place_of_a_value_of_the_same_step_is_a_beginning():
    """The half step at which a leapfrog begins reads the first velocity where later ones read the second half's."""

    def loss(p, forces):
        x, v, total = p["x"], p["v"], 0
        for force in forces:
            half = v + 0.2 * (np.tanh(force @ p["k"]) - p["g"] * np.sin(x) - p["c"] * v)
            x = x + 0.4 * half
            v = half + 0.2 * (np.tanh(force @ p["k"]) - p["g"] * np.sin(x) - p["c"] * half)
            total = total + np.sin(x) ** 2
        return total

    values = {"x": 0.8, "v": -0.3, "g": 2.0, "c": 0.3, "k": np.array([0.5, -1.0])}
    derivation = tr.derive(loss, values, (np.array([[0.5, -0.2], [0.7, 0.1], [-0.4, 0.3], [0.2, 0.6]]),))
    for line in derivation.lines:
        assert not line.steps or line.steps == tuple(range(line.steps[0], line.steps[-1] + 1)), line
