"""``eval``: the number of bits that a trained model needs for each character of a text."""

from __future__ import annotations

import argparse
import math

import numpy as np
from threadpoolctl import threadpool_limits

from ..data import train_validation_split
from ..language import LanguageModel, encode_file
from . import options as o
from .places import Complaint
from .training_folder import TrainingFolder, bits_per_symbol, read_model

DESCRIPTION = "Print the number of bits that a trained model needs for each character (or word) of a text."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    o.add_model(parser)
    parser.add_argument("text", nargs="?", metavar="FILE", help="a text (default: the unseen end of its own)")
    o.add_encoding(parser)
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the figure."""
    model, folder = read_model(options.model)
    symbols = kept_text(model, folder) if options.text is None else text_of(options.text, options.encoding, model)
    with threadpool_limits(limits=1):
        bits = bits_per_symbol(model, symbols)
    perplexity = float(np.exp2(bits)) if bits < 1024 else math.inf  # for example if the model has diverged
    kind = model.vocabulary.kind
    unknown = model.vocabulary.unknown
    strange = 0 if unknown is None else int(np.count_nonzero(symbols == model.vocabulary.index(unknown)))
    if options.json:
        figures = {"bits_per_symbol": bits, "perplexity": perplexity, "length": len(symbols), "unknown": strange}
        o.print_json({"symbols": kind, **figures})
        return 0
    print(f"{bits:.3f} bits per {kind[:-1]} (perplexity {perplexity:.2f}) over {len(symbols):,} {kind}")
    print(f"{np.log2(len(model.vocabulary)):.3f} without a model: it knows {len(model.vocabulary):,} {kind}")
    if strange:
        print(f"{strange:,} of the {kind} are not among them, and count as one that it doesn't know")
    return 0


def text_of(path: str, encoding: str | None, model: LanguageModel) -> np.ndarray:
    """A text as numbers of the model's vocabulary."""
    try:
        return encode_file(path, model.vocabulary, encoding=encoding or "utf-8")
    except (OSError, ValueError) as error:
        o.unreadable(path, error)


def kept_text(model: LanguageModel, folder: TrainingFolder) -> np.ndarray:
    """The end of the text that the model was trained on, which it hasn't seen."""
    if not folder.holds_a_run:
        raise Complaint(f"{folder.path} doesn't hold the text that the model was trained on; name a FILE to read.")
    settings, vocabulary, symbols = folder.read()
    if vocabulary != model.vocabulary:
        raise Complaint(f"the text in {folder.path} isn't the one that this model was trained on; name a FILE to read.")
    try:
        kept: np.ndarray = train_validation_split(symbols, validation=settings["validation"])[1]
    except (ValueError, TypeError, KeyError) as error:
        raise Complaint(f"{folder.settings} is damaged ({o.in_one_line(error)}); name a FILE to read.") from None
    return kept
