"""Text from users or their files, prepared for display."""

from __future__ import annotations

import itertools
from collections.abc import Container


def printable(text: str) -> str:
    r"""Return a text on one line, with characters that could control a terminal or a page escaped as in Python.

    These are line ends, control characters (with which terminals make colours, titles and links), signs that reverse
    the direction of writing, and halves of a character.

    Example:
        >>> printable("W\x1b[31m\n"), printable("W² hₜ 权重")
        ('W\\x1b[31m\\n', 'W² hₜ 权重')
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def unused(name: str, taken: Container[str]) -> str:
    """Return a name that isn't taken: ``h``, else ``h_2``, ``h_3``."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)
