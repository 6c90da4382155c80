"""``train``: a language model of a text, saved so that it can be interrupted at any moment and go on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..data import CharacterVocabulary, Vocabulary, WordVocabulary, python_documentation
from ..training import LanguageModel, TrainingDiverged, TrainingInterrupted, train_on_text
from ..training.language import CELLS
from . import options as o
from .places import Complaint, output_folder
from .training_folder import TrainingFolder, bits_per_symbol

FOLDER = "tinygrad_rnn_model"
EPOCHS = 5
SETTINGS: dict[str, Any] = {
    "words": False, "max_size": 20_000, "cell": "LSTM", "units": 128, "embedding": 64, "batch": 32,
    "steps_per_batch": 50, "learning_rate": 5e-3, "clip_norm": None, "validation": 0.05, "threads": 1, "seed": 0,
}  # fmt: skip
"""What a run is begun with, by default. It is kept in the folder, for a run that goes on may change none of it."""


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a language model on a text",
        description="Train a language model on a text file, or on the documentation inside Python. The run is saved "
        "every minute, at the end and on Ctrl-C; --resume goes on with it, bit for bit as if it had never stopped.",
    )
    parser.add_argument("text", nargs="?", metavar="FILE", help="UTF-8 text (default: Python's own documentation)")
    parser.add_argument("--out", metavar="FOLDER", help=f"the run's folder (default: {FOLDER}, or the next free one)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder --out")
    o.add_quiet(parser)
    o.add_json(parser)
    limits = parser.add_argument_group("how long, counted through all interruptions")
    limits.add_argument("--epochs", type=o.whole(1), help=f"so many times through the text (default: {EPOCHS})")
    limits.add_argument("--steps", type=o.whole(1), help="so many batches")
    limits.add_argument("--seconds", type=o.positive, help="so long")
    add_settings(parser.add_argument_group("the model and how it learns, settled when the run begins"))
    parser.set_defaults(run=run)


def add_settings(group: Any) -> None:
    """Declare what a run is begun with. None stands for the default, so that a run that goes on sees what was asked."""

    def add(name: str, about: str, **keywords: Any) -> None:
        default = SETTINGS[name]
        about += f" (default: {'none' if default is None else default})"
        group.add_argument(f"--{name.replace('_', '-')}", help=about, **keywords)

    group.add_argument("--words", action="store_true", default=None, help="learn words instead of characters")
    add("max_size", "at most so many different symbols; the rarest become one", type=o.whole(2))
    add("cell", "the recurrent cell", choices=list(CELLS))
    add("units", "the size of its state", type=o.whole(1))
    add("embedding", "the size of the vector that stands for a symbol", type=o.whole(1))
    add("batch", "streams through the text, side by side", type=o.whole(1))
    add("steps_per_batch", "time steps that gradients flow back through", type=o.whole(1))
    add("learning_rate", "Adam's", type=o.positive)
    add("clip_norm", "scale larger gradients down to this norm", type=o.positive)
    add("validation", "the fraction of the text, its end, that is kept from the model", type=o.fraction)
    add("threads", "for matrix products", type=o.whole(1))
    add("seed", "everything random follows from it", type=o.whole(0))


def run(options: argparse.Namespace) -> int:
    """Train, save the model, and say how well it does on text that it hasn't seen."""
    asked = {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}
    if options.resume:
        folder, settings, vocabulary, symbols = resumed(options, asked)
    else:
        settings = SETTINGS | asked
        folder, vocabulary, symbols = begun(options, settings)
    model: list[LanguageModel] = []  # from the first step on; a run that is stopped has one, too
    try:
        # BLAS takes all cores unless it is told otherwise; for products of this size that costs more than it brings.
        # NumPy needn't warn of overflow: a run that diverges says so, once.
        with threadpool_limits(limits=settings["threads"]), np.errstate(all="ignore"):
            trained = train_on_text(
                symbols,
                vocabulary=vocabulary,
                checkpoints=folder.checkpoints,
                resume=options.resume,
                callbacks=[lambda run: model.append(run.model) if not model else None],
                progress=False if options.quiet or options.json else None,
                **limits(options),
                **as_keywords(settings),
            )
            folder.save_model(trained.model)
            tell(folder, trained, bits_per_symbol(trained.model, trained.validation_text), options)
    except TrainingInterrupted as interrupt:
        save_unfinished(folder, model)
        step = f"stopped after step {interrupt.history.step:,}"
        raise KeyboardInterrupt(f"{step}; go on: tinygrad-rnn train --resume --out {folder.path}") from None
    except TrainingDiverged as error:
        save_unfinished(folder, model)
        print(f"tinygrad-rnn: {o.in_one_line(error)}", file=sys.stderr)
        return 1
    except ValueError as error:  # checkpoints that are damaged, or not of this run
        o.complain(error)
    return 0


def begun(options: argparse.Namespace, settings: dict[str, Any]) -> tuple[TrainingFolder, Vocabulary, np.ndarray]:
    """A run that begins: its folder, its vocabulary, its text as numbers."""
    kind, unknown = (WordVocabulary, "<unknown>") if settings["words"] else (CharacterVocabulary, "\ufffd")
    make = kind.from_file if options.text is not None else kind.from_text
    try:
        source = options.text if options.text is not None else python_documentation()
        vocabulary: Vocabulary = make(source, unknown=unknown, max_size=settings["max_size"])
    except (OSError, ValueError, ImportError) as error:
        o.unreadable(str(options.text), error)
    folder = TrainingFolder(output_folder(options.out, FOLDER, overwrite=False))
    if folder.holds_a_run:
        raise Complaint(
            f"{folder.path} holds a training run already. Go on with it by --resume, or name another --out."
        )
    # One batch to train on, and two symbols to validate on: that one may predict the other.
    batch = settings["batch"] * settings["steps_per_batch"] + 1
    shortest = 1 + max(int(batch / (1 - settings["validation"])), int(2 / settings["validation"]))
    return folder, vocabulary, folder.begin(settings, vocabulary, options.text, shortest)


def resumed(
    options: argparse.Namespace, asked: dict[str, Any]
) -> tuple[TrainingFolder, dict[str, Any], Vocabulary, np.ndarray]:
    """A run that goes on, just as it was begun."""
    if options.out is None:
        raise Complaint("--resume needs the folder of the run to go on with: --out FOLDER.")
    folder = TrainingFolder(Path(options.out))
    settings, vocabulary, symbols = folder.read()
    if not isinstance(settings, dict) or settings.keys() != SETTINGS.keys():
        raise Complaint(f"{folder.settings} is damaged, or of another version: begin a run anew, with another --out.")
    changed = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value != settings[name]]
    if options.text is not None:
        changed.insert(0, "the text")
    if changed:
        raise Complaint(f"a run that goes on keeps what it was begun with; leave out {', '.join(changed)}.")
    return folder, settings, vocabulary, symbols


def limits(options: argparse.Namespace) -> dict[str, Any]:
    """How long to train."""
    given = {name: getattr(options, name) for name in ("epochs", "steps", "seconds")}
    return given if any(given.values()) else {"epochs": EPOCHS}


def as_keywords(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings by the names that ``train_on_text`` gives them."""
    called = {"embedding": "embedding_size", "batch": "batch_size"}
    elsewhere = ("words", "max_size", "threads")
    return {called.get(name, name): value for name, value in settings.items() if name not in elsewhere}


def save_unfinished(folder: TrainingFolder, model: list[LanguageModel]) -> None:
    """Keep the model of a run that didn't reach its end: one can sample from it all the same."""
    for unfinished in model:
        folder.save_model(unfinished)


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
        }
        o.print_json(found)
        return
    print(f"{history.stopped}: loss {history.smoothed:.3f}, {history.seconds:.0f} s")
    print(f"On text that it hasn't seen: {bits:.3f} bits for each of its {kind[:-1]}s")
    print(f"The model: {folder.model}")
    if not options.quiet:
        print(f"Let it write: tinygrad-rnn sample {folder.path}")
