"""Vocabularies: their order, encoding and decoding, and what they refuse."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.any_text import any_text
from tinygrad_rnn.language import CharacterVocabulary, WordVocabulary, separate_punctuation
from tinygrad_rnn.language import text as text_module
from tinygrad_rnn.language import vocabulary as vocabulary_module

words = any_text(min_size=1).filter(lambda word: len(word.split()) == 1 and word == word.strip())


# ---------------------------------------------------------------------- order
def test_frequent_symbols_come_first_then_those_that_appear_first() -> None:
    assert CharacterVocabulary.from_text("banana").symbols == ("a", "n", "b")
    assert WordVocabulary.from_text("b a  c\na b").symbols == ("b", "a", "c")


def test_the_phrases_of_the_article_get_its_numbers() -> None:
    vocabulary = WordVocabulary.from_text(["The Forest", "The Sea", "The Fire"])
    encoded = [vocabulary.encode(phrase).tolist() for phrase in ("The Forest", "The Sea")]
    assert encoded == [[0, 1], [0, 2]]
    assert vocabulary.encode("The Fire").tolist() == [0, 3]


def test_specials_and_unknown_come_first() -> None:
    vocabulary = CharacterVocabulary.from_text("abba", specials=["<pad>", "b"], unknown="<unk>")
    assert vocabulary.symbols == ("<pad>", "b", "<unk>", "a")
    assert vocabulary.index("<pad>") == 0
    assert vocabulary.encode("b<a").tolist() == [1, 2, 3]
    same = CharacterVocabulary.from_text("ab", specials=["?", "<end>"], unknown="?")
    assert same.symbols == ("?", "<end>", "a", "b")


def test_rare_symbols_can_be_left_out() -> None:
    text = "a a a b b c"
    vocabulary = WordVocabulary.from_text(text, unknown="<unk>", min_count=2)
    assert vocabulary.symbols == ("<unk>", "a", "b")
    assert vocabulary.decode(vocabulary.encode(text)) == "a a a b b <unk>"
    assert WordVocabulary.from_text(text, unknown="<unk>", max_size=2).symbols == ("<unk>", "a")
    assert WordVocabulary.from_text(text, max_size=3).symbols == ("a", "b", "c")
    with pytest.raises(ValueError, match=r"leave out 1 of 3 words; pass unknown="):
        WordVocabulary.from_text(text, min_count=2)
    with pytest.raises(ValueError, match="max_size must be at least 2"):
        WordVocabulary.from_text(text, unknown="<unk>", max_size=1)


@given(st.lists(any_text()).filter(lambda texts: "".join(texts)))
def test_many_characters_are_counted_as_few_are(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary_module, "_MANY", 1)
        vocabulary = CharacterVocabulary.from_text(texts)
    assert vocabulary.symbols == tuple(c for c, _ in Counter("".join(texts)).most_common())


# ---------------------------------------------------------------------- round trips
@given(any_text(min_size=1))
def test_every_text_survives_its_characters(text: str) -> None:
    vocabulary = CharacterVocabulary.from_text(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == np.int64
    assert [vocabulary.symbols[n] for n in numbers] == list(text)
    assert vocabulary.decode(numbers) == text
    assert sorted(vocabulary) == sorted(set(text))


@given(any_text(min_size=1).filter(lambda text: text.split()))
def test_every_text_survives_its_words_but_for_spaces(text: str) -> None:
    vocabulary = WordVocabulary.from_text(text)
    assert vocabulary.decode(vocabulary.encode(text)) == " ".join(text.split())
    assert set(vocabulary) == set(text.split())


@given(known=any_text(min_size=1), text=st.text(st.characters(), max_size=30))
def test_unknown_stands_for_everything_else(known: str, text: str) -> None:
    vocabulary = CharacterVocabulary.from_text(known, unknown="\ufffd")
    expected = "".join(c if c in known else "\ufffd" for c in text)
    assert vocabulary.decode(vocabulary.encode(text)) == expected


def test_half_a_surrogate_pair_is_unknown() -> None:
    vocabulary = CharacterVocabulary.from_text("ab", unknown="?")
    assert vocabulary.decode(vocabulary.encode("a\ud800b")) == "a?b"
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        CharacterVocabulary.from_text("\ud800")


@given(
    kind=st.sampled_from([CharacterVocabulary, WordVocabulary]),
    pieces=st.lists(st.text(st.sampled_from("ab \n\u2003"), max_size=6), max_size=8),
)
def test_it_does_not_matter_where_a_stream_is_cut(
    kind: type[CharacterVocabulary | WordVocabulary], pieces: list[str]
) -> None:
    vocabulary = kind.from_text("ab aab \n\u2003", unknown="?")
    numbers = [number for part in vocabulary.encode_stream(pieces) for number in part.tolist()]
    assert numbers == vocabulary.encode("".join(pieces)).tolist()


@given(text=st.text(st.sampled_from("ab é\n"), min_size=1).filter(lambda text: text.split()))
def test_a_file_gives_the_vocabulary_of_its_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "text.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "CHUNK_BYTES", 3)
        assert CharacterVocabulary.from_file(path) == CharacterVocabulary.from_text(text)
        assert WordVocabulary.from_file(path) == WordVocabulary.from_text(text)


def test_words_with_their_punctuation_apart() -> None:
    text = separate_punctuation("stay, stay at home.")
    assert WordVocabulary.from_text(text).symbols == ("stay", ",", "at", "home", ".")


# ---------------------------------------------------------------------- errors
def test_a_symbol_that_is_not_there_is_named_with_its_place() -> None:
    characters = CharacterVocabulary.from_text("abc")
    with pytest.raises(ValueError, match=r"'é' \(U\+00E9\), at position 2 .* one of the 3 char"):
        characters.encode("abé")
    with pytest.raises(ValueError, match="at position 4 "):
        list(characters.encode_stream(["abc", "aé"]))
    beyond = chr(0x10FFFF)
    with pytest.raises(ValueError, match=r"U\+10FFFF.*with unknown="):
        characters.encode(beyond)
    with pytest.raises(ValueError, match="'mars', at position 1 of the text, is not one of the 4"):
        WordVocabulary.from_text("please stay at home").encode("stay mars")


def test_decode_refuses_what_stands_for_nothing() -> None:
    vocabulary = CharacterVocabulary.from_text("abc")
    assert vocabulary.decode([]) == ""
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"number {wrong} at position 1 .* numbers 0 to 2"):
            vocabulary.decode([0, wrong])
    with pytest.raises(ValueError, match=r"pass one column at a time: numbers\[:, b\]"):
        vocabulary.decode([[0, 1]])
    with pytest.raises(TypeError, match="whole numbers, not float64"):
        vocabulary.decode([0.0])


def test_what_no_vocabulary_can_be_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at least one symbol"):
        CharacterVocabulary([])
    with pytest.raises(ValueError, match="'a' is there twice, as number 0 and as number 2"):
        CharacterVocabulary("aba")
    with pytest.raises(ValueError, match="symbol number 1 is empty"):
        WordVocabulary(["a", ""])
    with pytest.raises(TypeError, match="number 1 must be a string, not int"):
        WordVocabulary(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"unknown symbol '\?' must be one of the symbols"):
        CharacterVocabulary("ab", unknown="?")
    for empty in ("", [], ["", ""]):
        with pytest.raises(ValueError, match="there are no characters in this text"):
            CharacterVocabulary.from_text(empty)
    with pytest.raises(ValueError, match="there are no words in this text"):
        WordVocabulary.from_text(" \n")
    with pytest.raises(TypeError, match=r"was given int \(bytes become text"):
        CharacterVocabulary.from_text(b"abc")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="specials must be a sequence"):
        CharacterVocabulary.from_text("abc", specials="<pad>")
    with pytest.raises(TypeError, match="encode takes a string, not list"):
        CharacterVocabulary.from_text("abc").encode(["a"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'z' is not one of the 3 characters"):
        CharacterVocabulary.from_text("abc").index("z")
    monkeypatch.setattr("tinygrad_rnn.language.vocabulary.MAX_SYMBOL_LENGTH", 10)
    with pytest.raises(ValueError, match="symbol number 0 has 11 characters"):
        WordVocabulary(["a" * 11])
    with pytest.raises(ValueError, match="A CharacterVocabulary takes any text"):
        WordVocabulary.from_text("a" * 11)


def test_a_vocabulary_behaves_like_a_constant_sequence() -> None:
    vocabulary = WordVocabulary.from_text("a b", unknown="?")
    assert len(vocabulary) == 3
    assert "a" in vocabulary
    assert "c" not in vocabulary
    assert list(vocabulary) == ["?", "a", "b"]
    assert repr(vocabulary) == "<WordVocabulary of 3 words, unknown='?'>"
    assert vocabulary == WordVocabulary(["?", "a", "b"], unknown="?")
    assert hash(vocabulary) == hash(WordVocabulary(["?", "a", "b"], unknown="?"))
    assert vocabulary != WordVocabulary(["?", "a", "b"])
    assert vocabulary != CharacterVocabulary(["?", "a", "b"], unknown="?")
    assert vocabulary != ("?", "a", "b")


@given(words)
def test_one_word_is_one_symbol(word: str) -> None:
    assert WordVocabulary.from_text(word).symbols == (word,)


def test_saving_to_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CharacterVocabulary("ab").save(tmp_path / "absent" / "vocabulary.json")
