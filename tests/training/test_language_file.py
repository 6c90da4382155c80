"""A language model in a file: what is loaded writes what was saved, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.runs import TEXT, differences
from tinygrad_rnn import nn
from tinygrad_rnn.data import CharacterVocabulary, WordVocabulary
from tinygrad_rnn.training import LanguageModel, load_language_model, load_tree, save_language_model, save_tree


def model(cell="LSTM", vocabulary=CharacterVocabulary, dtype=np.float32) -> LanguageModel:
    return LanguageModel(vocabulary.from_text(TEXT), cell, units=6, embedding_size=4, seed=0, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vocabulary", [CharacterVocabulary, WordVocabulary])
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_model_comes_back(cell: str, vocabulary, dtype, tmp_path: Path) -> None:
    original = model(cell, vocabulary, dtype)
    save_language_model(original, tmp_path / "model")
    again = load_language_model(tmp_path / "model")
    assert differences(again.state_dict(), original.state_dict()) == []
    assert again.vocabulary == original.vocabulary
    assert again.sample(30, seed=3) == original.sample(30, seed=3)


def test_a_cell_of_ones_own_is_code(tmp_path: Path) -> None:
    class Own(nn.RNNCell):
        pass

    with pytest.raises(TypeError, match=r"Own is not one of RNN, LSTM, GRU.*save_weights"):
        save_language_model(model(Own(4, 6)), tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something else"},
        {"cell": "Transformer"},
        {"cell": "GRU"},
        {"cell": ["LSTM"]},
        {"vocabulary": np.zeros(5, np.uint8)},
        {"vocabulary": "abc"},
        {"weights": None},
        {"weights": {}},
        {"weights": {"embedding": np.zeros((2, 3))}},
    ],
)
def test_what_is_no_model_is_refused(change: dict, tmp_path: Path) -> None:
    path = tmp_path / "model"
    save_language_model(model(), path)
    save_tree({**load_tree(path), **change}, path)
    with pytest.raises(ValueError, match=r"model|vocabulary|weights|cell"):
        load_language_model(path)


def test_weights_of_the_wrong_size_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save_language_model(model(), path)
    tree = load_tree(path)
    tree["weights"]["cell.W"] = np.zeros((1_000_000_000, 0), np.float32)
    save_tree(tree, path)
    with pytest.raises(ValueError, match="don't fit together"):
        load_language_model(path)
