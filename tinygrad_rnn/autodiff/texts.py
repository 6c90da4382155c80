"""Text from users or their files, prepared for display."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text on one line, in which whatever a terminal or a page might obey is written out, as Python does.

    Those are line ends, control characters (of which terminals make colours, titles and links), signs that turn the
    direction of writing round, and halves of a character.

    Example:
        >>> printable("W\x1b[31m\n"), printable("W² hₜ 权重")
        ('W\\x1b[31m\\n', 'W² hₜ 权重')
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
