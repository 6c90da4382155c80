"""The command line: ``tinygrad-rnn``, or ``python -m tinygrad_rnn``. Without arguments it gives the tour."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__
from .places import Complaint

USAGE_ERROR, INTERRUPTED = 2, 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    from . import tour

    parser = argparse.ArgumentParser(
        prog="tinygrad-rnn",
        description="Recurrent networks in plain NumPy: differentiated, drawn, checked by hand, trained. "
        "Without arguments: a tour that does all four and takes about a minute.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    tour.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after the program's name; by default those of the process.

    Returns:
        The exit status: 0 if all went well, 1 if a check failed, 2 if something has to be asked differently,
        130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "tour")
    chosen = build_parser().parse_args(words)
    try:
        return int(chosen.run(chosen))
    except Complaint as complaint:
        print(f"tinygrad-rnn: {complaint}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\ntinygrad-rnn: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has stopped reading. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
