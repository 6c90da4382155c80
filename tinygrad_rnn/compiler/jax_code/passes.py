"""The forward and the backward pass of a program, as pure functions of JAX arrays.

The backward pass is the program's own: the engine's rules, split and batched over time like the forward pass. JAX isn't
asked for a derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..graph.shapes import has_several_results
from ..graph.values import Value, is_constant
from ..loops.loop import Loop, LoopResult
from ..program.program import Program, Step
from . import places
from .interpreter import Interpreter, series_of


class Forward(NamedTuple):
    """The results of a forward pass.

    Attributes:
        series: the arrays of its room that it doesn't save: nobody needs them but the next call.
        saved: the values that the backward pass reads.
        outputs: the outputs of the program.
        in_range: whether all indices were in range.
    """

    series: tuple[Any, ...]
    saved: tuple[Any, ...]
    outputs: tuple[Any, ...]
    in_range: Any


class Backward(NamedTuple):
    """The results of a backward pass.

    Attributes:
        series: as in ``Forward``.
        gradients: the gradients of the program, in order.
    """

    series: tuple[Any, ...]
    gradients: tuple[Any, ...]


class Both(NamedTuple):
    """The results of both passes in one.

    Attributes:
        series: as in ``Forward``.
        outputs: the outputs of the program.
        gradients: the gradients of the program, in order.
        in_range: whether all indices were in range.
    """

    series: tuple[Any, ...]
    outputs: tuple[Any, ...]
    gradients: tuple[Any, ...]
    in_range: Any


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass, as a pure function of JAX arrays, and perhaps of arrays that it may overwrite: its *room*.

    Attributes:
        function: the function; its first argument is room, by Value.
        room: the Values for which there may be room, in order.
    """

    function: Callable[..., Any]
    room: Sequence[Value]

    def __call__(self, *args: Any, room: tuple[Any, ...] = ()) -> Any:
        """Compute the results; ``room`` has an array for each Value in the attribute, or none at all."""
        return self.function(dict(zip(self.room, room)), *args)


class Passes(NamedTuple):
    """The forward and the backward pass.

    Attributes:
        forward: a function of the inputs, one after the other; it returns a ``Forward``.
        backward: a function of the cotangents of the outputs and of the values that the forward pass saved, which
            returns a ``Backward``; None for a program without a backward pass.
        both: a function of the cotangents of the outputs and of the inputs, one after the other, which returns a
            ``Both``.
        saved: the Values that the forward pass saves.
    """

    forward: Pass
    backward: Pass | None
    both: Pass
    saved: Sequence[Value]


def passes_of(program: Program, has_room: Callable[[Value], bool] = lambda value: False) -> Passes:
    """The passes of a program.

    Args:
        program: the program.
        has_room: says of a Value whether its array may lie where that of an earlier call lay.
    """
    forward_order, order = program.forward_order(), program.backward_order()
    inputs, cotangents, outputs = program.inputs, program.cotangents, program.outputs
    gradients, saved = list(program.gradients.values()), _read_later(program, order)

    def room_for(steps: Iterable[Step], returned: Iterable[Value]) -> list[Value]:
        loops = [step for step in steps if isinstance(step, Loop)]
        others = {v for loop in loops for v in series_of(loop, program.results[loop])} - {*returned}
        return sorted((v for v in others if not is_constant(v) and has_room(v)), key=lambda v: v.serial)

    def forward(room: Mapping[Value, Any], *given: Any) -> Forward:
        interpreter = Interpreter(program.results, dict(zip(inputs, given)), room)
        with places.watched() as conditions:
            interpreter.run(forward_order)
        series, kept, found = (tuple(map(interpreter.of, values)) for values in (forward_series, saved, outputs))
        return Forward(series, kept, found, places.all_hold(conditions))

    def backward(room: Mapping[Value, Any], arrived: Any, kept: Any) -> Backward:
        interpreter = Interpreter(program.results, dict(zip([*cotangents, *saved], [*arrived, *kept])), room)
        interpreter.run(order)
        return Backward(*(tuple(map(interpreter.of, values)) for values in (backward_series, gradients)))

    def both(room: Mapping[Value, Any], arrived: Any, *given: Any) -> Both:
        interpreter = Interpreter(program.results, dict(zip([*cotangents, *inputs], [*arrived, *given])), room)
        with places.watched() as conditions:
            interpreter.run(forward_order)
        interpreter.run(order)
        series, found, pulled = (tuple(map(interpreter.of, values)) for values in (both_series, outputs, gradients))
        return Both(series, found, pulled, places.all_hold(conditions))

    forward_series = room_for(forward_order, [*inputs, *outputs, *saved])
    backward_series = room_for(order, [*cotangents, *saved, *gradients])
    both_series = room_for([*forward_order, *order], [*cotangents, *inputs, *outputs, *gradients])
    in_room = [v for v in saved if v.op is not None and not has_several_results(v) and has_room(v)]
    return Passes(
        Pass(forward, [*forward_series, *in_room]),
        Pass(backward, backward_series) if gradients else None,
        Pass(both, both_series),
        saved,
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
