"""Generated functions that take sizes as arguments, from the functions for arguments of several sizes.

The writers of code know only numbers, no sizes. So the same program is written at three sizes, and the three texts are
compared. A number that differs becomes a name, and its value is computed from the sizes. The shapes of buffers, and
constants that grow with the arguments, are treated alike. Any other difference means that the program is another one.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..numpy_code.generated import Buffer, Code, Function, View
from ..numpy_code.views import SHARES_IF_IT_CAN
from ..runtime.parsing import parsed
from .following import FollowingReader, Typed, follows, formula, made, text
from .reading import DependsOnSize, Filled, Reader, Size, together


class SizedCode:
    """Functions for arguments of all sizes.

    Args:
        codes: the code of one program for arguments of several sizes.
        sizes: those sizes: for each name, its value in each example.

    Raises:
        DependsOnSize: the code differs in more than in numbers that follow the sizes.
    """

    def __init__(self, codes: Sequence[Code], sizes: Mapping[str, Sequence[int]]) -> None:
        self._code = codes[0]
        functions = [[each for each in (code.forward, code.backward) if each is not None] for code in codes]
        self._texts = _SideBySide(FollowingReader(sizes), len(codes))
        self._buffers = self._alike_buffers([code.buffers for code in codes])
        views = [self._alike_view(views) for views in together(*(list(code.views.items()) for code in codes))]
        trees = [self._texts.function(same) for same in together(*functions)]
        self._texts.same_names(*(code.saved for code in codes))
        numbers = self._texts.numbers
        made = [_compiled(function, tree, numbers) for function, tree in zip(functions[0], trees)]
        self.forward, self.backward = made[0], made[1] if len(made) > 1 else None
        self._views = {name: _view(view, tree, numbers) for name, view, tree in views}
        self._numbers = formula(sizes, numbers.values())
        self._shapes = formula(sizes, [shape for shape, _ in self._buffers.values()])
        self._filled: dict[str, np.ndarray] = {}

    @property
    def lengths(self) -> dict[str, str]:
        """The expressions that the names of numbers stand for."""
        return {name: text(number) for name, number in self._texts.numbers.items()}

    def at(self, sizes: tuple[int, ...]) -> Code:
        """The code for arguments of certain sizes."""
        found = self._texts.numbers.items()
        numbers = {name: self._made(name, number, value) for (name, number), value in zip(found, self._numbers(*sizes))}
        forms = zip(self._buffers.items(), self._shapes(*sizes))
        buffers = {name: Buffer(shape, dtype) for (name, (_, dtype)), shape in forms}
        return self._code._replace(
            buffers=buffers,
            views=self._views,
            forward=self.forward,
            backward=self.backward,
            numbers=numbers,
            sizes=sizes,
        )

    def _made(self, name: str, found: Any, value: Any) -> Any:
        """The object for a name. A constant array that grows is a part of the largest one so far."""
        if not isinstance(found, Filled) or isinstance(found.number, Typed):
            return made(found, value)
        size, largest = math.prod(value), self._filled.get(name)
        if largest is None or len(largest) < size:
            largest = self._filled[name] = np.full(size, found.number)
        return largest[:size].reshape(value)

    def _alike_buffers(
        self, all_buffers: Sequence[Mapping[str, Buffer]]
    ) -> dict[str, tuple[tuple[int | Size, ...], Any]]:
        found = {}
        for same in together(*(list(buffers.items()) for buffers in all_buffers)):
            names, buffers = zip(*same)
            self._texts.same_name(*names)
            if len({buffer.dtype for buffer in buffers}) > 1:
                raise DependsOnSize("an array has another type for larger arguments")
            found[names[0]] = self._texts.reader.merged(*(buffer.shape for buffer in buffers)), buffers[0].dtype
        return found

    def _alike_view(self, same: Sequence[tuple[str, View]]) -> tuple[str, View, ast.expr]:
        names, views = zip(*same)
        self._texts.same_name(*names)
        tree = self._texts.tree(*(parsed(view.text, mode="eval").body for view in views))
        return names[0], views[0], tree


class _SideBySide:
    """Reads several texts side by side, in which the same things go by different names."""

    def __init__(self, reader: Reader, count: int) -> None:
        self.reader = reader
        self.numbers: dict[str, Any] = {}  # the followers of the sizes, by their names in the code
        self._names: list[dict[str, str]] = [{} for _ in range(count)]  # name in each text -> name in the first
        self._taken: list[dict[str, str]] = [{} for _ in range(count)]

    def same_name(self, *names: str) -> None:
        """Record that these are names of one thing."""
        for name, known, taken in zip(names, self._names, self._taken):
            if known.setdefault(name, names[0]) != names[0] or taken.setdefault(names[0], name) != name:
                raise DependsOnSize(f"{name} is something else for larger arguments")

    def same_names(self, *lists: Sequence[str]) -> None:
        """Do the same for several lists."""
        for names in together(*lists):
            self.same_name(*names)

    def function(self, functions: Sequence[Function]) -> ast.FunctionDef:
        """A function, with names in place of the numbers that follow the sizes."""
        self.same_names(*(function.kept for function in functions))
        self.same_names(*(function.given for function in functions))
        tree: ast.FunctionDef = self.tree(*(parsed(function.source).body[0] for function in functions))
        parameters = {*functions[0].kept, *functions[0].given}
        spaces = [function.run.__globals__ for function in functions]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in parameters and node.id in spaces[0]:
                self._same_thing(node.id, [space[taken[node.id]] for space, taken in zip(spaces, self._taken)])
        return tree

    def tree(self, *nodes: Any) -> Any:
        """A syntax tree, likewise."""
        first = nodes[0]
        if len(set(map(type, nodes))) > 1:
            raise DependsOnSize("it does something else for larger arguments")
        if isinstance(first, list):
            return [self.tree(*parts) for parts in together(*nodes)]
        if isinstance(first, ast.Name):
            self.same_name(*(node.id for node in nodes))
        elif isinstance(first, ast.arg):
            self.same_name(*(node.arg for node in nodes))
        elif isinstance(first, ast.Constant):
            return self._constant(nodes)
        elif isinstance(first, ast.AST):
            made = copy.copy(first)
            for field in first._fields:
                setattr(made, field, self.tree(*(getattr(node, field) for node in nodes)))
            return made
        elif any(node != first for node in nodes):
            raise DependsOnSize("it does something else for larger arguments")
        return first

    def _constant(self, nodes: Sequence[ast.Constant]) -> ast.expr:
        values = [node.value for node in nodes]
        if all(type(value) is type(values[0]) and repr(value) == repr(values[0]) for value in values):
            return nodes[0]
        number = self.reader.merged(*values)
        for name, known in self.numbers.items():
            if type(known) is type(number) and known == number:  # tuples of two types are compared as tuples
                return ast.Name(name, ast.Load())
        name = f"length_{len(self.numbers)}"
        self.numbers[name] = number
        return ast.Name(name, ast.Load())

    def _same_thing(self, name: str, things: Sequence[Any]) -> None:
        """Check a name that is no parameter: it must stand for the same function everywhere, or for a constant."""
        first = things[0]
        if name in self.numbers or all(thing is first for thing in things):
            return
        if not callable(first):
            found = self.reader.merged(*things)
            if follows(found):
                self.numbers[name] = Typed(type(first), found) if isinstance(first, np.integer) else found
            return
        raise DependsOnSize(f"it calls another function for larger arguments, for {first!r}")


# --- functions -------------------------------------------------------------------------------------------------------


def _compiled(function: Function, tree: ast.FunctionDef, numbers: Iterable[str]) -> Function:
    """The function, which is given the numbers, too."""
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    kept = [*function.kept, *(name for name in numbers if name in read)]
    tree.args.args = [ast.arg(name) for name in (*kept, *function.given)]
    module = ast.fix_missing_locations(ast.Module([tree], []))
    namespace = dict(function.run.__globals__)
    exec(compile(module, f"<compiled {tree.name}>", "exec"), namespace)
    head, _, rest = ast.unparse(tree).partition("\n")
    comment = function.source.partition("\n")[0].partition("  # ")[1:]
    return Function("\n".join(["".join([head, *comment]), rest, ""]), kept, function.given, namespace[tree.name])


def _view(view: View, tree: ast.expr, numbers: Iterable[str]) -> View:
    text = ast.unparse(tree)
    parameters = ", ".join([view.buffer, *numbers])
    return View(view.buffer, text, eval(f"lambda {parameters}: {text}", {SHARES_IF_IT_CAN: np.ascontiguousarray}))
