"""The choice of an executor, and the two functions that come of it: a forward pass, and a backward pass.

An executor is a function ``lines_for(writer, order, kept)`` that writes the lines which compute some Values. There are
three: ``numpy_code.executor`` can write everything; ``machine_code.whole_program`` writes small programs that can be
machine code as a whole; ``machine_code.loops_and_passes`` writes all others whose loops can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .graph.values import Value, operands
from .machine_code import loops_and_passes, whole_program
from .machine_code.function import NoMachineCode
from .numpy_code import executor
from .numpy_code.generated import Code
from .numpy_code.views import Views
from .numpy_code.writer import Writer, as_tuple, names_in
from .program.program import Program

Executor = Callable[[Writer, list[Value], Iterable[Value]], list[str]]


def generate(program: Program, machine_code: bool = False) -> Code:
    """Write the functions of a program.

    Args:
        program: what to compute.
        machine_code: whether loops become machine code; and all of it, if it is small.

    Raises:
        NoMachineCode: a loop can't.
    """
    if not machine_code:
        return _generated(program, executor.lines_for)
    try:
        return _generated(program, whole_program.lines_for)
    except NoMachineCode:
        return _generated(program, loops_and_passes.lines_for)


def _generated(program: Program, lines_for: Executor) -> Code:
    writer = Writer(program)
    order = program.backward_order()
    read_later = [v for value in order for v in operands(value)]
    forward = lines_for(writer, program.forward_order(), [*program.outputs, *read_later])
    backward = lines_for(writer, order, list(program.gradients.values())) if program.gradients else []
    outputs = [f"array({writer.operand(v)})" for v in program.outputs]
    gradients = [f"array({writer.operand(v)})" for v in program.gradients.values()]
    backward.append(f"return {as_tuple(gradients)}")
    needed, _ = names_in(backward)
    _, made = names_in(forward)
    saved = sorted(needed & made)
    forward.append(f"return {as_tuple(outputs)}, {as_tuple(saved)}")
    views = Views(writer.buffers)
    forward, backward = views.taken_out(forward), views.taken_out(backward)
    run_forward = writer.function("forward", forward, views.found)
    run_backward = writer.function("backward", backward, views.found, saved) if program.gradients else None
    return Code(writer.buffers, views.found, run_forward, run_backward, saved)
