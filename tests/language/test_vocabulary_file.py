"""Vocabulary files: what is saved comes back; anything else is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.any_text import any_text
from tinygrad_rnn.language import CharacterVocabulary, Vocabulary, WordVocabulary
from tinygrad_rnn.training import save_tree


@given(
    kind=st.sampled_from([CharacterVocabulary, WordVocabulary]),
    symbols=st.lists(any_text(min_size=1), min_size=1, unique=True),
    with_unknown=st.booleans(),
)
def test_what_is_saved_comes_back(
    kind: type[Vocabulary], symbols: list[str], with_unknown: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "words"
    vocabulary = kind(symbols, unknown=symbols[-1] if with_unknown else None)
    vocabulary.save(path)
    assert kind.load(path) == vocabulary
    again = Vocabulary.load(path)
    assert type(again) is kind
    assert again == vocabulary


def test_a_file_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary"
    path.write_text("an older one")
    vocabulary = WordVocabulary.from_text("stay at home, Zoë")
    vocabulary.save(path)
    assert WordVocabulary.load(path) == vocabulary
    assert list(tmp_path.iterdir()) == [path]


WHOLE = CharacterVocabulary.from_text("hello, wörld", unknown="<unk>").to_tree()
values = st.recursive(
    st.none() | st.booleans() | any_text(max_size=5) | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text(max_size=5), inner),
    max_leaves=8,
)


@given(entry=st.sampled_from(sorted(WHOLE)), value=values)
def test_a_changed_entry_is_refused_or_another_vocabulary(entry: str, value: object) -> None:
    try:
        found = Vocabulary.from_tree({**WHOLE, entry: value}, source="notes")
    except ValueError as error:
        assert str(error).startswith("notes ")
    else:
        assert entry in ("symbols", "unknown") and found.to_tree()[entry] == value


@given(value=values)
def test_something_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^notes is not a vocabulary"):
        Vocabulary.from_tree(value, source="notes")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": []}, "at least one symbol"),
        ({"symbols": ["a", "a"]}, "there twice"),
        ({"symbols": ["a"], "unknown": "?"}, "must be one of the symbols"),
        ({"kind": "words", "symbols": [""]}, "is empty"),
        ({"symbols": [1]}, "must be a string"),
        ({"symbols": ["\ud800"]}, "half of a surrogate pair"),
        ({"kind": "runes"}, "unheard-of kind: 'runes'"),
    ],
)
def test_a_whole_file_is_not_enough(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_tree({**WHOLE, **changes}, tmp_path / "notes")
    with pytest.raises(ValueError, match=f"notes .*{message}"):
        Vocabulary.load(tmp_path / "notes")


def test_the_other_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words"
    WordVocabulary.from_text("a b").save(path)
    assert len(Vocabulary.load(path)) == 2
    with pytest.raises(ValueError, match=r"words holds .* of words, not .* WordVocabulary.l"):
        CharacterVocabulary.load(path)


def test_no_larger_file_is_written_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = CharacterVocabulary.from_text("abcdef")
    monkeypatch.setattr("tinygrad_rnn.language.vocabulary.MOST_SYMBOLS", 5)
    with pytest.raises(ValueError, match="Leave out the rare ones: min_count=2"):
        vocabulary.save(tmp_path / "vocabulary")
