"""Docstrings are plain: a first line names its noun, entries begin in lower case, no role of reStructuredText."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "tinygrad_rnn"

# Words that begin a clause without its noun ("What is kept of it."), or a sentence in inverted order ("Of these ...").
OPENINGS = re.compile(
    r"(?:What|Whether|How|That|Those|One|All|Where|Who|Which|When|Why|Whatever|Whoever|Of|As|By|For|From|In|On|To|With|"
    r"Say|Have|Let|So|Some|It|Here|There|Everything|Anything|Nothing|Others|Both|Since|Because)\b"
)
ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc|ref):`")
SECTION = re.compile(r"^( *)(Args|Attributes|Raises):$\n((?:\1 .*\n|\n)*)", flags=re.MULTILINE)
ENTRY = re.compile(
    r"^ {4}\*{0,2}[\w.]+(?:, \*{0,2}\w+)*(?: \([^)]*\))?: ((?:A|An|The|If|What|Whether|How|As|See) .*)$", re.MULTILINE
)


def docstrings() -> Iterator[tuple[str, str]]:
    """The place and the text of each docstring of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text:
                    yield f"{path.relative_to(PACKAGE)}: {getattr(node, 'name', 'the module')}", text


def problems(text: str) -> list[str]:
    """The parts of a docstring that aren't in the one style."""
    found = [text.splitlines()[0]] if OPENINGS.match(text) else []
    found += ROLE.findall(text)
    for indent, _, entries in SECTION.findall(text + "\n"):
        found += ENTRY.findall(re.sub(f"^{indent}", "", entries, flags=re.MULTILINE))
    return found


def test_every_docstring_is_in_the_one_style() -> None:
    assert [(place, found) for place, text in docstrings() if (found := problems(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "What is kept of it.",
        "Whether it is there.",
        "Of these the last.",
        "One of them.",
        "The sum; see :func:`total`.",
        "The sum.\n\nArgs:\n    a: The first number.",
        "The sum.\n\nRaises:\n    ValueError: If there is none.",
    ],
)
def test_another_style_is_noticed(text: str) -> None:
    assert problems(text)


def test_the_one_style_is_not_reported() -> None:
    assert not problems(
        "The sum of two numbers.\n\nArgs:\n    a: the first.\n    U, W: matrices.\n\nReturns:\n    Their sum."
    )
    assert not problems("Return True if it is there.\n\nExample:\n    >>> What\n")
