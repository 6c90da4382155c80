"""Vocabulary files: what is saved comes back; anything else is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.language import CharacterVocabulary, Vocabulary, WordVocabulary, vocabulary_format

whole = CharacterVocabulary.from_text("hello, wörld", unknown="<unk>").to_bytes()


@given(
    kind=st.sampled_from([CharacterVocabulary, WordVocabulary]),
    symbols=st.lists(st.text(min_size=1), min_size=1, unique=True),
    with_unknown=st.booleans(),
)
def test_what_is_saved_comes_back(kind: type[Vocabulary], symbols: list[str], with_unknown: bool) -> None:
    vocabulary = kind(symbols, unknown=symbols[-1] if with_unknown else None)
    assert kind.from_bytes(vocabulary.to_bytes()) == vocabulary
    again = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert type(again) is kind
    assert again == vocabulary


def test_a_file_can_be_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text("an older one")
    vocabulary = WordVocabulary.from_text("stay at home, Zoë")
    vocabulary.save(path)
    assert WordVocabulary.load(path) == vocabulary
    assert '"Zoë"' in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_vocabulary_gives_the_same_bytes() -> None:
    assert CharacterVocabulary("ab").to_bytes() == CharacterVocabulary(["a", "b"]).to_bytes()


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^notes is not a vocabulary"):
        Vocabulary.from_bytes(data, source="notes")


@given(place=st.integers(0, len(whole) - 1), value=st.integers(0, 255))
def test_a_changed_byte_never_gives_another_vocabulary(place: int, value: int) -> None:
    damaged = bytearray(whole)
    damaged[place] = value
    try:
        found = Vocabulary.from_bytes(bytes(damaged), source="notes")
    except ValueError as error:
        assert str(error).startswith("notes")
    else:  # a space became a line end, say
        assert found == Vocabulary.from_bytes(whole)


@given(length=st.integers(0, len(whole) - 2))  # less its last bracket and line end
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"^notes is not a vocabulary"):
        Vocabulary.from_bytes(whole[:length], source="notes")


json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(entry=st.sampled_from(sorted(json.loads(whole))), value=json_values)
def test_a_changed_entry_is_refused(entry: str, value: object) -> None:
    fields = json.loads(whole)
    if fields[entry] == value:
        return
    fields[entry] = value
    with pytest.raises(ValueError, match=r"^notes "):
        Vocabulary.from_bytes(json.dumps(fields).encode(), source="notes")


@given(value=json_values)
def test_json_of_something_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^notes is not a vocabulary"):
        Vocabulary.from_bytes(json.dumps(value).encode(), source="notes")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b"9" * 5_000_000,  # reading this number would take minutes
        b"1." + b"9" * 5_000_000,
        b"NaN",
        b"\xff\xfe",
        b"cos\nsystem\n(S'echo hacked'\ntR.",  # a pickle that runs a command
    ],
    ids=["brackets", "braces", "integer", "float", "NaN", "utf-16", "pickle"],
)
def test_hostile_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^notes is not a vocabulary"):
        Vocabulary.from_bytes(data, source="notes")


def signed(kind: str, unknown: str | None, symbols: tuple[str, ...]) -> bytes:
    """A file with the right checksum, made by someone who means harm."""
    return vocabulary_format.to_bytes(vocabulary_format.Content(kind, unknown, symbols))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (signed("characters", None, ()), "at least one symbol"),
        (signed("characters", None, ("a", "a")), "there twice"),
        (signed("characters", "?", ("a",)), "must be one of the symbols"),
        (signed("words", None, ("",)), "is empty"),
        (signed("runes", None, ("a",)), "unheard-of kind: 'runes'"),
    ],
)
def test_a_right_checksum_is_not_enough(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^notes .*{message}"):
        Vocabulary.from_bytes(data, source="notes")


def test_an_escaped_half_surrogate_is_refused() -> None:
    content = vocabulary_format.Content("words", None, ("\ud800",))
    fields = {"format": json.loads(whole)["format"], **content._asdict()}
    fields["sha256"] = vocabulary_format._checksum(content)
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        Vocabulary.from_bytes(json.dumps(fields).encode())


def test_a_changed_symbol_is_found_by_the_checksum() -> None:
    with pytest.raises(ValueError, match="damaged or was changed by hand: its checksum is wrong"):
        Vocabulary.from_bytes(whole.replace(b'"h"', b'"H"'), source="notes")


def test_the_other_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    WordVocabulary.from_text("a b").save(path)
    assert len(Vocabulary.load(path)) == 2
    with pytest.raises(ValueError, match=r"words.json holds .* of words, not .* WordVocabulary.l"):
        CharacterVocabulary.load(path)


def test_no_larger_file_is_written_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vocabulary.json"
    vocabulary = CharacterVocabulary.from_text("abcdef")
    vocabulary.save(path)
    monkeypatch.setattr(vocabulary_format, "MAX_BYTES", path.stat().st_size)
    vocabulary.save(path)
    assert CharacterVocabulary.load(path) == vocabulary
    monkeypatch.setattr(vocabulary_format, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(ValueError, match="Leave out the rare ones: min_count=2"):
        vocabulary.save(path)
    with pytest.raises(ValueError, match=r"vocabulary\.json is not a vocabulary: it has more than"):
        CharacterVocabulary.load(path)
