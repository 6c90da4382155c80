"""The network of a command: one of the report's networks, by name, or one in the user's own code."""

from __future__ import annotations

import argparse
from typing import Any

from ..report.networks import BY_NAME
from . import options as o
from .places import Complaint

NAMES = ", ".join(BY_NAME)


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options ``NETWORK``, ``--steps`` and ``--seed``."""
    parser.add_argument("what", metavar="NETWORK", help=f"{NAMES}, or module:name")
    parser.add_argument("--steps", type=o.whole(1, 10_000), help="time steps (of a named network)")
    o.add_seed(parser)


def named_loss(options: argparse.Namespace) -> Any:
    """The loss of a named network; None for ``module:name``.

    Raises:
        Complaint: there is no such network, or its number of steps is fixed.
    """
    if options.what not in BY_NAME:
        if ":" not in options.what:
            meant = o.closest(options.what, BY_NAME)
            guess = f" Did you mean {meant}?" if meant else ""
            raise Complaint(f"there is no network {options.what!r}; there are {NAMES}, and module:name.{guess}")
        return None
    fixed = options.what == "worked-example"
    if fixed and options.steps is not None:
        raise Complaint("the worked example has exactly six steps; leave out --steps.")
    keywords = {} if options.steps is None else {"steps": options.steps}
    return BY_NAME[options.what](**keywords, **({} if fixed else {"seed": options.seed})).loss
