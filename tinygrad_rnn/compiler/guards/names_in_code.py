"""Names mentioned in code, and whose code it is: users' code may change, an installed library's doesn't."""

from __future__ import annotations

import dis
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = {"numpy", __name__.partition(".")[0]}
STANDARD = tuple(sysconfig.get_paths()[path] for path in ("stdlib", "platstdlib"))
INSTALLED = {"site-packages", "dist-packages"}  # of this environment, of its base environment, or of the user


def is_of_library(thing: Any) -> bool:
    """Functions, classes and modules that were installed, or belong to Python: they don't change."""
    if isinstance(thing, types.ModuleType):
        return _is_library(thing.__name__)
    return isinstance(thing, (types.FunctionType, type)) and _is_library(str(thing.__module__))


@functools.cache
def _is_library(name: str) -> bool:
    module = sys.modules.get(name)
    if name == "__main__" or module is None:
        return False
    file = getattr(module, "__file__", None)
    if name.partition(".")[0] in LIBRARIES or name in sys.builtin_module_names:
        return True
    return file is not None and (file.startswith(STANDARD) or not INSTALLED.isdisjoint(Path(file).parts))


class Mentions(NamedTuple):
    """The names in some code, and in the functions that it makes.

    Attributes:
        variables: global variables. An attribute of the same name doesn't count: the ``loss`` of a model has nothing to
            do with the variable that a training loop sets at each step. Only in code that looks variables up by their
            names, as ``globals()["loss"]`` does, may any name be a variable.
        imports: modules that it imports.
        parts: names that it may look up in modules: attributes, and strings, which may be for ``getattr``.
    """

    variables: frozenset[str]
    imports: frozenset[str]
    parts: frozenset[str]


RUN_TEXT = {"eval", "exec"}
LOOK_UP = {"globals", "__globals__", "__import__", "import_module"}


@functools.lru_cache(maxsize=1024)
def mentions(code: types.CodeType) -> Mentions:
    """The names in some code."""
    variables: set[str] = set()
    imports: set[str] = set()
    parts: set[str] = set()
    texts: set[str] = set()
    for each in _with_inner(code):
        by_name = [step for step in dis.get_instructions(each) if step.opcode in dis.hasname]
        variables |= {step.argval for step in by_name if "GLOBAL" in step.opname or step.opname == "LOAD_NAME"}
        imports |= {step.argval for step in by_name if step.opname == "IMPORT_NAME"}
        parts |= set(each.co_names)
        texts |= {constant for constant in _constants(each.co_consts) if isinstance(constant, str)}
    dotted = {text for text in texts if all(part.isidentifier() for part in text.split("."))}
    parts |= {name for text in dotted for name in text.split(".")}
    if not variables.isdisjoint(RUN_TEXT):
        parts |= {name for text in texts for name in _names_in_text(text)}
    if not (variables | parts).isdisjoint(RUN_TEXT | LOOK_UP) or {"sys", "modules"} <= parts:
        variables |= parts
        imports |= dotted
    return Mentions(frozenset(variables), frozenset(imports), frozenset(parts))


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code object itself, and those of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def _constants(constants: Iterable[Any]) -> Iterator[Any]:
    """The constants of some code, with the elements of those that are tuples."""
    for constant in constants:
        if isinstance(constant, (tuple, frozenset)):
            yield from _constants(constant)
        else:
            yield constant


def _names_in_text(text: str) -> set[str]:
    """The names in a text, if it is Python."""
    try:
        return set(compile(text, "<text>", "exec").co_names)
    except (SyntaxError, ValueError):
        return set()


def things_mentioned(
    found: Mentions, variables: dict[str, Any], enters: Callable[[types.ModuleType], bool]
) -> Iterator[Any]:
    """The things that code may find in variables of its module and, by attributes and imports, in modules it enters."""
    package = variables.get("__package__")
    paths = [path for name in sorted(found.imports) for path in (name, f"{package}.{name}")]
    waiting = [sys.modules[path] for path in paths if path in sys.modules]
    waiting += [variables[name] for name in sorted(found.variables & variables.keys())]
    entered: set[int] = set()
    while waiting:
        thing = waiting.pop()
        yield thing
        if isinstance(thing, types.ModuleType) and id(thing) not in entered and enters(thing):
            entered.add(id(thing))
            waiting += [vars(thing)[name] for name in sorted(found.parts & vars(thing).keys())]


def modules_mentioned(found: Mentions, variables: dict[str, Any]) -> list[types.ModuleType]:
    """The users' modules that some code mentions, and those that it finds in them."""
    is_users = lambda module: not is_of_library(module)  # noqa: E731
    things = things_mentioned(found, variables, is_users)
    modules = {id(thing): thing for thing in things if isinstance(thing, types.ModuleType) and is_users(thing)}
    return list(modules.values())
