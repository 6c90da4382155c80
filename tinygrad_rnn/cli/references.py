"""References such as ``module:name`` and ``file.py:name``, with which a command finds an object in the user's code."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..recorded.outside import users_line
from .options import in_one_line
from .places import Complaint


def module_and_name(reference: str) -> tuple[ModuleType, str]:
    """The module of a reference, imported, and the name in it.

    Args:
        reference: ``module:name``, looked for in the current folder too, or ``file.py:name``.

    Raises:
        Complaint: there is no such module, or importing it fails.
    """
    place, colon, name = reference.rpartition(":")
    if not (colon and place and name):
        raise Complaint(f"{reference!r} is not of the form module:function, or file.py:function.")
    with users_code(f"importing {place} failed:"):
        return (_from_file(Path(place)) if place.endswith(".py") else _imported(place)), name


def found(reference: str) -> Any:
    """The object that a reference names.

    Raises:
        Complaint: the module has no such object.
    """
    module, name = module_and_name(reference)
    if not hasattr(module, name):
        raise Complaint(f"{reference}: there is no {name!r} there.")
    return getattr(module, name)


def given_by(reference: str) -> Any:
    """The object that a reference names or, for a function without arguments, its result.

    Raises:
        Complaint: the module has no such object, or the function raises; the message names the line.
    """
    what = found(reference)
    if not callable(what):
        return what
    with users_code(f"{reference} raised"):
        return what()


@contextlib.contextmanager
def users_code(what_failed: str) -> Iterator[None]:
    """Run the user's code; an exception in it becomes a complaint that names the line.

    This includes ``sys.exit()``: a derivation that exits with status 0 must not pass for one that agrees.
    """
    try:
        yield
    except Complaint:
        raise
    except (Exception, SystemExit) as error:
        line = users_line(error)
        place = f" ({Path(line.filename).name}, line {line.lineno})" if line else ""
        raise Complaint(f"{what_failed} {type(error).__name__}: {in_one_line(error)}{place}") from error


def _imported(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise  # the module exists, and imports one that doesn't
        raise Complaint(f"there is no module {name!r} here; give a file as file.py:function.") from None


def _from_file(path: Path) -> ModuleType:
    """The module of a file, run once. Its name differs from that of any other module."""
    path = path.resolve()
    if not path.is_file():
        raise Complaint(f"there is no file {path}.")
    name = f"given_by_the_user_{path}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None, "a .py file has a loader"
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))  # so that it can import the files beside it
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
