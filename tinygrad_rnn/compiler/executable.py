"""Running a program: the arrays of one call, and the calls that may be under way at the same time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .executors import generate
from .generated import Buffer, Function
from .program import Program
from .reach import reached_from
from .values import label


class Executable:
    """A program with its functions, and the workspaces that wait to be used again.

    A workspace holds what a forward pass saves, so it belongs to one call until its backward pass is done or not wanted
    any more. Then the next call takes it: nothing is allocated, and its memory is in the caches.

    Args:
        program: what is computed.
        machine_code: whether loops become machine code.

    Attributes:
        program: what is computed.
        code: its functions and buffers.
    """

    def __init__(self, program: Program, machine_code: bool = False) -> None:
        self.program = program
        self.code = generate(program, machine_code)
        inputs = [label(v) for v in program.inputs]
        given = {name: i for i, name in enumerate(inputs)}
        self._forward_slots = _slots(self.code.forward, given)
        if self.code.backward is not None:
            given |= {name: len(given) + i for i, name in enumerate(label(v) for v in program.cotangents)}
            given |= {name: len(given) + i for i, name in enumerate(self.code.saved)}
            self._backward_slots = _slots(self.code.backward, given)
        self._places: dict[tuple[bool, ...], list[int | None]] = {}
        self._waiting: list[Workspace] = []

    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the outputs."""
        try:
            workspace = self._waiting.pop()
        except IndexError:  # asking first whether one waits would let another thread take it in between
            workspace = Workspace(self)
        return Run(self, workspace, inputs)

    def run_on_zeros(self) -> None:
        """Run once for nothing, so that numba compiles what it needs."""
        run = self.run([np.zeros(v.shape, v.dtype) for v in self.program.inputs])
        if self.code.backward is not None and threading.main_thread().is_alive():
            run.gradients([np.zeros(v.shape, v.dtype) for v in self.program.cotangents])

    def places(self, used: tuple[bool, ...]) -> list[int | None]:
        """For each input where its gradient stands among those of ``Run.gradients``; None if there is none for it.

        Args:
            used: for each output whether a cotangent has arrived there.
        """
        if used not in self._places:
            program = self.program
            reached = reached_from([v for v, is_used in zip(program.outputs, used) if is_used])
            places = {v: i for i, v in enumerate(program.gradients) if v in reached}
            self._places[used] = [places.get(v) for v in program.inputs]
        return self._places[used]

    def take_back(self, workspace: Workspace) -> None:
        """Keep a workspace for the next call."""
        self._waiting.append(workspace)


def _slots(function: Function, given: dict[str, int]) -> list[tuple[int, int]]:
    """What a function is given at each call: (place among its parameters, place among what is given)."""
    return [(place, given[name]) for place, name in enumerate(function.parameters) if name in given]


class Workspace:
    """The buffers of one call, and the argument lists of the functions, filled in as far as they are known."""

    __slots__ = ("backward", "forward")

    def __init__(self, executable: Executable) -> None:
        code = executable.code
        arrays: dict[str, Any] = {name: allocated(buffer) for name, buffer in code.buffers.items()}
        self.forward = [arrays.get(name) for name in code.forward.parameters]
        self.backward = [] if code.backward is None else [arrays.get(name) for name in code.backward.parameters]


def allocated(buffer: Buffer) -> np.ndarray:
    """An array for a buffer; its elements are whatever was there."""
    return np.empty(buffer.shape, buffer.dtype)


class Run:
    """One call: what it was given, what it gave, and its workspace until it is gone.

    Attributes:
        inputs: what it was given.
        outputs: what the program gave.
    """

    __slots__ = ("_executable", "_saved", "_workspace", "inputs", "outputs")

    def __init__(self, executable: Executable, workspace: Workspace, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self._workspace, self.inputs = executable, workspace, inputs
        arguments = workspace.forward
        for place, i in executable._forward_slots:
            arguments[place] = inputs[i]
        self.outputs, self._saved = executable.code.forward.run(*arguments)

    def gradients(self, cotangents: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""
        backward = self._executable.code.backward
        assert backward is not None, "a program without a backward pass"
        given = (*self.inputs, *cotangents, *self._saved)
        arguments = self._workspace.backward
        for place, i in self._executable._backward_slots:
            arguments[place] = given[i]
        found: tuple[np.ndarray, ...] = backward.run(*arguments)
        return found

    def __del__(self) -> None:
        self._executable.take_back(self._workspace)
