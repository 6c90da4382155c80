"""From a function to a program: trace it, turn its loops over time into Loops, and derive its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from ..autodiff.errors import CannotCompile, NotOnTensors
from ..autodiff.scope import context
from ..autodiff.tensor import Tensor
from ..autodiff.trees import leaves, tree_map
from .backward import gradients
from .loop import Carried, Loop
from .simplify import simplified_step
from .trace import Trace, Tracer, identity, tracer
from .values import Value, in_order, name_of_operation, new_input, values_in


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


def traced(function: Callable[..., Any], arguments: Any, lifts_elements: bool = True) -> Program:
    """Run a function on tracers.

    Args:
        function: takes the arguments, and gives an array or a tree of arrays.
        arguments: a tuple; the arrays in it (or in trees in it) become inputs of the program, all else is fixed.
        lifts_elements: whether cheap operations leave loops, too.

    Raises:
        CannotCompile: it asks for a value, or does something else each time, or gives something else than arrays.
    """
    program, again = (_trace_once(function, arguments, lifts_elements) for _ in range(2))
    if program.spelled_out() != again.spelled_out():
        raise CannotCompile(
            "this function did something else when it was run a second time: it draws random numbers inside, or counts "
            "its calls, or changes an array that it uses. Have it depend on its arguments alone: draw before the loop "
            "and pass in what was drawn, per step with xs, per sequence with the state; keep a count in the state."
        )
    return program


def _trace_once(function: Callable[..., Any], arguments: Any, lifts_elements: bool) -> Program:
    trace = Trace(lifts_elements)
    inputs: list[Value] = []

    def stand_in(a: Any) -> Any:
        if not isinstance(a, (Tensor, np.ndarray)):
            return a
        inputs.append(new_input(a.shape, a.dtype, getattr(a, "name", None) or "input"))
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


def recorded(trace: Trace, a: Any) -> Value:
    """The Value behind something that a traced function gave."""
    if isinstance(a, Tracer):
        return a._data
    if isinstance(a, (Tensor, np.ndarray, np.generic, float, int)):
        array = a if isinstance(a, Tensor) else np.asarray(a)
        return trace.lowered(array)
    raise CannotCompile(f"a compiled function gives arrays, but this one gave {type(a).__name__}")


def unroll_traced(cell: Callable[..., Any], xs: Any, state: Any, steps: int, reverse: bool = False) -> tuple[Any, Any]:
    """Run a cell over a sequence inside a trace: one traced step, and a loop around it.

    Args:
        cell: ``y, state = cell(x, state)``.
        xs: the sequence, an array (T, ...) or a tree of such, or None.
        state: an array or a tree of arrays.
        steps: T, at least 1.
        reverse: whether to go from the last step to the first.

    Returns:
        The outputs of all steps (T, ...), and the state after the last.
    """
    trace = context.trace
    if trace.in_step:
        return _written_out(cell, xs, state, steps, reverse)
    sequences = [recorded(trace, a) for a in leaves(xs)]
    starts = [recorded(trace, a) for a in leaves(state)]
    rows = [new_input(v.shape[1:], v.dtype, "x") for v in sequences]
    befores = [new_input(v.shape, v.dtype, name) for v, name in zip(starts, _names(state, len(starts)))]
    trace.in_step = True
    try:
        outputs, after = cell(packed(xs, map(tracer, rows)), packed(state, map(tracer, befores)))
    finally:
        trace.in_step = False
    try:
        afters = [recorded(trace, a) for a in leaves(_aligned(state, after))]
    except ValueError:  # a tree of another form
        return _first_step_apart(cell, xs, state, after, steps, reverse)
    if [(v.shape, v.dtype) for v in afters] != [(v.shape, v.dtype) for v in befores]:
        return _first_step_apart(cell, xs, state, after, steps, reverse)
    ys = [recorded(trace, a) for a in leaves(outputs)]
    simpler = simplified_step(trace, [*afters, *ys], befores, rows)
    afters, ys = simpler[: len(afters)], simpler[len(afters) :]
    loop = Loop(
        trace,
        "loop",
        steps,
        [Carried(*parts) for parts in zip(starts, befores, afters)],
        dict(zip(rows, sequences)),
        reverse,
    )
    return (
        packed(outputs, [_at_all_steps(loop, y) for y in ys]),
        _aligned(after, packed(state, [tracer(loop.last(i)) for i in range(len(afters))])),
    )


def _aligned(tree: Any, other: Any) -> Any:
    """The second tree with its parts in the order of the first: those of dicts go by key."""
    return tree_map(lambda _, a: a, tree, other)


def _written_out(cell: Callable[..., Any], xs: Any, state: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """A loop inside a step of another: all its steps, one after the other."""
    outputs: list[Any] = [None] * steps
    for t in range(steps)[:: -1 if reverse else 1]:
        outputs[t], state = cell(tree_map(lambda a: a[t], xs), state)  # noqa: B023
    return tree_map(lambda *parts: np.stack(parts), *outputs), state


def _at_all_steps(loop: Loop, y: Value) -> Any:
    return tracer(loop.over(y)) if loop.moves(y) else np.broadcast_to(tracer(y), (loop.steps, *y.shape))


def _names(state: Any, count: int) -> list[str]:
    fields = getattr(state, "_fields", ())
    return list(fields) if len(fields) == count else ["state"] * count if count != 1 else ["h"]


def _first_step_apart(cell: Any, xs: Any, state: Any, after: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """A state that takes its form in the first step (zeros that broadcast): that step is taken outside of the loop."""
    forms = [[(tuple(a.shape), str(a.dtype)) for a in leaves(tree)] for tree in (state, after)]
    if context.trace.peeled:
        raise CannotCompile(f"the state changes its form at each step: {forms[0]} becomes {forms[1]}")
    first, rest = (steps - 1, slice(None, -1)) if reverse else (0, slice(1, None))
    y, state = cell(tree_map(lambda a: a[first], xs), state)
    y = tree_map(lambda a: np.expand_dims(a, 0), y)
    if steps == 1:
        return y, state
    context.trace.peeled = True
    try:
        ys, state = unroll_traced(cell, tree_map(lambda a: a[rest], xs), state, steps - 1, reverse)
    finally:
        context.trace.peeled = False
    return tree_map(lambda a, b: np.concatenate([b, a] if reverse else [a, b]), y, ys), state


def packed(tree: Any, parts: Iterable[Any]) -> Any:
    """A tree like ``tree`` of other parts."""
    found = iter(parts)
    return tree_map(lambda _: next(found), tree)
