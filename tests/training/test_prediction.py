"""Models of every shape meet padded batches, and padding never counts."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches
from tinygrad_rnn.training import evaluate, fit

RNG = np.random.default_rng(0)
SEQUENCES = [RNG.normal(size=(length, 3)) for length in (2, 5, 3, 4, 1, 5)]
CLASSES = [RNG.integers(4, size=len(sequence)) for sequence in SEQUENCES]


def losses(model: nn.Module, data: Batches, steps: int = 8) -> np.ndarray:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return fit(model, data, nn.cross_entropy, optimizer, steps=steps, validation=data_for_validation(data)).losses


def data_for_validation(data: Batches) -> Batches:
    return Batches(data.inputs, data.targets, batch_size=4, target_sequences=data.target_sequences)


@pytest.mark.parametrize("padding", [np.nan, 7.0])
def test_many_to_many_learns_nothing_from_padding(padding: float) -> None:
    def learned(padding: float, target_padding: int) -> np.ndarray:
        model = nn.ManyToMany(nn.GRU(3, 5, seed=0, dtype=np.float64), 4, seed=1, dtype=np.float64)
        data = Batches(
            SEQUENCES, CLASSES, batch_size=3, target_sequences=True, padding=padding, target_padding=target_padding
        )
        return losses(model, data)

    np.testing.assert_array_equal(learned(padding, 3), learned(0.0, 0))


def test_many_to_one_learns_nothing_from_padding() -> None:
    def learned(padding: float) -> np.ndarray:
        model = nn.ManyToOne(nn.LSTM(3, 5, seed=0, dtype=np.float64), 4, seed=1, dtype=np.float64)
        return losses(model, Batches(SEQUENCES, [row[0] for row in CLASSES], batch_size=3, padding=padding))

    np.testing.assert_array_equal(learned(np.nan), learned(0.0))


def test_the_mean_loss_is_that_of_the_examples_one_by_one() -> None:
    model = nn.ManyToMany(nn.RNN(3, 5, dtype=np.float64), 4, dtype=np.float64)
    data = Batches(SEQUENCES, CLASSES, batch_size=4, target_sequences=True, padding=np.nan)
    total = sum(nn.cross_entropy(model(x)[0], y, reduction="sum").item() for x, y in zip(SEQUENCES, CLASSES))
    assert evaluate(model, data, nn.cross_entropy) == pytest.approx(total / sum(map(len, CLASSES)), rel=1e-12)


def test_a_model_that_asks_for_the_target_gets_it() -> None:
    class Forced(nn.Module):
        def __init__(self) -> None:
            self.cell = nn.GRUCell(4, 5, seed=0)
            self.output = nn.Linear(5, 4)

        def forward(self, source, target):
            before = np.concatenate([np.zeros((1, *target.shape[1:]), int), target[:-1]])
            _, start = nn.unroll(self.cell, np.eye(4, dtype=np.float32)[source])
            ys, _ = nn.unroll(self.cell, np.eye(4, dtype=np.float32)[before], start)
            return self.output(ys)

    forward = RNG.integers(4, size=(20, 3))
    data = Batches(forward, forward[:, ::-1], batch_size=None, target_sequences=True)
    model = Forced()
    history = fit(model, data, nn.cross_entropy, optim.Adam(model.parameters(), lr=0.03), threshold=0.1, steps=400)
    assert "below the threshold" in history.stopped


def test_one_to_many_from_vectors_to_padded_sentences() -> None:
    sentences = [[2, 3, 1], [3, 3, 2, 1], [4, 1]]
    data = Batches(
        np.eye(3, dtype=np.float32), sentences, batch_size=None, input_sequences=False, target_sequences=True
    )
    model = nn.OneToMany(3, nn.Decoder(5, nn.GRUCell(4, 16, seed=0), seed=1))
    history = fit(model, data, nn.cross_entropy, optim.Adam(model.parameters(), lr=0.02), steps=80)
    assert model.write(np.eye(3, dtype=np.float32), max_steps=6) == [[2, 3], [3, 3, 2], [4]]
    assert history.symbols == 3 * 80  # a vector counts as one


def test_what_is_neither_a_prediction_nor_a_pair_is_refused() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.zeros(1))

        def forward(self, x):
            return self.w, self.w, self.w

    model = Three()
    data = Batches(np.zeros((2, 1, 1)), np.zeros((2, 1)), batch_size=None)
    with pytest.raises(ValueError, match=r"Three returns 3 values.*predict="):
        fit(model, data, nn.mse, optim.SGD(model.parameters()), steps=1)
    history = fit(
        model, data, nn.mse, optim.SGD(model.parameters()), steps=1,
        predict=lambda model, batch, state: (model(batch.inputs)[0] + batch.targets * 0, None),
    )  # fmt: skip
    assert history.step == 1
