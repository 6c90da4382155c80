"""``train``: a language model of a text, saved so that training can be interrupted at any moment and resumed."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..autodiff.extras import optional
from ..language import (
    CharacterVocabulary,
    LanguageModel,
    Vocabulary,
    WordVocabulary,
    python_documentation,
    train_on_text,
)
from ..language.model import CELLS
from ..training import History, TrainingDiverged, TrainingInterrupted
from ..training.ranks import Alone, RankFailed, Ranks
from . import options as o
from .places import Complaint, output_folder
from .training_folder import TrainingFolder, bits_per_symbol

FOLDER = "tinygrad_rnn_model"
STARTED_TOGETHER = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE")  # set by MPICH, Intel MPI and Open MPI
EPOCHS = 5
SETTINGS: dict[str, Any] = {
    "words": False, "max_size": 20_000, "cell": "LSTM", "layers": 1, "units": 128, "embedding": 64, "dropout": 0.0,
    "batch": 32, "steps_per_batch": 50, "learning_rate": 5e-3, "clip_norm": None, "validation": 0.05, "threads": 1,
    "seed": 0,
}  # fmt: skip
"""The default settings of a run. They are kept in its folder, because a resumed run may change none of them."""
TYPES: dict[str, Callable[[str], Any]] = {
    "max_size": o.whole(2), "layers": o.whole(1, 100), "units": o.size, "embedding": o.size, "dropout": o.probability,
    "batch": o.size, "steps_per_batch": o.size, "learning_rate": o.positive, "clip_norm": o.positive,
    "validation": o.fraction, "threads": o.threads, "seed": o.whole(0),
}  # fmt: skip
"""The types that check numeric settings, from the command line or from the folder."""

DESCRIPTION = (
    "Train a language model on a text file, or on the documentation inside Python. The run is saved "
    "every minute, at the end and on Ctrl-C; --resume continues it, bit for bit as if it had never stopped."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", metavar="FILE", help="a text (default: Python's own documentation)")
    o.add_encoding(parser)
    parser.add_argument("--out", metavar="FOLDER", help=f"the run's folder (default: {FOLDER}, or the next free one)")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder --out")
    o.add_quiet(parser)
    o.add_json(parser)
    limits = parser.add_argument_group("how long, counted through all interruptions")
    limits.add_argument("--epochs", type=o.count, help=f"number of times through the text (default: {EPOCHS})")
    limits.add_argument("--steps", type=o.count, help="so many batches")
    limits.add_argument("--seconds", type=o.positive, help="so long")
    curve = "number of batches between points of the validation curve (default: an epoch)"
    limits.add_argument("--validate-every", type=o.count, metavar="STEPS", help=curve)
    add_settings(parser.add_argument_group("the model and its training, fixed when the run begins"))


def add_settings(group: Any) -> None:
    """Declare the settings of a run. None stands for the default, so that a resumed run knows what was given."""

    def add(name: str, about: str, **keywords: Any) -> None:
        default = SETTINGS[name]
        about += f" (default: {'none' if default is None else default})"
        group.add_argument(f"--{name.replace('_', '-')}", help=about, type=TYPES.get(name), **keywords)

    group.add_argument("--words", action="store_true", default=None, help="learn words instead of characters")
    add("max_size", "largest number of different symbols; the rarest become one")
    add("cell", "the recurrent cell", choices=list(CELLS))
    add("layers", "number of cells on top of each other")
    add("units", "the size of its state")
    add("embedding", "the size of a symbol's vector")
    add("dropout", "the share of each layer's inputs and outputs that is dropped in training")
    add("batch", "streams through the text, side by side")
    add("steps_per_batch", "time steps that gradients flow back through")
    add("learning_rate", "Adam's")
    add("clip_norm", "scale larger gradients down to this norm")
    add("validation", "the fraction of the text, at its end, that is kept from the model")
    add("threads", "for matrix products")
    add("seed", "seed of everything random")


def run(options: argparse.Namespace) -> int:
    """Train, save the model, and print its loss on text that it hasn't seen.

    Started by ``mpiexec``, all processes train one model. Only the first one writes to the folder and prints.
    """
    communicator = communicator_of_this_job()
    ranks = Alone() if communicator is None else Ranks(communicator)
    with ExitStack() as held:
        try:
            prepared = ranks.gather(lambda: prepare(options, held) if ranks.rank == 0 else None)[0]
            assert prepared is not None
            return train(*prepared, options, communicator)
        except (RankFailed, Complaint, KeyboardInterrupt) as error:
            if ranks.rank == 0:
                raise
            return 130 if isinstance(error, KeyboardInterrupt) else 2  # the first one prints the reason


Prepared = tuple[TrainingFolder, dict[str, Any], Vocabulary, np.ndarray]


def prepare(options: argparse.Namespace, held: ExitStack) -> Prepared:
    """The folder of a run, locked, with its settings, its vocabulary and its text as numbers."""
    asked = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    if options.encoding and options.text is None:
        raise Complaint("--encoding is for a text FILE, and none is named.")
    if options.resume:
        folder = folder_of_a_run(options.out)
        held.enter_context(folder.held())
        return folder, *resumed(folder, options.text, asked)
    settings = SETTINGS | asked
    encoding = options.encoding or "utf-8"
    vocabulary = vocabulary_of(options.text, encoding, settings)
    folder = TrainingFolder(output_folder(options.out, FOLDER, overwrite=False))
    held.enter_context(folder.held())
    return folder, settings, vocabulary, begun(folder, settings, vocabulary, options.text, encoding)


def communicator_of_this_job() -> Any:
    """The communicator of the processes that ``mpiexec`` started together; None if this one was started alone."""
    if not any(int(os.environ.get(name, "1")) > 1 for name in STARTED_TOGETHER):
        return None
    return optional("mpi", "mpi4py.MPI", "training by several processes needs mpi4py").COMM_WORLD


def train(
    folder: TrainingFolder,
    settings: dict[str, Any],
    vocabulary: Vocabulary,
    symbols: np.ndarray,
    options: argparse.Namespace,
    communicator: Any = None,
) -> int:
    """Train until a limit or Ctrl-C; return 1 if training diverged."""
    first = communicator is None or communicator.rank == 0
    model: list[LanguageModel] = []  # from the first step on; so a stopped run has one, too
    try:
        # BLAS takes all cores by default; for products of this size that costs more than it saves.
        # NumPy needn't warn of overflow: a diverging run reports it once.
        with threadpool_limits(limits=settings["threads"]), np.errstate(all="ignore"):
            trained = train_on_text(
                symbols,
                vocabulary=vocabulary,
                checkpoints=folder.checkpoints,
                resume=options.resume,
                callbacks=[lambda run: model.append(run.model) if not model else None],
                progress=o.progress(options.quiet or options.json),
                validate=True,
                validate_every=options.validate_every,
                communicator=communicator,
                **limits(options),
                **as_keywords(settings),
            )
            if not first:
                return 0
            folder.save_model(trained.model)
            folder.save_losses(trained.history, vocabulary.kind)
            tell(folder, trained, bits_per_symbol(trained.model, trained.validation_text), options)
    except TrainingInterrupted as interrupt:
        if first:
            save_unfinished(folder, model, interrupt.history)
        step = f"stopped after step {interrupt.history.step:,}"
        raise KeyboardInterrupt(f"{step}; go on: tinygrad-rnn train --resume --out {folder.path}") from None
    except TrainingDiverged as error:
        if first:
            save_unfinished(folder, model, error.history)
            print(f"tinygrad-rnn: {o.in_one_line(error)}", file=sys.stderr)
        return 1
    except ValueError as error:  # checkpoints are damaged, or belong to another run
        o.complain(error)
    return 0


def vocabulary_of(text: str | None, encoding: str, settings: dict[str, Any]) -> Vocabulary:
    """The symbols of a text."""
    kind, unknown = (WordVocabulary, "<unknown>") if settings["words"] else (CharacterVocabulary, "\ufffd")
    options: dict[str, Any] = {"unknown": unknown, "max_size": settings["max_size"]}
    vocabulary: Vocabulary
    try:
        if text is None:
            vocabulary = kind.from_text(python_documentation(), **options)
        else:
            vocabulary = kind.from_file(text, encoding=encoding, **options)
    except (OSError, ValueError, ImportError) as error:
        o.unreadable(str(text), error)
    return vocabulary


def begun(
    folder: TrainingFolder, settings: dict[str, Any], vocabulary: Vocabulary, text: str | None, encoding: str
) -> np.ndarray:
    """The text, as numbers, of a new run in a folder."""
    if folder.holds_a_run:
        raise Complaint(
            f"{folder.path} holds a training run already. Go on with it by --resume, or name another --out."
        )
    # One batch to train on, and two symbols to validate on, so that one can predict the other.
    batch = settings["batch"] * settings["steps_per_batch"] + 1
    shortest = 1 + max(int(batch / (1 - settings["validation"])), int(2 / settings["validation"]))
    return folder.begin(settings, vocabulary, text, encoding, shortest)


def folder_of_a_run(given: str | None) -> TrainingFolder:
    """The folder of the run to resume."""
    if given is None:
        raise Complaint("--resume needs the folder of the run to go on with: --out FOLDER.")
    folder = TrainingFolder(Path(given))
    if not folder.holds_a_run:
        raise Complaint(f"{given} holds no training run; `tinygrad-rnn train --out {given}` begins one.")
    return folder


def resumed(
    folder: TrainingFolder, text: str | None, asked: dict[str, Any]
) -> tuple[dict[str, Any], Vocabulary, np.ndarray]:
    """The settings, the vocabulary and the text, as numbers, of a resumed run."""
    settings, vocabulary, symbols = folder.read()
    if isinstance(settings, dict):
        settings = {"layers": 1, "dropout": 0.0, **settings}  # the settings of runs from before these options existed
    if not sound(settings):
        raise Complaint(f"{folder.settings} is damaged, or of another version: begin a run anew, with another --out.")
    changed = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value != settings[name]]
    if text is not None:
        changed.insert(0, "the text")
    if changed:
        raise Complaint(f"a resumed run keeps its settings; leave out {', '.join(changed)}.")
    return settings, vocabulary, symbols


def sound(settings: Any) -> bool:
    """Return True for settings that a run can have."""
    if not isinstance(settings, dict) or settings.keys() != SETTINGS.keys():
        return False
    if settings["cell"] not in list(CELLS) or not isinstance(settings["words"], bool):
        return False
    try:
        return all(
            SETTINGS[name] is None if settings[name] is None else read(str(settings[name])) == settings[name]
            for name, read in TYPES.items()
        )
    except argparse.ArgumentTypeError:
        return False


def limits(options: argparse.Namespace) -> dict[str, Any]:
    """The limits of training, as options for ``fit``."""
    given = {name: getattr(options, name) for name in ("epochs", "steps", "seconds")}
    return given if any(given.values()) else {"epochs": EPOCHS}


def as_keywords(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings by the names that ``train_on_text`` gives them."""
    called = {"embedding": "embedding_size", "batch": "batch_size"}
    elsewhere = ("words", "max_size", "threads")
    return {called.get(name, name): value for name, value in settings.items() if name not in elsewhere}


def save_unfinished(folder: TrainingFolder, model: list[LanguageModel], history: History) -> None:
    """Save the model of an unfinished run, so that one can sample from it."""
    for unfinished in model:
        folder.save_model(unfinished)
        folder.save_losses(history, unfinished.vocabulary.kind)


def tell(folder: TrainingFolder, trained: Any, bits: float, options: argparse.Namespace) -> None:
    """Print the result."""
    history, kind = trained.history, trained.model.vocabulary.kind
    if options.json:
        found = {
            "folder": str(folder.path),
            "model": str(folder.model),
            "symbols": kind,
            "different_symbols": len(trained.model.vocabulary),
            "parameters": trained.model.num_parameters(),
            "steps": history.step,
            "seconds": history.seconds,
            "stopped": history.stopped,
            "loss": history.smoothed,
            "bits_per_symbol": bits,
            "validation": [[step, loss / math.log(2)] for step, loss in history.validation],
        }
        o.print_json(found)
        return
    print(f"{history.stopped}: loss {history.smoothed:.3f}, {history.seconds:.0f} s")
    print(f"On text that it hasn't seen: {bits:.3f} bits for each of its {kind[:-1]}s")
    print(f"The model: {folder.model}")
    if not options.quiet:
        print(f"Its curves: {folder.curves}")
        print(f"Let it write: tinygrad-rnn sample {folder.path}")
