"""What is said of a slip that no edit explains: in which line it is, and with which numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.comparison.diagnosis.own_lines import OwnLines

RNG = np.random.default_rng(3)
PARAMETERS = {"U": RNG.normal(size=(3, 2)), "W": RNG.normal(size=(2, 2)), "b": RNG.normal(size=2)}


def loss(p, xs, y):
    h = np.zeros((xs.shape[1], 2))
    for x in xs:
        h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
    return 0.5 * np.sum((h - y) ** 2)


def by_hand(p, xs, y, told=None):
    """A slip that nobody makes, at all steps but the last; the deltas of the first instance are told."""
    h = [np.zeros((xs.shape[1], 2))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
    g, dh = {name: np.zeros_like(value) for name, value in p.items()}, h[-1] - y
    for t in range(len(xs), 0, -1):
        right = dh * (1 - h[t] ** 2)
        delta = right * (1.0 if t == len(xs) else np.cos(5 * h[t]))
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t - 1].T @ delta
        g["b"] += delta.sum(axis=0)
        dh = delta @ p["W"].T
        if told is not None:
            told[t] = delta[0], right[0]
    return g


@pytest.mark.parametrize("B", [1, 5])
def test_the_line_is_named_with_what_it_gives_and_should_give(B, monkeypatch):
    """Where there are several instances, as if all were like the first one; and no line of the function is proved."""
    monkeypatch.setattr(OwnLines, "proved", lambda *_: None)
    xs, y, told = RNG.normal(size=(3, B, 3)), RNG.normal(size=(B, 2)), {}
    notes = tr.compare(loss, by_hand, PARAMETERS, (xs, y), referee="never").notes
    (said,) = (note for note in notes if "A single line would explain" in note)
    by_hand(PARAMETERS, xs[:, :1], y[:1], told)
    given, right = (
        np.array(numbers.split(), float) for numbers in re.findall(r"\[([^\[\]]*\d\.\d+[^\[\]]*)\]", said)[-2:]
    )
    assert "For the first row of Δ_2" in said and ("like one of them" in said) == (B > 1)
    assert np.allclose(given, told[2][0], atol=1e-4) and np.allclose(right, told[2][1], atol=1e-4)
    assert "of t = 1, 2, 3, it would be wrong at 1, 2" in said


def test_where_no_single_line_can_be_wrong_this_is_said():
    xs, y = RNG.normal(size=(3, 1, 3)), RNG.normal(size=(1, 2))

    def noisy(p, xs, y):
        rng = np.random.default_rng(0)
        return {name: g + rng.normal(size=g.shape) for name, g in by_hand(p, xs, y).items()}

    notes = tr.compare(loss, noisy, PARAMETERS, (xs, y), referee="never", seconds=1).notes
    assert any("No single line of the backward pass" in note for note in notes)
