"""The language model: what it reads, what it writes, and how well."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn import nn
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel, WordVocabulary, train_on_text

TEXT = "the cat sat on the mat, and the rat sat on the cat.\n" * 20


def untrained(**keywords) -> LanguageModel:
    return LanguageModel(CharacterVocabulary.from_text(TEXT), units=8, embedding_size=4, **keywords)


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU", nn.GRUCell(4, 8)])
def test_reading_piece_by_piece_is_reading_at_once(cell) -> None:
    model = untrained(cell=cell)
    symbols = model.vocabulary.encode("the cat sat")[:, None]
    whole, _ = model(symbols)
    first, state = model(symbols[:4])
    second, _ = model(symbols[4:], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data]), whole.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_the_compiled_loop_learns_the_same(cell: str) -> None:
    compiled, eager = (
        train_on_text(TEXT, cell=cell, units=8, batch_size=4, steps_per_batch=10, steps=30, executor=each)
        for each in ("numpy", None)
    )
    np.testing.assert_allclose(compiled.history.losses, eager.history.losses, rtol=1e-4)


def test_a_cell_that_cannot_be_compiled_is_run_as_it_is() -> None:
    class Undecided(nn.RNNCell):
        def forward(self, x, h):
            return super().forward(x, h) if np.sum(h).item() > 0 else super().forward(x, h * 0)

    with pytest.warns(UserWarning, match="the cell isn't compiled: item"):
        logits, _ = untrained(cell=Undecided(4, 8))(np.zeros((5, 2), int))
    assert logits.shape == (5, 2, len(untrained().vocabulary))


def test_it_learns_a_text_and_writes_it() -> None:
    model, history, held_out = train_on_text(
        TEXT, units=32, embedding_size=16, batch_size=4, steps_per_batch=20, learning_rate=0.02, steps=150
    )
    assert history.losses[0] == pytest.approx(np.log(len(model.vocabulary)), rel=0.2)
    assert model.bits_per_symbol(held_out, batch_size=1, steps=20) < 0.4
    # After "and the" comes the rat, after "." the cat: it has to remember more than "the".
    assert "and the rat sat on the" in model.sample(30, "the cat sat on the mat,", temperature=0)


def test_the_same_seed_trains_the_same_model() -> None:
    first, second = (train_on_text(TEXT, units=8, batch_size=4, steps_per_batch=10, steps=5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.history.losses, second.history.losses)
    for path, value in first.model.state_dict().items():
        np.testing.assert_array_equal(value, second.model.state_dict()[path])
    assert first.model.sample(50, seed=1) == second.model.sample(50, seed=1)
    assert first.model.sample(50, seed=1) != first.model.sample(50, seed=2)


@pytest.mark.parametrize("executor", ["numpy", "llvm", None])
@pytest.mark.one_in(3)
def test_the_bits_do_not_depend_on_when_machine_code_is_ready(executor: str | None) -> None:
    """A resumed run would otherwise be another one than the run that never stopped."""
    options = {"units": 8, "embedding_size": 4, "batch_size": 4, "steps_per_batch": 20, "steps": 12}
    first, *others = (train_on_text(TEXT, executor=executor, **options).model.state_dict() for _ in range(4))
    for other in others:
        assert all(np.array_equal(other[name], first[name]) for name in first)


def test_a_model_that_knows_nothing_needs_log2_k_bits() -> None:
    model = untrained()
    for parameter in model.parameters():
        parameter.data = np.zeros(parameter.shape)
    assert model.bits_per_symbol(TEXT, steps=10) == pytest.approx(np.log2(len(model.vocabulary)), rel=1e-6)


def test_samples_follow_the_probabilities() -> None:
    model = untrained()
    for parameter in model.parameters():
        parameter.data = np.zeros(parameter.shape)
    logits = np.zeros(len(model.vocabulary))
    logits[:2] = 6.0, 5.0
    model.output.b.data = logits
    counts = {t: model.sample(2000, temperature=t, seed=0).count(model.vocabulary.symbols[0]) / 2000 for t in (0.5, 1)}
    for temperature, share in counts.items():
        weights = np.exp(logits / temperature)
        assert share == pytest.approx(weights[0] / weights.sum(), abs=0.03)
    assert set(model.sample(100, temperature=0)) == {model.vocabulary.symbols[0]}


def test_a_sample_goes_on_from_its_prime() -> None:
    model = untrained()
    assert model.sample(0, "the cat") == "the cat"
    assert model.sample(5, "the cat").startswith("the cat")
    assert len(model.sample(5, "the cat")) == 12
    with pytest.raises(ValueError, match="not one of"):
        model.sample(5, "Ω")


@pytest.mark.parametrize("wrong", [{"length": -1}, {"length": 3, "temperature": -0.5}])
def test_wrong_samples(wrong: dict) -> None:
    with pytest.raises(ValueError, match="negative"):
        untrained().sample(**wrong)


def test_an_unknown_cell_is_named() -> None:
    with pytest.raises(ValueError, match="RNN, LSTM, GRU"):
        untrained(cell="lstm")


def test_words_work_too() -> None:
    model, _, _ = train_on_text(
        TEXT, vocabulary=WordVocabulary.from_text(TEXT), units=8, batch_size=2, steps_per_batch=5, steps=3
    )
    assert len(model.sample(6, "the cat").split()) == 8
