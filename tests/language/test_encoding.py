"""Texts encoded piece by piece, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.any_text import any_text
from tinygrad_rnn import data as data_package
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import CharacterVocabulary, WordVocabulary, encode_file, encode_text, load_encoded

MEGABYTE = 1_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(any_text(max_size=20), max_size=5))
def test_in_memory_and_in_a_file_alike(tmp_path: Path, pieces: list[str]) -> None:
    text = "".join(pieces)
    vocabulary = CharacterVocabulary.from_text("abc" + text)
    in_memory = encode_text(pieces, vocabulary)
    assert in_memory.dtype == np.uint8
    assert vocabulary.decode(in_memory) == text
    np.testing.assert_array_equal(in_memory, encode_text(text, vocabulary))
    mapped = encode_text(pieces, vocabulary, out=tmp_path / "text.npy")
    np.testing.assert_array_equal(mapped, in_memory)
    np.testing.assert_array_equal(np.load(tmp_path / "text.npy"), in_memory)  # any NumPy reads it


@pytest.mark.parametrize(("size", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)])
def test_the_smallest_dtype_that_holds_every_number(size: int, dtype: type, tmp_path: Path) -> None:
    vocabulary = WordVocabulary([str(n) for n in range(size)])
    last = str(size - 1)
    for numbers in (
        encode_text([last], vocabulary),
        encode_text([last], vocabulary, out=tmp_path / "text.npy"),
    ):
        assert numbers.dtype == dtype
        assert numbers.tolist() == [size - 1]


def test_a_file_that_cannot_be_encoded_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("abcd")
    vocabulary = CharacterVocabulary("abc")
    with pytest.raises(ValueError, match=r"'d' .* at position 3"):
        encode_file(path, vocabulary, out=tmp_path / "text.npy")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match=r"'d' .* at position 3"):
        encode_file(path, vocabulary)


def test_an_encoded_text_is_read_only_and_stays_mapped(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("abcabc")
    vocabulary = CharacterVocabulary("abc")
    numbers = encode_file(path, vocabulary, out=tmp_path / "text.npy")
    assert isinstance(numbers, np.memmap)
    assert isinstance(StreamBatches(numbers, batch_size=1, steps=2).symbols, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        numbers[0] = 1
    np.testing.assert_array_equal(load_encoded(tmp_path / "text.npy", vocabulary), numbers)


def test_an_encoded_text_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.npy"
    encode_text(["abc"], CharacterVocabulary("abc"), out=path)
    with pytest.raises(ValueError, match=r"text\.npy holds the number 2, but .* ends at 1"):
        load_encoded(path, CharacterVocabulary("ab"))
    with pytest.raises(ValueError, match=r"one sequence of uint16\. Encode the text again"):
        load_encoded(path, WordVocabulary(map(str, range(1000))))
    np.save(path, np.ones(5, np.uint8))
    assert load_encoded(path, CharacterVocabulary("ab")).tolist() == [1] * 5
    np.save(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="is not a text encoded with this vocabulary of 2 char"):
        load_encoded(path, CharacterVocabulary("ab"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=100), keep=st.integers(0, 140))
def test_hostile_encoded_texts_are_refused(tmp_path: Path, data: bytes, keep: int) -> None:
    path = tmp_path / "text.npy"
    vocabulary = CharacterVocabulary("abc")
    encode_text(["abc"], vocabulary, out=path)
    whole = path.read_bytes()
    changed = whole[:keep] + data  # a beginning that is right, then anything
    if changed[: len(whole) - 3] == whole[:-3]:
        return  # the header is right, and so may the numbers be
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"text\.npy is not"):
        load_encoded(path, vocabulary)


def npy_header(shape: str, descr: str = "'|u1'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def test_the_header_of_these_tests_is_right(tmp_path: Path) -> None:
    path = tmp_path / "text.npy"
    path.write_bytes(npy_header("(3,)") + b"\2\1\0")
    assert load_encoded(path, CharacterVocabulary("abc")).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        npy_header("(3,)") + b"\0\0",
        npy_header("(3,)") + b"\0\0\0\0",
        npy_header("(10**18,)"),
        npy_header("(1000000000000000000,)"),
        npy_header("(99999999999999999999999999,)"),
        npy_header("(-5,)") + b"12345",
        npy_header("(True,)") + b"1",
        npy_header("(1,)", "'|O'") + b"cos\nsystem\n(S'true'\ntR.",
        npy_header("(1,)", "__import__('os')") + b"1",
        npy_header("(" * 3000),
        npy_header("()") + b"\0",
    ],
    ids=["empty", "short", "long", "sum", "huge", "huger", "negative", "bool", "pickle", "code", "brackets", "0-d"],
)
def test_hostile_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "text.npy"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"text\.npy is not"):
        load_encoded(path, CharacterVocabulary("abc"))


# ---------------------------------------------------------------------- bounded memory
def large_file(path: Path) -> Path:
    line = "Zoë walked home — slowly, as ever — and it began to rain. " * 20 + "\n"
    count = 50 * MEGABYTE // len(line.encode())
    with path.open("wb") as file:
        for _ in range(100):
            file.write(line.encode() * (count // 100))
    assert path.stat().st_size > 45 * MEGABYTE
    return path


def test_a_large_file_is_encoded_in_little_memory(tmp_path: Path) -> None:
    path = large_file(tmp_path / "large.txt")
    vocabulary = CharacterVocabulary.from_text(path.open(encoding="utf-8").readline())
    tracemalloc.start()
    try:
        numbers = encode_file(path, vocabulary, out=tmp_path / "large.npy")
        stream = StreamBatches(numbers, batch_size=8, steps=100)
        batch = next(iter(stream))
        mapped_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        in_memory = encode_file(path, vocabulary)
        in_memory_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert vocabulary.decode(batch.inputs[:10, 0]) == "Zoë walked"
    assert mapped_peak < 30 * MEGABYTE  # a few copies of one piece, not of the file
    assert in_memory_peak < len(numbers) * 1.3 + 30 * MEGABYTE  # the array grows in place
    np.testing.assert_array_equal(in_memory[-1000:], numbers[-1000:])


MEASURED = """
import re, resource, sys
from tinygrad_rnn.language import CharacterVocabulary, WordVocabulary, load_encoded

def peak():
    if sys.platform == "linux":  # where ru_maxrss begins with what the parent process had
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # bytes on macOS

before = peak()
{done}
print(peak() - before)
"""

VOCABULARIES = """
assert len(CharacterVocabulary.from_file(sys.argv[1])) == 25
assert len(WordVocabulary.from_file(sys.argv[1])) == 12
"""

LOADING = "assert load_encoded(sys.argv[1], CharacterVocabulary('ab'))[-1] == 1"


def kilobytes_taken(done: str, path: Path) -> int:
    """Measured from outside: to trace a hundred million counts would take minutes."""
    command = [sys.executable, "-c", MEASURED.format(done=done), str(path)]
    package = Path(data_package.__file__).parents[1]
    return int(subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(os.name == "nt", reason="Windows doesn't tell a process's peak this way")
@pytest.mark.sweep
def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    assert kilobytes_taken(VOCABULARIES, large_file(tmp_path / "large.txt")) < 30_000
    np.save(tmp_path / "large.npy", np.ones(100 * MEGABYTE, np.uint8))
    assert kilobytes_taken(LOADING, tmp_path / "large.npy") < 30_000
