"""Mistakes that equal sizes hide are told apart by asking the functions again on sizes that differ."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.comparison.diagnosis.asking_again import distinct_sizes
from tinygrad_rnn.recorded.recording import record

_spec = importlib.util.spec_from_file_location("derivations", pathlib.Path(__file__).with_name("derivations.py"))
derivations = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(derivations)

SIZE = 3  # of everything: T, B, n, d and k
RNG = np.random.default_rng(0)
PARAMS = {name: RNG.normal(size=(SIZE,) * (2 if name in "UWV" else 1)) for name in "UWVbc"}
XS, YS = RNG.normal(size=(SIZE, SIZE, SIZE)), np.eye(SIZE)[RNG.integers(SIZE, size=(SIZE, SIZE))]


def loss(p, xs, ys):
    states, _ = tr.unroll(
        lambda x, s: np.tanh(x @ p["U"] + s @ p["W"] + p["b"]), xs, np.zeros((xs.shape[1], len(p["W"])))
    )
    return nn.cross_entropy(states @ p["V"] + p["c"], ys, "sum") / xs.shape[1]


@pytest.mark.parametrize(
    ("letter", "factor"),
    [
        ("T", lambda xs, p: 1 / len(xs)),
        ("B", lambda xs, p: 1 / xs.shape[1]),
        ("n", lambda xs, p: 1 / xs.shape[2]),
        ("d", lambda xs, p: 1 / len(p["W"])),
    ],
)
def test_a_factor_is_named_though_all_sizes_are_equal(letter, factor):
    def manual(p, xs, ys):
        right = derivations.elman(p, xs, ys)
        return {**right, "W": factor(xs, p) * right["W"]}

    report = compare(loss, manual, PARAMS, (XS, YS), referee="never")
    assert len(report.diagnoses) == 1
    assert f"times 1/{letter} ({letter} = 3" in report.diagnoses[0].sentence
    assert ", or 1/" not in report.diagnoses[0].sentence  # the letters that equal sizes hide were told apart
    assert "sizes all differ" in str(report)


def test_without_functions_to_ask_all_that_fit_are_listed():
    right = derivations.elman(PARAMS, XS, YS)
    report = compare(loss, {**right, "W": right["W"] / 3}, PARAMS, (XS, YS), referee="never")
    (diagnosis,) = report.diagnoses  # one sentence for a factor that may stand for four sizes
    assert set(re.findall(r"1/(\w) \(", diagnosis.sentence)) == set("TBnd")
    assert "could be asked again" in str(report)


def test_sizes_that_belong_together_grow_together():
    params, (xs, ys) = distinct_sizes(record(loss, PARAMS, (XS, YS)))
    n, d = params["U"].shape
    k = params["V"].shape[1]
    assert params["W"].shape == (d, d) and params["V"].shape == (d, k)
    assert (params["b"].shape, params["c"].shape) == ((d,), (k,))
    T, B, _ = xs.shape
    assert xs.shape == (T, B, n) and ys.shape == (T, B, k)
    assert len({T, B, n, d, k}) == 5 and T == SIZE


def test_gates_side_by_side_grow_by_their_number():
    params = {name: RNG.normal(size=shape) for name, shape in {"U": (2, 8), "W": (2, 8), "b": (8,)}.items()}

    def gated(p, xs):
        def cell(x, state):
            i, f, g, o = np.split(x @ p["U"] + state[0] @ p["W"] + p["b"], 4, axis=-1)
            c = tr.sigmoid(f) * state[1] + tr.sigmoid(i) * np.tanh(g)
            h = tr.sigmoid(o) * np.tanh(c)
            return h, (h, c)

        start = np.zeros((xs.shape[1], len(p["W"])))
        return np.sum(tr.unroll(cell, xs, (start, start))[0])

    new, (xs,) = distinct_sizes(record(gated, params, (RNG.normal(size=(3, 2, 2)),)))
    (d, gates), n = new["W"].shape, new["U"].shape[0]
    assert gates == 4 * d == new["U"].shape[1] == len(new["b"])
    assert xs.shape[2] == n and len({3, n, d, 4 * d, xs.shape[1]}) == 5


def test_where_nothing_can_grow_there_is_no_other_problem():
    assert distinct_sizes(record(lambda p: np.sum(p["w"] @ np.ones((2, 2))), {"w": np.ones((1, 2))}, ())) is None


def test_one_fitting_mistake_is_not_asked_about():
    calls = []

    def manual(p, xs, ys):
        calls.append(xs.shape)
        return derivations.elman(p, xs, ys, mistake="s_t for s_{t-1}")

    report = compare(loss, manual, PARAMS, (XS, YS), referee="never")
    assert len(report.diagnoses) == 1
    assert {shape[1:] for shape in calls} == {(SIZE, SIZE)}


def test_a_constant_that_fits_is_asked_about_at_other_values():
    """σ'(a) of the one logit is a number here, and another one elsewhere."""

    def loss(p):
        a = p["w"] @ np.tanh(p["U"] @ XS[0, 0])
        return np.log(1 + np.exp(a)) - a

    def by_hand(p):
        h = np.tanh(p["U"] @ XS[0, 0])
        q = 1 / (1 + np.exp(-p["w"] @ h))
        da = (q - 1) * q * (1 - q)
        return {"w": da * h, "U": np.outer(da * p["w"] * (1 - h**2), XS[0, 0])}

    (said,) = compare(loss, by_hand, {"w": PARAMS["b"], "U": PARAMS["U"]}).diagnoses
    assert "is a factor too many" in said.sentence


def test_a_constant_is_no_explanation_of_one_gradient_beside_others():
    """Twice and a half the right one is a coincidence, where another wrong gradient is no multiple of its own."""

    def loss(p):
        return np.sum(np.tanh(XS[0] @ p["U"] + p["b"]) ** 2)

    def by_hand(p):
        a = np.tanh(XS[0] @ p["U"] + p["b"])
        return {"U": 2.5 * XS[0].T @ (2 * a * (1 - a**2)), "b": np.sum(np.exp(a) * a**3, axis=0)}

    report = compare(loss, by_hand, {"U": PARAMS["U"], "b": PARAMS["b"]}, seconds=1)
    assert not report.agrees and not any("constant" in one.sentence for one in report.diagnoses)
