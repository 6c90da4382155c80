"""A lock on the folder of a run; the system releases it when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from io import FileIO
from pathlib import Path

from ..data.files import writing_to

NAME = "lock"


class FolderLock:
    """A lock that reserves a folder for this run, from the lock's creation until ``release()``.

    Raises:
        BlockingIOError: another run holds it.
        OSError: the lock file can't be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        # Opened to append: the note about the holder must survive when another process asks for the lock. And without a
        # buffer: data that a full disk refused would be written, and refused, once more when the file is closed.
        self._file: FileIO = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by release)
        try:
            _lock(self._file)
        except OSError as error:
            self._file.seek(0)
            holder = (self._file.read(40) or b"").decode(errors="replace").strip()
            self._file.close()
            if not isinstance(error, (BlockingIOError, PermissionError)):
                raise
            raise BlockingIOError(
                f"another training run ({holder or 'just starting'}) keeps its checkpoints in {folder}. Wait for its "
                "end, or give this run a folder of its own."
            ) from None
        with writing_to(path):
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()}\n".encode())

    def release(self) -> None:
        """Release the folder. The file stays: removing it could take the lock from a process that just got it."""
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: FileIO) -> None:
        # One byte far behind the note: other processes can't read a locked range.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: FileIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
