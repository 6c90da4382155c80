"""States that are tuples have the names that the user's own code gives their parts, wherever names are shown."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.graph import ancestors
from tinygrad_rnn.nn.part_names import part_names

P = {"a": 0.5}
START = (np.zeros(2), np.ones(2))


def unpacked(x, state):
    q, v = state
    q, v = q + 0.1 * v, v - np.sin(q) + x
    return q, (q, v)


def by_place(x, s):
    q = s[0] + 0.1 * s[1]
    v = s[1] + x
    return q, (q, v)


def called_before(x, state):
    q_before, v_before = state
    v = v_before + x
    q = q_before * v
    return q, (q, v)


def new_names(x, state):
    q, v = state
    v_new = v + x
    q_new = q * v_new
    return q_new, (q_new, v_new)


def with_parameters(p, x, state):
    q, v = state
    return q, (q + p["a"] * x, v)


def captured(x, state):
    q, v = state

    def inner():
        return q + x

    return inner(), (inner(), v)


class Called:
    def __call__(self, x, state):
        q, v = state
        return q, (q + x, v)

    def method(self, x, state):
        return self(x, state)


class Module(tr.nn.Module):
    def forward(self, x, state):
        q, v = state
        return q, (q + x, v)


@pytest.mark.parametrize(
    "cell",
    [
        unpacked,
        by_place,
        called_before,
        new_names,
        captured,
        Called(),
        Module(),
        partial(with_parameters, P),
        lambda x, s: with_parameters(P, x, s),
        lambda x, s: unpacked(x, s),
    ],
)
def test_the_names_in_the_code(cell):
    assert part_names(cell, 2) == ("q", "v")
    assert part_names(cell, 3) is None


@pytest.mark.parametrize(
    "cell",
    [np.add, len, lambda x, s: (x, (s[0], s[1])), lambda x, s: (s, s), partial(np.add, 1), object(), lambda x: x],
)
def test_code_that_gives_no_names(cell):
    assert part_names(cell, 2) is None


def test_places_that_are_thrown_away_are_no_names():
    def cell(x, state):
        _, q = state
        return q, (x, q)

    assert part_names(cell, 2) == ("x", "q")  # as it returns them


@pytest.mark.parametrize("cell", [unpacked, by_place, called_before])
def test_lines_pictures_and_comparisons_say_them(cell):
    k = tr.tensor(np.array([0.3, 0.2]), requires_grad=True, name="k")

    def with_a_weight(x, state):
        q, v = cell(x, state)[1]
        v = v * k
        return q, (q, v)

    xs = np.ones((3, 2))
    derivation = tr.derive(with_a_weight, xs, START)
    assert {"q", "v", "dL/dq", "dL/dv"} <= {line.name for line in derivation.lines}
    assert "∂L/∂v_t = " in str(derivation) and "dL_dv[t] = " in derivation.source()
    loss = np.sum(tr.unroll(with_a_weight, xs, START)[0] ** 2)
    states = {label.name for node in ancestors([loss]) for label in node.labels if label.role == "state"}
    assert states == {"q", "v"}


def test_a_comparison_takes_lines_by_these_names():
    p = {"k": np.array([0.3, 0.2])}

    def loss(p):
        def cell(x, state):
            q, v = state
            v = v * p["k"] + x
            q = np.tanh(q + v)
            return q, (q, v)

        return np.sum(tr.unroll(cell, np.ones((3, 2)), START)[0] ** 2)

    run = tr.derive(loss, p).run()
    entries = {f"dL/d{name}[{t}]": run.values[f"dL/d{name}"][t] for name in "qv" for t in (1, 2, 3)}
    assert tr.compare(loss, {"k": run.gradients["k"], **entries}, p).agrees
    report = tr.compare(loss, {"k": run.gradients["k"], **entries, "dL/dv[2]": 2 * entries["dL/dv[2]"]}, p)
    assert not report.agrees and "dL/dv[2]" in str(report)


def test_parts_that_are_trees_themselves():
    w = tr.tensor(np.ones(2), requires_grad=True)

    def cell(x, state):
        fast, slow = state
        fast = {"h": fast["h"] * w + x, "m": fast["m"]}
        return fast["h"], (fast, slow * w)

    start = ({"h": np.zeros(2), "m": np.zeros(2)}, np.ones(2))
    derivation = tr.derive(cell, np.ones((3, 2)), start)
    assert any(line.name == "fast_h" for line in derivation.lines)
