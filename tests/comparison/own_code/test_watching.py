"""A function that is watched: what its lines assign, what they read, and other values in their place."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_rnn.comparison.own_code.reads import used_by_line
from tinygrad_rnn.comparison.own_code.watching import watched


def network(x, steps=3):
    h, grads = np.zeros((steps + 1, 2)), {"W": np.zeros((2, 2)), "b": 0}
    for t in range(1, steps + 1):
        h[t] = np.tanh(
            x
            + h[t - 1]
        )  # fmt: skip
    carry = np.zeros(2)
    deltas = []
    for t in range(steps, 0, -1):
        delta = (h[t] + carry) * (1 - h[t] ** 2)
        grads["W"] += np.outer(h[t - 1], delta)
        grads["b"] = grads["b"] + delta.sum()
        deltas.append(delta)
        carry = delta
    return grads, sum(one.sum() for one in deltas)


X = np.array([0.3, -0.2])


def named(run, name):
    return [one for one in run.assigned if one.name == name]


def test_watching_changes_nothing():
    tracer = sys.gettrace()
    run = watched(lambda: network(X))
    (grads, total), (right, right_total) = run.result, network(X)
    assert sys.gettrace() is tracer
    assert total == right_total and grads["b"] == right["b"] and np.array_equal(grads["W"], right["W"])


def test_each_value_is_kept_with_its_line():
    run = watched(lambda: network(X))
    assert [one.name for one in run.assigned if one.place.variable == "h"] == ["h", "h[1]", "h[2]", "h[3]"]
    assert len(named(run, "delta")) == len(named(run, "carry")) - 1 == 3
    assert [len(named(run, f"deltas[{k}]")) for k in range(3)] == [1, 1, 1]
    lines = inspect.getsource(network).splitlines()
    places = {one.place.line - network.__code__.co_firstlineno for one in named(run, "delta")}
    assert [lines[place].split()[0] for place in places] == ["delta"]


def test_sums_are_known_with_what_was_added():
    run = watched(lambda: network(X))
    deltas = [one.value for one in named(run, "delta")]
    assert [one.added for one in named(run, "grads['b']")] == pytest.approx([delta.sum() for delta in deltas])
    assert all(one.added is None for one in named(run, "delta"))  # it is computed, not added up


def test_what_a_line_reads_are_the_last_values_of_its_variables():
    run = watched(lambda: network(X))
    last = named(run, "delta")[-1]
    read = [run.assigned[i] for i in last.reads]
    assert {one.name for one in read} == {"h", "h[1]", "h[2]", "h[3]", "carry"}
    assert np.array_equal(next(one for one in read if one.name == "carry").value, named(run, "delta")[1].value)
    assert {run.assigned[i].place.variable for i in run.returned} >= {"grads", "deltas"}


@pytest.mark.parametrize("name", ["delta", "h[2]", "grads['W']", "grads['b']", "carry"])
def test_other_values_are_assigned_in_place_of_a_function_s_own(name):
    """The result is that of a function in which the line itself is another."""

    def doubled(one):
        return 2 * one.value if one.name == name else None

    def by_hand(x):
        h, W, b, carry = np.zeros((4, 2)), np.zeros((2, 2)), 0.0, np.zeros(2)
        for t in (1, 2, 3):
            h[t] = np.tanh(x + h[t - 1]) * (2 if name == "h[2]" and t == 2 else 1)
        for t in (3, 2, 1):
            delta = (h[t] + carry) * (1 - h[t] ** 2) * (2 if name == "delta" else 1)
            before = W.copy()
            W = W + np.outer(h[t - 1], delta)
            W = W * (2 if name == "grads['W']" and not np.array_equal(before, W) else 1)
            b = (b + delta.sum()) * (2 if name == "grads['b']" else 1)
            carry = delta * (2 if name == "carry" else 1)
        return W, b

    (grads, _), (W, b) = watched(lambda: network(X), doubled).result, by_hand(X)
    assert np.allclose(grads["W"], W, rtol=1e-14) and np.isclose(grads["b"], b, rtol=1e-14)


class Layer:
    def __init__(self, w):
        self.w, self.dw = w, np.zeros(2)

    def forward(self, x):
        self.h = np.tanh(self.w * x)

    def backward(self, x):
        slope = 1 - self.h**2
        self.dw = slope * x
        return self.dw


def test_attributes_are_variables():
    layer = Layer(np.array([0.5, 2.0]))

    def run():
        layer.forward(X)
        return layer.backward(X)

    found = watched(run)
    assert [one.name for one in found.assigned if "." in one.name] == ["self.h", "self.dw"]
    dw = found.assigned[-1]
    assert found.assigned[dw.reads[0]].name == "slope"
    assert {one.place.code.co_name for one in found.assigned} == {"forward", "backward"}
    other = watched(run, lambda one: np.ones(2) if one.name == "slope" else None)
    assert np.array_equal(other.result, X)


@dataclass
class Pair:
    a: np.ndarray
    b: float


def test_what_lies_in_others_is_found():
    def run():
        pair, nested = Pair(np.zeros(2), 1.5), {"cell": [np.zeros(2), (0.5, np.zeros(1))]}
        pair.a = X * 2
        nested["cell"][1][1][0] = 3.5
        stranger = SimpleNamespace(a=np.ones(2))
        return pair, nested, stranger

    names = [one.name for one in watched(run).assigned]
    assert names[-2:] == ["pair.a", "nested['cell'][1][1]"]


def test_numbers_that_are_no_real_ones_and_libraries_functions_are_left_out():
    def run():
        count, is_there, text = 3, True, "a"
        total = np.mean(np.ones((2, 3)), axis=0)
        return count, is_there, text, total

    assert [one.name for one in watched(run).assigned] == ["total"]


def test_a_run_with_too_many_values_is_not_kept():
    def run():
        total = 0.0
        for _ in range(30_000):
            total += 1.5
        return total

    assert watched(run) == (45_000.0, [], [])


def test_an_error_passes_and_the_tracer_is_put_back():
    tracer = sys.gettrace()

    def fails():
        a = X * 2
        raise ZeroDivisionError(a)

    with pytest.raises(ZeroDivisionError):
        watched(fails)
    assert sys.gettrace() is tracer


def recurrence(xs):
    h = x = np.zeros(2)
    states = [h := np.tanh(x + h) for x in xs]
    norms = [
        h @ x
        for h, x in zip(
            states,
            xs,
        )
    ]
    later = sum(norm for norm in norms)
    for later in (1.5, 2.5):
        later = np.add(
            np.add(
                later,
                h.sum(),
            ),
            np.add(
                x.sum(),
                later,
            ),
        )
    return {
        "total": sum([norm * x for norm in norms]),
        "later": later,
    }


def test_a_comprehension_is_a_part_of_its_statement():
    """In any Python: one runs it as a function, another in the function around it; its variables are its own."""
    xs = [X, 2 * X, 3 * X]
    run = watched(lambda: recurrence(xs))
    own = [one for one in run.assigned if one.place.code is recurrence.__code__]
    lines = inspect.getsource(recurrence).splitlines()
    told = [(one.name, lines[one.place.line - recurrence.__code__.co_firstlineno].split()[0]) for one in own]
    states, norms = ([(f"{name}[{k}]", name) for k in range(3)] for name in ("states", "norms"))
    walrus, repeated = [("h", "states")] * 3, [("later", "for"), ("later", "later")] * 2
    assert told == [("h", "h"), ("x", "h"), *walrus, *states, *norms, ("later", "later"), *repeated]
    assert np.array_equal(own[1].value, np.zeros(2)) and np.array_equal(own[4].value, own[7].value)
    named_reads = {one.name: {run.assigned[i].place.variable for i in one.reads} for one in own}
    assert named_reads["states[2]"] == {"h"} and named_reads["norms[0]"] == {"states"}
    assert named_reads["later"] == {"h", "x", "later"}
    assert {run.assigned[i].place.variable for i in run.returned} >= {"norms", "later", "x"}
    other = watched(lambda: recurrence(xs), lambda one: np.zeros(2) if one.name == "h" else None)
    assert other.result["later"] == 2 * 2.5


def test_an_object_s_attributes_are_read_in_inner_functions_too():
    layer = Layer(np.array([0.5, 2.0]))

    def run(self):
        listed = [np.sum(self.w) for _ in range(2)]
        called = (lambda: self.w * 2)()
        summed = sum(np.sum(self.w) for _ in range(2))
        return listed, called, summed

    reads = used_by_line(run.__code__)
    first = run.__code__.co_firstlineno
    assert all("self.w" in reads[first + k].reads for k in (1, 2, 3))
    assert [one.name for one in watched(lambda: run(layer)).assigned] == ["listed[0]", "listed[1]", "called", "summed"]


def test_what_a_function_returns_is_read_by_the_statement_that_calls_it():
    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    def run():
        total = 1.0
        p = [softmax(one) for one in (X, 2 * X)]
        q = total * X
        return p, q

    of = watched(run).assigned
    reads = {one.name: {of[i].place.variable for i in one.reads} for one in of}
    assert "e" in reads["p[0]"] & reads["p[1]"] and reads["q"] == {"total"}
