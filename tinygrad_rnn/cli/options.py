"""Shared parts of the commands' options: one-line errors, checked numbers, the same words everywhere."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import encodings.aliases
import json
import math
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from ..autodiff.texts import printable
from .places import Complaint

MOST = 10**15
"""A number that no run counts up to, and that a float still holds exactly."""


class Parser(argparse.ArgumentParser):
    """A parser whose error messages are one line with a suggestion, and with the command for help."""

    def parse_known_args(self, *given: Any, **keywords: Any) -> Any:
        """Parse arguments; unknown ones are refused by the command's own parser, which knows its options."""
        found, unknown = super().parse_known_args(*given, **keywords)
        if unknown:
            options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            hints = {word: close for word in unknown if (close := closest(word.partition("=")[0], options))}
            said = "".join(f"; did you mean {close} for {word}?" for word, close in hints.items())
            self.error(f"unrecognized arguments: {' '.join(unknown)}{said}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that isn't among the choices, and name the closest one."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            close = closest(str(value), [str(choice) for choice in action.choices or ()])
            raise argparse.ArgumentError(
                action, f"{error.message}; did you mean {close}?" if close else error.message
            ) from None

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: {printable(message)} (see {self.prog} --help)\n")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, if one is almost the same."""
    spelt = {one.lower(): one for one in known}
    return next((spelt[close] for close in difflib.get_close_matches(word.lower(), spelt, n=1)), None)


def whole(least: int, most: float = math.inf) -> Any:
    """The type of an option that takes a whole number between two bounds."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small; give {least} or more")
        if value > most:
            raise argparse.ArgumentTypeError(f"{text} is too large; give {most:,} or less")
        return value

    return number


count = whole(1, MOST)
size = whole(1, 1_000_000)  # so that products of a few sizes still fit into an integer
threads = whole(1, 1024)


def positive(text: str) -> float:
    """The type of an option that takes a number above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} makes no sense; give a number above 0")
    return value


def fraction(text: str) -> float:
    """The type of an option that takes a fraction, not too close to 0 or 1."""
    value = positive(text)
    if not 1e-6 <= value <= 1 - 1e-6:
        raise argparse.ArgumentTypeError(f"{text} makes no sense as a part; give a number between 0 and 1, such as 0.1")
    return value


def probability(text: str) -> float:
    """The type of an option that takes a number from 0 up to but not including 1."""
    value = not_negative(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text} makes no sense; give a number from 0 up to but not including 1")
    return value


def not_negative(text: str) -> float:
    """The type of an option that takes 0 or a positive number."""
    with contextlib.suppress(ValueError):
        if float(text) == 0:
            return 0.0
    return positive(text)


def encoding(text: str) -> str:
    """The type of an option that names the encoding of a text file."""
    try:
        "".encode(text)
    except LookupError as error:
        close = closest(text.lower().replace("-", "_"), [*encodings.aliases.aliases, "utf_8", "utf_16", "utf_32"])
        hint = f"; did you mean {close.replace('_', '-')}?" if close else ", such as utf-8, utf-16 or cp1252"
        raise argparse.ArgumentTypeError(f"{in_one_line(error)}{hint}") from None
    return text


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``MODEL``."""
    parser.add_argument("model", metavar="MODEL", help="the folder that `train` wrote, or the model.tree in it")


def add_encoding(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--encoding``."""
    parser.add_argument("--encoding", type=encoding, metavar="NAME", help="of the text file (default: utf-8)")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--seed``."""
    parser.add_argument("--seed", type=whole(0), default=0, help="seed of everything random (default: %(default)s)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar, only the result")


def progress(quiet: bool) -> bool | str | None:
    """The progress display of a command: a bar on a terminal, a line every few seconds elsewhere, or nothing."""
    if quiet or sys.stderr is None:  # as it is without a console
        return False
    return None if sys.stderr.isatty() else "lines"


def print_json(found: Any) -> None:
    """Print one JSON object; values that JSON doesn't have (NaN, infinity) become null."""
    print(json.dumps(_plain(found), indent=2))  # ASCII, as characters that a terminal can't show would break it


def _plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def complain(error: Exception) -> NoReturn:
    """Raise a Complaint with an error's message, on one line."""
    raise Complaint(in_one_line(error)) from None


def unreadable(path: str, error: Exception) -> NoReturn:
    """Raise a Complaint for a text that can't be read."""
    if isinstance(error, OSError):
        raise Complaint(f"can't read {path}: {error.strerror or error}. Give the path of a text file.") from None
    raise Complaint(re.sub(r"encoding='([\w-]+)'", r"--encoding \1", in_one_line(error))) from None


def in_one_line(error: BaseException) -> str:
    """An error's message on one line; for an error of the system, the reason and the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
