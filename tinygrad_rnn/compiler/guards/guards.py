"""Guards of a trace: attributes of models and of their classes, and the variables that functions close over.

A trace follows the Python code of a function once, and with it whatever that code looked at: which activation an
attribute names, whether a model is training, which Parameters it holds. If one of those is replaced by something else,
the function has to be traced again. The values *in* Tensors don't matter: they are read at each call.

A function may also change such things itself. So guards hold a snapshot of them, which can be compared with a later
one, and restored.
"""

from __future__ import annotations

import functools
import io
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
    BUFFERS,
    CONTENT,
    NOTHING,
    OF_FUNCTIONS,
    Read,
    Watched,
    Write,
    attributes,
    content,
    entries,
    set_content,
    set_each,
    set_entries,
    set_variables,
    variables,
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


class Guards(Watched):
    """The things that a traced function depends on, as they were when this was made.

    Args:
        things: functions, modules, or any objects that are called or looked at.

    Attributes:
        generators: the generators of random numbers among what they use.
        iterators: the names of variables that are iterators; who uses one takes elements from it.
        spelled: all that they use: its location, its type, and the value itself if it is plain. Any other object is
            replaced by a number in the order of first use, so that a Tensor or an object that is made anew at each
            call makes no difference.
    """

    def __init__(self, *things: Any) -> None:
        self.things = things
        self.generators: list[Any] = []
        self.iterators: list[str] = []
        self.spelled: Spelled = []
        super().__init__()
        self._spaces: dict[int, tuple[dict[str, Any], dict[str, None]]] = {}  # of variables, each with their names
        self._numbers: dict[int, int] = {}  # by id; the things themselves are kept alive above, so no id is reused
        self._stack: list[tuple[Where, Any]] = []
        for thing in things:
            self._find(_called(thing), thing)
        while self._stack:
            self._look_into(*self._stack.pop())
        for space, names in self._spaces.values():
            every = tuple(names)
            read = functools.partial(variables, space, every)
            self.watch(read, functools.partial(set_variables, space, every))

    def _find(self, where: Where, thing: Any) -> None:
        if isinstance(thing, types.BuiltinFunctionType) and not isinstance(thing.__self__, PLAIN):
            thing = thing.__self__  # of a generator, such as rng.normal
        if issubclass(type(thing), PLAIN) or is_of_library(thing):
            self.spelled.append((where, type(thing), thing))
            return
        if len(where) == 1 and issubclass(type(thing), Iterator) and not issubclass(type(thing), io.IOBase):
            self.iterators.append(*where)
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
            self._watch_each(lambda: [thing.function])
        else:
            self._watch_elements(where, thing)
            self._watch_object(where, thing)

    def _watch_function(self, function: types.FunctionType) -> None:
        name, code = function.__name__, function.__code__
        places: list[tuple[Any, str]] = [(function, part) for part in OF_FUNCTIONS]
        places += [(variable, CONTENT) for variable in function.__closure__ or ()]
        called = [*[f"{name}()"] * len(OF_FUNCTIONS), *(f"{variable} of {name}()" for variable in code.co_freevars)]
        self._watch_attributes(places, lambda i: (called[i],))
        self._watch_entries((name,), vars(function))
        found, space = mentions(code), function.__globals__
        self._watch_variables(space, found.variables)
        self._watch_variables(sys.modules, found.imports)
        for module in modules_mentioned(found, space):
            self._watch_variables(vars(module), found.parts)

    def _watch_variables(self, space: dict[str, Any], names: frozenset[str]) -> None:
        for name in sorted(names):
            self._spaces.setdefault(id(space), (space, {}))[1][name] = None
            if name in space:
                self._find((f"{space.get('__name__', '')}.{name}",), space[name])

    def _watch_class(self, thing: type) -> None:
        self._watch_type(thing)
        self._watch_each(lambda: list(thing.__mro__), write=functools.partial(_inherit, thing, thing.__bases__))
        for base in thing.__mro__:
            if not is_of_library(base):
                self._watch_entries((base.__name__,), vars(base), owner=base)

    def _watch_type(self, thing: Any) -> None:
        if not is_of_library(type(thing)):
            self._watch_each(lambda: [type(thing)], write=functools.partial(set_each, [(thing, "__class__")]))

    def _watch_object(self, where: Where, thing: Any) -> None:
        self._watch_type(thing)
        attributes = getattr(thing, "__dict__", None)
        if isinstance(attributes, dict):  # some objects answer to every name, but not with a dict
            self._watch_entries(where, attributes)
        for read in _parts(thing):
            self._watch_each(read)
        slots = [slot for base in type(thing).__mro__ for slot in _slots(base)]
        if slots:
            self._watch_attributes([(thing, slot) for slot in slots], lambda i: (*where, f".{slots[i]}"))

    def _watch_elements(self, where: Where, thing: Any) -> None:
        if isinstance(thing, (dict, types.MappingProxyType)):
            self._watch_entries(where, thing, _element)
        elif isinstance(thing, SEQUENCES):
            self.spelled.append((("len(", *where, ")"), int, len(thing)))
            write = None if isinstance(thing, NEVER_WRITTEN) else functools.partial(_refill, thing)
            self._watch_each(lambda: list(thing), lambda i: (*where, f"[{i}]"), write)
        elif isinstance(thing, BUFFERS):
            before = content(thing)
            self.spelled.append((where, type(thing), before))
            self.watch(lambda: [before if content(thing) == before else NOTHING], functools.partial(set_content, thing))

    def _watch_entries(
        self,
        where: Where,
        mapping: Mapping[Any, Any],
        step: Callable[[Any], str] = ".{}".format,
        owner: type | None = None,
    ) -> None:
        size = ("len(", *where, ")") if step is _element else ("len(vars(", *where, "))")
        self.spelled.append((size, int, len(mapping)))
        both = self.watch(entries(mapping), functools.partial(set_entries, mapping, owner))
        for key, thing in zip(both, both[len(both) // 2 :]):
            self._find((*where, step(key)), thing)

    def _watch_attributes(self, places: list[tuple[Any, str]], where: Callable[[int], Where]) -> None:
        self._watch_each(functools.partial(attributes, places), where, functools.partial(set_each, places))

    def _watch_each(self, read: Read, where: Callable[[int], Where] | None = None, write: Write | None = None) -> None:
        for i, thing in enumerate(self.watch(read, write)):
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


def _refill(container: Any, elements: list[Any]) -> None:
    container.clear()
    (container.update if isinstance(container, set) else container.extend)(elements)


def _inherit(thing: type, bases: tuple[type, ...], order: list[type]) -> None:
    """Restore the bases of a class; the order of attribute lookup follows from them."""
    thing.__bases__ = bases
