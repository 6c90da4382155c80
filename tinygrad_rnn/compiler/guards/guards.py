"""Guards of a trace: attributes of models and of their classes, and the variables that functions close over.

A trace follows the Python code of a function once, and with it whatever that code looked at: which activation an
attribute names, whether a model is training, which Parameters it holds. If one of those is replaced by something else,
the function has to be traced again. The values *in* Tensors don't matter: they are read at each call.

A function may also change such things itself. So guards hold a snapshot of them, which can be compared with a later
one, and restored.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from numbers import Number
from typing import Any

import numpy as np

from ...autodiff.graph import Node
from .names_in_code import is_of_library, mentions, modules_mentioned
from .random_numbers import GENERATORS
from .watched import (
    NOTHING,
    Buffers,
    Closures,
    Functions,
    Mappings,
    Names,
    Parts,
    Read,
    Types,
    Watched,
    Write,
    set_attribute,
)

Where = tuple[str, ...]  # how something is reached: ("Model", ".cell", ".sizes", "[0]")
Spelled = list[tuple[Where, type, Any]]

ARRAYS = (Node, np.ndarray)
PLAIN = (
    Number, str, bytes, type(None), np.generic, np.ufunc,
    types.BuiltinFunctionType, types.ModuleType, types.CodeType,
)  # fmt: skip
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()))
SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset, deque, *VIEWS)
NEVER_WRITTEN = (tuple, frozenset, *VIEWS)


class Guards:
    """The things that a traced function depends on, as they were when this was made.

    Args:
        things: functions, modules, or any objects that are called or looked at.

    Attributes:
        generators: the generators of random numbers among what they use.
        spelled: all that they use: its location, its type, and the value itself if it is plain. Any other object is
            replaced by a number in the order of first use, so that a Tensor or an object that is made anew at each
            call makes no difference.
        watched: all that they use, by kind.
    """

    def __init__(self, *things: Any) -> None:
        self.things = things
        self.generators: list[Any] = []
        self.spelled: Spelled = []
        self._names, self._functions, self._closures, self._types = Names(), Functions(), Closures(), Types()
        self._mappings, self._parts, self._buffers = Mappings(), Parts(), Buffers()
        self._numbers: dict[int, int] = {}  # by id; the things themselves are kept alive above, so no id is reused
        self._stack: list[tuple[Where, Any]] = []
        for thing in things:
            self._find(_called(thing), thing)
        while self._stack:
            self._look_into(*self._stack.pop())
        kinds = self._names, self._functions, self._closures, self._types, self._mappings, self._parts, self._buffers
        self.watched: list[Watched] = [kind for kind in kinds if len(kind)]
        self._checks = [kind.changed for kind in self.watched]

    def changed(self) -> bool:
        """Return True if something has been replaced since."""
        for has_changed in self._checks:  # noqa: SIM110  # a generator would cost as much as the checks
            if has_changed():
                return True
        return False

    def put_back(self) -> None:
        """Restore variables, attributes and containers."""
        for kind in self.watched:
            kind.put_back()

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
            self._watch_class(thing)
        elif hasattr(type(thing), "over_time"):  # compiled: only its function counts, not its plans
            self._watch_parts(lambda: [thing.function])
        else:
            self._watch_elements(where, thing)
            self._watch_object(where, thing)

    def _watch_function(self, function: types.FunctionType) -> None:
        name, code = function.__name__, function.__code__
        for part in self._functions.watch(function):
            self._find((f"{name}()",), part)
        for variable, called in zip(function.__closure__ or (), code.co_freevars):
            self._find((f"{called} of {name}()",), self._closures.watch(variable))
        self._watch_entries((name,), vars(function))
        found, variables = mentions(code), function.__globals__
        self._watch_variables(variables, found.variables)
        self._watch_variables(sys.modules, found.imports)
        for module in modules_mentioned(found, variables):
            self._watch_variables(vars(module), found.parts)

    def _watch_variables(self, space: dict[str, Any], names: frozenset[str]) -> None:
        for name in sorted(names):
            thing = self._names.watch(space, name)
            if thing is not NOTHING:
                self._find((f"{space.get('__name__', '')}.{name}",), thing)

    def _watch_class(self, thing: type) -> None:
        self._watch_type(thing)
        self._watch_parts(lambda: list(thing.__mro__), write=functools.partial(_inherit, thing, thing.__bases__))
        for base in thing.__mro__:
            if not is_of_library(base):
                self._watch_entries((base.__name__,), vars(base), owner=base)

    def _watch_type(self, thing: Any) -> None:
        if not is_of_library(type(thing)):
            kind = self._types.watch(thing)
            self._find(_called(kind), kind)

    def _watch_object(self, where: Where, thing: Any) -> None:
        self._watch_type(thing)
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):  # some objects answer to every name, but not with a dict
            self._watch_entries(where, attributes)
        for read in _parts(thing):
            self._watch_parts(read)
        slots = [slot for base in type(thing).__mro__ for slot in _slots(base)]
        if slots:
            self._watch_parts(
                lambda: [getattr(thing, slot, NOTHING) for slot in slots],
                lambda i: (*where, f".{slots[i]}"),
                functools.partial(_set_each, [(thing, slot) for slot in slots]),
            )

    def _watch_elements(self, where: Where, thing: Any) -> None:
        if isinstance(thing, (dict, types.MappingProxyType)):
            self._watch_entries(where, thing, _element)
        elif isinstance(thing, SEQUENCES):
            self.spelled.append((("len(", *where, ")"), int, len(thing)))
            write = None if isinstance(thing, NEVER_WRITTEN) else functools.partial(_refill, thing)
            self._watch_parts(lambda: list(thing), lambda i: (*where, f"[{i}]"), write)
        elif isinstance(thing, Buffers.KINDS):
            self.spelled.append((where, type(thing), self._buffers.watch(thing)))

    def _watch_entries(
        self,
        where: Where,
        mapping: Mapping[Any, Any],
        step: Callable[[Any], str] = ".{}".format,
        owner: type | None = None,
    ) -> None:
        size = ("len(", *where, ")") if step is _element else ("len(vars(", *where, "))")
        self.spelled.append((size, int, len(mapping)))
        entries = self._mappings.watch(mapping, owner)
        for key, thing in zip(entries.keys, entries.values):
            self._find((*where, step(key)), thing)

    def _watch_parts(self, read: Read, where: Callable[[int], Where] | None = None, write: Write | None = None) -> None:
        for i, thing in enumerate(self._parts.watch(read, write)):
            self._find(_called(thing) if where is None else where(i), thing)


def _called(thing: Any) -> Where:
    """The location of a thing without a name of its own: the name of its type."""
    return (thing.__name__ if isinstance(thing, (types.FunctionType, type)) else type(thing).__name__,)


def _element(key: Any) -> str:
    return f"[{key!r}]" if issubclass(type(key), (*PLAIN, tuple)) else f"[a {type(key).__name__}]"


def _parts(thing: Any) -> Iterator[Read]:
    """Functions that return the things that an object holds outside of its dict."""
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
    elif isinstance(thing, defaultdict):
        yield lambda: [thing.default_factory]


def _slots(base: type) -> list[str]:
    """The names of the slots of a user's class, private ones mangled."""
    has_some = "__slots__" in vars(base) and not is_of_library(base)
    return [name for name, part in vars(base).items() if has_some and isinstance(part, types.MemberDescriptorType)]


def _set_each(places: list[tuple[Any, str]], things: list[Any]) -> None:
    for (owner, name), thing in zip(places, things):
        if getattr(owner, name, NOTHING) is not thing:
            set_attribute(owner, name, thing)


def _refill(container: Any, elements: list[Any]) -> None:
    container.clear()
    (container.update if isinstance(container, set) else container.extend)(elements)


def _inherit(thing: type, bases: tuple[type, ...], order: list[type]) -> None:
    """Restore the bases of a class; the order of attribute lookup follows from them."""
    thing.__bases__ = bases
