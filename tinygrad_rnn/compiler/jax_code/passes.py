"""The forward and the backward pass of a program, as pure functions of JAX arrays.

The backward pass is the program's own: the engine's rules, split and batched over time like the forward pass. JAX isn't
asked for a derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..graph.shapes import has_several_results
from ..graph.values import Value, is_constant
from ..loops.loop import Loop, LoopResult
from ..program.program import Program, Step
from . import places
from .interpreter import Interpreter, series_of


class Found(NamedTuple):
    """The results of a pass; first those that may lie in its room, since XLA gives room to the first that fit."""

    series: tuple[Any, ...]  # the arrays of its room that nobody needs but the next call
    saved: tuple[Any, ...]  # the Values that it hands to the backward pass
    results: tuple[Any, ...]  # the Values that are wanted of it: outputs of the program, gradients, or both
    in_range: Any  # whether all indices of the forward pass were in range


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass, as a pure function of JAX arrays, and perhaps of arrays that it may overwrite: its *room*.

    Attributes:
        program: its program.
        checked: the steps that it takes first, and whose indices it checks.
        further: the steps that it takes then.
        given: the Values that its arguments stand for.
        series, saved, results: as in ``Found``.
        room: the Values for which there may be room, in order: the series, and after them some of the saved.
    """

    program: Program
    checked: Sequence[Step]
    further: Sequence[Step]
    given: Sequence[Value]
    series: Sequence[Value]
    saved: Sequence[Value]
    results: Sequence[Value]
    room: Sequence[Value]

    def __call__(self, *args: Any, room: tuple[Any, ...] = ()) -> Found:
        """Compute the results; ``room`` has an array for each Value in the attribute, or none at all."""
        interpreter = Interpreter(self.program.results, dict(zip(self.given, args)), dict(zip(self.room, room)))
        with places.watched() as conditions:
            interpreter.run(self.checked)
        interpreter.run(self.further)
        series, saved, results = (tuple(map(interpreter.of, v)) for v in (self.series, self.saved, self.results))
        return Found(series, saved, results, places.all_hold(conditions))


class Passes(NamedTuple):
    """The passes of a program.

    Attributes:
        forward: takes the inputs.
        backward: takes the cotangents of the outputs and the values that the forward pass saved; None for a program
            without a backward pass.
        both: takes the cotangents of the outputs and the inputs.
    """

    forward: Pass
    backward: Pass | None
    both: Pass


def passes_of(program: Program, has_room: Callable[[Value], bool] = lambda value: False) -> Passes:
    """The passes of a program.

    Args:
        program: the program.
        has_room: says of a Value whether its array may lie where that of an earlier call lay.
    """
    forward, backward = program.forward_order(), program.backward_order()
    inputs, cotangents, outputs = program.inputs, program.cotangents, program.outputs
    gradients, read_later = list(program.gradients.values()), _read_later(program, backward)

    def a_pass(
        checked: list[Step], further: list[Step], given: list[Value], saved: list[Value], results: list[Value]
    ) -> Pass:
        loops = [step for step in (*checked, *further) if isinstance(step, Loop)]
        others = {v for loop in loops for v in series_of(loop, program.results[loop])} - {*given, *results, *saved}
        series = sorted((v for v in others if not is_constant(v) and has_room(v)), key=lambda v: v.serial)
        kept = [v for v in saved if v.op is not None and not has_several_results(v) and has_room(v)]
        return Pass(program, checked, further, given, series, saved, results, [*series, *kept])

    return Passes(
        a_pass(forward, [], inputs, read_later, outputs),
        a_pass([], backward, [*cotangents, *read_later], [], gradients) if gradients else None,
        a_pass(forward, backward, [*cotangents, *inputs], [], [*outputs, *gradients]),
    )


def _read_later(program: Program, order: list[Step]) -> list[Value]:
    """The Values of the forward pass that the backward pass reads, inputs among them."""
    read = [v for step in order for v in program.reads(step)]
    made = {*order, *program.cotangents}
    return list(
        dict.fromkeys(
            v
            for v in [*read, *program.gradients.values()]
            if v not in made and not is_constant(v) and not (isinstance(v, LoopResult) and v.op in made)
        )
    )
