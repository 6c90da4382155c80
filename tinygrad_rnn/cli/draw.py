"""``draw``: a picture of a named network, or of a value that the user's own code records."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..report.networks import Recorded
from ..viz import Picture, animate, draw
from ..viz.animation import FORMATS as FILMS
from ..viz.drawing import CHOICES
from ..viz.picture import FORMATS
from . import options as o
from .networks import NAMES, add_network, named_loss
from .places import Complaint, refuse_to_replace
from .references import given_by

AS_THEY_ARE = ("level", "view", "direction", "shapes", "values", "gradients", "color", "formulas", "title")
"""The options that ``draw`` takes under the same names."""

DESCRIPTION = (
    f"Draw one of {NAMES}; or module:name (or file.py:name): a loss that your code "
    "recorded, or a function without arguments that returns one."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_network(parser)
    parser.add_argument("--level", choices=CHOICES["level"], default="op", help="the meaning of a box (default: op)")
    parser.add_argument("--view", choices=CHOICES["view"], default="unrolled", help="(default: unrolled)")
    parser.add_argument("--direction", choices=CHOICES["direction"], default="forward", help="(default: forward)")
    parser.add_argument("--shapes", action="store_true", help="write the shapes into the boxes")
    parser.add_argument("--values", action="store_true", help="write the numbers into the boxes")
    parser.add_argument("--gradients", action="store_true", help="and the gradients")
    parser.add_argument("--color", choices=["gradient"], help="colour the boxes by the norm of their gradient")
    parser.add_argument("--formulas", action="store_true", help="write local derivatives and equations")
    parser.add_argument("--highlight", metavar="T,NAME", help="only the paths from the loss of step T to a parameter")
    parser.add_argument("--title", help="the title of the picture")
    parser.add_argument("--film", action="store_true", help=f"the two passes as a film: .{', .'.join(FILMS)}")
    parser.add_argument("--out", metavar="FILE", help=f"where to: .{', .'.join(FORMATS)} (default: NETWORK.svg)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    parser.add_argument("--quiet", action="store_true", help="don't say where it was written")


def run(options: argparse.Namespace) -> int:
    """Draw it."""
    name = options.what.rpartition(":")[2] or "picture"
    path = Path(options.out or f"{name}.svg")
    formats = FILMS if options.film else FORMATS
    if path.suffix[1:].lower() not in formats:
        hint = " (with --film it can)" if path.suffix[1:].lower() in FILMS else ""
        raise Complaint(f"--out {path} ends in none of .{', .'.join(formats)}{hint}.")
    refuse_to_replace([path], options.overwrite)
    highlight = highlighted(options.highlight)
    what = recorded(options)
    if not isinstance(what, Picture):
        try:
            what = draw(what, highlight=highlight, **{name: getattr(options, name) for name in AS_THEY_ARE})
        except (TypeError, ValueError, RuntimeError) as error:
            o.complain(error)
    try:
        if options.film:
            animate(what, path)
        else:
            what.save(path)
    except (ImportError, RuntimeError, ValueError) as error:  # no Graphviz, Pillow or ffmpeg; a rolled view as a film
        o.complain(error)
    if not options.quiet:
        print(path)
    return 0


def recorded(options: argparse.Namespace) -> Any:
    """The value to draw: the loss of a named network, or the value that the user's code names or returns."""
    loss = named_loss(options)
    if loss is not None:
        return loss
    given = given_by(options.what)
    return given.loss if isinstance(given, Recorded) else given


def highlighted(text: str | None) -> tuple[int, str] | None:
    """``--highlight 4,W`` as ``(4, "W")``."""
    if text is None:
        return None
    step, _, name = text.partition(",")
    try:
        if name.strip():
            return int(step), name.strip()
    except ValueError:
        pass
    raise Complaint(f"--highlight {text}: give a step and a parameter, such as 4,W.")
