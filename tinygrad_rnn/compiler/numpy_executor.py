"""The executor that is always there: a program as two Python functions that call NumPy with ``out=``.

The functions are generated as source, one line for each operation, and read like code that one would write by hand. The
loop of an Elman cell comes out as

    for matmul_3_t, state_1, state_1_next in zip(matmul_14, all_state_1[:-1], all_state_1[1:]):
        matmul(state_1, W_4, out=temporary_0)
        add(matmul_3_t, temporary_0, out=temporary_0)
        tanh(temporary_0, out=state_1_next)

Every array that they write to is a *buffer*: planned here, allocated once, used for many calls. ``numpy_loop`` writes
the loops.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from . import machine_program
from .loop import Loop
from .machine_code import MachineCode, NoMachineCode
from .machine_loop import MachineLoop
from .machine_passes import ElementPasses
from .machine_threads import matmul
from .numpy_kernels import NAMESPACE, is_written_out, statements, view
from .numpy_loop import LoopWriter
from .plan import Buffer, Code, Function
from .program import Program
from .shapes import has_several_results, is_view
from .values import Value, is_constant, label, operands

NOTHING: Mapping[Value, str] = {}


def generate(program: Program, machine_code: bool = False) -> Code:
    """Write the functions of a program.

    Args:
        program: what to compute.
        machine_code: whether loops become machine code; and all of it, if it is small.

    Raises:
        NoMachineCode: a loop can't.
    """
    if machine_code:
        try:
            return _generated(program, Writer(program), machine_program.lines_for)
        except NoMachineCode:
            pass
    return _generated(program, Writer(program, machine_code), Writer.lines_for)


def _generated(program: Program, writer: Writer, lines_for: Callable[..., list[str]]) -> Code:
    order = program.backward_order()
    read_later = [v for value in order for v in operands(value)]
    forward = lines_for(writer, program.forward_order(), [*program.outputs, *read_later])
    outputs = [f"array({writer.operand(v)})" for v in program.outputs]
    if not program.gradients:
        return Code(writer.buffers, writer.function("forward", [*forward, f"return {as_tuple(outputs)}, ()"]), None, [])
    backward = lines_for(writer, order, list(program.gradients.values()))
    backward.append(f"return {as_tuple([f'array({writer.operand(v)})' for v in program.gradients.values()])}")
    needed, _ = names_in(backward)
    _, made = names_in(forward)
    saved = sorted(needed & made)
    forward.append(f"return {as_tuple(outputs)}, {as_tuple(saved)}")
    functions = writer.function("forward", forward), writer.function("backward", backward, saved)
    return Code(writer.buffers, *functions, saved)


def as_tuple(parts: Iterable[str]) -> str:
    """The text of a tuple."""
    return f"({''.join(part + ', ' for part in parts)})"


def names_in(lines: list[str]) -> tuple[set[str], set[str]]:
    """The names that some lines read but don't make, and those that they make."""
    tree = ast.parse("\n".join(lines))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in found if isinstance(node.ctx, ast.Store)}
    return {node.id for node in found} - made, made


class Writer:
    """Writes straight lines, and knows what everything is called.

    Attributes:
        names: what each Value is called, once it has been made.
        buffers: the arrays to be allocated, by name.
        globals: what else the text refers to.
    """

    def __init__(self, program: Program, machine_code: bool = False) -> None:
        self.machine_code = machine_code
        self.names: dict[Value, str] = {v: label(v) for v in (*program.inputs, *program.cotangents)}
        self.buffers: dict[str, Buffer] = {}
        self.globals: dict[str, Any] = {**NAMESPACE, **({"matmul": matmul} if machine_code else {})}
        self._written: set[Loop] = set()

    def lines_for(self, order: Sequence[Value], kept: Iterable[Value] = ()) -> list[str]:
        """The lines that compute these Values.

        Args:
            order: what to compute, each after its operands.
            kept: what is read afterwards.
        """
        lines: list[str] = []
        passes = ElementPasses(self, order, kept) if self.machine_code else None
        for value in order:
            if passes is not None:
                if passes.takes(value):
                    continue
                lines += passes.before(value)
            if isinstance(value.op, Loop):
                if value.op not in self._written:
                    self._written.add(value.op)
                    lines += self._machine_loop(value.op) if self.machine_code else LoopWriter(self, value.op).lines()
            elif value.op is not None:
                lines += self.straight(value)
        return lines if passes is None else [*lines, *passes.flush()]

    def _machine_loop(self, loop: Loop) -> list[str]:
        code = MachineCode(self)
        MachineLoop(code, loop).write()
        return code.call()

    def straight(self, value: Value) -> list[str]:
        """The lines that compute one Value outside of loops."""
        name = self.names[value] = label(value)
        if is_view(value):
            return [f"{name} = {view(value, self.operand(value.args[0]))}"]
        lines = statements(value, name, [self.operand(a) for a in value.args])
        if lines is None:
            call = self.call(value)
            return [f"{name} = {call if has_several_results(value) else f'asarray({call})'}"]
        self.buffers[name] = Buffer(value.shape, value.dtype)
        return lines

    def call(self, value: Value, inside: Mapping[Value, str] = NOTHING) -> str:
        """An operation without a kernel, as a call of its own function."""
        arguments = [self.operand(a, inside) for a in value.args]
        arguments += [f"{key}={self.operand(a, inside)}" for key, a in value.keywords.items()]
        return f"{self.named(getattr(value.op, 'forward', value.op))}({', '.join(arguments)})"

    def operand(self, a: Any, inside: Mapping[Value, str] = NOTHING) -> str:
        """How an argument is written.

        Args:
            a: the argument.
            inside: what Values are called where it stands, if that is in a loop.
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

    def machine_function(self, source: str) -> str:
        """The name of a function that is compiled to machine code."""
        from .machine import compiled_function

        return self.named(compiled_function(source), "loop")

    def function(self, name: str, lines: list[str], saved: Iterable[str] = ()) -> Function:
        """A function of these lines, whose parameters are what they read: buffers, inputs and what was saved."""
        needed, _ = names_in(lines)
        parameters = sorted(needed & {*self.buffers, *self.names.values(), *saved} - set(self.globals))
        source = f"def {name}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
        namespace = dict(self.globals)
        exec(compile(source, f"<compiled {name}>", "exec"), namespace)
        return Function(source, parameters, namespace[name])
