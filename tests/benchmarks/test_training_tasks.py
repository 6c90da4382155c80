"""The training figures' tasks are what they say, and our own contenders' numbers are those derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import long_memory, tasks
from benchmarks.contenders import tinygrad_rnn_compiled, tinygrad_rnn_eager


@pytest.mark.parametrize("contender", [tinygrad_rnn_eager, tinygrad_rnn_compiled])
def test_a_step_computes_what_was_derived_by_hand(contender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "LANGUAGE", (7, 3, 2, 5))
    case = tasks.language(4, goals={})
    inputs = case.inputs()
    step = contender.language(**inputs)
    answer = case.answer(**inputs)
    step()
    loss, gradients = step()  # an update with a learning rate of 0 came before
    assert loss == pytest.approx(answer["loss"].item(), rel=1e-6)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, answer[f"d_{name}"], rtol=1e-4, atol=1e-6)


def test_the_adding_problem() -> None:
    data, make, loss, guess = long_memory.adding(20)
    batch = next(iter(data))
    numbers, marks = batch.inputs[..., 0], batch.inputs[..., 1]
    assert (marks[:10].sum(axis=0) == 1).all() and (marks[10:].sum(axis=0) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(axis=0)[:, None], batch.targets, rtol=1e-6)
    assert make("RNN")(batch.inputs).shape == (1, long_memory.BATCH, 1)
    errors = [loss(np.ones((1, *b.targets.shape)), b.targets) for b in data]
    assert np.mean(errors) == pytest.approx(guess, rel=0.02)


def test_the_copy_task() -> None:
    data, make, loss, guess = long_memory.copying(30)
    batch = next(iter(data))
    sequences, remembered = batch.inputs.T, long_memory.REMEMBERED
    np.testing.assert_array_equal(sequences[:, :remembered], batch.targets)
    rest = sequences[:, remembered:]
    assert rest.shape[1] == 30 + remembered
    assert (rest[:, 29] == long_memory.SYMBOLS + 1).all()  # the sign, then as many blanks as symbols
    assert (np.delete(rest, 29, axis=1) == long_memory.SYMBOLS).all()
    logits = make("GRU")(batch.inputs)
    assert logits.shape == (remembered, long_memory.BATCH, long_memory.SYMBOLS)
    assert loss(np.zeros(logits.shape), batch.targets) == pytest.approx(guess, rel=1e-6)
