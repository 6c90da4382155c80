"""Generated functions as text: the names of everything in them, and the lines outside of loops.

Each executor writes its loops with a ``Writer`` at hand. Everything outside of loops is a call of NumPy in all of them.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ..graph.shapes import has_several_results, is_view
from ..graph.values import Value, is_constant, label
from ..program.program import Program
from ..runtime.parsing import parsed
from .generated import Buffer, Function
from .kernels import NAMESPACE, is_written_out, statements, view
from .rooms import Rooms

LONGEST_NAME = 80  # characters of a user's name that a comment repeats
WORD = re.compile(r"\w+")
NUMBER = re.compile(r"(\d+)")
LABEL = re.compile(r"\b([A-Za-z][A-Za-z_]*?)_(\d+)")
CALLED = re.compile(LABEL.pattern + " is ")  # before what a user calls it
NOTHING: Mapping[Value, str] = {}


class Writer:
    """Writes straight lines, and knows what everything is called.

    Args:
        program: the program to compute.
        fixed: the lengths that don't follow the sizes, if functions for arguments of all sizes will be made from this.
            Choices shouldn't depend on any other length, and other lengths should be passed where possible.

    Attributes:
        names: the name of each Value that has been computed.
        buffers: the arrays to be allocated, by name.
        globals: the other objects that the text refers to.
        left_to_numpy: for each loop of machine code that calls NumPy at its steps, the reason.
        rooms: the buffers outside of loops, for an executor that uses them again.
    """

    def __init__(self, program: Program, fixed: Container[int] | None = None) -> None:
        self.program, self.fixed = program, fixed
        self.names: dict[Value, str] = {v: label(v) for v in (*program.inputs, *program.cotangents)}
        self._called = {label(v): v.name for v in program.inputs if v.name}  # the user's names of the inputs
        self.buffers: dict[str, Buffer] = {}
        self.globals: dict[str, Any] = dict(NAMESPACE)
        self.left_to_numpy: list[str] = []
        self.rooms = Rooms()
        self._views: set[str] = set()

    def straight(self, value: Value) -> list[str]:
        """The lines that compute one Value outside of loops."""
        name = self.names[value] = label(value)
        if is_view(value):
            self._views.add(name)
            return [f"{name} = {view(value, self.operand(value.args[0]))}"]
        args = [self.operand(a) for a in value.args]
        if statements(value, name, args) is None:
            call = self.call(value)
            return [f"{name} = {call if has_several_results(value) else f'asarray({call})'}"]
        return statements(value, self.add_buffer(value), args) or []

    def add_buffer(self, value: Value) -> str:
        """Add an array for a Value, or take one that nobody reads any more; return its name."""
        self.names[value] = self.rooms.taken(value, self.buffers, label(value))
        return self.names[value]

    def call(self, value: Value, inside: Mapping[Value, str] = NOTHING) -> str:
        """An operation without a kernel, as a call of its own function."""
        arguments = [self.operand(a, inside) for a in value.args]
        for key, a in value.keywords.items():
            text = self.operand(a, inside)
            arguments.append(f"{key}={text}" if is_word(key) else f"**{{{self.named(key)}: {text}}}")
        return f"{self.named(getattr(value.op, 'forward', value.op))}({', '.join(arguments)})"

    def operand(self, a: Any, inside: Mapping[Value, str] = NOTHING) -> str:
        """An argument as it is written in the code.

        Args:
            a: the argument.
            inside: the names of Values inside a loop, if the argument stands in one.
        """
        if isinstance(a, Value):
            if a in inside:
                return inside[a]
            if is_constant(a) and a not in self.names:
                self.names[a] = self.named(a.array)
            return self.names[a]
        if isinstance(a, (tuple, list)):
            return as_tuple(self.operand(part, inside) for part in a)
        return repr(a) if is_written_out(a) else self.named(a)

    def named(self, thing: Any, kind: str = "given") -> str:
        """A name for something that can't be written out."""
        for name, known in self.globals.items():
            if known is thing:
                return name
        name = f"{kind}_{len(self.globals)}"
        self.globals[name] = thing
        return name

    def without_unread_views(self, lines: Sequence[str]) -> list[str]:
        """The lines of a function but for views that nobody reads: a pass of machine code reads from their base."""
        read: set[str] = set()
        kept = []
        for line in reversed(lines):
            name, _, _ = line.partition(" = ")
            if name not in self._views or name in read:
                kept.append(line)
                read |= set(WORD.findall(line))
        return kept[::-1]

    def function(self, name: str, lines: list[str], views: Iterable[str], saved: Iterable[str] = ()) -> Function:
        """A function of these lines, whose parameters are what they read.

        Args:
            name: its name.
            lines: its text.
            views: names of views of buffers.
            saved: the names of the values that another function hands to it.
        """
        needed, _ = names_in(lines)
        needed -= set(self.globals)
        kept = numbered_last(needed & {*self.buffers, *views})
        given = numbered_last(needed & {*self.names.values(), *saved} - set(kept))
        head = f"def {name}({', '.join([*kept, *given])}):{self._names_of_users(given)}"
        source = f"{head}\n" + "".join(f"    {line}\n" for line in lines)
        namespace = dict(self.globals)
        exec(compile(source, f"<compiled {name}>", "exec"), namespace)
        return Function(source, kept, given, namespace[name])

    def _names_of_users(self, given: list[str]) -> str:
        """A comment with the user's names of the parameters, escaped so that no name can end the comment."""
        called = [f"{name} is {self._called[name][:LONGEST_NAME]!a}" for name in given if name in self._called]
        return f"  # {', '.join(called)}" if called else ""


def as_tuple(parts: Iterable[str]) -> str:
    """The text of a tuple."""
    return f"({''.join(part + ', ' for part in parts)})"


def is_word(text: str) -> bool:
    """Return True for a name in small ASCII letters, which can stand in code as it is."""
    return re.fullmatch("[a-z][a-z0-9_]*", text) is not None and not keyword.iskeyword(text)


def numbered_last(names: Iterable[str]) -> list[str]:
    """The names in order, by their words and then by their numbers: the same order in every process."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in NUMBER.split(name)])


def renumbered(source: str) -> str:
    """The text of functions with the numbers in their names counted from 0: the same in every process."""
    numbers: dict[tuple[str, str], int] = {}

    def changed(found: re.Match[str]) -> str:
        whose = found[1].removeprefix("all_").removeprefix("turns_"), found[2]  # all states have the name of one
        return f"{found[1]}_{numbers.setdefault(whose, len(numbers))}"

    def called(found: re.Match[str]) -> str:
        return f"{changed(found)} is "

    lines = (line.partition("  # ") for line in source.splitlines())
    return "\n".join(LABEL.sub(changed, code) + sign + CALLED.sub(called, names) for code, sign, names in lines)


def names_in(lines: list[str]) -> tuple[set[str], set[str]]:
    """The names that some lines read but don't make, and those that they make."""
    tree = parsed("\n".join(lines))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in found if isinstance(node.ctx, ast.Store)}
    return {node.id for node in found} - made, made
