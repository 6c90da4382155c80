"""The forward and the backward pass of a program, as pure functions of JAX arrays.

The backward pass is the program's own: the engine's rules, split and batched over time like the forward pass. JAX isn't
asked for a derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..graph.values import Value, is_constant
from ..loops.loop import LoopResult
from ..program.program import Program, Step
from . import places
from .interpreter import Interpreter


class Forward(NamedTuple):
    """The results of a forward pass. JAX fills room in order, so it is the first two that are written there.

    Attributes:
        saved: the values that the backward pass reads.
        series: the other arrays that loops have read or written at all steps. Nobody needs them, but they may be the
            largest.
        outputs: the outputs of the program.
        in_range: whether all indices were in range.
    """

    saved: tuple[Any, ...]
    series: Sequence[Any]
    outputs: tuple[Any, ...]
    in_range: Any


class Backward(NamedTuple):
    """The results of a backward pass.

    Attributes:
        series: as in ``Forward``.
        gradients: the gradients of the program, in order.
    """

    series: Sequence[Any]
    gradients: tuple[Any, ...]


class Both(NamedTuple):
    """The results of both passes in one.

    Attributes:
        series: as in ``Forward``.
        outputs: the outputs of the program.
        gradients: the gradients of the program, in order.
        in_range: whether all indices were in range.
    """

    series: Sequence[Any]
    outputs: tuple[Any, ...]
    gradients: tuple[Any, ...]
    in_range: Any


class Passes(NamedTuple):
    """The forward and the backward pass.

    Attributes:
        forward: a function of the inputs, one after the other.
        backward: a function of the cotangents of the outputs and of the values that the forward pass saved; None for a
            program without a backward pass.
        both: a function of the cotangents of the outputs and of the inputs.
    """

    forward: Callable[..., Forward]
    backward: Callable[[Any, Any], Backward] | None
    both: Callable[..., Both]


def passes_of(program: Program) -> Passes:
    """The passes of a program."""
    order = program.backward_order()
    saved = _read_later(program, order)

    def forward(*inputs: Any) -> Forward:
        interpreter = Interpreter(program.results, dict(zip(program.inputs, inputs)))
        with places.watched() as conditions:
            interpreter.run(program.forward_order())
        outputs, kept = (tuple(map(interpreter.of, values)) for values in (program.outputs, saved))
        returned = {*program.inputs, *program.outputs, *saved}
        return Forward(kept, _others(interpreter, returned), outputs, places.all_hold(conditions))

    def backward(cotangents: Any, kept: Any) -> Backward:
        interpreter = Interpreter(program.results, dict(zip([*program.cotangents, *saved], [*cotangents, *kept])))
        interpreter.run(order)
        gradients = list(program.gradients.values())
        returned = {*program.cotangents, *saved, *gradients}
        return Backward(_others(interpreter, returned), tuple(map(interpreter.of, gradients)))

    def both(cotangents: Any, *inputs: Any) -> Both:
        given = [*program.cotangents, *program.inputs]
        interpreter = Interpreter(program.results, dict(zip(given, [*cotangents, *inputs])))
        with places.watched() as conditions:
            interpreter.run(program.forward_order())
        interpreter.run(order)
        values = [program.outputs, list(program.gradients.values())]
        outputs, gradients = (tuple(map(interpreter.of, some)) for some in values)
        return Both(
            _others(interpreter, set().union(given, *values)), outputs, gradients, places.all_hold(conditions)
        )

    return Passes(forward, backward if program.gradients else None, both)


def _others(interpreter: Interpreter, returned: set[Value]) -> tuple[Any, ...]:
    """The arrays of series that aren't returned anyway."""
    series = dict.fromkeys(v for v in interpreter.series if v not in returned and not is_constant(v))
    return tuple(map(interpreter.of, series))


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
