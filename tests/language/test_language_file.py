"""Language models in files: they come back whole, and what is damaged or made to do harm is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel, WordVocabulary
from tinygrad_rnn.language.model_file import load_language_model, save_language_model
from tinygrad_rnn.training import load_tree, save_tree

LETTERS = CharacterVocabulary.from_text("hello world")
WORDS = WordVocabulary.from_text("please stay at home", unknown="<unknown>")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.tree"


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("vocabulary", [LETTERS, WORDS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_comes_back_as_it_was(path, cell, vocabulary, dtype):
    model = LanguageModel(vocabulary, cell, units=5, embedding_size=3, seed=1, dtype=dtype)
    save_language_model(model, path)
    again = load_language_model(path)
    assert again.vocabulary == vocabulary and type(again.cell) is type(model.cell)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    assert again.sample(20, seed=2) == model.sample(20, seed=2)


def test_a_cell_of_ones_own_is_code_which_no_file_of_weights_can_hold(path):
    model = LanguageModel(LETTERS, nn.MGUCell(3, 5), units=5, embedding_size=3)
    with pytest.raises(TypeError, match="MGUCell is not one of RNN, LSTM, GRU"):
        save_language_model(model, path)
    assert not path.exists()


def test_another_tree_is_no_language_model(path):
    save_tree({"a": 1}, path)
    with pytest.raises(ValueError, match="holds no language model"):
        load_language_model(path)


def changed(path, change):
    """A file with a right checksum, made by someone who means harm."""
    save_language_model(LanguageModel(LETTERS, "LSTM", units=5, embedding_size=3), path)
    tree = load_tree(path)
    change(tree)
    save_tree(tree, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.pop("weights"),
        lambda tree: tree.pop("vocabulary"),
        lambda tree: tree.update(cell="Transformer"),
        lambda tree: tree.update(cell=7),
        lambda tree: tree.update(vocabulary="text"),
        lambda tree: tree.update(vocabulary=[]),
        lambda tree: tree.update(weights=[1, 2]),
        lambda tree: tree["weights"].pop("cell.b"),
        lambda tree: tree["weights"].update(extra=np.zeros(3)),
        lambda tree: tree["weights"].update({"cell.W": np.zeros((5, 7))}),
        lambda tree: tree["weights"].update({"cell.W": np.zeros((10**7, 0))}),
        lambda tree: tree["weights"].update({"cell.U": np.zeros((0, 20))}),
        lambda tree: tree["weights"].update(embedding=np.zeros(8)),
        lambda tree: tree["weights"].update({k: v.astype(complex) for k, v in tree["weights"].items()}),
    ],
)
def test_what_does_not_fit_is_refused(path, change):
    changed(path, change)
    with pytest.raises(ValueError):
        load_language_model(path)


def test_sizes_that_are_only_claimed_take_no_memory(path):
    """Weights of no elements may have any shape; a model of that size would fill the memory."""

    def claim(tree):
        n = d = 10**9
        k = len(LETTERS)
        tree["weights"] = {
            "embedding": np.zeros((k, 0)),
            "cell.U": np.zeros((n, 0)),
            "cell.W": np.zeros((d, 0)),
            "cell.b": np.zeros(0),
            "output.W": np.zeros((d, 0)),
            "output.b": np.zeros(k),
        }

    changed(path, claim)
    with pytest.raises(ValueError, match="don't fit together"):
        load_language_model(path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_found(path, data):
    save_language_model(LanguageModel(LETTERS, "GRU", units=2, embedding_size=2), path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    whole = load_language_model(path).state_dict()
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), place]))])
    try:
        found = load_language_model(path).state_dict()
    except ValueError as error:
        assert "model.tree" in str(error)
    else:  # a byte that says nothing, such as one of a date
        assert all(np.array_equal(found[name], weights) for name, weights in whole.items())


@pytest.mark.parametrize(
    "cell", [nn.LSTMCell(3, 5, peepholes=True), nn.RNNCell(3, 5, "relu"), nn.GRUCell(3, 5, reset="before")]
)
def test_a_cell_with_options_is_refused_before_it_is_written(path, cell):
    """The file knows its cell by name alone: read again, it would be another."""
    with pytest.raises(TypeError, match=f"{type(cell).__name__} with options of its own is not one of"):
        save_language_model(LanguageModel(LETTERS, cell, units=5, embedding_size=3), path)
    assert not path.exists()


def test_a_compiled_cell_is_the_cell(path):
    model = LanguageModel(LETTERS, tr.compile(nn.GRUCell(3, 5, seed=1)), units=5, embedding_size=3, seed=1)
    save_language_model(model, path)
    assert load_language_model(path).sample(20, seed=2) == model.sample(20, seed=2)
