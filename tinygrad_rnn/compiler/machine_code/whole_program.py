"""Small programs as machine code from end to end, with the operations around the loops.

Where a whole training step takes microseconds, so does each call of NumPy. A forward or backward pass then becomes one
function, called once. Large programs gain nothing by that, and leave everything outside of loops to NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...autodiff.rules import linalg, shape
from .. import thresholds
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import is_view
from ..graph.values import Value, is_constant
from ..loops.loop import Loop
from ..numpy_code.kernels import view
from ..numpy_code.writer import Writer
from ..program.program import Step
from .loop import MachineLoop
from .placement import Placement
from .schedule import write


def lines_for(writer: Writer, order: list[Step], kept: Iterable[Value]) -> list[str]:
    """The lines of the calling function that compute these Values and Loops.

    Raises:
        NoMachineCode: something has no machine-code form, or is large.
    """
    straight = [step for step in order if isinstance(step, Value)]
    loops = [step for step in order if isinstance(step, Loop)]
    if any(value.size > thresholds.SMALL_VALUE for value in straight):
        raise NoMachineCode("a large program")
    given = set(writer.names)
    code = MachineCode(writer, starts_inside=True)
    placement = Placement(code)
    placement.add_users(straight)
    placement.kept |= {*kept, *(v for loop in loops for v in writer.program.reads(loop))}
    waiting: list[Value] = []
    for value in order:
        if isinstance(value, Loop):
            write(placement, waiting)
            waiting = []
            MachineLoop(placement, value).write()
        elif is_view(value) and (value.args[0] in given or is_constant(value.args[0])):
            place = placement.viewed(value) if _only_multiplies(value, placement) else None
            if place is not None:
                placement.homes[value] = place
            else:
                writer.names[value] = view(value, writer.operand(value.args[0]))
                given.add(value)
        elif value.op is not None:
            waiting.append(value)
    write(placement, waiting)
    for value in straight:
        if value in placement.kept:
            _name(writer, placement, value)
    return code.call()


def _only_multiplies(value: Value, placement: Placement) -> bool:
    """Return True for a transposed matrix that needn't be copied: products read their left factor number by number."""
    return (
        value.op is shape.transpose
        and value.ndim == 2
        and value not in placement.kept
        and all(
            user.op is linalg.matmul and user.args[0] is value and user.args[1] is not value
            for user in placement.users.get(value, ())
        )
    )


def _name(writer: Writer, placement: Placement, value: Value) -> str:
    """The name that other functions use for a Value that the function computes."""
    if value not in writer.names:
        is_seen = is_view(value)
        base = _name(writer, placement, value.args[0]) if is_seen else ""
        writer.names[value] = view(value, base) if is_seen else placement.passed(placement.place_of(value))
    return writer.names[value]
