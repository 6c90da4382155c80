"""The file format of checkpoints: what goes in comes out, and what is damaged or hostile stays out."""

from __future__ import annotations

import errno
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.any_text import any_text
from tests.project.hostile import npz_of
from tinygrad_rnn.data import tree_file
from tinygrad_rnn.training import load_tree, save_tree

NUMBERS = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes() | hnp.complex_number_dtypes()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | any_text()
    | hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
)
TREES = st.recursive(
    LEAVES,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(any_text() | st.integers(), parts, max_size=3)
    ),
    max_leaves=8,
)


class Name(str):
    """It would come back as a plain string."""

    __slots__ = ()


EXAMPLE = {"weights": np.arange(12.0).reshape(3, 4), "step": 3, 7: ("a", None, [np.int8(5), True])}


def same(a: Any, b: Any) -> bool:
    """Whether two trees are the same, types and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


@settings(max_examples=200)
@given(tree=TREES)
def test_a_tree_comes_back_as_it_was(tree: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tree") / "file"
    save_tree(tree, path)
    assert same(load_tree(path), tree)


def test_arrays_come_back_in_any_layout_and_can_be_written_to(tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    views = [array.T, array[:, ::-1], np.asfortranarray(array), np.broadcast_to(array[0, 0], (5, 4)), array[..., 1]]
    save_tree(views, tmp_path / "file")
    for back, view in zip(load_tree(tmp_path / "file"), views):
        np.testing.assert_array_equal(back, view)
        back[...] = 0


@pytest.mark.parametrize(
    "thing", [object(), np.array([object()]), np.array(["text"]), {1.5: 2}, {"a": [{"b": {1, 2}}]}, b"bytes", Name("x")]
)
def test_what_is_no_number_is_refused_where_it_stands(thing: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"the tree.* saved"):
        save_tree({"part": [thing]}, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_any_damaged_byte_is_noticed_if_it_matters(tmp_path: Path) -> None:
    """A byte of a date, say, doesn't."""
    path = tmp_path / "file"
    save_tree(EXAMPLE, path)
    data = path.read_bytes()
    noticed = 0
    for position in range(len(data)):
        for flipped in (1, 128):
            path.write_bytes(data[:position] + bytes([data[position] ^ flipped]) + data[position + 1 :])
            try:
                assert same(load_tree(path), EXAMPLE)
            except ValueError as error:
                assert "file is damaged" in str(error)
                noticed += 1
    assert noticed > 1.5 * len(data)


def test_any_missing_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tree(EXAMPLE, path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="file is damaged"):
            load_tree(path)


@settings(max_examples=200)
@given(data=st.binary(max_size=200), begins_well=st.booleans())
def test_random_bytes_are_refused(data: bytes, begins_well: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tree") / "file"
    path.write_bytes(npz_of(data, [np.zeros(1)]) if begins_well else data)
    with pytest.raises(ValueError, match="file"):
        load_tree(path)


HOSTILE: dict[str, Any] = {
    "array that isn't there": {"array": 1},
    "array in two places": [{"array": 0}, {"array": 0}],
    "array in no place": [],
    "number that is an array": {"scalar": 0},
    "unknown kind": {"call": "os.system"},
    "two kinds": {"tuple": [], "dict": []},
    "no kind": {},
    "unhashable key": {"dict": [[[], 1]]},
    "key twice": {"dict": [[1, {"array": 0}], [1, 2]]},
    "index that is text": {"array": "0"},
    "index that is true": {"array": True},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_tree_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(npz_of(json.dumps(HOSTILE[what]).encode(), [np.zeros(1)]))
    tracemalloc.start()
    with pytest.raises(ValueError, match="file"):
        load_tree(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # what was promised was not taken


@pytest.mark.parametrize(
    "data",
    [
        npz_of(b"[" * 100_000),
        npz_of(b"9" * 10_000),
        npz_of(b"\xff\xfe"),
        npz_of(b"[]", packed=True),
    ],
)
def test_hostile_json_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="file"):
        load_tree(path)


class FullDisk(io.FileIO):
    """A file that can take only so many bytes."""

    room = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if self.tell() + size > FullDisk.room:
            super().write(memoryview(data).cast("B")[: FullDisk.room - self.tell()])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_disk_that_is_full_at_any_byte_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    save_tree(EXAMPLE, path)
    size = path.stat().st_size
    monkeypatch.setattr(
        "tinygrad_rnn.data.files.open", lambda name, mode: FullDisk(name, mode.replace("b", "")), raising=False
    )
    for room in range(size):
        FullDisk.room = room
        with pytest.raises(OSError, match="No space left"):
            save_tree({**EXAMPLE, "step": 4}, path)
        assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    assert same(load_tree(path), EXAMPLE)


def test_a_write_that_breaks_off_anywhere_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure leaves of an unsynced file is refused, and it never has the file's name."""
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("sync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b)))
    save_tree(EXAMPLE, tmp_path / "file")
    assert steps[:2] == ["sync", "rename"]


def test_a_tree_has_a_limit_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    save_tree(["a"] * 100, path)
    monkeypatch.setattr(tree_file, "MAX_JSON_BYTES", 100)
    with pytest.raises(ValueError, match="as arrays"):
        load_tree(path)
    with pytest.raises(ValueError, match="as arrays"):
        save_tree(["a"] * 100, path)


def test_a_folder_or_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        load_tree(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_tree(tmp_path / "missing")


def test_numpy_reads_it_too_and_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save_tree(EXAMPLE, tmp_path / name)
    with np.load(tmp_path / "a") as file:
        assert file.files == ["tree", "0", "1"]
        np.testing.assert_array_equal(file["0"], EXAMPLE["weights"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
