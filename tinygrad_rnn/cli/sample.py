"""``sample``: let a trained model write."""

from __future__ import annotations

import argparse
import warnings

from threadpoolctl import threadpool_limits

from . import options as o
from .training_folder import read_model

DESCRIPTION = "Print a text that a trained model writes."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    o.add_model(parser)
    parser.add_argument(
        "--length", type=o.whole(0, o.MOST), default=500, help="number of symbols (default: %(default)s)"
    )
    parser.add_argument("--prime", default="", metavar="TEXT", help="a text to continue")
    parser.add_argument(
        "--temperature",
        type=o.not_negative,
        default=0.8,
        help="1: by the model's probabilities; less: safer, down to 0, always the likeliest (default: %(default)s)",
    )
    o.add_seed(parser)
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print a text that the model writes."""
    model, _ = read_model(options.model)
    strange = model.vocabulary.strange(options.prime)
    if strange and model.vocabulary.unknown is not None:
        said = f"the model doesn't know these {model.vocabulary.kind} of --prime, and reads them as unknown ones"
        warnings.warn(f"{said}: {' '.join(map(repr, strange))}", stacklevel=1)
    try:
        with threadpool_limits(limits=1):
            text = model.sample(options.length, options.prime, temperature=options.temperature, seed=options.seed)
    except ValueError as error:  # the model doesn't know the prime, or its weights aren't finite
        o.complain(error)
    if options.json:
        asked = {name: getattr(options, name) for name in ("prime", "temperature", "seed")}
        o.print_json({"text": text, **asked, "unknown": strange})
    else:
        print(text)
    return 0
