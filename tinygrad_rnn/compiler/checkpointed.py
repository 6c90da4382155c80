"""A loop over time with checkpoints, inside a plan: it keeps only the state before every few steps.

The steps between two checkpoints are a program of their own. The plan calls it piece by piece, always in the same
memory: forward, keeping the states; and in its backward pass from the last piece to the first, each computed again.

Source: Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost" (2016).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.rules import indexing
from ..autodiff.scope import context
from ..autodiff.trees import leaves, unflatten
from .elements.function import NoMachineCode
from .executable import GeneratedExecutable
from .generate import generate
from .graph.shapes import OfKnownShapes
from .graph.trace import recorded, tracer
from .graph.values import Value, in_order, is_constant, new_input
from .loops.loop import LoopResult
from .loops.traced_loop import aligned, unroll_traced
from .program.program import Program
from .runtime.failures import MachineCodeFailed


def unroll_checkpointed(
    cell: Callable[..., Any], xs: Any, state: Any, steps: int, reverse: bool, every: int
) -> tuple[Any, Any]:
    """Run a cell over a sequence inside a trace, as ``unroll_traced`` does, with a checkpoint every few steps.

    The loop has no checkpoints if the trace is for another reader than NumPy or machine code, since those
    don't manage memory; nor if the state gets its final form only in the first step.
    """
    trace = context.trace
    whole = partial(unroll_traced, cell, xs, state, steps, reverse)
    if trace.executor is None or trace.in_step or every >= steps:
        return whole()
    sequences, starts = ([recorded(trace, a) for a in leaves(tree)] for tree in (xs, state))
    pieces = _pieces(steps, reverse, every)
    programs: dict[int, Program] = {}
    forms: tuple[Any, Any] = ((), ())
    for piece in pieces:
        length = piece.stop - piece.start
        if length in programs:
            continue
        rows = [new_input((length, *v.shape[1:]), v.dtype, "input") for v in sequences]
        befores = [new_input(v.shape, v.dtype, "input") for v in starts]
        forms = unroll_traced(
            cell, unflatten(xs, map(tracer, rows)), unflatten(state, map(tracer, befores)), length, reverse
        )
        ys, afters = ([recorded(trace, a) for a in leaves(tree)] for tree in (forms[0], aligned(state, forms[1])))
        if [(v.shape, v.dtype) for v in afters] != [(v.shape, v.dtype) for v in starts]:
            return whole()
        given = [*rows, *befores, *_given([*ys, *afters], {*rows, *befores})]
        programs[length] = Program(trace, given, [*ys, *afters], [], None)
    op = CheckpointedLoop(programs, pieces, len(sequences), len(starts), trace.executor == "llvm")
    rest = programs[every].inputs[len(sequences) + len(starts) :]
    found = trace.record(op, tuple(map(tracer, [*sequences, *starts, *rest])), {"steps": op.spelling})
    results = iter(found)
    return unflatten(forms[0], results), aligned(forms[1], unflatten(state, results))


def _pieces(steps: int, reverse: bool, every: int) -> list[slice]:
    """The steps between checkpoints, in the order in which they are taken."""
    if reverse:
        return [slice(max(0, stop - every), stop) for stop in range(steps, 0, -every)]
    return [slice(start, min(start + every, steps)) for start in range(0, steps, every)]


def _given(outputs: Sequence[Value], own: set[Value]) -> list[Value]:
    """The Values on which some others depend in the end, without constants and their own inputs."""

    def parents(value: Value) -> Sequence[Value]:
        return value.op.reads([value]) if isinstance(value, LoopResult) else value.operands

    return [v for v in in_order(outputs, parents=parents) if v.op is None and not is_constant(v) and v not in own]


class CheckpointedLoop(OfKnownShapes):
    """The operation on sequences, the state before the first step, and what else the steps read.

    It returns the outputs of all steps, the state after the last, and the states at the checkpoints.

    Args:
        programs: for a number of steps, the program that runs so many between two checkpoints.
        pieces: the positions of these pieces in the sequences, in the order in which they run.
        sequences: how many sequences there are.
        states: how many parts the state has.
        machine_code: whether these steps become machine code.

    Attributes:
        outputs_per_step: how many outputs a step has.
        spelling: a short text that loops with other steps don't share.
    """

    __slots__ = ("_executables", "_machine_code", "_pieces", "_programs", "_sequences", "_states", "outputs_per_step",
                 "spelling")  # fmt: skip

    def __init__(
        self, programs: dict[int, Program], pieces: list[slice], sequences: int, states: int, machine_code: bool
    ) -> None:
        self._programs, self._pieces, self._machine_code = programs, pieces, machine_code
        self._sequences, self._states = sequences, states
        self._executables: dict[Any, GeneratedExecutable] = {}
        spelled = [(length, program.spelled_out()) for length, program in programs.items()]
        self.spelling = hashlib.sha256(repr(spelled).encode()).hexdigest()[:16]
        program = programs[max(programs)]
        self.outputs_per_step = len(program.outputs) - states
        steps = max(piece.stop for piece in pieces)
        ys, last = program.outputs[: self.outputs_per_step], program.outputs[self.outputs_per_step :]
        results = [((steps, *v.shape[1:]), v.dtype) for v in ys] + [(v.shape, v.dtype) for v in last]
        results += [((len(pieces), *v.shape), v.dtype) for v in last]
        super().__init__("checkpointed_loop", self._run, self._cotangents, results)

    def _executable(self, piece: slice, wanted: tuple[bool, ...]) -> GeneratedExecutable:
        """The executable for a piece, with the gradients of these inputs of its program."""
        length = piece.stop - piece.start
        if (length, wanted) not in self._executables:
            program = self._programs[length]
            self._executables[length, wanted] = _executable(program, wanted, self._machine_code)
        return self._executables[length, wanted]

    def _run(self, *args: np.ndarray, steps: str = "") -> tuple[np.ndarray, ...]:
        sequences, state, rest = self._parts(args)
        count = self.outputs_per_step
        ys = [np.empty(shape, dtype) for shape, dtype in self.results[:count]]
        kept = [np.empty(shape, dtype) for shape, dtype in self.results[count + self._states :]]
        for i, piece in enumerate(self._pieces):
            for a, before in zip(kept, state):
                a[i] = before
            outputs = self._executable(piece, ()).run([*(a[piece] for a in sequences), *state, *rest]).outputs
            for y, part in zip(ys, outputs):
                y[piece] = part
            state = outputs[count:]
        return (*ys, *state, *kept)

    def _parts(self, args: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        first, second = self._sequences, self._sequences + self._states
        return args[:first], args[first:second], args[second:]

    def _cotangents(self, wanted: Sequence[int], g: Any, ans: Any, *args: Any, steps: str = "") -> list[Any]:
        """The vjp rule: another operation, which computes each piece again."""
        count = self.outputs_per_step + self._states
        record = context.trace.record
        kept = [record(indexing.output, (ans, i)) for i in range(count, count + self._states)]
        used = tuple(c is not None for c in g[:count])
        cotangents = [c for c in g[:count] if c is not None]
        results = [(args[i].shape, args[i].dtype) for i in wanted]
        run = partial(self._run_back, used, tuple(wanted))
        op = OfKnownShapes("checkpointed_loop_back", run, (), results)
        return list(record(op, (*cotangents, *kept, *args), {"steps": self.spelling}))

    def _run_back(
        self, used: Sequence[bool], wanted: Sequence[int], *args: np.ndarray, steps: str = ""
    ) -> tuple[np.ndarray, ...]:
        given = iter(args)
        cotangents = [next(given) if is_used else None for is_used in used]
        kept = [next(given) for _ in range(self._states)]
        sequences, state, rest = self._parts(list(given))
        inputs = [*sequences, *state, *rest]
        are_states = range(self._sequences, self._sequences + self._states)
        chosen = tuple([i in wanted or (i in are_states and a.dtype.kind == "f") for i, a in enumerate(inputs)])
        of_outputs, of_state = cotangents[: self.outputs_per_step], cotangents[self.outputs_per_step :]
        totals = {i: np.zeros(inputs[i].shape, inputs[i].dtype) for i in wanted}
        for i in reversed(range(len(self._pieces))):
            piece = self._pieces[i]
            executable = self._executable(piece, chosen)
            start = executable.start(tuple([c is not None for c in (*of_outputs, *of_state)]))
            run = executable.run([*(a[piece] for a in sequences), *(a[i] for a in kept), *rest])
            arrived = [*(None if c is None else c[piece] for c in of_outputs), *of_state]
            found = run.gradients([zero if c is None else c for c, zero in zip(arrived, start.zeros)])
            del run  # and so its memory, for the next piece
            gradients = [None if place is None else found[place] for place in start.places]
            of_state = [gradients[j] for j in are_states]
            for j, total in totals.items():
                if j in are_states:
                    continue
                part = total[piece] if j < self._sequences else total
                if gradients[j] is not None:
                    part += gradients[j]
        for j, g in zip(are_states, of_state):
            if j in totals and g is not None:
                totals[j] = g
        return tuple(totals.values())


def _executable(program: Program, wanted: tuple[bool, ...], machine_code: bool) -> GeneratedExecutable:
    """A program ready to run, as machine code if that is asked for and possible."""
    if machine_code:
        try:
            executable = GeneratedExecutable(*generate(program, wanted, machine_code=True))
            executable.try_out([np.zeros(v.shape, v.dtype) for v in program.inputs])
            return executable
        except (NoMachineCode, MachineCodeFailed):
            pass
    return GeneratedExecutable(*generate(program, wanted))
