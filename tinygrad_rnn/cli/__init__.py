"""The command line: ``tinygrad-rnn``, or ``python -m tinygrad_rnn``. Without arguments it gives the tour."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from .. import __version__
from .options import Parser, in_one_line
from .places import Complaint

CHECK_FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
COMMANDS = ("tour", "train", "sample", "evaluate", "draw", "compare", "bench", "info")
"""A module for each; ``add_to(commands)`` declares the command, and sets the function that runs it."""


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(
        prog="tinygrad-rnn",
        description="Recurrent networks in plain NumPy: differentiated, drawn, checked by hand, trained. "
        "Without arguments: a tour that does all four and takes about a minute.",
        epilog="tinygrad-rnn COMMAND --help tells more of a command.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f".{name}", __name__).add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after the program's name; by default those of the process.

    Returns:
        The exit status: 0 if all went well, 1 if a check failed or training diverged, 2 if something has to be asked
        differently (a bad argument, a file that can't be read or written), 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "tour")
    _print_what_the_terminal_can()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]  # it takes what it is given
            chosen = build_parser().parse_args(words)
            return int(chosen.run(chosen))
    except Complaint as complaint:
        return _stop(str(complaint), USAGE_ERROR)
    except BrokenPipeError:
        # Whoever read our output has stopped reading. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _stop(in_one_line(error), USAGE_ERROR)
    except KeyboardInterrupt as interrupt:
        return _stop(in_one_line(interrupt) if interrupt.args else "stopped", INTERRUPTED)


def _stop(message: str, status: int) -> int:
    print(f"tinygrad-rnn: {message}", file=sys.stderr)
    return status


def _warn(message: Warning | str, *_: Any) -> None:
    """A warning as one line, without the place in the code that it comes from."""
    print(f"tinygrad-rnn: {' '.join(str(message).split())}", file=sys.stderr)


def _print_what_the_terminal_can() -> None:
    """A character that the terminal doesn't know is written as its number, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
