"""Machine code, as text: passes over elements, and products, written in Python for numba.

Elementwise operations of one shape run together, one pass over the elements for all of them, with what lies between in
registers. Small products are loops of their own; large ones go by tiles (``machine_product``). The text depends on the
last axis of arrays, but on no other size, and names are numbered as they come: so the same model finds its machine code
again, in another process and for another batch.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import NamedTuple

import numpy as np

from ..autodiff.rules import elementwise, linalg, reductions, shape
from .generated import Buffer
from .machine_kernels import expression, has_expression
from .machine_threads import SMALL_WORK, in_parts
from .places import Place, aligned, sliced, viewed, whole
from .shapes import is_view
from .tiles import panels_shape, vectors_for
from .values import Value, name_of_operation, operands
from .writer import Writer

SMALL_PRODUCT = 2**15  # multiplications up to which a product is a loop of its own
SMALL_PRODUCT_INSIDE = 2**9  # the same inside of a loop over time, where its matrix is packed once for all steps
UNROLLED = 8  # products that such a loop adds up before it writes: each has to wait for the one before it to be written
SMALL_SUM = 2**15  # elements up to which NumPy, which sums in pairs, isn't needed for precision


class NoMachineCode(Exception):
    """Something has no machine-code form; the message names it."""


class MachineCode:
    """One function in the making.

    Args:
        writer: of the calling function.
        starts_inside: whether the first states of loops are made in the function itself, too.

    Attributes:
        starts_inside: as given.
        arguments: what is passed to it -> what that is called inside.
        sizes: likewise for lengths of axes.
        buffers: arrays that it needs.
        before: lines for the calling function, ahead of the call.
        homes: where each Value is read from.
        writes: where it is written to.
        sums: where it is added up over time.
        parts: of a concatenation, what has to be copied into it.
        users: what is made of each Value.
        kept: Values that somebody else reads.
        rows: how many rows (of first axes) threads may share; 0 if one computes all.
        work: how many multiplications that takes.
    """

    def __init__(self, writer: Writer, starts_inside: bool = False) -> None:
        self.writer = writer
        self.starts_inside = starts_inside
        self.arguments: dict[str, str] = {}
        self.sizes: dict[int, str] = {}
        self.buffers: dict[str, Buffer] = {}
        self.before: list[str] = []
        self.homes: dict[Value, Place] = {}
        self.writes: dict[Value, list[Place]] = {}
        self.sums: dict[Value, list[Place]] = {}
        self.parts: dict[Value, list[tuple[Place, Value]]] = {}
        self.users: dict[Value, set[Value]] = {}
        self.kept: set[Value] = set()
        self.rows = self.work = 0
        self.text: list[str] = []
        self.depth = ""
        self._kernels: list[str] = []
        self._variables = 0
        self._unmade: set[Value] = set()
        self._panels: dict[tuple[Value, bool], str] = {}

    def call(self) -> list[str]:
        """The lines of the calling function."""
        self.writer.buffers.update(self.buffers)
        if not self.text:
            return self.before
        parameters = [*self.arguments.values(), *self.sizes.values(), *(["first", "last"] if self.rows else [])]
        entry = f"@entry\ndef program({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in self.text)
        name = self._compiled("\n\n".join([*self._kernels, entry]))
        passed = ", ".join([*self.arguments, *map(str, self.sizes)])
        if not self.rows:
            return [*self.before, f"{name}({passed})"]
        if self.work <= SMALL_WORK:
            return [*self.before, f"{name}({passed}, 0, {self.rows})"]
        return [*self.before, f"{self.writer.named(in_parts)}({name}, {self.rows}, {passed})"]

    def _compiled(self, source: str) -> str:
        """What the calling function calls a function of this source."""
        from .machine_cache import compiled_function  # only now: numba is an extra

        return self.writer.named(compiled_function(source), "loop")

    def line(self, text: str) -> None:
        """One more line, at the current depth."""
        self.text.append(self.depth + text)

    def _kernel(self, kind: str, lines: list[str]) -> None:
        """A function of these lines, and a call of it."""
        known = {"t", "s", "first", "last", *self.arguments.values(), *self.sizes.values()}
        words = dict.fromkeys(re.findall(r"[a-z]\w*", "\n".join(lines)))
        parameters = ", ".join(word for word in words if word in known)
        name = f"{kind}_{len(self._kernels) + 1}"
        self._kernels.append(f"@kernel\ndef {name}({parameters}):\n" + "".join(f"    {line}\n" for line in lines))
        self.line(f"{name}({parameters})")

    # --- arrays ------------------------------------------------------------------------------------------------------

    def argument(self, passed: str) -> str:
        """What the function calls something that is passed to it."""
        return self.arguments.setdefault(passed, f"a{len(self.arguments)}")

    def outside(self, value: Value) -> Place:
        """A Value from outside, as an array whose elements lie one after another."""
        if value.dtype.kind not in "fb":
            raise NoMachineCode(f"elements of type {value.dtype}")
        name = self.writer.operand(value)
        if name not in self.writer.buffers and name not in self.buffers:
            name = f"ascontiguousarray({name})" if value.ndim else f"asarray({name})"
        return whole(self.argument(name), value.shape)

    def buffer(self, name: str, sizes: tuple[int, ...], dtype: object) -> str:
        """A new array; what the function calls it."""
        self.buffers[name] = Buffer(sizes, dtype)
        return self.argument(name)

    def start_with(self, passed: str, lead: str, start: Value) -> None:
        """Put the first state of a loop where it belongs: row ``lead`` of an array."""
        if self.starts_inside:
            self.copy(whole(self.argument(passed), start.shape, lead), start)
        else:
            self.before.append(f"copyto({passed}[{lead}, ...], {self.writer.operand(start)})")

    def passed(self, place: Place) -> str:
        """What is passed for the array of a place, which has to be all of it."""
        if not place.is_whole:
            raise NoMachineCode("a part of an array that is read afterwards")
        return self._passed(place.array)

    def _reshaped(self, value: Value) -> Place | None:
        """All of an array in another shape: passed a second time, since it is the same memory."""
        place = self.place_of(value.args[0])
        if value.op is not shape.reshape or not place.is_whole:
            return None
        return whole(self.argument(f"{self.passed(place)}.reshape({value.shape!r})"), value.shape)

    def place_of(self, value: Value) -> Place:
        """Where a Value is read from."""
        if value not in self.homes:
            place = None
            if value.op is shape.broadcast_to:  # what only repeats something smaller isn't written out
                place = viewed(value, self.place_of(value.args[0]))
            self.homes[value] = place or self.outside(value)
        return self.homes[value]

    def home(self, value: Value) -> Place:
        """Where a Value that is made here is read from: an array of its own, if it has to be nowhere else."""
        if value not in self.writes:
            name = f"temporary_{len(self.writer.buffers) + len(self.buffers)}"
            self.writes[value] = [whole(self.buffer(name, value.shape, value.dtype), value.shape)]
        self.homes[value] = self.writes[value][0]
        return self.homes[value]

    def add_users(self, values: Iterable[Value]) -> None:
        """Note what these are made of."""
        for value in values:
            for v in operands(value):
                self.users.setdefault(v, set()).add(value)

    # --- in which order ----------------------------------------------------------------------------------------------

    def schedule(self, values: Iterable[Value]) -> None:
        """Write everything, in an order in which as much as possible runs in one pass."""
        waiting = list(values)
        while waiting:
            self._unmade = set(waiting)
            others = (v for v in waiting if not has_expression(v) and all(map(self._is_known, operands(v))))
            value = next(others, None)
            if value is not None:
                waiting.remove(value)
                self._alone(value)
            else:
                chosen = self._ready_elements(waiting)
                if not chosen:
                    raise NoMachineCode(name_of_operation(waiting[0]))
                self._pass(chosen)
                waiting = [v for v in waiting if v not in chosen]

    def _is_known(self, value: Value) -> bool:
        return value not in self._unmade

    def _ready_elements(self, waiting: list[Value]) -> dict[Value, None]:
        """Elementwise Values of one shape whose operands are known, or are made in the same pass."""
        chosen: dict[Value, None] = {}
        for v in waiting:
            if not has_expression(v) or (chosen and v.shape != next(iter(chosen)).shape):
                continue
            if all(self._is_known(a) or (a in chosen and a.shape == v.shape) for a in operands(v)):
                chosen[v] = None
        return chosen

    def _alone(self, value: Value) -> None:
        if is_view(value):
            place = viewed(value, self.place_of(value.args[0])) or self._reshaped(value)
            if place is None:
                raise NoMachineCode(f"{name_of_operation(value)} of this form")
            self.homes[value] = place
        elif value.op is linalg.matmul:
            self._product(value)
        elif value.op is shape.joined:
            if value not in self.writes:
                self.join(value)
            for place, piece in self.parts.get(value, []):
                self.copy(place, piece)
            self.homes[value] = self.writes[value][0]
            self._accumulate(value)
        elif value.op in (reductions.sum, reductions.mean):
            self._reduction(value)
        else:
            raise NoMachineCode(name_of_operation(value))

    def _new_variable(self) -> str:
        self._variables += 1
        return f"v{self._variables}"

    def _size(self, n: int, is_last: bool) -> str:
        return str(n) if is_last else self.sizes.setdefault(n, f"n{len(self.sizes)}")

    def _bounds(self, axis: int, n: int, is_last: bool) -> str:
        """Between which indices of an axis a loop goes: of the first axis, perhaps only over a part."""
        return "first, last" if axis == 0 and self.rows else f"0, {self._size(n, is_last)}"

    def _nest(self, sizes: tuple[int, ...], lines: list[str]) -> list[str]:
        """Lines inside loops over all axes."""
        nest, depth = [], ""
        for axis, n in enumerate(sizes):
            nest.append(f"{depth}for i{axis} in range({self._bounds(axis, n, axis == len(sizes) - 1)}):")
            depth += "    "
        return [*nest, *(depth + line for line in lines)]

    def _pass(self, chosen: dict[Value, None]) -> None:
        """One pass over the elements."""
        sizes = next(iter(chosen)).shape
        indices = [f"i{axis}" for axis in range(len(sizes))]
        names: dict[Value, str] = {}
        loads: dict[str, str] = {}
        lines: list[str] = []
        stores: list[str] = []
        for v in chosen:
            text = expression(v, [self._number(a, v, names, loads, indices) for a in v.args])
            names[v] = self._new_variable()
            lines.append(f"{names[v]} = {text}")
            if v in self.kept or not self.users.get(v, set()) <= chosen.keys():
                self.home(v)
            for place in self.writes.get(v, []):
                stores.append(f"{place.at(indices)} = {names[v]}")
            for place in self.sums.get(v, []):
                stores.append(f"{place.at(indices)} += {names[v]}")
            if v in self.writes:
                self.homes[v] = self.writes[v][0]
        lines = [*(f"{name} = {text}" for text, name in loads.items()), *lines, *stores]
        self._kernel("elements", self._nest(sizes, lines))

    def _number(
        self, a: object, user: Value, names: dict[Value, str], loads: dict[str, str], indices: list[str]
    ) -> str:
        """One operand as a number: a variable, or a constant of the right type."""
        real = "f64" if self._real(user) == np.float64 else "f32"
        if a is None:
            return "None"
        if not isinstance(a, Value):
            if isinstance(a, (bool, np.bool_)):
                return str(bool(a))
            if not isinstance(a, (int, float, np.number)) or not np.isfinite(a):
                raise NoMachineCode(f"the constant {a!r}")
            return f"{real}({float(a)!r})"
        if a in names:
            text = names[a]
        else:
            element = self.place_of(a).at(aligned(indices, a.shape))
            text = loads.setdefault(element, f"x{len(loads)}_{self._variables}")
        if a.dtype.kind == "b" and user.dtype.kind == "f" and not self._is_condition(a, user):
            return f"({real}(1.0) if {text} else {real}(0.0))"
        return text

    @staticmethod
    def _real(user: Value) -> np.dtype:
        return next((v.dtype for v in (user, *operands(user)) if v.dtype.kind == "f"), user.dtype)

    @staticmethod
    def _is_condition(a: Value, user: Value) -> bool:
        return user.op is elementwise.where and user.args[0] is a

    def copy(self, place: Place, value: Value) -> None:
        """Write a Value to a second place."""
        indices = [f"i{axis}" for axis in range(value.ndim)]
        line = f"{place.at(indices)} = {self.place_of(value).at(indices)}"
        self._kernel("copy", self._nest(value.shape, [line]))

    def join(self, value: Value, computed: Container[Value] = ()) -> None:
        """Have parts lie side by side.

        Args:
            value: the whole.
            computed: what has still to be computed, and so can be written there at once; all else is copied.
        """
        axis, starts = value.keywords["axis"], value.keywords["starts"]
        if axis is None:
            raise NoMachineCode("a concatenation of flattened arrays")
        self.home(value)
        for piece, start, stop in zip(value.args, starts, starts[1:]):
            index = (*(slice(None),) * (axis % value.ndim), slice(start, stop))
            for target in self.writes[value]:
                place = sliced(target, value.shape, index)
                assert place is not None
                if piece in computed and not is_view(piece) and piece.dtype == value.dtype:
                    self.writes.setdefault(piece, []).append(place)
                else:
                    self.parts.setdefault(value, []).append((place, piece))

    def _accumulate(self, value: Value) -> None:
        """Add a Value to its sum over time, if one is wanted."""
        indices = [f"i{axis}" for axis in range(value.ndim)]
        for place in self.sums.get(value, []):
            line = f"{place.at(indices)} += {self.homes[value].at(indices)}"
            self._kernel("sum", self._nest(value.shape, [line]))

    def _reduction(self, value: Value) -> None:
        """A sum or a mean, in float64 where it is one number."""
        (a,) = value.args
        axis = value.keywords.get("axis")
        axes = range(a.ndim) if axis is None else [i % a.ndim for i in (axis if isinstance(axis, tuple) else (axis,))]
        if a.size > SMALL_SUM or not a.dtype == value.dtype:
            raise NoMachineCode("a sum of many elements")
        indices = [f"i{i}" for i in range(a.ndim)]
        kept = ["0" if i in axes else index for i, index in enumerate(indices)]
        if not value.keywords.get("keepdims"):
            kept = [index for i, index in enumerate(indices) if i not in axes]
        source, out = self.place_of(a).at(indices), self.home(value).at(kept)
        real = "f64" if value.dtype == np.float64 else "f32"
        scale = f" * {real}({value.size / a.size!r})" if value.op is reductions.mean else ""
        if value.size == 1:
            lines = ["x = f64(0.0)", *self._nest(a.shape, [f"x += f64({source})"]), f"{out} = {real}(x){scale}"]
        else:
            zero = [f"i{i}" for i in range(value.ndim)]
            lines = [
                *self._nest(value.shape, [f"{self.homes[value].at(zero)} = {real}(0.0)"]),
                *self._nest(a.shape, [f"{out} += {source}{scale}"]),
            ]
        self._kernel("sum", lines)
        self._accumulate(value)

    # --- products ----------------------------------------------------------------------------------------------------

    def _product(self, value: Value) -> None:
        a, b = value.args
        if a.ndim > 2 or b.ndim > 2 or a.ndim + b.ndim < 3 or not a.dtype == b.dtype == value.dtype:
            raise NoMachineCode(f"a product of shapes {a.shape} and {b.shape}")
        if goes_by_tiles(value, bool(self.depth)):
            self._tiled_product(value)
        else:
            self._small_product(value, self.place_of(a), self.place_of(b), self.home(value))
        for extra in self.writes[value][1:]:
            self.copy(extra, value)
        self._accumulate(value)

    def _small_product(self, value: Value, left: Place, right: Place, out: Place) -> None:
        a, b = value.args
        rows, columns = (["i0"] if a.ndim == 2 else []), (["j"] if b.ndim == 2 else [])
        target = out.at([*rows, *columns])
        real = "f64" if value.dtype == np.float64 else "f32"
        inner, last = self._size(a.shape[-1], bool(self.depth)), b.shape[-1]
        if columns:
            block = range(UNROLLED)
            products = " + ".join(f"x{i} * {right.at([f'(k + {i})', 'j'])}" for i in block)
            lines = [
                f"for j in range({last}):",
                f"    {target} = {real}(0.0)",
                f"for k in range(0, {inner} - {inner} % {UNROLLED}, {UNROLLED}):",
                *(f"    x{i} = {left.at([*rows, f'(k + {i})'])}" for i in block),
                f"    for j in range({last}):",
                f"        {target} += {products}",
                f"for k in range({inner} - {inner} % {UNROLLED}, {inner}):",
                f"    x = {left.at([*rows, 'k'])}",
                f"    for j in range({last}):",
                f"        {target} += x * {right.at(['k', 'j'])}",
            ]
        else:
            lines = [
                f"x = {real}(0.0)",
                f"for k in range({inner}):",
                f"    x += {left.at([*rows, 'k'])} * {right.at(['k'])}",
                f"{target} = x",
            ]
        if rows:
            header = f"for i0 in range({self._bounds(0, a.shape[0], not columns)}):"
            lines = [header, *(f"    {line}" for line in lines)]
        self._kernel("product", lines)

    def _tiled_product(self, value: Value) -> None:
        rows, matrix, is_transposed = factors(value)
        panels = self._panels.get((matrix, is_transposed)) or self._packed(matrix, is_transposed)
        left, out = self._matrix(self.place_of(rows)), self._matrix(self.home(value))
        if out.column != 1:
            raise NoMachineCode("a large product that is written column by column")
        columns = value.shape[-1]
        bounds = "0, 1" if value.ndim == 1 else self._bounds(0, value.shape[0], False)
        self.line(
            f"multiply_{vectors_for(columns, value.dtype.itemsize)}({left.text}, {panels}, "
            f"{out.array}, {out.start}, {out.row}, {columns}, {bounds})"
        )

    def pack(self, value: Value) -> None:
        """Pack the matrix of a product that is the same at each step, ahead of the loop."""
        _, matrix, is_transposed = factors(value)
        if (matrix, is_transposed) not in self._panels:
            self._panels[matrix, is_transposed] = self._packed(matrix, is_transposed)

    def _packed(self, matrix: Value, is_transposed: bool) -> str:
        """A buffer with the panels of a matrix."""
        given = self._matrix(self.place_of(matrix))
        depth, columns = matrix.shape
        if is_transposed:
            given, depth, columns = given._replace(row=given.column, column=given.row), columns, depth
        sizes = panels_shape(depth, columns, matrix.dtype.itemsize)
        name = f"panels_{len(self.writer.buffers) + len(self.buffers)}"
        panels = self.buffer(name, sizes, matrix.dtype)
        if self.starts_inside or self.depth:
            self.line(f"pack({given.text}, {columns}, {panels})")
        else:
            pack = self._compiled(PACK)
            array = self._passed(given.array)
            self.before.append(f"{pack}({array}, 0, {given.row}, {given.column}, {columns}, {name})")
        return panels

    def _matrix(self, place: Place) -> Matrix:
        """A place as a part of a flat array."""
        if place.offset is None:
            raise NoMachineCode("a large product of elements that don't lie in rows")
        flat = self.argument(f"{self._passed(place.array)}.reshape(-1)")
        start, length = str(place.offset), place.sizes[-1]
        if place.lead:
            start += f" + ({place.lead}) * {self._size(int(np.prod(place.sizes)), False)}"
        return Matrix(flat, start, 1, length) if place.transposed else Matrix(flat, start, length, 1)

    def _passed(self, array: str) -> str:
        return next(passed for passed, name in self.arguments.items() if name == array)


class Matrix(NamedTuple):
    """A matrix in a flat array: the place of its first element, and how far apart its rows and its columns lie."""

    array: str
    start: str
    row: int
    column: int

    @property
    def text(self) -> str:
        """How it is passed."""
        return f"{self.array}, {self.start}, {self.row}, {self.column}"


PACK = """
@entry
def program(b, start, row, column, columns, panels):
    pack(b, start, row, column, columns, panels)
"""


def factors(product: Value) -> tuple[Value, Value, bool]:
    """The rows and the matrix of a product, and whether the matrix is transposed: W h is h Wᵀ."""
    a, b = product.args
    return (b, a, True) if b.ndim == 1 else (a, b, False)


def goes_by_tiles(product: Value, inside: bool) -> bool:
    """Whether a product, inside of a loop over time or not, is large, and at least as wide as one vector."""
    is_wide = product.ndim > 0 and vectors_for(product.shape[-1], product.dtype.itemsize) > 0
    return is_wide and multiplications(product) > (SMALL_PRODUCT_INSIDE if inside else SMALL_PRODUCT)


def multiplications(product: Value) -> int:
    """How many multiplications a product takes."""
    return product.size * int(product.args[0].shape[-1])
