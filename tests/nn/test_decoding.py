"""Searching for the likeliest sequence, against trying them all."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn

K, END, STEPS = 4, 1, 4
TABLE = np.random.default_rng(3).normal(size=(STEPS, K, K)) * 2  # logits by step and symbol before


def step(symbols: np.ndarray, state: Any) -> Any:
    """A model whose state, a row for each sequence, counts the steps."""
    return TABLE[state, symbols], state + 1


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def every_sequence(alpha: float) -> list[tuple[float, tuple[int, ...], float]]:
    """(score, symbols, log-probability) of every sequence that ends, or is cut after all steps; the best first."""
    found = []
    for length in range(1, STEPS + 1):
        for path in itertools.product(range(K), repeat=length):
            if END in path[:-1] or (path[-1] != END and length < STEPS):
                continue
            total = sum(
                log_softmax(TABLE[t, before])[symbol] for t, (before, symbol) in enumerate(zip((0, *path), path))
            )
            symbols = path[:-1] if path[-1] == END else path
            found.append((total / ((5 + length) / 6) ** alpha, symbols, total))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
def test_a_beam_wide_enough_finds_what_trying_all_finds(alpha: float) -> None:
    width = K**STEPS
    found = nn.beam_search(step, np.zeros(1, int), start=0, end=END, width=width, max_steps=STEPS, length_penalty=alpha)
    expected = every_sequence(alpha)
    assert len(found) == min(width, len(expected))
    for hypothesis, (score, symbols, total) in zip(found, expected):
        assert hypothesis.symbols == symbols
        assert hypothesis.score == pytest.approx(score, abs=1e-12)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("width", [2, 3, 8])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_narrow_beam_ranks_true_sequences(width: int, alpha: float) -> None:
    found = nn.beam_search(step, np.zeros(1, int), start=0, end=END, width=width, max_steps=STEPS, length_penalty=alpha)
    known = {symbols: score for score, symbols, _ in every_sequence(alpha)}
    assert 1 <= len(found) <= width
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(known[hypothesis.symbols], abs=1e-12)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def beam_by_definition(width: int) -> list[tuple[int, ...]]:
    """Everything that is ever finished, or alive at the end, when the ``width`` best beginnings go on at each step."""
    alive, found = [((), 0.0)], []
    for t in range(STEPS):
        longer = [
            ((*path, symbol), total + log_softmax(TABLE[t, path[-1] if path else 0])[symbol])
            for path, total in alive
            for symbol in range(K)
        ]
        found += [(total, path[:-1]) for path, total in longer if path[-1] == END]
        going_on = [one for one in longer if one[0][-1] != END]
        alive = sorted(going_on, key=lambda one: one[1], reverse=True)[:width]
    found += [(total, path) for path, total in alive]
    return [path for _, path in sorted(found, reverse=True)[:width]]


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_keeps_as_many_beginnings_as_it_is_wide(width: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(seed).normal(size=(STEPS, K, K))
    table[..., END] += 1.5  # ends are likely, and must not take the places of beginnings
    monkeypatch.setattr(sys.modules[__name__], "TABLE", table)
    found = nn.beam_search(step, np.zeros(1, int), start=0, end=END, width=width, max_steps=STEPS)
    assert [h.symbols for h in found] == beam_by_definition(width)


def test_a_beam_of_one_is_greedy() -> None:
    (best,) = nn.beam_search(step, np.zeros(1, int), start=0, end=END, width=1, max_steps=STEPS)
    assert [list(best.symbols)] == nn.greedy(step, np.zeros(1, int), batch=1, start=0, end=END, max_steps=STEPS)


def test_a_beam_finds_what_greed_misses() -> None:
    logits = np.log(
        np.array([[0.0, 0.0, 0.6, 0.4], [0, 0, 0, 0], [0.0, 0.4, 0.3, 0.3], [0.0, 0.9, 0.05, 0.05]]) + 1e-12
    )

    def model(symbols: np.ndarray, state: Any) -> Any:
        return logits[symbols], state

    assert nn.greedy(model, None, batch=1, start=0, end=END, max_steps=3) == [[2]]
    found = nn.beam_search(model, None, start=0, end=END, width=2, max_steps=3)
    assert [h.symbols for h in found] == [(3,), (2,)]
    assert found[0].log_probability == pytest.approx(np.log(0.36), abs=1e-6)


def test_greedy_stops_each_sequence_at_its_own_end() -> None:
    plan = np.array([[2, 3, END, 3], [2, END, 2, 2], [END, 2, 2, 2], [3, 3, 3, 3]])

    def model(symbols: np.ndarray, state: Any) -> Any:
        return np.eye(K)[plan[:, state]], state + 1

    assert nn.greedy(model, 0, batch=4, start=0, end=END, max_steps=4) == [[2, 3], [2], [], [3, 3, 3, 3]]
    assert nn.greedy(model, 0, batch=4, start=0, end=None, max_steps=2) == [[2, 3], [2, 1], [1, 2], [3, 3]]


def test_no_width_or_no_steps_is_refused() -> None:
    for options in ({"width": 0, "max_steps": 3}, {"width": 2, "max_steps": 0}):
        with pytest.raises(ValueError, match="1 or more"):
            nn.beam_search(step, np.zeros(1, int), start=0, end=END, **options)
