"""The folder of one training run: its settings, its text as numbers, its checkpoints, its model.

=================  ==================================================================================================
``settings.json``  the options that the run was begun with
``vocabulary``     the symbols in the order of their numbers
``text.npy``       the text as numbers; so a run can be resumed without the text's file
``checkpoints/``   the state of the run, for ``train --resume``
``model.tree``     the trained model, for ``sample`` and ``eval``
``losses.csv``     the loss of every step, for a plot
``validation.csv`` the loss on text that the model doesn't learn from, at the end of each epoch
``losses.html``    both as curves
``lock``           locked by the training process, so that no other begins or resumes a run here
=================  ==================================================================================================
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..autodiff.texts import printable
from ..data.files import open_to_read, replace_file
from ..language import LanguageModel, Vocabulary, encode_file, encode_text, load_encoded, python_documentation
from ..language.model_file import load_language_model, save_language_model
from ..training import History
from ..training.folder_lock import NAME as LOCK_NAME
from ..training.folder_lock import FolderLock
from .options import complain
from .places import Complaint

MOST_SETTINGS_BYTES = 1 << 20


class TrainingFolder:
    """The folder of a run, and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "settings.json"
        self.vocabulary = path / "vocabulary"
        self.text = path / "text.npy"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.tree"
        self.losses = path / "losses.csv"
        self.validation = path / "validation.csv"
        self.curves = path / "losses.html"
        self.lock = path / LOCK_NAME

    @property
    def holds_a_run(self) -> bool:
        """True if the folder holds a run."""
        return self.settings.exists()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other runs.

        Raises:
            BlockingIOError: another run holds the folder.
        """
        lock = FolderLock(self.path)
        try:
            yield
        finally:
            lock.release()

    def begin(
        self, settings: dict[str, Any], vocabulary: Vocabulary, text: str | None, encoding: str, shortest: int
    ) -> np.ndarray:
        """Write the settings of a run, and its text as numbers; return these, mapped from the folder.

        Raises:
            Complaint: the text is too short.
        """
        if text is None:
            symbols = encode_text(python_documentation(), vocabulary, out=self.text)
        else:
            symbols = encode_file(text, vocabulary, out=self.text, encoding=encoding)
        if len(symbols) < shortest:
            self.text.unlink()
            with contextlib.suppress(OSError):  # it may hold files of the user
                self.lock.unlink()
                self.path.rmdir()
            raise Complaint(
                f"{text or 'the text'} is too short to learn from: {len(symbols):,} {vocabulary.kind}, at least "
                f"{shortest:,} needed; a smaller --batch or --steps-per-batch, or a longer text."
            )
        vocabulary.save(self.vocabulary)
        # Written last: its presence means that the folder holds a run.
        with replace_file(self.settings) as file:
            file.write(json.dumps(settings, indent=2).encode() + b"\n")
        return symbols

    def read(self) -> tuple[dict[str, Any], Vocabulary, np.ndarray]:
        """The settings, the vocabulary and the text of the run in this folder.

        Raises:
            Complaint: a part of it is damaged.
        """
        try:
            settings = self._read_settings()
            vocabulary = Vocabulary.load(self.vocabulary)
            symbols = load_encoded(self.text, vocabulary)
        except ValueError as error:
            complain(error)
        return settings, vocabulary, symbols

    def _read_settings(self) -> Any:
        with open_to_read(self.settings) as file:
            data = file.read(min(self.settings.stat().st_size, MOST_SETTINGS_BYTES))
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.settings} is damaged: {error!s:.500}") from None

    def save_model(self, model: LanguageModel) -> None:
        """Write the model."""
        save_language_model(model, self.model)

    def save_losses(self, history: History, kind: str) -> None:
        """Write the loss of every step, and of every validation, as comma-separated values and as a page."""
        steps = enumerate(history.losses.tolist(), start=1)
        for path, rows in ((self.losses, steps), (self.validation, iter(history.validation))):
            with replace_file(path) as file:
                file.write(b"step,loss\n")
                file.writelines(b"%d,%a\n" % row for row in rows)
        from ..report.pages import curves_page  # takes as long to import as all else, and `sample` needs none

        with replace_file(self.curves) as file:
            file.write(curves_page(history, f"The run in {printable(self.path.name)}", kind).encode())


def read_model(given: str) -> tuple[LanguageModel, TrainingFolder]:
    """The model in the folder of a run, or in a file of its own; and the folder of that file.

    Raises:
        Complaint: there is no model, or it is damaged.
    """
    path = Path(given)
    folder = TrainingFolder(path if path.is_dir() else path.parent)
    file = folder.model if path.is_dir() else path
    if not file.exists():
        cure = "give the folder that `tinygrad-rnn train` wrote, or the model.tree in it"
        if path.is_dir() and folder.holds_a_run:
            cure = f"its training hasn't come to an end; `tinygrad-rnn train --resume --out {path}` goes on with it"
        raise Complaint(f"there is no model at {path}; {cure}.")
    try:
        return load_language_model(file), folder
    except ValueError as error:
        complain(error)


def bits_per_symbol(model: LanguageModel, symbols: np.ndarray) -> float:
    """The bits that the model needs for a symbol of a text; a long text is read in a few pieces side by side.

    Raises:
        Complaint: the text is too short.
    """
    if len(symbols) < 2:
        raise Complaint(f"a text of {len(symbols)} {model.vocabulary.kind} is too short; one has to predict another.")
    side_by_side = 16 if len(symbols) > 2_000 else 1
    return model.bits_per_symbol(symbols, batch_size=side_by_side, steps=min(100, (len(symbols) - 1) // side_by_side))
