"""What must not know the engine imports neither it nor anything but NumPy and the standard library.

Agreement between autograd and the formulas derived by hand means something only because neither
knows the other.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "tinygrad_rnn"


def imported_modules(source: str) -> Iterator[str]:
    """The modules that a file imports, anywhere in it, as written there (with leading dots)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def outsiders(source: str) -> list[str]:
    """What a file imports beyond its own folder, NumPy and the standard library."""
    allowed = sys.stdlib_module_names | {"numpy"}
    return [
        name
        for name in imported_modules(source)
        if name.startswith("..") or not (name.startswith(".") or name.split(".")[0] in allowed)
    ]


@pytest.mark.parametrize("room", ["manual", "data"])
def test_rooms_beside_the_engine_import_numpy_alone(room: str) -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if (names := outsiders(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_rules_import_numpy_and_the_registry_alone() -> None:
    rules = sorted((PACKAGE / "autodiff" / "rules").glob("*.py"))
    assert rules
    found = {
        path.name: names
        for path in rules
        if (names := set(outsiders(path.read_text(encoding="utf-8"))) - {"..registry"})
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import tinygrad_rnn as tr",
        "from tinygrad_rnn.autodiff import tensor",
        "from ..autodiff import tensor",
        "from .. import autodiff",
        "import numpy, torch",
        "def f():\n    import torch",
    ],
)
def test_an_outsider_is_noticed(line: str) -> None:
    assert outsiders(line)


def test_what_is_allowed_is_not_reported() -> None:
    allowed = ["import math", "import numpy.linalg", "from . import rnn", "from .rnn import step"]
    assert not outsiders("\n".join(allowed))


COMPILER = [PACKAGE / "compiler", *(path.parent for path in (PACKAGE / "compiler").glob("*/__init__.py"))]


@pytest.mark.parametrize("room", COMPILER, ids=[room.name for room in COMPILER])
def test_the_compiler_says_in_which_order_to_read_it(room: Path) -> None:
    """Every file and room has its place in the docstring of the room around it, after those that it imports."""
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    places = {name: place for place, name in enumerate(re.findall(r"``(\w+)``", docstring))}
    files = {path.stem: path for path in room.glob("*.py") if path.stem != "__init__"}
    assert not {*files, *(path.parent.name for path in room.glob("*/__init__.py"))} - places.keys()
    early = {
        name: later
        for name, path in files.items()
        if (later := [n for n in siblings(path.read_text(encoding="utf-8")) if places[n] >= places[name]])
    }
    assert not early


def siblings(source: str) -> Iterator[str]:
    """The files of its own folder that a file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module.split(".")[0]] if node.module else (alias.name for alias in node.names)


def test_names_that_moved_to_another_room_are_still_found_where_they_were() -> None:
    from tinygrad_rnn import data, language, training

    for room in (data, training):
        assert room._MOVED and not set(room._MOVED) & set(room.__all__)
        assert [name for name in room._MOVED if getattr(room, name) is not getattr(language, name)] == []
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            room.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("sample", {"viz", "derivation", "report"}),
        pytest.param("draw", {"comparison"}, marks=pytest.mark.sweep),
        pytest.param("options", {"compiler", "viz"}, marks=pytest.mark.sweep),
    ],
)
def test_a_command_imports_only_what_it_needs(command: str, unneeded: set[str]) -> None:
    code = f"import sys, tinygrad_rnn.cli.{command}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert not imported & {"urllib.request", *(f"tinygrad_rnn.{room}" for room in unneeded)}
