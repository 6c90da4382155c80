"""From a function to a program: traced, with its loops over time as Loops, and with its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from ...autodiff.errors import CannotCompile, NotOnTensors
from ...autodiff.tensor import Tensor
from ...autodiff.trees import leaves, tree_map
from ..graph.trace import Trace, identity, recorded, tracer
from ..graph.values import Value, in_order, name_of_operation, new_input, values_in
from ..guards.side_effects import nothing_changed
from ..loops.loop import Loop
from .backward import gradients


@dataclass
class Program:
    """What to compute: all that ``outputs`` and ``gradients`` are made of.

    Attributes:
        inputs: what it is given: the arrays among the arguments, then the captured Tensors.
        outputs: what it gives.
        captured: the Tensors that the last inputs stand for.
        result: what the function gave, for its form as a tree.
        cotangents: what the backward pass is given, one for each output.
        gradients: what that gives, by input.
    """

    trace: Trace
    inputs: list[Value]
    outputs: list[Value]
    captured: list[Tensor]
    result: Any
    cotangents: list[Value] = field(default_factory=list)
    gradients: dict[Value, Value] = field(default_factory=dict)

    def forward_order(self) -> list[Value]:
        """The Values of the forward pass, each after its operands."""
        return in_order(self.outputs)

    def backward_order(self) -> list[Value]:
        """The Values that only the backward pass needs, each after its operands."""
        forward = set(self.forward_order())
        loops = {v.op for v in forward if isinstance(v.op, Loop)}
        return in_order(self.gradients.values(), stop=lambda v: v in forward or v.op in loops)

    def spelled_out(self) -> list[Any]:
        """All that the program does, so that two of them can be compared: each Value by its number."""
        numbers: dict[Value, int] = {}
        lines: list[Any] = [[id(tensor) for tensor in self.captured]]
        spell(self.inputs, numbers, lines)
        spell(self.outputs, numbers, lines)
        return [*lines, [numbers[v] for v in self.outputs]]

    def differentiate(self, wanted: Sequence[bool]) -> None:
        """Add the backward pass, for those of the inputs that are wanted."""
        chosen = [v for v, w in zip(self.inputs, wanted) if w]
        self.cotangents = [new_input(v.shape, v.dtype, "g") for v in self.outputs]
        seeds: dict[Value, Value] = {}
        for v, g in zip(self.outputs, self.cotangents):
            if v in seeds:
                with self.trace.recording():
                    g = (tracer(seeds[v]) + tracer(g))._data
            seeds[v] = g
        self.gradients = gradients(self.trace, seeds, chosen)


def spell(roots: Sequence[Value], numbers: dict[Value, int], lines: list[Any]) -> None:
    """Add a line for each Value that roots are made of, with those in loops.

    Args:
        roots: Values.
        numbers: those that have a line already; gets the others.
        lines: gets the lines.
    """
    for value in in_order(roots, stop=numbers.__contains__):
        name = "" if value.op is None else name_of_operation(value)
        made_of: list[Any] = [value.args, value.keywords]
        if isinstance(value.op, Loop):
            loop = value.op
            parts = [*loop.slices, *loop.slices.values(), *(v for c in loop.carried for v in c)]
            spell([*parts, *values_in(made_of)], numbers, lines)
            made_of += [parts, loop.steps, loop.backwards]
        numbers[value] = len(numbers)
        elements = None if value.array is None else sha256(value.array.tobytes()).digest()
        lines.append([name, identity(made_of, numbers.__getitem__), value.shape, value.dtype.str, elements])


def traced(
    function: Callable[..., Any], arguments: Any, watched: Sequence[Any], lifts_elements: bool = True
) -> Program:
    """Run a function on tracers.

    Args:
        function: takes the arguments, and gives an array or a tree of arrays.
        arguments: a tuple; the arrays in it (or in trees in it) become inputs of the program, all else is fixed.
        watched: what it may look at, or change, besides the arrays.
        lifts_elements: whether cheap operations leave loops, too.

    Raises:
        CannotCompile: it asks for a value, or changes something or does something else each time, or gives something
            else than arrays.
    """
    program = _trace_once(function, arguments, lifts_elements)
    with nothing_changed(watched):
        again = _trace_once(function, arguments, lifts_elements)
    if program.spelled_out() != again.spelled_out():
        raise CannotCompile(
            "this function did something else when it was run a second time: it draws random numbers inside, or "
            "changes an array that it uses, or makes a Tensor that it keeps. Have it depend on its arguments alone: "
            "draw before the loop and pass in what was drawn, per step with xs, per sequence with the state; make "
            "Tensors before it is called."
        )
    return program


def _trace_once(function: Callable[..., Any], arguments: Any, lifts_elements: bool) -> Program:
    trace = Trace(lifts_elements)
    inputs: list[Value] = []

    def stand_in(a: Any) -> Any:
        if not isinstance(a, (Tensor, np.ndarray)):
            return a
        inputs.append(new_input(a.shape, a.dtype, "input", getattr(a, "name", None) or ""))
        return tracer(inputs[-1])

    with trace.recording():
        try:
            result = function(*tree_map(stand_in, arguments))
        except Exception as error:
            raise _reason(error) from None
        outputs = [recorded(trace, a) for a in leaves(result)]
    captured = list(trace.captured)
    return Program(trace, [*inputs, *trace.captured.values()], outputs, captured, result)


def _reason(error: BaseException) -> BaseException:
    """Why a trace failed: a Tensor's own words, also where NumPy, which asked it, made another error of them."""
    cause = error.__cause__ or error.__context__
    while cause is not None and not isinstance(cause, NotOnTensors):
        cause = cause.__cause__ or cause.__context__
    return error if cause is None else cause
