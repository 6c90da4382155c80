"""Machine code as text: a function while it is written, in Python that LLVM compiles.

It consists of kernels, which are functions of their own, and of lines that call them. Other modules decide what the
kernels compute. This one keeps the arguments, their names inside, and loops over axes. The text depends on the length
of an array's last axis, but on no other size, and names are numbered in the order of their first use. So the same model
finds its machine code again, in another process and for another batch size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...autodiff.texts import printable
from .. import thresholds
from ..numpy_code.generated import Buffer
from ..numpy_code.writer import Writer
from ..runtime.threads import run_parts, run_rows
from ..runtime.tiles import TILE_ROWS


class NoMachineCode(Exception):
    """The error for something that has no machine-code form."""

    def __init__(self, what: str) -> None:
        super().__init__(f"there is no machine code for {printable(what)}")


class MachineCode:
    """A function of machine code while it is written.

    Args:
        writer: the Writer of the calling function.
        starts_inside: whether the first states of loops are made in the function itself, too.

    Attributes:
        before: lines for the calling function, ahead of the call.
        rows: the number of rows (along first axes) that threads may share; 0 if one thread computes all.
        work: the number of multiplications that all rows take.
        parts: the number of parts into which the rows are divided if there are sums over them, one for each; else 0.
        after: lines for the calling function, behind the call.
        is_in_loop: True while lines are written inside of a loop over time.
    """

    def __init__(self, writer: Writer, starts_inside: bool = False) -> None:
        self.writer = writer
        self.starts_inside = starts_inside
        self.before: list[str] = []
        self.after: list[str] = []
        self.is_in_loop = False
        self.rows = self.work = self.parts = 0
        self._arguments: dict[str, str] = {}  # outer expression -> parameter name
        self._sizes: dict[int, str] = {}  # the same for lengths of axes
        self._buffers: dict[str, Buffer] = {}
        self._kernels: list[str] = []
        self._lines: list[str] = []
        self._depth = ""

    def call(self) -> list[str]:
        """The lines of the calling function."""
        self.writer.buffers.update(self._buffers)
        if not self._lines:
            return self.before
        bounds = ["begin", "end"] if self.parts else ["first", "last"] if self.rows else []
        parameters = [*self._arguments.values(), *self._sizes.values(), *bounds]
        name = self.compiled("\n\n".join([*self._kernels, _function("program", parameters, self._lines)]))
        passed = ", ".join([*self._arguments, *map(str, self._sizes)])
        if self.parts:
            return [*self.before, f"{self.writer.named(run_parts)}({name}, {self.parts}, {passed})", *self.after]
        if not self.rows:
            return [*self.before, f"{name}({passed})"]
        if self.work <= thresholds.SMALL_LOOP:
            return [*self.before, f"{name}({passed}, 0, {self.rows})"]
        return [*self.before, f"{self.writer.named(run_rows)}({name}, {self.rows}, {passed})"]

    def compiled(self, source: str) -> str:
        """The name, in the calling function, of the function compiled from this source."""
        from ..runtime.cache import compiled_function  # only now: llvmlite is an extra

        return self.writer.named(compiled_function(source), "loop")

    # --- what is passed to it ----------------------------------------------------------------------------------------

    def argument(self, passed: str) -> str:
        """The parameter name for an outer expression."""
        return self._arguments.setdefault(passed, f"a{len(self._arguments)}")

    def passed(self, argument: str) -> str:
        """The outer expression of a parameter."""
        return next(passed for passed, name in self._arguments.items() if name == argument)

    def size(self, n: int) -> str:
        """The parameter name for the length of an axis."""
        return self._sizes.setdefault(n, f"n{len(self._sizes)}")

    def is_buffer(self, name: str) -> bool:
        """Return True if the calling function has a buffer of this name."""
        return name in self.writer.buffers or name in self._buffers

    def buffer(self, name: str, sizes: tuple[int, ...], dtype: object) -> str:
        """Add a new array; return its parameter name."""
        self._buffers[name] = Buffer(sizes, dtype)
        return self.argument(name)

    def numbered_buffer(self, kind: str, sizes: tuple[int, ...], dtype: object) -> str:
        """Add a new array under a name that nothing else has; return its parameter name."""
        return self.buffer(f"{kind}_{len(self.writer.buffers) + len(self._buffers)}", sizes, dtype)

    # --- lines -------------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Add a line, at the current depth."""
        self._lines.append(self._depth + text)

    @contextmanager
    def loop(self, header: str) -> Iterator[None]:
        """A context that puts a loop over time around the lines written inside it."""
        self.is_in_loop = True
        with self.block(header):
            yield
        self.is_in_loop = False

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """A context that puts a header before the lines written inside it."""
        self.line(header)
        outside, self._depth = self._depth, self._depth + "    "
        yield
        self._depth = outside

    @contextmanager
    def each_part(self) -> Iterator[None]:
        """A context that repeats the lines written inside it for each part of the rows, in turn."""
        with self.block("for part in range(begin, end):"):
            self.take_rows("part", "(part + 1)")
            yield

    def take_rows(self, begin: str = "begin", end: str = "end") -> None:
        """Set ``first`` and ``last`` to the bounds of the rows of some parts: whole tiles."""
        rows = self.size(self.rows)
        tiles = f"({rows} + {TILE_ROWS - 1}) // {TILE_ROWS}"
        for name, part in (("first", begin), ("last", end)):
            self.line(f"{name} = min({rows}, {tiles} * {part} // {self.parts} * {TILE_ROWS})")

    def kernel(self, kind: str, lines: list[str], reorders: bool = False) -> None:
        """Add a function with these lines, and a call of it.

        Args:
            kind: the beginning of its name.
            lines: its text.
            reorders: whether its sums may be added up in any order, and so in vectors.
        """
        known = {"t", "s", "part", "first", "last", *self._arguments.values(), *self._sizes.values()}
        words = dict.fromkeys(re.findall(r"[a-z]\w*", "\n".join(lines)))
        parameters = [word for word in words if word in known]
        name = f"{kind}_{len(self._kernels) + 1}"
        self._kernels.append(("@summing\n" if reorders else "") + _function(name, parameters, lines))
        self.line(f"{name}({', '.join(parameters)})")

    def nest(self, sizes: tuple[int, ...], lines: list[str], axes: Sequence[int] | None = None) -> list[str]:
        """Lines inside loops over some axes, in this order, or over all; the index of axis n is named i<n>."""
        nest, depth = [], ""
        for axis in range(len(sizes)) if axes is None else axes:
            nest.append(f"{depth}for i{axis} in range({self.bounds(sizes[axis], axis, axis == len(sizes) - 1)}):")
            depth += "    "
        return [*nest, *(depth + line for line in lines)]

    def nest_as_one(self, sizes: tuple[int, ...], lines: list[str]) -> list[str]:
        """Lines inside one loop over all rows, where i is the number of an element."""
        row = self.written(sizes[-1])
        first, last = self.bounds(sizes[0]).split(", ")
        return [f"for i in range({first} * {row}, {last} * {row}):", *(f"    {line}" for line in lines)]

    def bounds(self, n: int, axis: int = 0, is_last: bool = False) -> str:
        """The bounds of a loop along an axis; that of the rows may be divided among threads.

        It is the first one inside of loops over time. Outside of them, where the first is time, there are parts.
        """
        if self.rows and axis == (1 if self.parts and not self.is_in_loop else 0):
            return "first, last"
        if not is_last or not self.is_written(n):
            return f"0, {self.size(n)}"
        return f"0, {self.size(n)} & -{n & -n}" if n in thresholds.SHORT_AXIS else f"0, {n}"

    def is_written(self, n: int) -> bool:
        """Return True if a length may be a literal. LLVM then knows it, but it must be the same for all arguments."""
        return self.writer.fixed is None or n in self.writer.fixed

    def written(self, n: int) -> str:
        """A length or a place along an axis, written out if it may be."""
        return str(n) if not n or self.is_written(n) else self.size(n)


def _function(name: str, parameters: list[str], lines: list[str]) -> str:
    """The text of a function."""
    return f"def {name}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
