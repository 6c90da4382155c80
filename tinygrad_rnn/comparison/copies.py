"""Copies of a user's function that read other values from outside: from its module, or from a function around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

from ..recorded.variables import LIBRARIES

Change = Callable[[Any], Any]


class Copies:
    """Copies of functions, and of the functions that they call, which see changed values from outside.

    Nothing of the originals changes. Methods stay as they are, as what they read belongs to an object.

    Args:
        change: called with each value that is read from outside; returns the one to be read instead.

    Example:
        >>> T = 100
        >>> def outer():
        ...     scale = 2.0
        ...     def inner(x):
        ...         return [scale * x for _ in range(T)]
        ...     return inner
        >>> shorter = Copies(lambda value: 3 if value == 100 else value).of(eval("outer", {"outer": outer})())
        >>> shorter(1.0)
        [2.0, 2.0, 2.0]
    """

    def __init__(self, change: Change) -> None:
        self.change = change
        self._functions: dict[FunctionType, FunctionType] = {}
        self._modules: dict[int, dict[str, Any]] = {}
        self._cells: dict[int, CellType] = {}

    def of(self, value: Any) -> Any:
        """The copy of a function; of any other value what it changes to."""
        if isinstance(value, partial):
            keywords = {name: self.of(given) for name, given in value.keywords.items()}
            return partial(self.of(value.func), *map(self.of, value.args), **keywords)
        if not isinstance(value, FunctionType):
            return self.change(value)
        if value.__code__.co_filename.startswith(LIBRARIES):
            return value
        return self._functions.get(value) or self._copy(value)

    def _copy(self, function: FunctionType) -> FunctionType:
        module = self._modules.setdefault(id(function.__globals__), dict(function.__globals__))
        cells = tuple(self._cells.setdefault(id(cell), CellType()) for cell in function.__closure__ or ())
        copy = FunctionType(function.__code__, module, function.__name__, None, cells)
        self._functions[function] = copy  # before what it reads: it may call itself
        copy.__defaults__ = None if function.__defaults__ is None else tuple(map(self.of, function.__defaults__))
        copy.__kwdefaults__ = function.__kwdefaults__ and {n: self.of(v) for n, v in function.__kwdefaults__.items()}
        for name in _names(function.__code__):
            if name in function.__globals__:
                module[name] = self.of(function.__globals__[name])
        for cell, original in zip(cells, function.__closure__ or ()):
            try:
                cell.cell_contents = self.of(original.cell_contents)
            except ValueError:  # it is empty so far
                continue
        return copy


def _names(code: CodeType) -> Iterator[str]:
    """The names that code looks up outside of its own variables, in inner functions too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
