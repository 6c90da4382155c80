"""A folder of checkpoints: written whole or not at all, read only if whole, by one run at a time."""

from __future__ import annotations

import contextlib
import os
import re
import time
import warnings
from pathlib import Path
from typing import Any

from ..data.tree_file import load_tree, save_tree
from .folder_lock import FolderLock

NAME = re.compile(r"step-([0-9]{1,15})\.checkpoint")
TEMPORARY = re.compile(r"\.step-[0-9]{1,15}\.checkpoint\.[0-9a-f]+\.tmp")


class Checkpoints:
    """The folder in which a training run saves itself, and how often it does.

    Args:
        folder: a folder of the run's own; made if it isn't there.
        every: the number of steps between saves; None: save by time.
        seconds: without ``every``, the number of seconds between saves.
        keep: the number of newest checkpoints to keep.

    Raises:
        ValueError: a number that makes no sense.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Checkpoints(folder, every=10) as checkpoints:
        ...     checkpoints.save(10, {"weights": [1.0, 2.0]})
        ...     step, tree = checkpoints.newest()
        >>> step, tree
        (10, {'weights': [1.0, 2.0]})
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, every: int | None = None, seconds: float = 60.0, keep: int = 2
    ) -> None:
        if (every is not None and every < 1) or not seconds >= 0 or keep < 1:
            raise ValueError(f"Checkpoints: every={every}, seconds={seconds}, keep={keep}: use positive numbers")
        self.folder = Path(folder)
        self.every = every
        self.seconds = seconds
        self.keep = keep
        self._lock: FolderLock | None = None
        self._last_time = 0.0

    def __enter__(self) -> Checkpoints:
        """Take the folder for this run.

        Raises:
            OSError: the folder can't be made or written to, or another run has it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.folder)
        except BlockingIOError:
            raise
        except OSError as error:
            raise type(error)(
                error.errno,
                f"checkpoints can't be written there ({error.strerror}); give a folder of your own",
                str(self.folder),
            ) from None
        for path in self.folder.iterdir():
            if TEMPORARY.fullmatch(path.name):  # a run that was killed while it wrote
                path.unlink()
        self._last_time = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def due(self, step: int) -> bool:
        """Return True if the run should save itself after this step."""
        if self.every is not None:
            return step % self.every == 0
        return time.monotonic() - self._last_time >= self.seconds

    def save(self, step: int, tree: Any) -> None:
        """Write the checkpoint of a step, then remove the oldest ones beyond ``keep``.

        Raises:
            OSError: the checkpoint can't be written. All older ones are still there.
        """
        self._last_time = time.monotonic()  # a failed attempt counts too: the next one waits its time
        save_tree(tree, self.path_of(step))
        for _, path in self._found()[self.keep :]:
            with contextlib.suppress(OSError):  # one too many does no harm
                path.unlink()

    def newest(self) -> tuple[int, Any] | None:
        """The newest whole checkpoint, as ``(step, tree)``; None if there are none.

        A damaged checkpoint is renamed, with a warning, and the one before it is used.

        Raises:
            ValueError: there are some, but all are damaged.
            OSError: a checkpoint can't be read.
        """
        problems = []
        for step, path in self._found():
            try:
                return step, load_tree(path)
            except ValueError as error:
                aside = path.with_name(path.name + ".damaged")
                os.replace(path, aside)
                problems.append(str(error))
                warnings.warn(f"{error}. It is now called {aside.name}.", RuntimeWarning, stacklevel=3)
        if problems:
            raise ValueError(f"no checkpoint in {self.folder} is whole: {'; '.join(problems)}")
        return None

    def empty(self) -> bool:
        """Return True if there are no checkpoints."""
        return not self._found()

    def path_of(self, step: int) -> Path:
        """The file of a step's checkpoint."""
        return self.folder / f"step-{step:08d}.checkpoint"

    def _found(self) -> list[tuple[int, Path]]:
        """The checkpoints, the newest first."""
        matches = ((NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)
