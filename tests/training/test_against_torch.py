"""The same model, data, order and hyper-parameters in PyTorch give the same loss curve, step by step."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel, python_documentation
from tinygrad_rnn.training import evaluate, fit

torch = pytest.importorskip("torch")

STEPS = 100


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost products of this size more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("cell", "name", "options", "clip_norm"),
    [
        ("LSTM", "Adam", {"lr": 5e-3}, None),
        ("RNN", "SGD", {"lr": 0.5, "momentum": 0.9}, 0.25),
        ("GRU", "AdamW", {"lr": 5e-3, "weight_decay": 0.1}, 1.0),
    ],
)
def test_the_same_loss_curve(cell: str, name: str, options: dict, clip_norm: float | None) -> None:
    from benchmarks.torch_twin import Twin, losses_of, mean_loss

    text = python_documentation()[:12_000]  # some 72 steps: a second epoch begins on the way
    vocabulary = CharacterVocabulary.from_text(text)
    symbols = vocabulary.encode(text)
    model = LanguageModel(vocabulary, cell, units=24, embedding_size=10, seed=5, dtype=np.float64)
    twin = Twin(model, cell)
    data = StreamBatches(symbols, batch_size=8, steps=20, rng=1)
    theirs = getattr(torch.optim, name)(twin.learned(), **options)
    expected = list(islice(losses_of(twin, data, theirs, clip_norm), STEPS))
    data = StreamBatches(symbols, batch_size=8, steps=20, rng=1)
    ours = getattr(optim, name)(model.parameters(), **options)
    history = fit(model, data, nn.cross_entropy, ours, steps=STEPS, clip_norm=clip_norm)
    assert history.losses[-1] < 0.8 * history.losses[0]
    assert len(history.epochs) == 1
    np.testing.assert_allclose(history.losses, expected, rtol=0, atol=1e-9)
    whole = StreamBatches(symbols, batch_size=3, steps=17)
    assert evaluate(model, whole, nn.cross_entropy) == pytest.approx(mean_loss(twin, whole), rel=1e-9)
