"""The command line: ``tinygrad-rnn``, or ``python -m tinygrad_rnn``. Without arguments it runs the tour."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Container, Sequence
from typing import Any

from .. import __version__
from ..autodiff.extras import MissingLibrary
from ..autodiff.memory import keep_freed_memory
from ..autodiff.texts import printable
from .options import Parser, in_one_line
from .places import Complaint

CHECK_FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
COMMANDS = {
    "tour": "the worked example, and a model of text (the default)",
    "train": "train a language model on a text",
    "sample": "let a trained model write",
    "eval": "bits per character of a trained model on a text",
    "export": "write a trained model as an ONNX file",
    "draw": "a picture of a network, unrolled",
    "derive": "backpropagation through time, written out",
    "compare": "check a derivation of your own",
    "bench": "how fast training is on this machine",
    "info": "versions and optional libraries",
    "cache": "the machine code that is kept on disk",
    "completion": "a script by which bash, zsh or fish completes commands",
}
MODULES = {"eval": "evaluate"}
"""The modules of commands whose name is taken. A module has ``DESCRIPTION``, ``add_options(parser)`` and ``run``."""


def build_parser(wanted: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of all commands, with the options of the wanted ones: the modules of others aren't imported."""
    parser = Parser(
        prog="tinygrad-rnn",
        description="Recurrent networks in plain NumPy: differentiated, drawn, checked by hand, trained. "
        "Without arguments: a tour that does all four and takes about a minute.",
        epilog="tinygrad-rnn COMMAND --help tells more of a command.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about)
        if name in wanted:
            module = importlib.import_module(f".{MODULES.get(name, name)}", __name__)
            command.description = module.DESCRIPTION
            if "\n\n" in module.DESCRIPTION:  # paragraphs, and tables in them
                command.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_options(command)
            command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in these words, by default those of the process.

    Returns:
        The exit status: 0 if all went well, 1 if a check failed or training diverged, 2 if the command has to be
        changed (a bad argument, a file that can't be read or written), 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "tour")
    _print_what_the_terminal_can()
    keep_freed_memory()
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warn  # type: ignore[assignment]  # it takes any exception
                chosen = build_parser(words[:1]).parse_args(words)
                return int(chosen.run(chosen))
        finally:
            _flush()  # here, while an error can still be reported by us
    except Complaint as complaint:
        return _stop(str(complaint), USAGE_ERROR)
    except MissingLibrary as missing:
        return _stop(str(missing), USAGE_ERROR)
    except BrokenPipeError:  # the reader of our output has stopped reading
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        return _stop(in_one_line(error), USAGE_ERROR)
    except MemoryError as error:
        return _stop(f"there is not enough memory ({in_one_line(error)}); ask for smaller sizes", USAGE_ERROR)
    except KeyboardInterrupt as interrupt:
        return _stop(in_one_line(interrupt) if interrupt.args else "stopped", INTERRUPTED)


def _say(message: str) -> None:
    print(f"tinygrad-rnn: {printable(message)}", file=sys.stderr)


def _stop(message: str, status: int) -> int:
    _say(message)
    return status


def _warn(message: Warning | str, *_: Any) -> None:
    """A warning as one line, without the place in the code that it comes from."""
    _say(" ".join(str(message).split()))


def _print_what_the_terminal_can() -> None:
    """Print characters that the terminal doesn't know as their numbers, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    if sys.stdout is not None:  # as it is without a console
        sys.stdout.flush()


def _drop_output() -> None:
    """Discard output that can't be printed, so that Python doesn't try, and complain, again at exit."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
