"""Docstrings as the site reads them: one "Example:" is a section too, and a table stays as it is."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", flags=re.MULTILINE)
TABLE = re.compile(r"^=+(?: +=+)+\n(?:.+\n)*?=+(?: +=+)+\n(?:.+\n)*?=+(?: +=+)+$", flags=re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """A docstring as Markdown in Google's style."""
    text = EXAMPLE.sub(r"\1Examples:", text)
    return TABLE.sub(lambda match: f"```text\n{match[0]}\n```", text)
