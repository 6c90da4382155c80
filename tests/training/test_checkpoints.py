"""The folder of checkpoints: the newest whole one is found, and one run at a time has it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_rnn.training import Checkpoints
from tinygrad_rnn.training.folder_lock import FolderLock


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "lock")


def test_the_newest_are_kept(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "new" / "folder", keep=2) as checkpoints:
        assert checkpoints.empty() and checkpoints.newest() is None
        for step in (5, 10, 100_000_000, 900_000_000):
            checkpoints.save(step, {"step": step})
        assert checkpoints.newest() == (900_000_000, {"step": 900_000_000})
        assert names(checkpoints.folder) == ["step-100000000.checkpoint", "step-900000000.checkpoint"]


def test_a_damaged_one_is_named_and_the_one_before_it_taken(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(2, "older")
        checkpoints.keep = 2
        checkpoints.save(5, "newer")
        path = tmp_path / "step-00000005.checkpoint"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.warns(RuntimeWarning, match="step-00000005.checkpoint is damaged"):
            assert checkpoints.newest() == (2, "older")
        checkpoints.keep = 1
        checkpoints.save(3, "again")  # the damaged one doesn't count as the newest to keep
        assert checkpoints.newest() == (3, "again")


def test_when_all_are_damaged_nothing_is_loaded(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(5, "newer")
        (tmp_path / "step-00000005.checkpoint").write_bytes(b"")
        with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match=r"step-00000005\.checkpoint is damaged"):
            checkpoints.newest()


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".step-00000007.checkpoint.0a1b2c3d.tmp").write_bytes(b"half")
    (tmp_path / ".someone-elses.tmp").write_bytes(b"")
    with Checkpoints(tmp_path):
        assert names(tmp_path) == [".someone-elses.tmp"]


def test_a_failed_save_keeps_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, "whole")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(2, "lost")
        assert checkpoints.newest() == (1, "whole")


def test_when_to_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Checkpoints(tmp_path, seconds=60) as checkpoints:
        now = 1059.0
        assert not checkpoints.due(step=7)
        now = 1060.0
        assert checkpoints.due(step=7)
        checkpoints.save(7, None)
        assert not checkpoints.due(step=8)
    assert [step for step in range(1, 10) if Checkpoints(tmp_path, every=4).due(step)] == [4, 8]


@pytest.mark.parametrize("wrong", [{"every": 0}, {"seconds": -1}, {"keep": 0}])
def test_wrong_numbers(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="positive"):
        Checkpoints(tmp_path, **wrong)


def test_one_run_to_a_folder(tmp_path: Path) -> None:
    with Checkpoints(tmp_path):
        with (
            pytest.raises(BlockingIOError, match=rf"another training run \(process {os.getpid()}\)"),
            Checkpoints(tmp_path),
        ):
            pass
        # Who asked and was refused has not disturbed the lock.
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()}"):
            FolderLock(tmp_path)
    with Checkpoints(tmp_path):
        pass


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from tinygrad_rnn.training.folder_lock import FolderLock;"
        "lock = FolderLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match=f"process {holder.pid}"):
        FolderLock(tmp_path)
    holder.kill()
    holder.communicate()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("what", ["mkdir", "open"])
def test_a_folder_that_cannot_be_written_to(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an administrator may write everywhere, the refusal is the system's answer played back."""

    def refuse(*args: object, **keywords: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path))

    if what == "mkdir":
        monkeypatch.setattr(Path, "mkdir", refuse)
    else:
        monkeypatch.setattr("tinygrad_rnn.training.folder_lock.open", refuse, raising=False)
    with (
        pytest.raises(OSError, match=r"checkpoints can't be written there .Read-only file system.*folder"),
        Checkpoints(tmp_path),
    ):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="checkpoints can't be written there"), Checkpoints(tmp_path):
            pass
    finally:
        tmp_path.chmod(0o700)
