"""The folder for generated code: the user's own, without anything that somebody else could have written.

Its files are machine code, which is executed. So it isn't enough that we can write to the folder. The folder and each
file in it have to be ours, closed to others, and no link to elsewhere. On Windows, where files have no mode, the folder
lies in the user's profile, which others can't write to.

It doesn't grow beyond a limit: the files that were used longest ago are deleted first.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HAS_OWNERS = hasattr(os, "getuid")
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
LIMIT_VARIABLE, LIMIT_MIB = "TINYGRAD_RNN_CACHE_MIB", 256.0
DIGEST = re.compile("[0-9a-f]{24}")


def cache_folder() -> Path:
    """Return the folder for generated code, made if it isn't there; mode 0700.

    If it can't be made, or the existing one can't be trusted, return a folder for this process alone.
    """
    with contextlib.suppress(OSError, RuntimeError):  # no right to write, no space, no home
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = (given if given.is_absolute() else Path.home() / ".cache") / "tinygrad_rnn"
        _make(folder)
        if is_trusted_folder(folder):
            return folder
    return temporary_folder()


def temporary_folder() -> Path:
    """Return a folder for generated code that is deleted with this process."""
    return Path(_temporary_folder().name)


@functools.cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinygrad_rnn_")


def _make(folder: Path) -> None:
    """Make a folder and its parents for this user alone; ``mkdir(parents=True)`` would leave the parents open."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


# --- what can be trusted ---------------------------------------------------------------------------------------------


def is_trusted_folder(folder: Path) -> bool:
    """Return True if only this user can change the contents of a folder, or replace it."""
    above = folder.parent.resolve()
    return _is_ours_alone(folder, stat.S_ISDIR) and all(map(_is_safe_above, (above, *above.parents)))


def is_trusted_file(path: Path) -> bool:
    """Return True if a file is this user's alone, and has no other name."""
    return _is_ours_alone(path, stat.S_ISREG) and path.lstat().st_nlink == 1


def _is_ours_alone(path: Path, is_of_kind: Callable[[int], bool]) -> bool:
    """Return True if a path is no link, belongs to this user, and nobody else can write to it."""
    status = path.lstat()
    if not HAS_OWNERS:
        return is_of_kind(status.st_mode)
    return is_of_kind(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & WRITABLE_BY_OTHERS


def _is_safe_above(folder: Path) -> bool:
    """Return True if a folder above ours belongs to this user or to root, and others can't exchange its contents.

    Its group may write to it, as is the default on some systems: a folder that a member put in the place of ours would
    belong to that member, and so not be trusted.
    """
    status = folder.stat()
    is_open = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
    return not HAS_OWNERS or (status.st_uid in (os.getuid(), 0) and not is_open)


# --- files -----------------------------------------------------------------------------------------------------------


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read; another process sees either all of it or nothing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


# --- what is kept ----------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A file of machine code."""

    path: Path  # its place
    size: int  # its bytes
    used: float  # when it was last used, in seconds since the epoch


def entries(folder: Path) -> list[Entry]:
    """The files in a cache folder, from the one used last to the one used longest ago."""
    found = []
    for path in folder.rglob("*"):  # earlier versions had a folder inside
        with contextlib.suppress(FileNotFoundError):  # another process deletes it
            status = path.lstat()
            if DIGEST.search(path.name):
                found.append(Entry(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def limit() -> int:
    """The bytes that a cache folder may hold: the environment variable's number of MiB, or 256 MiB."""
    try:
        mebibytes = float(os.environ.get(LIMIT_VARIABLE, ""))
    except ValueError:
        mebibytes = LIMIT_MIB
    return int(max(0.0, min(mebibytes, 2.0**40)) * 2**20) if mebibytes == mebibytes else int(LIMIT_MIB * 2**20)


def keep_within_limit(folder: Path) -> None:
    """Delete the files that were used longest ago, until the rest is within the limit."""
    size, most = 0, limit()
    for entry in entries(folder):
        size += entry.size
        if size > most:
            delete(entry)


def delete(entry: Entry) -> None:
    """Delete a file. Processes that use it keep it; others make it anew."""
    with contextlib.suppress(OSError):  # another process deleted it, or holds it open on Windows
        entry.path.unlink()
