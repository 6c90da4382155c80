"""The forward and the backward pass of a program, as pure functions of JAX arrays.

The backward pass is the program's own: the engine's rules, split and batched over time like the forward pass. JAX isn't
asked for a derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..graph.values import Value, is_constant
from ..loops.loop import LoopResult
from ..program.program import Program, Step
from . import places
from .interpreter import Interpreter


class Passes(NamedTuple):
    """The forward and the backward pass.

    Attributes:
        forward: of the inputs, one after the other: the outputs; what the backward pass reads; and whether all indices
            were in range.
        backward: of the cotangents of the outputs, and what the backward pass reads: the gradients. None for a program
            without.
    """

    forward: Callable[..., tuple[Any, Any, Any]]
    backward: Callable[[Any, Any], tuple[Any, ...]] | None


def passes_of(program: Program) -> Passes:
    """The passes of a program."""
    order = program.backward_order()
    saved = _read_later(program, order)

    def forward(*inputs: Any) -> tuple[Any, Any, Any]:
        interpreter = Interpreter(program.results, dict(zip(program.inputs, inputs)))
        with places.watched() as conditions:
            interpreter.run(program.forward_order())
        outputs = tuple(map(interpreter.of, program.outputs))
        return outputs, tuple(map(interpreter.of, saved)), places.all_hold(conditions)

    def backward(cotangents: Any, kept: Any) -> tuple[Any, ...]:
        interpreter = Interpreter(program.results, dict(zip([*program.cotangents, *saved], [*cotangents, *kept])))
        interpreter.run(order)
        return tuple(map(interpreter.of, program.gradients.values()))

    return Passes(forward, backward if program.gradients else None)


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
