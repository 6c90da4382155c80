"""Loops as machine code: a whole loop over time becomes one function of arrays, written in Python for numba.

Elementwise operations of one shape run together, one pass over the elements for all of them, with what lies between in
registers. Small products are loops of their own; large ones call BLAS. The text doesn't depend on the number of steps
nor on any axis but the last, and names are numbered as they come: so the same model finds its machine code again, in
another process and for another batch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ..autodiff.rules import linalg, shape
from .blas import gemm_address
from .loop import Carried, Loop, Result
from .machine_kernels import expression, has_expression
from .places import Place, aligned, sliced, viewed, whole
from .plan import Buffer
from .shapes import is_view
from .values import Value, label, operands

if TYPE_CHECKING:
    from .numpy_executor import Writer

SMALL_PRODUCT = 2**15  # multiplications up to which a product is a loop of its own


class NoMachineCode(Exception):
    """The loop holds something that has no machine-code form."""


class MachineLoop:
    """Writes one loop.

    Raises:
        NoMachineCode: it can't be written.
    """

    def __init__(self, writer: Writer, loop: Loop) -> None:
        self.writer, self.loop = writer, loop
        self.body = loop.body()
        self.inside = set(self.body)
        self.arguments: dict[str, str] = {}  # what is passed -> its name in the function
        self.sizes: dict[int, str] = {}
        self.homes: dict[Value, Place] = {}
        self.writes: dict[Value, list[Place]] = {}
        self.late_copies: list[tuple[Place, Value]] = []
        self.sums: dict[Value, list[Place]] = {}
        self.before: list[str] = []  # lines of the calling function
        self.buffers: dict[str, Buffer] = {}
        self.results: dict[Value, str] = {}
        self.text: list[str] = []
        self.kernels: list[str] = []
        self.variables = 0
        self.unmade: set[Value] = set()  # Values of the body that haven't been computed yet

    def lines(self) -> list[str]:
        """The lines of the calling function: what has to be prepared, and the call."""
        self._inputs()
        for carried in self.loop.carried:
            self._state(carried)
        for key, result in self.loop.results.items():
            if key.kind == "rows":
                self._rows(result, key.inner)
            elif key.kind == "sum":
                self._sum(result, key.inner)
        for value in reversed(self.body):
            if value.op is shape.joined:
                self._join(value)
        self._schedule()
        for place, value in self.late_copies:
            self._copy(place, value)
        name = self.writer.machine_function(self._source())
        self.writer.buffers.update(self.buffers)
        self.writer.names.update(self.results)
        return [*self.before, f"{name}({', '.join([*self.arguments, *map(str, self.sizes), str(self.loop.steps)])})"]

    def _source(self) -> str:
        parameters = [*self.arguments.values(), *self.sizes.values(), "steps"]
        order = ["for t in range(steps):"]
        if self.loop.backwards:
            order = ["for s in range(steps):", "    t = steps - 1 - s"]
        else:
            order.append("    s = t")
        body = [*order, *(f"    {line}" for line in self.text)]
        source = f"@entry\ndef loop({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in body)
        return "\n\n".join([*self.kernels, source])

    def _kernel(self, kind: str, lines: list[str]) -> None:
        """A function of these lines, and a call of it in the loop."""
        known = {"t", "s", *self.arguments.values(), *self.sizes.values()}
        words = dict.fromkeys(re.findall(r"[a-z]\w*", "\n".join(lines)))
        parameters = ", ".join(word for word in words if word in known)
        name = f"{kind}_{len(self.kernels) + 1}"
        self.kernels.append(f"@kernel\ndef {name}({parameters}):\n" + "".join(f"    {line}\n" for line in lines))
        self.text.append(f"{name}({parameters})")

    # --- arrays ------------------------------------------------------------------------------------------------------

    def _argument(self, passed: str) -> str:
        return self.arguments.setdefault(passed, f"a{len(self.arguments)}")

    def _outside(self, value: Value) -> str:
        """A value from outside, as an array whose elements lie one after another."""
        if value.dtype.kind not in "fb":
            raise NoMachineCode(f"elements of type {value.dtype}")
        name = self.writer.operand(value)
        return self._argument(name if name in self.writer.buffers else f"ascontiguousarray({name})")

    def _buffer(self, name: str, sizes: tuple[int, ...], dtype: object) -> str:
        self.buffers[name] = Buffer(sizes, dtype)
        return self._argument(name)

    def _inputs(self) -> None:
        rows, fixed = self.loop.inputs(self.body)
        for v in rows:
            early = self.loop.early(v)
            assert early is not None
            self.homes[v] = self._row_place(early, v)
        for v in fixed:
            base = v.args[0] if v.op is shape.transpose and self._goes_to_gemm(v) else None
            if base is None:
                self.homes[v] = whole(self._outside(v), v.shape)
            else:
                place = viewed(v, whole(self._outside(base), base.shape))
                assert place is not None
                self.homes[v] = place

    def _row_place(self, early: Value, row: Value) -> Place:
        """Where the rows of a sequence are; one that only repeats something smaller isn't written out."""
        if early.op is shape.broadcast_to and isinstance(early.args[0], Value) and not self._is_multiplied(row):
            base = early.args[0]
            place = whole(self._outside(base), base.shape)
            missing = early.ndim - base.ndim
            return place._replace(
                indices_of=lambda indices: aligned(["t", *indices][missing:], base.shape),
                offset=None,
            )
        return whole(self._outside(early), row.shape, "t")

    def _is_multiplied(self, row: Value) -> bool:
        return any(v.op is linalg.matmul and row in v.args for v in self.body)

    def _goes_to_gemm(self, value: Value) -> bool:
        """Whether all products with a fixed matrix are large ones, which can read it transposed."""
        users = [v for v in self.body if value in operands(v)]
        return all(v.op is linalg.matmul and _multiplications(v) > SMALL_PRODUCT for v in users)

    # --- results -----------------------------------------------------------------------------------------------------

    def _place(self, value: Value, place: Place) -> None:
        if value in self.inside and not is_view(value):
            self.writes.setdefault(value, []).append(place)
        else:
            self.late_copies.append((place, value))

    def _state(self, carried: Carried) -> None:
        name, start = label(carried.before), carried.start
        results = self.loop.results
        before = results.get(Result("before", carried.before))
        after = results.get(Result("after", carried.after))
        last = results.get(Result("last", carried.before))
        if after is not None and after in self.results:
            after = None
        if before is None and after is None:
            array = self._buffer(f"turns_{name}", (2, *start.shape), start.dtype)
            self.before.append(f"copyto(turns_{name}[0], {self.writer.operand(start)})")
            here, there = "s % 2", "1 - s % 2"
            if last is not None:
                self.results[last] = f"turns_{name}[{self.loop.steps % 2}]"
        else:
            array = self._buffer(f"all_{name}", (self.loop.steps + 1, *start.shape), start.dtype)
            backwards = self.loop.backwards
            first, end = ("-1", "0") if backwards else ("0", "-1")
            here, there = ("t + 1", "t") if backwards else ("t", "t + 1")
            earlier, later = ("[1:]", "[:-1]") if backwards else ("[:-1]", "[1:]")
            self.before.append(f"copyto(all_{name}[{first}], {self.writer.operand(start)})")
            for result, rows in ((before, earlier), (after, later), (last, f"[{end}]")):
                if result is not None:
                    self.results[result] = f"all_{name}{rows}"
        self.homes[carried.before] = whole(array, start.shape, here)
        self._place(carried.after, whole(array, start.shape, there))

    def _rows(self, result: Value, inner: Value) -> None:
        array = self._buffer(label(result), result.shape, result.dtype)
        self.results[result] = label(result)
        self._place(inner, whole(array, inner.shape, "t"))

    def _sum(self, result: Value, inner: Value) -> None:
        array = self._buffer(label(result), result.shape, result.dtype)
        self.results[result] = label(result)
        self.before.append(f"{label(result)}.fill(0)")
        if inner not in self.inside or is_view(inner):
            raise NoMachineCode("a sum over time of something that isn't computed in the loop")
        self.sums.setdefault(inner, []).append(whole(array, inner.shape))

    def _join(self, value: Value) -> None:
        """Have the pieces written to where they lie side by side."""
        axis, starts = value.keywords["axis"], value.keywords["starts"]
        if axis is None:
            raise NoMachineCode("a concatenation of flattened arrays")
        self._home(value)
        for piece, start, stop in zip(value.args, starts, starts[1:]):
            index = (*(slice(None),) * (axis % value.ndim), slice(start, stop))
            for target in self.writes[value]:
                place = sliced(target, value.shape, index)
                assert place is not None
                if piece in self.inside and not is_view(piece) and piece.dtype == value.dtype:
                    self.writes.setdefault(piece, []).append(place)
                else:
                    raise NoMachineCode("a concatenation of what isn't computed in the loop")

    def _home(self, value: Value) -> Place:
        """Where a Value is read from; a temporary, if it has to be nowhere else."""
        if value not in self.writes:
            name = f"temporary_{len(self.writer.buffers) + len(self.buffers)}"
            self.writes[value] = [whole(self._buffer(name, value.shape, value.dtype), value.shape)]
        self.homes[value] = self.writes[value][0]
        return self.homes[value]

    # --- one step ----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Everything in an order in which as much as possible runs in one pass."""
        waiting = list(self.body)
        while waiting:
            self.unmade = set(waiting)
            others = (v for v in waiting if not has_expression(v) and all(map(self._is_known, operands(v))))
            value = next(others, None)
            if value is not None:
                waiting.remove(value)
                self._alone(value)
            else:
                chosen = self._ready_elements(waiting)
                if not chosen:
                    raise NoMachineCode(f"{waiting[0]!r} has no machine-code form")
                self._pass(chosen, waiting)
                waiting = [v for v in waiting if v not in chosen]

    def _is_known(self, value: Value) -> bool:
        return value not in self.unmade

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
            place = viewed(value, self._place_of(value.args[0]))
            if place is None:
                raise NoMachineCode(f"{value.op} of this form")
            self.homes[value] = place
        elif value.op is linalg.matmul:
            self._product(value)
        elif value.op is shape.joined:
            self.homes[value] = self.writes[value][0]
            self._accumulate(value)
        else:
            raise NoMachineCode(f"{value!r} has no machine-code form")

    def _place_of(self, value: Value) -> Place:
        if value not in self.homes:
            self.homes[value] = whole(self._outside(value), value.shape)
        return self.homes[value]

    def _new_variable(self) -> str:
        self.variables += 1
        return f"v{self.variables}"

    def _size(self, n: int, is_last: bool) -> str:
        return str(n) if is_last else self.sizes.setdefault(n, f"n{len(self.sizes)}")

    def _nest(self, sizes: tuple[int, ...], lines: list[str]) -> list[str]:
        """Lines inside loops over all axes."""
        nest, depth = [], ""
        for axis, n in enumerate(sizes):
            nest.append(f"{depth}for i{axis} in range({self._size(n, axis == len(sizes) - 1)}):")
            depth += "    "
        return [*nest, *(depth + line for line in lines)]

    def _pass(self, chosen: dict[Value, None], waiting: list[Value]) -> None:
        """One pass over the elements."""
        sizes = next(iter(chosen)).shape
        indices = [f"i{axis}" for axis in range(len(sizes))]
        read_later = {a for v in waiting if v not in chosen for a in operands(v)} | {v for _, v in self.late_copies}
        names: dict[Value, str] = {}
        loads: dict[str, str] = {}
        lines: list[str] = []
        stores: list[str] = []
        for v in chosen:
            text = expression(v, [self._number(a, v, names, loads, indices) for a in v.args])
            names[v] = self._new_variable()
            lines.append(f"{names[v]} = {text}")
            if v in read_later:
                self._home(v)
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
        if not isinstance(a, Value):
            if isinstance(a, (bool, np.bool_)):
                return str(bool(a))
            if not isinstance(a, (int, float, np.number)) or not np.isfinite(a):
                raise NoMachineCode(f"the constant {a!r}")
            return f"{real}({float(a)!r})"
        if a in names:
            text = names[a]
        else:
            element = self._place_of(a).at(aligned(indices, a.shape))
            text = loads.setdefault(element, f"x{len(loads)}_{self.variables}")
        if a.dtype.kind == "b" and user.dtype.kind == "f" and not self._is_condition(a, user):
            return f"({real}(1.0) if {text} else {real}(0.0))"
        return text

    @staticmethod
    def _real(user: Value) -> np.dtype:
        return next((v.dtype for v in (user, *operands(user)) if v.dtype.kind == "f"), user.dtype)

    @staticmethod
    def _is_condition(a: Value, user: Value) -> bool:
        return getattr(user.op, "name", "") == "where" and user.args[0] is a

    def _copy(self, place: Place, value: Value) -> None:
        indices = [f"i{axis}" for axis in range(value.ndim)]
        line = f"{place.at(indices)} = {self._place_of(value).at(indices)}"
        self._kernel("copy", self._nest(value.shape, [line]))

    def _accumulate(self, value: Value) -> None:
        """Add a Value to its sum over time, if one is wanted."""
        indices = [f"i{axis}" for axis in range(value.ndim)]
        for place in self.sums.get(value, []):
            line = f"{place.at(indices)} += {self.homes[value].at(indices)}"
            self._kernel("sum", self._nest(value.shape, [line]))

    # --- products ----------------------------------------------------------------------------------------------------

    def _product(self, value: Value) -> None:
        a, b = value.args
        if a.ndim > 2 or b.ndim > 2 or a.ndim + b.ndim < 3 or not a.dtype == b.dtype == value.dtype:
            raise NoMachineCode(f"a product of shapes {a.shape} and {b.shape}")
        left, right, out = self._place_of(a), self._place_of(b), self._home(value)
        if _multiplications(value) <= SMALL_PRODUCT:
            self._small_product(value, left, right, out)
        else:
            self._large_product(value, left, right, out)
        for extra in self.writes[value][1:]:
            self._copy(extra, value)
        self._accumulate(value)

    def _small_product(self, value: Value, left: Place, right: Place, out: Place) -> None:
        a, b = value.args
        rows, columns = (["i0"] if a.ndim == 2 else []), (["j"] if b.ndim == 2 else [])
        target = out.at([*rows, *columns])
        real = "f64" if value.dtype == np.float64 else "f32"
        inner, last = a.shape[-1], b.shape[-1]
        if columns:
            lines = [
                f"for j in range({last}):",
                f"    {target} = {real}(0.0)",
                f"for k in range({inner}):",
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
            header = f"for i0 in range({self._size(a.shape[0], not columns)}):"
            lines = [header, *(f"    {line}" for line in lines)]
        self._kernel("product", lines)

    def _large_product(self, value: Value, left: Place, right: Place, out: Place) -> None:
        a, b = value.args
        if not gemm_address(value.dtype) or None in (left.offset, right.offset, out.offset) or out.transposed:
            raise NoMachineCode("a large product that BLAS can't do in place")
        real = "f64" if value.dtype == np.float64 else "f32"
        m, n = (a.shape[0] if a.ndim == 2 else 1), (b.shape[1] if b.ndim == 2 else 1)
        rows = self._size(m, m == 1)
        columns = self._size(n, True)
        self.text.append(
            f"gemm({self._argument(str(gemm_address(value.dtype)))}, {real}(0.0), {rows}, {columns}, {a.shape[-1]}, "
            f"{self._matrix(left, a, a.ndim == 1)}, {self._matrix(right, b, False)}, "
            f"{self._matrix(out, value, a.ndim == 1, flag=False)})"
        )

    def _matrix(self, place: Place, value: Value, is_row: bool, flag: bool = True) -> str:
        """Address, distance of rows, and whether it is transposed."""
        size = value.dtype.itemsize
        block = int(np.prod(place.sizes))
        length = place.sizes[-1] if len(place.sizes) > 1 or is_row else 1
        first = f"{place.offset} + ({place.lead}) * {self._size(block, False)}" if place.lead else str(place.offset)
        address = f"{place.array}.ctypes.data + {size} * ({first})"
        return f"{address}, {length}" + (f", {place.transposed}" if flag else "")


def _multiplications(product: Value) -> int:
    return product.size * int(product.args[0].shape[-1])
