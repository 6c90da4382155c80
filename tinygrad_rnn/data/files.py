"""Opening a file to read it, and writing one so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_to_read(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file's bytes.

    A pipe or a device may wait or run on for ever, and can't be read twice, so it is turned away
    before it is opened.

    Raises:
        OSError: if there is no such file or it may not be read.
        ValueError: if the path isn't that of a regular file.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ValueError(f"{os.fspath(path)} is a folder. Give the path of a file in it.")
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{os.fspath(path)} is a pipe or a device, not a regular file. "
            "Save what it holds to a file and give that file's path."
        )
    return open(path, "rb")


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write ``path`` whole or not at all.

    The data go to a temporary file in the same folder. When the block ends without an error, that file
    is synced to the disk and renamed to ``path``, in one step. When it doesn't (an error, a full disk,
    Ctrl-C), the temporary file is removed. Whatever happens, even a power failure, ``path`` holds
    either all of the old content or all of the new.

    Yields:
        The temporary file, open for writing bytes.
    """
    target = Path(os.path.realpath(path))  # through a link: replace the file, keep the link
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing_to(path), open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = os.fspath(path)
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def writing_to(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name into the error if the disk is full, because the system doesn't."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            error.filename = os.fspath(path)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power failure, where the system lets us."""
    if os.name == "nt":  # Windows can't open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
