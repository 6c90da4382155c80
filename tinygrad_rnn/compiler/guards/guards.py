"""What a trace took for granted: the attributes of models and of their classes, and what functions close over.

A trace follows the Python code of a function once, and with it whatever that code looked at: which activation an
attribute names, whether a model is training, which Parameters it holds. If one of those is replaced by something else,
the function has to be traced again. The values *in* Tensors don't matter: they are read at each call.

A function may also change such things itself. So they are spelled out as they are at one moment, for comparison with
another, and they can be put back.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, ValuesView
from numbers import Number
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.graph import Node
from .names_in_code import is_of_library, mentions, modules_mentioned
from .random_numbers import GENERATORS

Read = Callable[[], list[Any]]
Write = Callable[[list[Any]], None]
Where = tuple[str, ...]  # how something is reached: ("Model", ".cell", ".sizes", "[0]")
Spelled = list[tuple[Where, type, Any]]

ARRAYS = (Node, np.ndarray)
PLAIN = (
    Number, str, bytes, type(None), np.generic, np.ufunc,
    types.BuiltinFunctionType, types.ModuleType, types.CodeType,
)  # fmt: skip
NOTHING = object()


class Space(NamedTuple):
    """Attributes, or a dict: what it holds, as it was.

    Attributes:
        names: the thing itself.
        keys: its keys.
        now: a view of what it holds at any moment.
        values: what it held.
    """

    names: Mapping[Any, Any]
    keys: list[Any]
    now: ValuesView[Any]
    values: list[Any]


class Guards:
    """What some things depend on, as it was when this was made.

    Args:
        things: functions, modules, or any objects that are called or looked at.

    Attributes:
        things: as given.
        generators: the generators of random numbers among what they use.
        spelled: all that they use: where it is, its type, and a plain value as it is. All else is a number, given where
            it is met first, so that a Tensor or an object that is made anew at each call is no difference.
    """

    def __init__(self, *things: Any) -> None:
        self.things = things
        self.generators: list[Any] = []
        self.spelled: Spelled = []
        self._named: dict[tuple[int, str], tuple[Mapping[str, Any], str, Any]] = {}
        self._missing: dict[int, tuple[Mapping[str, Any], set[str]]] = {}  # by id; what could come to be there
        self._functions: list[tuple[types.FunctionType, Any, Any, Any]] = []
        self._variables: list[tuple[types.CellType, Any]] = []
        self._spaces: list[Space] = []
        self._listed: list[tuple[Read, list[Any]]] = []
        self._writes: list[tuple[Read, list[Any], Write]] = []
        self._classes: dict[int, type] = {}  # by the id of their attributes, which can't be set there
        self._numbers: dict[int, int] = {}  # by id; the things themselves are kept above, so no id is used again
        self._stack: list[tuple[Where, Any]] = []
        for thing in things:
            self._find(_called(thing), thing)
        while self._stack:
            self._look_into(*self._stack.pop())

    def changed(self) -> bool:
        """Whether something has been replaced since."""
        for names, name, thing in self._named.values():
            if names.get(name, NOTHING) is not thing:
                return True
        for names, missing in self._missing.values():
            if not names.keys().isdisjoint(missing):
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
        for names, keys, now, values in self._spaces:
            is_as_before = list(names) == keys and all(map(is_, now, values))
            if not is_as_before and not _is_in_another_order(names, keys, values):
                return True
        for read, before in self._listed:
            found = read()
            if len(found) != len(before) or not all(map(is_, found, before)):
                return True
        return False

    def put_back(self) -> None:
        """Have variables, attributes and containers hold again what they held."""
        for names, name, thing in self._named.values():
            if names.get(name, NOTHING) is not thing:
                self._put(names, name, thing)
        for names, missing in self._missing.values():
            for name in names.keys() & missing:
                self._put(names, name, NOTHING)
        for variable, thing in self._variables:
            if _content(variable) is not thing:
                _set(variable, "cell_contents", thing)
        for names, keys, _, values in self._spaces:
            for name in set(names).difference(keys):
                self._put(names, name, NOTHING)
            for name, thing in zip(keys, values):
                if names.get(name, NOTHING) is not thing:
                    self._put(names, name, thing)
        for read, before, write in self._writes:
            now = read()
            if len(now) != len(before) or not all(map(is_, now, before)):
                write(before)

    def _put(self, names: Any, name: str, thing: Any) -> None:
        if id(names) in self._classes:
            _set(self._classes[id(names)], name, thing)
        elif isinstance(names, types.MappingProxyType):
            pass  # what it shows is put back where it is kept
        elif thing is NOTHING:
            del names[name]
        else:
            names[name] = thing

    def _find(self, where: Where, thing: Any) -> None:
        if isinstance(thing, types.BuiltinFunctionType) and not isinstance(thing.__self__, PLAIN):
            thing = thing.__self__  # of a generator, such as rng.normal
        if issubclass(type(thing), PLAIN) or is_of_library(thing):
            self.spelled.append((where, type(thing), thing))
            return
        known = len(self._numbers)
        number = self._numbers.setdefault(id(thing), known)
        self.spelled.append((where, type(thing), (number,)))
        if isinstance(thing, GENERATORS):
            self.generators.append(thing)
        elif number == known and not isinstance(thing, ARRAYS):
            self._stack.append((where, thing))

    def _look_into(self, where: Where, thing: Any) -> None:
        if isinstance(thing, types.FunctionType):
            self._watch_function(thing)
        elif isinstance(thing, type):
            self._watch_type(thing)
            for base in thing.__mro__:
                if not is_of_library(base):
                    attributes = vars(base)
                    self._classes[id(attributes)] = base
                    self._watch_all((base.__name__,), attributes)
        elif hasattr(type(thing), "over_time"):  # compiled: its plans come and go, but what it compiles is what it is
            self._watch_list(lambda: [thing.function])
        else:
            self._watch_elements(where, thing)
            self._watch_object(where, thing)

    def _watch_elements(self, where: Where, thing: Any) -> None:
        if isinstance(thing, (dict, types.MappingProxyType)):
            self._watch_all(where, thing, _element)
        elif isinstance(thing, (list, tuple, set, frozenset, deque)):
            self.spelled.append((("len(", *where, ")"), int, len(thing)))
            write = None if isinstance(thing, (tuple, frozenset)) else functools.partial(_refill, thing)
            self._watch_list(lambda: list(thing), lambda i: (*where, f"[{i}]"), write)

    def _watch_type(self, thing: Any) -> None:
        if not is_of_library(type(thing)):
            self._watch_list(lambda: [type(thing)])

    def _watch_object(self, where: Where, thing: Any) -> None:
        self._watch_type(thing)
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):  # some answer to every name, but not with a dict
            self._watch_all(where, attributes)
        for read in _parts(thing):
            self._watch_list(read)
        slots = [slot for base in type(thing).__mro__ for slot in _slots(base)]
        if slots:
            self._watch_list(
                lambda: [getattr(thing, slot, NOTHING) for slot in slots],
                lambda i: (*where, f".{slots[i]}"),
                functools.partial(_set_each, [(thing, slot) for slot in slots]),
            )

    def _watch_function(self, function: types.FunctionType) -> None:
        name, code = function.__name__, function.__code__
        self._functions.append((function, code, function.__defaults__, function.__kwdefaults__))
        for part in (code, function.__defaults__, function.__kwdefaults__):
            self._find((f"{name}()",), part)
        for variable, called in zip(function.__closure__ or (), code.co_freevars):
            self._variables.append((variable, _content(variable)))
            self._find((f"{called} of {name}()",), self._variables[-1][1])
        self._watch_all((name,), vars(function))
        found = mentions(code)
        self._watch_mentioned(function.__globals__, found.variables)
        for module in modules_mentioned(found, function.__globals__):
            self._watch_mentioned(vars(module), found.parts)

    def _watch_mentioned(self, space: dict[str, Any], names: frozenset[str]) -> None:
        """Watch variables of a module; those that aren't there may come, and hide a builtin function, say."""
        for name in sorted(names & space.keys()):
            self._watch_name((f"{space.get('__name__', '')}.{name}",), space, name)
        self._missing.setdefault(id(space), (space, set()))[1].update(names - space.keys())

    def _watch_name(self, where: Where, names: Mapping[str, Any], name: str) -> None:
        self._named[id(names), name] = names, name, names[name]
        self._find(where, names[name])

    def _watch_all(self, where: Where, names: Mapping[Any, Any], step: Callable[[Any], str] = ".{}".format) -> None:
        size = ("len(", *where, ")") if step is _element else ("len(vars(", *where, "))")
        self.spelled.append((size, int, len(names)))
        # What lies there: some dicts, asked in their own way, give something new each time.
        now = dict.values(names) if isinstance(names, dict) else names.values()
        keys, values = list(names), list(now)
        self._spaces.append(Space(names, keys, now, values))
        for key, thing in zip(keys, values):
            self._find((*where, step(key)), thing)

    def _watch_list(self, read: Read, where: Callable[[int], Where] | None = None, write: Write | None = None) -> None:
        found = read()
        self._listed.append((read, found))
        if write is not None:
            self._writes.append((read, found, write))
        for i, thing in enumerate(found):
            self._find(_called(thing) if where is None else where(i), thing)


def _is_in_another_order(names: Mapping[Any, Any], keys: list[Any], values: list[Any]) -> bool:
    return len(names) == len(keys) and all(names.get(key, NOTHING) is value for key, value in zip(keys, values))


def _called(thing: Any) -> Where:
    """Where something is that has no name of its own there: an object is called by its type."""
    return (thing.__name__ if isinstance(thing, (types.FunctionType, type)) else type(thing).__name__,)


def _element(key: Any) -> str:
    return f"[{key!r}]" if issubclass(type(key), (*PLAIN, tuple)) else f"[a {type(key).__name__}]"


def _parts(thing: Any) -> Iterator[Read]:
    """Functions that give what an object holds elsewhere than in its dict, at the moment when they are called."""
    if isinstance(thing, types.MethodType):
        yield lambda: [thing.__self__, thing.__func__]
    elif isinstance(thing, (staticmethod, classmethod)):
        yield lambda: [thing.__func__]
    elif isinstance(thing, property):
        yield lambda: [thing.fget]
    elif isinstance(thing, functools.partial):
        yield lambda: [thing.func, *thing.args, *thing.keywords.values()]
    elif isinstance(thing, functools.cached_property):
        yield lambda: [thing.func]


def _slots(base: type) -> list[str]:
    """What a user's class has slots for; private ones by the names that they have outside of it."""
    has_some = "__slots__" in vars(base) and not is_of_library(base)
    return [name for name, part in vars(base).items() if has_some and isinstance(part, types.MemberDescriptorType)]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned to that variable yet
        return NOTHING


def _set(owner: Any, name: str, thing: Any) -> None:
    """Set an attribute, or delete it where there was NOTHING, whatever the owner makes of assignments."""
    base = type if isinstance(owner, type) else object
    if thing is NOTHING:
        base.__delattr__(owner, name)
    else:
        base.__setattr__(owner, name, thing)


def _set_each(places: list[tuple[Any, str]], things: list[Any]) -> None:
    for (owner, name), thing in zip(places, things):
        if getattr(owner, name, NOTHING) is not thing:
            _set(owner, name, thing)


def _refill(container: Any, elements: list[Any]) -> None:
    container.clear()
    (container.update if isinstance(container, set) else container.extend)(elements)
