"""What the commands' options have in common: one-line errors, numbers that make sense, the same words everywhere."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any, NoReturn

from .places import Complaint


class Parser(argparse.ArgumentParser):
    """A parser whose complaints take one line, which says where to read on."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def whole(least: int) -> Any:
    """The type of an option that takes a whole number of at least so much."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small; give {least} or more")
        return value

    return number


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
    """The type of an option that takes a number between 0 and 1, both excluded."""
    value = positive(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text} is no fraction; give a number between 0 and 1")
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
    print(json.dumps(_plain(found), ensure_ascii=False, indent=2))


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
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
