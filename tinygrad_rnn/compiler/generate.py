"""The passes from a traced function to generated code, in their order, and the choice of an executor.

    program = traced(function, arguments)          # once for each form of arguments (``plans``)
    program = fissioned(program)
    program = fissioned(differentiated(program, wanted))
    code = written(program, executor)

Each pass returns a new program and leaves the old one unchanged, so one trace serves calls with and without gradients,
for NumPy and for machine code. Loops are split before they are differentiated: whatever has left a loop is then
differentiated in its new form, as large products over all steps. What differentiation adds is split in turn.

An executor is a function ``lines_for(writer, order, kept)`` that writes the lines which compute some Values and Loops.
There are three: ``numpy_code.executor`` can write everything; ``machine_code.whole_program`` writes small programs that
can be machine code as a whole; ``machine_code.loops_and_passes`` writes all others whose loops can.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from .elements.function import NoMachineCode
from .graph.values import Value
from .loops.fission import Cheap
from .machine_code import loops_and_passes, whole_program
from .numpy_code import executor
from .numpy_code.generated import Code
from .numpy_code.views import Views
from .numpy_code.writer import Writer, as_tuple, names_in, numbered_last
from .program.backward import differentiated
from .program.fission import fissioned
from .program.program import Program, Step

# It takes the Writer of the calling function; the Values and Loops to compute, each after its operands; and the Values
# that are read afterwards.
Executor = Callable[[Writer, "list[Step]", Iterable[Value]], "list[str]"]


def generate(
    program: Program, wanted: Sequence[bool] = (), machine_code: bool = False, fixed: Container[int] | None = None
) -> tuple[Program, Code]:
    """The program that runs for a traced one, and its functions.

    Args:
        program: a program from ``traced``.
        wanted: for each of its inputs, whether the gradient is wanted.
        machine_code: whether loops become machine code; a small program does so as a whole.
        fixed: the lengths in it that don't follow the sizes, if this is one of several examples from which functions
            for arguments of all sizes will be made.

    Raises:
        NoMachineCode: no part of it can be machine code.
    """
    if not machine_code:
        program = scheduled(program, wanted, Cheap.BEFORE, scans=True)
        return program, written(program, executor.lines_for, fixed)
    program = scheduled(program, wanted, Cheap.INSIDE)  # without scans, which were no faster in machine code
    try:
        return program, written(program, whole_program.lines_for, fixed)
    except NoMachineCode:
        return program, written(program, loops_and_passes.lines_for, fixed)


def scheduled(program: Program, wanted: Sequence[bool], cheap: Cheap, scans: bool = False) -> Program:
    """A traced program, split and differentiated.

    Args:
        program: a program from ``traced``.
        wanted: for each of its inputs, whether the gradient is wanted.
        cheap: where cheap operations stand that could leave loops.
        scans: whether states that are linear recurrences become loops of their own.
    """

    def split(program: Program, keeps_rules: bool) -> Program:
        return fissioned(program, cheap, keeps_rules, scans)

    if any(wanted):
        program = differentiated(split(program, keeps_rules=True), wanted)
    elif cheap is Cheap.SLICES_BEFORE:  # the slices have to be there before the last split can narrow products
        program = split(program, keeps_rules=True)
    return split(program, keeps_rules=False)


def written(program: Program, lines_for: Executor, fixed: Container[int] | None = None) -> Code:
    """The functions of a program, as an executor writes them.

    Raises:
        NoMachineCode: the executor can't write an operation.
    """
    writer = Writer(program, fixed)
    order = program.backward_order()
    read_later = [v for step in order for v in program.reads(step)]
    later = [*program.outputs, *read_later, *program.gradients.values()]
    forward = lines_for(writer, program.forward_order(), later)
    backward = lines_for(writer, order, list(program.gradients.values())) if program.gradients else []
    outputs = [f"array({writer.operand(v)})" for v in program.outputs]
    gradients = [f"array({writer.operand(v)})" for v in program.gradients.values()]
    backward = writer.without_unread_views([*backward, f"return {as_tuple(gradients)}"])
    needed, _ = names_in(backward)
    _, made = names_in(forward)
    saved = numbered_last(needed & made)
    forward = writer.without_unread_views([*forward, f"return {as_tuple(outputs)}, {as_tuple(saved)}"])
    views = Views(writer.buffers)
    forward, backward = views.taken_out(forward), views.taken_out(backward)
    run_forward = writer.function("forward", forward, views.found)
    run_backward = writer.function("backward", backward, views.found, saved) if program.gradients else None
    return Code(writer.buffers, views.found, run_forward, run_backward, saved, writer.left_to_numpy)
