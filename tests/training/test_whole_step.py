"""``fit(whole_step=True)``: the model and its loss as one compiled function, to the same losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches, StreamBatches
from tinygrad_rnn.training import fit

SYMBOLS = np.random.default_rng(0).integers(5, size=400)


class Predictor(nn.Module):
    """The next symbol; it counts how often its Python code runs."""

    def __init__(self, dropout: float = 0.0) -> None:
        rng = np.random.default_rng(1)
        self.embedding = nn.Embedding(5, 4, seed=rng, dtype=np.float64)
        self.dropout = nn.Dropout(dropout, seed=rng)
        self.layer = nn.GRU(4, 6, seed=rng, dtype=np.float64)
        self.output = nn.Linear(6, 5, seed=rng, dtype=np.float64)
        self.calls = np.zeros(1, int)

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        self.calls[0] += 1
        hs, state = self.layer(self.dropout(self.embedding(x)), state)
        return self.output(hs), state


def trained(steps: int = 12, dropout: float = 0.0, **options: Any) -> tuple[Predictor, np.ndarray]:
    model = Predictor(dropout)
    data = StreamBatches(SYMBOLS, batch_size=4, steps=10, rng=2)
    history = fit(model, data, nn.cross_entropy, optim.Adam(model.parameters(), lr=0.01), steps=steps, **options)
    return model, history.losses


def test_the_same_losses_and_no_python_code_at_every_step() -> None:
    (plain, expected), (model, losses) = trained(), trained(whole_step=True)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    assert plain.calls[0] == 12 and model.calls[0] < 12  # traced for batches with a state, and for those without


def test_a_model_that_draws_random_numbers_runs_as_without() -> None:
    """The very same numbers: what was drawn while it was tried is drawn again."""
    with pytest.warns(UserWarning, match="the whole step isn.t compiled: this function draws"):
        (_, expected), (model, losses) = trained(dropout=0.5), trained(dropout=0.5, whole_step=True)
    np.testing.assert_array_equal(losses, expected)
    assert model.calls[0] >= 12


class Counting(Predictor):
    """What it keeps as a number may decide what it does, so it runs as it is."""

    count = 0

    def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        self.count += 1
        logits, state = super().forward(x, state)
        return logits * self.count, state


def test_a_model_that_counts_its_calls_counts_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "Predictor", Counting)
    (plain, expected), (model, losses) = trained(executor=None), trained(whole_step=True)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    assert model.count == plain.count == 12


class Last(nn.Module):
    """The sum of a sequence; it counts how often its Python code runs."""

    def __init__(self) -> None:
        self.model = nn.ManyToOne(nn.GRU(2, 3, seed=0, dtype=np.float64), 1, seed=1, dtype=np.float64)
        self.calls = np.zeros(1, int)

    def forward(self, x: Any) -> Any:
        self.calls[0] += 1
        return self.model(x)


class LastOfPadded(Last):
    def forward(self, x: Any, lengths: Any) -> Any:
        self.calls[0] += 1
        assert lengths.min() > 0  # looks at them
        return self.model(x, lengths)


@pytest.mark.parametrize(
    ("kind", "lengths", "padded"),
    [(Last, (5, 5, 5, 5, 5), 0), (LastOfPadded, (5, 5, 5, 5, 5), 0), (LastOfPadded, (5, 3, 4, 4, 4), 1)],
)
def test_batches_of_whole_sequences(kind: type[Last], lengths: tuple[int, ...], padded: int) -> None:
    """Lengths that are all the same are plain numbers; those of padded batches are looked at, which is as without."""
    losses, calls = [], []
    for whole_step in (False, True):
        rng = np.random.default_rng(3)
        sequences = [rng.normal(size=(n, 2)) for n in lengths]
        data = Batches(sequences, [[s.sum()] for s in sequences], batch_size=2)  # the last batch is smaller
        model = kind()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        losses.append(fit(model, data, nn.mse, optimizer, epochs=10, whole_step=whole_step).losses)
        calls.append(model.calls[0])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)
    assert calls[0] == 3 * 10 and padded * 10 <= calls[1] < (padded + 1) * 10


@pytest.mark.one_in(3)
@pytest.mark.parametrize("executor", ["numpy", "llvm", "numba"])  # the third is the second by its earlier name
def test_resumed_bit_for_bit(executor: str, tmp_path: Path) -> None:
    options = {"executor": executor, "whole_step": True}
    whole, losses = trained(12, **options)
    trained(5, checkpoints=tmp_path, **options)
    resumed, again = trained(12, checkpoints=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(again, losses)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], value)


def test_data_of_many_lengths_are_one_plan() -> None:
    """Each new length is one more look at what the model does, and each known one is none."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.ones(1))
            self.calls = np.zeros((), int)

        def forward(self, x: Any, lengths: Any = None) -> Any:
            self.calls[...] += 1
            return np.sum(x, axis=0) * self.w

    calls = []
    for epochs in 1, 4:
        sequences = [np.ones((n, 1)) for n in range(1, 41)]
        data = Batches(sequences, [[1.0]] * 40, batch_size=1)
        model = Counting()
        fit(model, data, nn.mse, optim.SGD(model.parameters(), lr=1e-6), epochs=epochs, whole_step=True)
        calls.append(int(model.calls))
    assert calls[0] == calls[1] < 2 * 40
