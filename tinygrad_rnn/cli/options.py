"""What the commands' options have in common: one-line errors, numbers that make sense, the same words everywhere."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any, NoReturn

from ..autodiff.texts import printable
from .places import Complaint

MOST = 10**15
"""What no run counts up to, and a float still holds."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints take one line, which says where to read on."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"{self.prog}: {printable(message)} (see {self.prog} --help)\n")


def whole(least: int, most: float = math.inf) -> Any:
    """The type of an option that takes a whole number of at least, and at most, so much."""

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


def count(text: str) -> int:
    """The type of an option that says how often."""
    value: int = whole(1, MOST)(text)
    return value


def size(text: str) -> int:
    """The type of an option that says how large something is. What follows from a few of them can still be counted."""
    value: int = whole(1, 1_000_000)(text)
    return value


def threads(text: str) -> int:
    """The type of an option that says how many threads run at once."""
    value: int = whole(1, 1024)(text)
    return value


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
    """The type of an option that takes a part of something, neither next to nothing nor all but everything."""
    value = positive(text)
    if not 1e-6 <= value <= 1 - 1e-6:
        raise argparse.ArgumentTypeError(f"{text} makes no sense as a part; give a number between 0 and 1, such as 0.1")
    return value


def not_negative(text: str) -> float:
    """The type of an option that takes 0 or a number above it."""
    return 0.0 if text.strip() == "0" else positive(text)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """``--seed``."""
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="everything random follows from it (default: %(default)s)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and no word more than the result")


def print_json(found: Any) -> None:
    """Print one JSON object; what JSON has no word for (NaN, infinity) as null."""
    print(json.dumps(_plain(found), indent=2))  # in ASCII, for whatever the terminal can't show is no JSON any more


def _plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def complain(error: Exception) -> NoReturn:
    """Hand an error's message on as a complaint, on one line."""
    raise Complaint(in_one_line(error)) from None


def unreadable(path: str, error: Exception) -> NoReturn:
    """Complain of a text that can't be read."""
    if isinstance(error, OSError):
        raise Complaint(f"can't read {path}: {error.strerror or error}. Give the path of a text file.") from None
    complain(error)


def in_one_line(error: BaseException) -> str:
    """An error's message on one line; of the system's errors what is wrong, and with which file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
