"""A derivation as a NumPy function that a person could have written: one loop forward, one loop backward."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import Any, TypeGuard

from ...autodiff.rules import indexing
from ...autodiff.texts import printable, unused
from ..backward.absence import zeros_beyond
from ..backward.grain import ACTIVATIONS
from ..equations.arithmetic import terms_of
from ..equations.entries import Unit
from ..equations.expressions import Apply, Data, During, Expression, Parameter, Reference, Step, Steps, Sum
from ..equations.lines import Line, in_order_of_computation
from ..equations.not_writable import NotWritable
from ..equations.parts import applies, fixed, parts, total
from ..equations.quantities import Quantity
from .line_breaks import broken, wrapped
from .loops import Block, Loop, moved_by, program
from .notation import GREEK
from .numpy_text import INFIX, LoopVariable, NumpyWriter
from .path_rows import over_paths, path_rows
from .writer import TextWriter

WIDTH = 116
MOST_LETTERS = 40  # of a name, in a variable
TAKEN = ("np", "t", "T", "sum", "len", "range", "locals")
TEMPORARY = re.compile(r"(term|whole|shifted)_\d+")  # the names of variables that ``numpy_text`` adds


class Source:
    """The text of a function.

    Args:
        lines: the lines of the derivation, forward lines first.
        parameters: the names of the parameters in the lines.
        data: the arrays in the lines.
        loss: the quantity that is derived; without a line, only gradients are returned.
        end: the step whose loss is returned, if it has steps.
        loops: whether to write loops; else every step is written out.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        parameters: Iterable[str],
        data: Iterable[str],
        loss: Quantity,
        end: int | None = None,
        loops: bool = True,
    ) -> None:
        self.lines = lines
        self.loops = loops
        self.end = end
        self.loss = loss if any(line.quantity is loss for line in lines) else None
        used = {part.name for line in lines for part in parts(line.expression, Data)}
        self.arguments = [*parameters, *(name for name in data if name in used)]
        self.parameters = list(parameters)
        names: dict[Any, str] = {}
        for key, name in [*((a, a) for a in self.arguments), *((line.quantity, line.variable) for line in lines)]:
            names.setdefault(key, _identifier(name, names.values()))
        for variable in LoopVariable if any(line.kind == "sensitivity" for line in lines) else ():
            names[variable] = _identifier(variable.value, names.values())
        self.units = list(dict.fromkeys(p for line in lines for p in parts(line.expression, Unit)))
        for unit in self.units:
            of = unit.by if isinstance(unit.by, str) else unit.by.name
            names[unit] = _identifier(f"E_{of}", names.values())
        self.names = names
        self.reader = TextWriter.of(lines)
        self.last = self.reader.last
        self.writer = NumpyWriter(names, self.last)
        self._written_rows: list[str] = []

    @cached_property
    def text(self) -> str:
        """The whole text.

        Raises:
            NotWritable: a line can't be written in NumPy.
        """
        forward = [line for line in self.lines if line.kind == "forward"]
        backward = [line for line in self.lines if line.kind != "forward"]
        arguments = ", ".join(self.names[name] for name in self.arguments)
        self._written_rows = ["import numpy as np", "", ""]
        self._say(0, *broken(f"def derivative({arguments}):", WIDTH))
        self._say(1, f'"""{self._title()}"""')
        if self.last is not None and self._uses_T():
            self._say(1, f"T = {self._length()}")
        for title, lines in (("forward", forward), ("backward", backward)):
            if lines:
                self._say(1, "", f"# --- {title}")
                self._part(lines)
        gradients = ", ".join(f"{_quoted(name)}: {self._gradient(name)}" for name in self.parameters)
        loss = ""
        if self.loss is not None:
            loss = f"{self.names[self.loss]}{'' if self.end is None else f'[{self.writer.step(self.end)}]'}, "
        self._rows(1, [f"return {loss}{{{gradients}}}"])
        return "\n".join(self._written_rows) + "\n"

    def _title(self) -> str:
        what = "The loss and its gradients" if self.loss is not None else "The gradients"
        if any(over_paths(line) is not None for line in self.lines):
            return f"{what}, as sums over paths through time."
        if any(line.kind == "sensitivity" for line in self.lines):
            return f"{what}, by derivatives that are carried forward in time."
        return f"{what}, by backpropagation through time."

    def _gradient(self, name: str) -> str:
        found = next((line for line in self.lines if line.quantity.adjoint_of == name), None)
        return self.names[found.quantity] if found is not None else f"np.zeros_like({self.names[name]})"

    def _uses_T(self) -> bool:
        return any(line.steps or any(parts(line.expression, Sum)) for line in self.lines)

    def _length(self) -> str:
        """The number of steps: the length of a sequence that is read at each of them, if there is one."""
        found = [part for line in self.lines for part in parts(line.expression, Apply)]
        rows = [part.operands[0] for part in found if part.settings.get("index") == Step(-1)]
        for array in rows:
            if isinstance(array, Data) and array.shape[0] == self.last:
                return f"len({self.names[array.name]})"
        return str(self.last)

    # --- statements ----------------------------------------------------------------------------------------------

    def _say(self, depth: int, *rows: str) -> None:
        self._written_rows += ["    " * depth + row if row else "" for row in rows]

    def _part(self, lines: list[Line]) -> None:
        paths = [line for line in lines if over_paths(line) is not None]
        lines = [line for line in lines if line not in paths]
        if any(line.quantity.entries for line in lines):
            for part in self.units:
                self._unit(part)
        self._loops(lines)
        for line in paths:
            self._commented(1, [f"{self.names[line.quantity]} = {self._zeros(line.quantity)}"], line)
            for term in terms_of(line.expression):
                if term is not over_paths(line):
                    self._say(1, f"{self.names[line.quantity]} += {self.writer.write(term)}")
        if paths:
            for depth, row in path_rows(paths, self.names, self.writer):
                self._say(depth, row)

    def _unit(self, part: Unit) -> None:
        """Write the directions in which a parameter or a state is moved, one for each entry."""
        name, shape = self.names[part], part.shape
        self._say(1, f"{name} = np.eye({math.prod(shape)}).reshape({2 * shape})  # in each entry 1 there, 0 elsewhere")

    def _loops(self, lines: list[Line]) -> None:
        try:
            blocks = program(lines) if self.loops else None
        except NotWritable:
            blocks = None
        if blocks is None:
            self._straight(lines)
            return
        self._begin(lines, blocks)
        for block in blocks:
            if isinstance(block, Loop):
                self._loop(block)
            else:
                self._once(block, block.steps[0] if block.steps else None)

    def _straight(self, lines: list[Line]) -> None:
        """Write out all steps, if no loop can run them in order."""
        stepped = list(dict.fromkeys(line.quantity for line in lines if line.steps))
        self._assign([self.names[quantity] for quantity in stepped], ["{}"] * len(stepped))
        for line, t in in_order_of_computation(lines):
            self._once(line, t)

    def _begin(self, lines: list[Line], blocks: list[Block]) -> None:
        """Make a dict by step for each quantity of the loops, and the zeros that sums begin with."""
        loops = [block for block in blocks if isinstance(block, Loop)]
        in_loops = [line for loop in loops for line in loop.lines]
        stepped = dict.fromkeys(line.quantity for line in (*in_loops, *blocks) if isinstance(line, Line) and line.steps)
        beyond = zeros_beyond(lines)
        self._assign([self.names[q] for q in stepped], [self._start(q, beyond.get(q, ())) for q in stepped])
        sums = [line.quantity for loop in loops for line in loop.sums]
        self._assign([self.names[q] for q in sums], [self._zeros(q) for q in sums])

    def _start(self, quantity: Quantity, steps: Steps) -> str:
        return "{" + ", ".join(f"{self.writer.step(t)}: {_zero(quantity.shape)}" for t in steps) + "}"

    def _zeros(self, quantity: Quantity) -> str:
        by = quantity.adjoint_of
        is_array = isinstance(by, str) or (by in self.names and quantity.shape and not by.steps)
        return f"np.zeros_like({self.names[by]})" if is_array else _zero(quantity.shape)

    def _assign(self, names: list[str], values: list[str]) -> None:
        """Several assignments in as few rows as fit."""
        while names:
            count = len(names)
            while count > 1 and len(", ".join(names[:count])) + len(", ".join(values[:count])) > WIDTH - 8:
                count -= 1
            self._say(1, f"{', '.join(names[:count])} = {', '.join(values[:count])}")
            names, values = names[count:], values[count:]

    def _loop(self, loop: Loop) -> None:
        self._say(1, f"for t in {self.writer.range(loop.steps, loop.backwards)}:")
        guard: Steps | None = None
        for (moved, inside), group in groupby(loop.body(), partial(self._place, loop)):
            depth = 2
            if inside != loop.steps:
                depth = 3
                if inside != guard:
                    self._say(2, f"if {self.writer.condition(inside, loop.steps)}:")
            guard = inside
            found = list(group)
            if moved:
                for line, _, _ in found:
                    self._say(depth, f"{self.names[line.quantity]}[t] = np.zeros({line.shape})")
                depth = self._each_entry(depth, found[0][0])
            for line, _, expression in found:
                if line in loop.sums:
                    self._add(depth, line, inside, expression)
                else:
                    name = f"{self.names[line.quantity]}[t]"
                    self._statement(depth, line, name, expression, inside, within_entries=bool(moved))

    def _place(self, loop: Loop, item: tuple[Line, Steps, Expression]) -> tuple[Any, Steps]:
        """The place of a loop's statement: the loop over entries, and the steps."""
        line, steps, _ = item
        return moved_by(line) if line.quantity.entries else None, tuple(t for t in loop.steps if t in steps)

    def _once(self, line: Line, t: int | None) -> None:
        """The statement of a line at one step, outside of loops over time; or of a line without steps."""
        name = self.names[line.quantity]
        if t is None:
            self._statement(1, line, name, line.expression)
        else:
            self._statement(1, line, f"{name}[{self.writer.step(t)}]", fixed(line.expression, t))

    def _statement(
        self, depth: int, line: Line, name: str, expression: Expression, steps: Steps = (), within_entries: bool = False
    ) -> None:
        """``delta[t] = ...``, with the equation as a comment."""
        if line.quantity.entries:
            if not within_entries:
                self._say(depth, f"{name} = np.zeros({line.shape})")
                if not any(parts(expression, Reference, Parameter, Data, Unit)):
                    return
                depth = self._each_entry(depth, line)
            name = f"{name}[{self.names[LoopVariable.ENTRY]}]"
        sums: list[Expression] = [t for t in terms_of(expression) if not line.steps and self._is_long_sum(t)]
        terms = [term for term in terms_of(expression) if term not in sums]
        first, put = [t for t in terms if not _is_put(t)], [t for t in terms if _is_put(t)]
        if sums and first:  # to be added to, too
            first, put, sums = [], [], [*terms, *sums]
        if first and not _is_fresh(total(first), line):  # an array that is shared must not be added to
            first, put = terms, []
        value = self.writer.write(total(first), steps) if first else f"np.zeros({line.shape})"
        self._commented(depth, [*self.writer.statements(), f"{name} = {value}"], line)
        for piece in put:
            self._rows(depth, self.writer.put(name, piece, steps))
        for term in sums:
            if self._is_long_sum(term):
                self._say(depth, f"for t in {self.writer.range(term.steps)}:")
                self._add(depth + 1, line, term.steps, term.inner)
            else:
                self._add(depth, line, steps, term)

    def _is_long_sum(self, term: Expression) -> TypeGuard[Sum]:
        """Return True for a sum over steps that needs statements, because no expression can hold it."""
        if not isinstance(term, Sum):
            return False
        try:
            self.writer.write(term)
        except NotWritable:
            return True
        return False

    def _each_entry(self, depth: int, line: Line) -> int:
        """A loop over the entries that a line is about."""
        entries = line.quantity.entries
        self._say(depth, f"for {self.names[LoopVariable.ENTRY]} in np.ndindex({', '.join(map(str, entries))}):")
        return depth + 1

    def _add(self, depth: int, line: Line, steps: Steps, expression: Expression) -> None:
        """``dL_dW += ...``."""
        name = self.names[line.quantity]
        if line.quantity.entries:
            depth, name = self._each_entry(depth, line), f"{name}[{self.names[LoopVariable.ENTRY]}]"
        if _is_put(expression):
            self._commented(depth, self.writer.put(name, expression, steps), line)
            return
        value = self.writer.write(expression, steps)
        if value.startswith("-") and not line.shape:
            value = f"({value})"
        self._commented(depth, [*self.writer.statements(), f"{name} += {value}"], line)

    def _commented(self, depth: int, rows: list[str], line: Line) -> None:
        """Statements with their equation and shape in a comment: beside them or, if there is no room, above."""
        comment = f"# {printable(self.reader.line(line))}  {line.shape}"  # no name in it may end the comment
        if len(rows) == 1 and len(rows[0]) + len(comment) + 4 * depth + 2 <= WIDTH:
            self._rows(depth, [f"{rows[0]}  {comment}"])
            return
        for piece in wrapped(comment, WIDTH - 4 * depth):
            self._say(depth, piece)
        self._rows(depth, rows)

    def _rows(self, depth: int, rows: list[str]) -> None:
        for row in rows:
            self._say(depth, *broken(row, WIDTH - 4 * depth))


def _is_fresh(expression: Expression, line: Line) -> bool:
    """Return True for an expression that gives a whole new array at each step."""
    made = isinstance(expression, Apply) and (expression.operation in INFIX or expression.operation in ACTIVATIONS)
    return made and expression.shape == line.shape and not any(parts(expression, During))


def _zero(shape: tuple[int, ...]) -> str:
    return f"np.zeros({shape})" if shape else "0.0"


def _is_put(expression: Expression) -> TypeGuard[Apply]:
    return applies(expression, indexing.assemble)


def _identifier(name: str, taken: Iterable[str]) -> str:
    """A new Python variable in ASCII for any name, however odd: the text of a derivation is run."""
    plain = re.sub(r"\W", "_", "".join(GREEK.get(c, c) for c in name), flags=re.ASCII)[:MOST_LETTERS]
    if not plain or plain[0].isdigit() or plain.startswith("__"):
        plain = f"w_{plain}"
    if keyword.iskeyword(plain) or plain in TAKEN or TEMPORARY.fullmatch(plain):
        plain += "_"
    return unused(plain, set(taken))


def _quoted(name: str) -> str:
    """A name as a string of letters, digits and escapes, so that nothing in it can end or break a statement."""
    return f'"{"".join(c if re.fullmatch("[A-Za-z0-9_. -]", c) else _escape(c) for c in name)}"'


def _escape(c: str) -> str:
    return f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}"
