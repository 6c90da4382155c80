"""The choice of an executor, and the two functions that come of it: a forward pass, and a backward pass.

An executor is a function ``lines_for(writer, order, kept)`` that writes the lines which compute some Values. There are
three: ``numpy_executor``, which can write everything; ``machine_program``, for small programs all of which can be
machine code; and ``machine_passes``, for all others whose loops can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import machine_passes, machine_program, numpy_executor
from .generated import Code
from .machine_code import NoMachineCode
from .program import Program
from .values import Value, operands
from .views import Views
from .writer import Writer, as_tuple, names_in

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
        return _generated(program, numpy_executor.lines_for)
    try:
        return _generated(program, machine_program.lines_for)
    except NoMachineCode:
        return _generated(program, machine_passes.lines_for)


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
