"""What a trace took for granted: the attributes of models and of their classes, and what functions close over.

A trace follows the Python code of a function once, and with it whatever that code looked at: which activation an
attribute names, whether a model is training, which Parameters it holds. If one of those is replaced by something else,
the function has to be traced again. The values *in* Tensors don't matter: they are read at each call.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from operator import is_
from typing import Any

import numpy as np

from ..autodiff.graph import Node
from .random_numbers import GENERATORS

Read = Callable[[], list[Any]]

OPAQUE = (Node, np.ndarray, np.generic, np.ufunc, types.BuiltinFunctionType, types.ModuleType, str, bytes, int, float)
LIBRARIES = {"numpy", __name__.partition(".")[0]}
INSTALLED = tuple(sysconfig.get_paths()[path] for path in ("stdlib", "platstdlib", "purelib", "platlib"))
NOTHING = object()


class Guards:
    """What some things depend on, as it was when this was made.

    Args:
        things: functions, modules, or any objects that are called or looked at.

    Attributes:
        generators: the generators of random numbers among what they use.
    """

    def __init__(self, *things: Any) -> None:
        self.generators: list[Any] = []
        self._named: dict[tuple[int, str], tuple[Mapping[str, Any], str, Any]] = {}
        self._functions: list[tuple[types.FunctionType, Any, Any, Any]] = []
        self._variables: list[tuple[types.CellType, Any]] = []
        self._sizes: list[tuple[Mapping[str, Any], int]] = []
        self._listed: list[tuple[Read, list[Any]]] = []
        self._stack = list(things)
        self._seen: dict[int, Any] = {}  # with the things themselves, so that no id is given to something else
        while self._stack:
            thing = self._stack.pop()
            if isinstance(thing, types.BuiltinFunctionType):  # of a generator, such as rng.normal, or of nothing
                thing = thing.__self__
            if isinstance(thing, GENERATORS):
                self.generators.append(thing)
            elif id(thing) not in self._seen and not isinstance(thing, OPAQUE) and not _is_of_library(thing):
                self._seen[id(thing)] = thing
                self._look_into(thing)

    def changed(self) -> bool:
        """Whether something has been replaced since."""
        for names, name, thing in self._named.values():
            if names.get(name, NOTHING) is not thing:
                return True
        for function, code, defaults, keyword_defaults in self._functions:
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not keyword_defaults
            ):
                return True
        for variable, thing in self._variables:
            if _content(variable) is not thing:
                return True
        for names, size in self._sizes:
            if len(names) != size:
                return True
        for read, before in self._listed:
            now = read()
            if len(now) != len(before) or not all(map(is_, now, before)):
                return True
        return False

    def _look_into(self, thing: Any) -> None:
        if isinstance(thing, types.FunctionType):
            self._watch_function(thing)
        elif isinstance(thing, type):
            for base in thing.__mro__:
                if not _is_of_library(base):
                    self._watch_all(vars(base))
        elif isinstance(thing, dict):
            self._watch_all(thing)
        elif isinstance(thing, (list, tuple, set, frozenset, deque)):
            self._watch_list(lambda: list(thing))
        elif hasattr(type(thing), "over_time"):  # compiled: its plans come and go, but what it compiles is what it is
            self._watch_list(lambda: [thing.function])
        else:
            if not _is_of_library(type(thing)):
                self._watch_list(lambda: [type(thing)])
            attributes = getattr(thing, "__dict__", None)
            if isinstance(attributes, dict):  # some answer to every name, but not with a dict
                self._watch_all(attributes)
            for read in _parts(thing):
                self._watch_list(read)

    def _watch_function(self, function: types.FunctionType) -> None:
        self._functions.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        self._stack += [function.__defaults__, function.__kwdefaults__]
        for variable in function.__closure__ or ():
            self._variables.append((variable, _content(variable)))
            self._stack.append(self._variables[-1][1])
        if vars(function):
            self._watch_all(vars(function))
        names = set(_names_in(function.__code__))
        for name in names & function.__globals__.keys():
            self._watch_name(function.__globals__, name)
            module = function.__globals__[name]
            if isinstance(module, types.ModuleType) and not _is_of_library(module):
                for attribute in names & vars(module).keys():
                    self._watch_name(vars(module), attribute)

    def _watch_name(self, names: Mapping[str, Any], name: str) -> None:
        self._named[id(names), name] = names, name, names[name]
        self._stack.append(names[name])

    def _watch_all(self, names: Mapping[Any, Any]) -> None:
        self._sizes.append((names, len(names)))
        for name in names:
            self._watch_name(names, name)

    def _watch_list(self, read: Read) -> None:
        found = read()
        self._listed.append((read, found))
        self._stack += found


def _is_of_library(thing: Any) -> bool:
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
    return file is not None and file.startswith(INSTALLED)


def _parts(thing: Any) -> Iterator[Read]:
    """Functions that give what an object holds elsewhere than in its dict, at the moment when they are called."""
    if isinstance(thing, types.MethodType):
        yield lambda: [thing.__self__, thing.__func__]
    elif isinstance(thing, (staticmethod, classmethod)):
        yield lambda: [thing.__func__]
    elif isinstance(thing, property):
        yield lambda: [thing.fget]
    elif isinstance(thing, functools.partial):
        yield lambda: [thing.func, thing.args, thing.keywords]
    elif isinstance(thing, functools.cached_property):
        yield lambda: [thing.func]
    slots = [slot for base in type(thing).__mro__ for slot in _slots(base)]
    if slots:
        yield lambda: [getattr(thing, slot, NOTHING) for slot in slots]


def _slots(base: type) -> list[str]:
    slots = () if _is_of_library(base) else vars(base).get("__slots__", ())
    return [slots] if isinstance(slots, str) else [slot for slot in slots if not slot.startswith("__")]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned to that variable yet
        return NOTHING


def _names_in(code: types.CodeType) -> Iterator[str]:
    """The names of variables and attributes that some code mentions, also inside the functions that it makes."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)
