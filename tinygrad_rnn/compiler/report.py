"""A plan in words: which operations left the loop, stayed or were joined, and the memory and work of each."""

from __future__ import annotations

from collections.abc import Sequence

from ..autodiff.rules import linalg, shape
from .graph.shapes import is_view, multiplications
from .graph.values import Value, name_of
from .loops.loop import Loop, LoopResult
from .numpy_code.generated import Buffer
from .program.program import Program, Results, Step

UNITS = ["", "k", "M", "G", "T"]


def described(program: Program, buffers: Sequence[Buffer] | None) -> str:
    """A program, part by part.

    Every line names an operation, with its shape, its floating-point operations and the memory of its result. Lines
    with "outside" are computed once for all steps; the lines under a loop are computed at each step.
    """
    lines = _direction("forward", program.forward_order(), program.results)
    if program.gradients:
        lines += ["", *_direction("backward", program.backward_order(), program.results)]
    if buffers is not None:
        memory = _amount(sum(buffer.nbytes for buffer in buffers), "B")
        lines += ["", f"{len(buffers)} buffers, {memory} in all, kept from call to call"]
    return "\n".join(lines)


def _direction(name: str, order: list[Step], results: Results) -> list[str]:
    lines, work = [], 0
    for step in order:
        if isinstance(step, Loop):
            inside, each = _loop(step, results[step])
            lines += inside
            work += each * step.steps
        elif _is_work(step):
            lines.append(f"  outside  {_line(step)}")
            work += flops(step)
    return [f"{name}: {_amount(work, 'flop')}", *lines]


def _loop(loop: Loop, results: list[LoopResult]) -> tuple[list[str], int]:
    body = [value for value in loop.body(results) if _is_work(value)]
    work = sum(map(flops, body))
    direction = ", from the last" if loop.backwards else ""
    kind = "loop" if loop.linear is None else "linear recurrence, a scan over chunks"
    head = f"  {kind} of {loop.steps} steps{direction}: {_amount(work, 'flop')} in each"
    return [head, *(f"    inside  {_line(value)}" for value in body)], work


def _is_work(value: Value) -> bool:
    return value.op is not None and not is_view(value)


def _line(value: Value) -> str:
    name = name_of(value.op)
    made_of = ", ".join(_shape(v) for v in value.operands)
    joined = " (parts side by side)" if value.op is shape.joined else ""
    if value.op is linalg.matmul and value.args[1].op is shape.joined:
        joined = f" ({len(value.args[1].args)} products joined)"
    amounts = f"{_amount(flops(value), 'flop')}, {_amount(value.nbytes, 'B')}"
    return f"{name:12} {_shape(value):18} of {made_of:30} {amounts}{joined}"


def _shape(value: Value) -> str:
    return "(" + ", ".join(map(str, value.shape)) + ")"


def flops(value: Value) -> int:
    """The floating-point operations that an operation takes, a function of one element counted as one."""
    if value.op is linalg.matmul:
        return 2 * multiplications(value)
    return max([value.size, *(v.size for v in value.operands)])


def _amount(number: float, unit: str) -> str:
    for prefix in UNITS:
        if number < 1000 or prefix == UNITS[-1]:
            break
        number /= 1000
    return f"{number:.3g} {prefix}{unit}"
