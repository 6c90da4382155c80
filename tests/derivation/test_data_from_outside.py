"""Data that a loss function reads from outside, as in a notebook: they have their names, and others can be given."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.comparison.claims.claims import read_claims
from tinygrad_rnn.comparison.measures import Tolerance
from tinygrad_rnn.comparison.rows import Sides
from tinygrad_rnn.recorded.outside import data_outside
from tinygrad_rnn.recorded.recording import record

T, B, n, d = 4, 3, 2, 5
RNG = np.random.default_rng(0)
xs, ys = RNG.normal(size=(T, B, n)), RNG.normal(size=(T, B, d))
mask = (RNG.uniform(size=(T, B, 1)) > 0.4) * 1.0
h0 = RNG.normal(size=(B, d))
rows = np.arange(B)
P = {"U": RNG.normal(size=(n, d)), "W": RNG.normal(size=(d, d)), "b": RNG.normal(size=d)}


def cell(p, t, h, xs):
    return mask[t] * np.tanh(xs[t][rows] @ p["U"] + h @ p["W"] + p["b"]) + (1 - mask[t]) * h


def loss(p, xs=xs):
    h, total = h0, 0.0
    for t in range(T):
        h = cell(p, t, h, xs)
        total = total + np.sum((h - ys[t]) ** 2)
    return total


def loss_around():
    inner = [xs, ys]
    return lambda p: sum(np.sum((np.tanh(x @ p["U"] + p["b"]) @ p["W"] - y) ** 2) for x, y in zip(inner[0], inner[1]))


FORMS = {
    "variables of the module": (lambda p: loss(p, xs), {"xs", "ys", "mask", "h0"}),
    "by default": (loss, {"xs", "ys", "mask", "h0"}),
    "a function with an argument filled in": (partial(loss, xs=xs), {"xs", "ys", "mask", "h0"}),
    "a list around": (loss_around(), {"inner_0", "inner_1"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_they_have_the_names_of_their_variables(form):
    function, names = FORMS[form]
    derivation = tr.derive(function, P)
    assert set(derivation.data) == names
    assert " k_t" not in str(derivation) and "ks" not in derivation.source()
    other = {name: RNG.normal(size=array.shape) for name, array in derivation.data.items() if name != "mask"}
    run = derivation.run(data=other)  # compares the loss and its gradients with the function's at these data
    assert not np.isclose(run.loss, derivation.recording.loss.item())
    with pytest.raises(ValueError, match=r"there is no array 'zs' in this derivation; there are .*" + min(names)):
        derivation.run(data={"zs": xs})
    assert np.array_equal(loss(P), loss(P, xs))  # and nothing outside has changed


def test_what_the_loss_is_called_with_is_no_data_from_outside():
    assert set(data_outside(loss, P, (xs,))) == {"ys", "mask", "h0"}
    assert set(data_outside(lambda p: loss(P, ys), P, ())) == {"xs", "ys", "mask", "h0"}  # and no P, no rows
    assert data_outside(np.sum, P, ()) == data_outside(FORMS, P, ()) == {}


SEQUENCES, LABELS = [RNG.normal(size=(length, n)) for length in (3, 5, 2)], [0, 2, 1]


def one_by_one(p, sequences, labels):
    total = 0.0
    for x, label in zip(sequences, labels):
        h = np.zeros(d)
        for t in range(len(x)):
            h = np.tanh(x[t] @ p["U"] + h @ p["W"] + p["b"])
        total = total - tr.log_softmax(h)[label]
    return total


def test_their_rows_are_followed():
    """As steps are known by the rows that they read, the lines are those of a loss that is called with the data."""
    outside = tr.derive(lambda p: one_by_one(p, SEQUENCES, LABELS), P)
    given = tr.derive(one_by_one, P, (SEQUENCES, LABELS))
    assert str(outside).lower() == str(given).replace("sequences", "SEQUENCES").lower()
    steps = "<mi>t</mi><mo>∈</mo><mo>{</mo><mn>1</mn><mo>,</mo><mn>4</mn><mo>,</mo><mn>9</mn><mo>}</mo>"
    assert "t in {1, 4, 9}" in str(outside) and steps in outside.html()


WORDS, NEXT = [2, 0, 1, 2, 2], [0, 1, 2, 2, 1]


def test_a_list_of_numbers_is_a_sequence():
    def loss(p):
        h, total = np.zeros(d), 0.0
        for word, target in zip(WORDS, NEXT):
            h = np.tanh(p["E"][word] + h @ p["W"])
            total = total - tr.log_softmax(h)[target]
        return total

    derivation = tr.derive(loss, {"E": RNG.normal(size=(3, d)), "W": P["W"]})
    assert set(derivation.data) == {"WORDS", "NEXT"} and "E[WORDS_t]" in str(derivation)
    derivation.run(data={"WORDS": [0, 0, 1, 2, 1], "NEXT": [1, 2, 1, 0, 2]})


class Link:
    def __init__(self, last):
        self.last, self.numbers = last, np.array([1.0, 2.0, 4.0])


def test_what_contains_itself_or_is_very_deep_is_no_data():
    node, link = {"x": np.array([1.0, 2.0])}, None
    node["parent"] = node
    for _ in range(3000):
        link = Link(link)

    def loss(p):
        return np.sum((node["x"] * p["w"]) ** 2) * link.numbers[2]

    p = {"w": np.array([0.1, 0.2])}
    assert "node" not in str(tr.derive(loss, p))
    (row,) = tr.compare(loss, lambda p: {"w": 4 * node["x"] ** 2 * p["w"]}, p).rows
    assert row.verdict == "differs"


def test_where_no_tensor_is_accepted_the_names_are_there():
    def rounded(p):
        return sum(np.sum(np.tanh(np.asarray(x, dtype=np.float32).astype(float) @ p["U"]) ** 2) for x in xs)

    assert tr.derive(rounded, {"U": P["U"]}).gradients()["U"].shape == (n, d)


def by_hand(p):
    hs = [h0]
    for t in range(T):
        hs.append(cell(p, t, hs[-1], xs))
    g, dh = {name: np.zeros_like(value) for name, value in p.items()}, np.zeros((B, d))
    for t in reversed(range(T)):
        u = np.tanh(xs[t] @ p["U"] + hs[t] @ p["W"] + p["b"])
        dh = dh + 2 * (hs[t + 1] - ys[t])
        da = mask[t] * dh * (1 - u**2)
        g["U"] += xs[t].T @ da
        g["W"] += hs[t].T @ da
        g["b"] += da.sum(axis=0)
        dh = dh * (1 - mask[t]) + da @ p["W"].T
    return g


def sides(manual):
    recording = record(lambda p: loss(p, xs), P)
    return Sides(recording, manual, Tolerance(1e-9, None), read_claims(manual, recording))


def test_both_sides_of_a_comparison_are_asked_with_others():
    one = sides(by_hand)
    assert not one.wrong
    other = [RNG.normal(size=a.shape) if name in ("xs", "ys") else a for name, a in one.recording.outside.items()]
    again = one.again(all_data=other)
    assert again is not None and not again.wrong
    for before, after in zip(one.rows, again.rows):
        assert not np.allclose(before.autograd, after.autograd)


def test_a_side_that_reads_other_data_is_not_asked():
    copied = xs.copy()

    def of_a_copy(p):
        return {**by_hand(p), "U": copied[0].T @ copied[0] @ p["U"]}

    one = sides(of_a_copy)
    other = [RNG.normal(size=a.shape) if name == "xs" else a for name, a in one.recording.outside.items()]
    assert one.again(all_data=other) is None
    assert one.again(all_data=one.recording.all_data) is not None


class Remembering:
    """A network whose forward pass leaves its states for the backward pass."""

    def __init__(self):
        self.xs, self.states = xs, []

    def loss(self, p):
        self.states = [h0]
        for t in range(T):
            self.states.append(np.tanh(self.xs[t] @ p["U"] + self.states[-1] @ p["W"] + p["b"]))
        return np.sum(self.states[-1] ** 2)

    def by_hand(self, p):
        hs = [np.asarray(tr.stop_gradient(h)) for h in self.states]
        g, dh = {name: np.zeros_like(value) for name, value in p.items()}, 2 * hs[-1]
        for t in reversed(range(T)):
            da = dh * (1 - hs[t + 1] ** 2)
            g["U"] += self.xs[t].T @ da
            g["W"] += hs[t].T @ da
            g["b"] += da.sum(axis=0)
            dh = da @ p["W"].T
        return g


def test_what_one_function_leaves_for_the_other_is_there_with_other_data_too():
    network = Remembering()
    recording = record(network.loss, P)
    one = Sides(recording, network.by_hand, Tolerance(1e-9, None), read_claims(network.by_hand, recording))
    assert not one.wrong
    other = [RNG.normal(size=xs.shape) if a is xs else a for a in recording.outside.values()]
    again = one.again(all_data=other)
    assert again is not None and not again.wrong
