"""Values that a function reads from outside: from its module, from the functions around it, and by default.

In a notebook, a loss often takes its parameters alone, and reads the data and their sizes as variables of the notebook.
To know them by name, or to run the function with others, one needs no more than a copy of it that reads others.
"""

from __future__ import annotations

import dis
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np

from ..autodiff.trees import children, leaves
from .variables import LIBRARIES

NOT_THE_USERS = (*LIBRARIES, *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), "<frozen")
MOST_NUMBERS, DEEPEST = 10**7, 4  # of the arrays of a variable that is taken for data


def read_from_outside(function: Any) -> dict[str, Any]:
    """The values that a function, and the functions that it calls, read from outside, by the names of variables.

    Example:
        >>> def outer():
        ...     scale = 2.0
        ...     def inner(x, steps=3):
        ...         return [scale * x for _ in range(steps)]
        ...     return inner
        >>> read_from_outside(outer())
        {'steps': 3, 'scale': 2.0}
    """
    found: dict[str, Any] = {}
    waiting, seen = [function], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        for name, value in _read(one):
            if isinstance(value, (FunctionType, MethodType, partial)) or has_attributes(value):
                waiting.append(value)
            else:
                found.setdefault(name, value)
    return found


def users_line(error: BaseException) -> traceback.FrameSummary | None:
    """The last line of the user's own code that an exception went through; None if it came through none."""
    lines = traceback.extract_tb(error.__traceback__)
    return next((line for line in reversed(lines) if not line.filename.startswith(NOT_THE_USERS)), None)


def data_outside(function: Any, parameters: Any, data: Sequence[Any]) -> dict[str, Any]:
    """The data that a loss function reads from outside, by the names of variables: arrays, lists of numbers, and trees.

    What it is called with isn't repeated. What only arranges data is none: zeros, places along an axis, an identity.

    Args:
        function: the function.
        parameters: a tree of its parameters.
        data: its further arguments.
    """
    called_with = {id(leaf) for leaf in leaves([parameters, *data])}
    taken = _arguments(function)[: 1 + len(data)]

    def is_data(value: Any) -> bool:
        arrays = list(_arrays(value))
        is_small = sum(array.size for array in arrays) <= MOST_NUMBERS
        return is_small and any(map(_tells, arrays)) and called_with.isdisjoint(map(id, arrays))

    outside = read_from_outside(function).items()
    return {name: value for name, value in outside if name not in ("", *taken) and is_data(value)}


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """The arrays of numbers in a tree; a list of numbers is one."""
    if type(value) is list and value and all(type(part) in (int, float) for part in value):
        yield np.array(value)
    elif isinstance(value, (np.ndarray, list, tuple, dict)) and not _is_deep(value):
        for part in leaves(value):
            if isinstance(part, np.ndarray) and part.ndim and part.dtype.kind in "fiub":
                yield part


def _is_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Return True for a tree of too many levels, such as one that contains itself."""
    return not levels or any(_is_deep(part, levels - 1) for part in children(value) or ())


def _tells(array: np.ndarray) -> bool:
    """Return True for numbers that aren't all alike, nor those of ``np.arange`` or ``np.eye``."""
    flat = array.ravel()
    if not flat.size or (flat == flat[0]).all() or np.array_equal(flat, np.arange(flat.size)):
        return False
    return not (array.ndim == 2 and np.array_equal(array, np.eye(*array.shape)))


class Copies:
    """Copies of functions, and of the functions that they call, which read other values from outside.

    Nothing of the originals changes. A method belongs to a copy of its object, which has other attributes.

    Args:
        change: called with each value that is read from outside; returns the one to be read instead.

    Example:
        >>> def outer():
        ...     scale = 2.0
        ...     def inner(x, steps=100):
        ...         return [scale * x for _ in range(steps)]
        ...     return inner
        >>> Copies(lambda value: 3 if value == 100 else value).of(outer())(1.0)
        [2.0, 2.0, 2.0]
    """

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change
        self._functions: dict[FunctionType, FunctionType] = {}
        self._modules: dict[int, dict[str, Any]] = {}
        self._cells: dict[int, CellType] = {}
        self._objects: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        """The copy of a function, a method or an object; of any other value what it changes to."""
        if isinstance(value, partial):
            keywords = {name: self.of(given) for name, given in value.keywords.items()}
            return partial(self.of(value.func), *map(self.of, value.args), **keywords)
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, FunctionType):
            return self._functions.get(value) or (self._function(value) if _is_users(value) else value)
        if not has_attributes(value):
            return self.change(value)
        return self._objects[id(value)] if id(value) in self._objects else self._object(value)

    def _object(self, value: Any) -> Any:
        """A copy of an object that finds copies of its methods before those of its class."""
        kind: Any = type(value)
        copy = kind.__new__(kind)
        self._objects[id(value)] = copy  # before its parts: they may know it
        vars(copy).update((name, self.of(part)) for name, part in vars(value).items())
        vars(copy).update((name, MethodType(self.of(method), copy)) for name, method in _methods(value).items())
        return copy

    def _function(self, function: FunctionType) -> FunctionType:
        module = self._modules.setdefault(id(function.__globals__), dict(function.__globals__))
        cells = tuple(self._cells.setdefault(id(cell), CellType()) for cell in function.__closure__ or ())
        copy = FunctionType(function.__code__, module, function.__name__, None, cells)
        self._functions[function] = copy  # before what it reads: it may call itself
        copy.__defaults__ = function.__defaults__ and tuple(map(self.of, function.__defaults__))
        copy.__kwdefaults__ = function.__kwdefaults__ and {n: self.of(v) for n, v in function.__kwdefaults__.items()}
        module.update((name, self.of(value)) for name, value in _variables(function))
        for cell, original in zip(cells, function.__closure__ or ()):
            with suppress(ValueError):  # it is empty so far
                cell.cell_contents = self.of(original.cell_contents)
        return copy


def reading_others(functions: Sequence[Any], others: Mapping[int, Any]) -> list[Any]:
    """Copies of functions that read other objects from outside in place of some, which are known by their ids.

    What the functions share, such as an object in which one of them leaves something for the next, the copies share.
    """
    if not others:
        return [*functions]
    copies = Copies(lambda value: others.get(id(value), value))
    return [copies.of(function) for function in functions]


def has_attributes(value: Any) -> bool:
    """Return True for an object that holds what its user gave it: of a user's class, or a namespace."""
    kind = type(value)
    return kind is SimpleNamespace or (
        _is_users_class(kind)
        and not isinstance(value, type)
        and hasattr(value, "__dict__")
        and not any("__new__" in vars(base) for base in kind.__mro__[:-1])
    )


def _is_users_class(kind: type) -> bool:
    if kind.__module__ in ("__main__", "builtins"):
        return kind.__module__ == "__main__"
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return not file.startswith(NOT_THE_USERS)


def _methods(value: Any) -> dict[str, FunctionType]:
    """The methods of an object that a user wrote, by name; those that Python itself calls stay with the class."""
    methods = {name: part for kind in reversed(type(value).__mro__) for name, part in vars(kind).items()}
    return {n: m for n, m in methods.items() if isinstance(m, FunctionType) and _is_users(m) and not n.startswith("__")}


def _is_users(function: FunctionType) -> bool:
    return not function.__code__.co_filename.startswith(NOT_THE_USERS)


def _read(function: Any) -> Iterator[tuple[str, Any]]:
    """The names and values that a function itself reads from outside; those that an object has."""
    if isinstance(function, partial):
        yield from (("", function.func), *function.keywords.items(), *(("", given) for given in function.args))
    elif isinstance(function, MethodType):
        yield from (("", function.__func__), ("", function.__self__))
    elif has_attributes(function):
        yield from (*vars(function).items(), *_methods(function).items())
    elif isinstance(function, FunctionType) and _is_users(function):
        defaults = function.__defaults__ or ()
        count = function.__code__.co_argcount
        yield from zip(function.__code__.co_varnames[count - len(defaults) : count], defaults)
        yield from (function.__kwdefaults__ or {}).items()
        yield from _variables(function)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            with suppress(ValueError):
                yield name, cell.cell_contents


def _variables(function: FunctionType) -> list[tuple[str, Any]]:
    """The variables of its module that a function reads, or that functions inside it read."""
    variables = function.__globals__
    return [(name, variables[name]) for name in _looked_up(function.__code__) if name in variables]


@lru_cache(maxsize=256)
def _looked_up(code: CodeType) -> tuple[str, ...]:
    """The names that code looks up in its module, in inner functions too."""
    own = (one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    inner = (name for each in code.co_consts if isinstance(each, CodeType) for name in _looked_up(each))
    return tuple(dict.fromkeys((*own, *inner)))


def _arguments(function: Any) -> tuple[str, ...]:
    """The names of the arguments of a function that may be given by their places."""
    code = getattr(getattr(function, "func", function), "__code__", None)
    return code.co_varnames[: code.co_argcount] if code else ()
