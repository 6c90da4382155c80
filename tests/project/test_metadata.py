"""The version is written in the package; what repeats it repeats it rightly."""

from __future__ import annotations

import re
from pathlib import Path

import tinygrad_rnn

ROOT = Path(__file__).parents[2]


def test_citation_and_changelog_name_the_version() -> None:
    version = re.escape(tinygrad_rnn.__version__)
    lines = {"CITATION.cff": rf"^version: {version}$", "CHANGELOG.md": rf"^## {version}\b"}
    for name, line in lines.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(line, text, flags=re.MULTILINE), name
