"""Text from files and from Python itself: whole, in pieces, and what is not text."""

from __future__ import annotations

import builtins
import codecs
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.any_text import any_text
from tinygrad_rnn.language import python_documentation, read_text, separate_punctuation, stream_text
from tinygrad_rnn.language import text as text_module

# A fixture lives for all examples of a property; the file is written anew by every one of them.
one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_the_documentation_is_there_and_always_the_same() -> None:
    text = python_documentation()
    assert 400_000 < len(text) < 1_000_000
    assert "recursion" in text
    assert len(set(text)) < 256
    assert "\n\n\n\n\n" not in text
    assert text == python_documentation()


def test_a_python_without_its_documentation_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without_topics(name: str, *args: object, **kwargs: object) -> object:
        if name == "pydoc_data.topics":
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_topics)
    with pytest.raises(ImportError, match="Pass the path of a text file"):
        python_documentation()


@one_file
@given(
    text=any_text(min_size=1).filter(lambda text: not text.startswith("\ufeff")),
    chunk=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
@example(text="a\r\nb\rc\n\r\n", chunk=2, encoding="utf-8")
def test_a_file_in_pieces_is_what_open_reads(tmp_path: Path, text: str, chunk: int, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "CHUNK_BYTES", chunk)
        pieces = list(stream_text(path, encoding))
    assert "".join(pieces) == path.open(encoding=encoding).read()  # the oracle: Python's own
    assert all(pieces)


@one_file
@given(data=st.binary(max_size=60), chunk=st.integers(1, 9))
@example(data=b"\xef\xbb\xbf", chunk=1)
@example(data=b"ab\xe2\x82", chunk=3)
def test_any_bytes_are_text_or_an_error_at_the_right_byte(tmp_path: Path, data: bytes, chunk: int) -> None:
    path = tmp_path / "bytes.bin"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "CHUNK_BYTES", chunk)
        try:
            expected = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            with pytest.raises(UnicodeDecodeError) as plain:
                data.decode("utf-8")  # counts the byte order mark as bytes, as a reader would
            with pytest.raises(ValueError, match=re.escape(str(path))) as found:
                read_text(path)
            assert f"at byte {plain.value.start:,}" in str(found.value)
            return
        if expected:
            assert read_text(path) == expected.replace("\r\n", "\n").replace("\r", "\n")
        else:
            with pytest.raises(ValueError, match="is empty"):
                read_text(path)


def test_text_in_another_encoding_says_where_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes(b"x" * 2_000_000 + "café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"is not UTF-8 text: .* at byte 2,000,003 \(0xE9\)") as e:
        read_text(path)
    assert "Save the file as UTF-8, or pass the encoding" in str(e.value)
    assert read_text(path, encoding="latin-1").endswith("café")


def test_utf_16_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "wide.txt"
    path.write_bytes(codecs.BOM_UTF16_LE + "text".encode("utf-16-le"))
    with pytest.raises(ValueError, match="pass encoding='utf-16'"):
        read_text(path)
    assert read_text(path, encoding="utf-16") == "text"


def test_text_cut_off_in_a_character(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_bytes("né".encode()[:-1])
    with pytest.raises(ValueError, match="unexpected end of data at byte 1 "):
        read_text(path)


def test_what_is_not_a_file_of_text(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty\.txt is empty\. Give a file that holds"):
        read_text(empty)
    with pytest.raises(ValueError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_text(tmp_path / "absent")
    empty.write_text("text")
    with pytest.raises(LookupError, match="not a text encoding"):
        read_text(empty, encoding="zlib")
    with pytest.raises(LookupError, match="unknown encoding"):
        read_text(empty, encoding="klingon")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_turned_away_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="Save what it holds to a file"):
        read_text(pipe)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Please, stay at home!", ["Please", ",", "stay", "at", "home", "!"]),
        ("'tis (well-known) don't-", ["'", "tis", "(", "well-known", ")", "don't", "-"]),
        ("x=1;\n", ["x", "=", "1", ";"]),
    ],
)
def test_punctuation_becomes_words(text: str, words: list[str]) -> None:
    assert separate_punctuation(text).split() == words


@given(any_text())
def test_separating_punctuation_adds_nothing_but_spaces(text: str) -> None:
    assert separate_punctuation(text).replace(" ", "") == text.replace(" ", "")
