"""Comparisons that take long, looked at on fewer steps and instances, wherever the functions have their sizes from."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.recorded.outside import Copies

T, B, n, d = 60, 40, 3, 6
RNG = np.random.default_rng(1)
XS, YS = RNG.normal(size=(T, B, n)), RNG.normal(size=(T, B, d))
TEXT = RNG.integers(0, n, (T + 1, B))
PARAMETERS = {"U": RNG.normal(size=(n, d)), "W": RNG.normal(size=(d, d)) / 3, "b": RNG.normal(size=d)}
SETTINGS = SimpleNamespace(T=T, B=B)
LEFT_OUT = "1 - h_t² was left out"


def start():
    return np.zeros((B, d))


def forward(p, xs, steps):
    hs = [start()]
    for t in range(steps):
        hs.append(np.tanh(xs[t] @ p["U"] + hs[-1] @ p["W"] + p["b"]))
    return hs


def loss(p, xs, ys, steps, count):
    return sum(np.sum((h - ys[t]) ** 2) for t, h in enumerate(forward(p, xs, steps)[1:])) / count


def backward(p, xs, ys, steps, count, right):
    hs, dh = forward(p, xs, steps), 0.0
    grads = {name: np.zeros_like(value) for name, value in p.items()}
    for t in reversed(range(steps)):
        da = (dh + 2 * (hs[t + 1] - ys[t]) / count) * (1 - hs[t + 1] ** 2 if right else 1)
        grads["U"] += xs[t].T @ da
        grads["W"] += hs[t].T @ da
        grads["b"] += da.sum(axis=0)
        dh = da @ p["W"].T
    return grads


def one_hot(text):
    return np.eye(n)[text[:-1]]


def compared(form, right=False):
    """A comparison of functions that have their sizes and data from different places."""
    forms = {
        "constants": (
            lambda p, xs, ys: loss(p, xs, ys, T, T * B),
            lambda p, xs, ys: backward(p, xs, ys, T, T * B, right),
            (XS, YS),
        ),
        "all from outside": (
            lambda p: loss(p, XS, YS, T, T * B),
            lambda p: backward(p, XS, YS, T, T * B, right),
            (),
        ),
        "a text": (
            lambda p, text: loss(p, one_hot(text), YS, T, T * B),
            lambda p, text: backward(p, one_hot(text), YS, T, T * B, right),
            (TEXT,),
        ),
        "defaults": (
            lambda p, xs, ys, steps=T, size=B: loss(p, xs, ys, steps, steps * size),
            lambda p, xs, ys, steps=T, size=B: backward(p, xs, ys, steps, steps * size, right),
            (XS, YS),
        ),
        "settings": (
            lambda p, xs, ys: loss(p, xs, ys, len(xs), np.size(xs) / n),
            lambda p, xs, ys: backward(p, xs, ys, SETTINGS.T, SETTINGS.T * SETTINGS.B, right),
            (XS, YS),
        ),
        "lists": (
            lambda p, xs, ys: loss(p, xs, ys, len(xs), len(xs) * len(xs[0])),
            lambda p, xs, ys: backward(p, xs, ys, len(xs), len(xs) * len(xs[0]), right),
            (list(XS), list(YS)),
        ),
    }
    function, manual, data = forms[form]
    return tr.compare(function, manual, PARAMETERS, data)


@pytest.mark.parametrize("form", ["constants", "all from outside", "a text", "defaults", "settings", "lists"])
def test_a_mistake_is_named_wherever_the_sizes_come_from(form):
    report = compared(form)
    assert [row.verdict for row in report.rows] == ["differs"] * 3
    assert [LEFT_OUT in one.sentence for one in report.diagnoses] == [True], str(report)
    assert "On sequences of 1 step U, b differ already." in str(report)
    assert compared(form, right=True).agrees
    assert len(XS) == T == SETTINGS.T and start().shape == (B, d)


class Network:
    """An object with sizes and data of its own, and a method that calls another one, which reads a variable."""

    def __init__(self):
        self.steps, self.xs, self.ys = T, XS, YS

    def count(self):
        return self.steps * B

    def loss(self, p):
        return loss(p, self.xs, self.ys, self.steps, self.count())

    def by_hand(self, p, right=False):
        return backward(p, self.xs, self.ys, self.steps, self.count(), right)


def test_an_object_is_copied_with_its_methods():
    network = Network()
    report = tr.compare(network.loss, network.by_hand, PARAMETERS)
    assert [LEFT_OUT in one.sentence for one in report.diagnoses] == [True], str(report)
    assert "On sequences of 1 step U, b differ already." in str(report)
    assert tr.compare(network.loss, partial(network.by_hand, right=True), PARAMETERS).agrees
    assert network.steps == T and network.xs is XS and "count" not in vars(network)
    assert "x_t U" in str(tr.derive(network.loss, PARAMETERS))


class Slots:
    """Sizes that nobody can shorten."""

    __slots__ = ("size", "steps")

    def __init__(self):
        self.steps, self.size = T, B


def test_sizes_that_cannot_be_seen_are_left_alone():
    """Then the whole is looked at, and what is said of it holds there."""
    hidden = Slots()
    by_hand = lambda p, xs, ys: backward(p, xs, ys, hidden.steps, hidden.steps * hidden.size, False)  # noqa: E731
    report = tr.compare(lambda p, xs, ys: loss(p, xs, ys, T, T * B), by_hand, PARAMETERS, (XS, YS))
    assert not report.agrees and "On sequences of" not in str(report)
    assert all(LEFT_OUT in one.sentence for one in report.diagnoses)


def test_a_size_that_another_number_happens_to_equal():
    """With n = T no copy of the function runs, so the data alone are cut."""
    xs, U = RNG.normal(size=(8, 40, 8)), RNG.normal(size=(8, d))
    width = 8

    def slow_loss(p, xs, ys):
        h = np.zeros((xs.shape[1], d))
        for t in range(len(xs)):
            h = np.tanh(xs[t][:, :width] @ p["U"] + h @ p["W"] + p["b"])
        return np.sum((h - ys) ** 2) * 1e-6 * np.ones((2000, 2000)).sum()

    def by_hand(p, xs, ys):
        hs = [np.zeros((xs.shape[1], d))]
        for t in range(len(xs)):
            hs.append(np.tanh(xs[t][:, :width] @ p["U"] + hs[-1] @ p["W"] + p["b"]))
        grads, dh = {name: np.zeros_like(value) for name, value in p.items()}, 8 * (hs[-1] - ys)
        for t in reversed(range(len(xs))):
            da = dh * (1 - hs[t + 1] ** 2)
            grads["U"] += xs[t].T @ da
            grads["W"] += hs[t + 1].T @ da
            grads["b"] += da.sum(axis=0)
            dh = da @ p["W"].T
        return grads

    report = tr.compare(slow_loss, by_hand, {**PARAMETERS, "U": U}, (xs, RNG.normal(size=(40, d))))
    assert [row.name for row in report.rows if row.verdict == "differs"] == ["W"]
    assert "h_t stands where h_{t-1} belongs" in report.diagnoses[0].sentence


def counting():
    """A function that calls itself, and one that shares a variable with it."""
    count = 60

    def down(k):
        nonlocal count
        count -= k
        return down(k) if count > 0 else read()

    def read():
        return count

    return down


def doubled(x, by=2, *, plus=0):
    return helped(x) * by + plus


def helped(x):
    return x + T


def test_copies_share_what_the_originals_share():
    copies = Copies(lambda value: 7 if value == 60 else value)
    down = counting()
    assert copies.of(down)(5) == -3  # 7, 2, -3
    assert down(100) == -40  # the original still counts from 60
    assert copies.of(doubled)(1) == 16 and doubled(1) == 122
    assert copies.of(partial(doubled, 60, plus=60))() == 35
    assert copies.of(doubled) is copies.of(doubled)
    assert copies.of(np.mean) is np.mean and copies.of(tr.softmax) is tr.softmax
