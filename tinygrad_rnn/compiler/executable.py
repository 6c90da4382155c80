"""Running a program: the arrays of one call, and the calls that may be under way at the same time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from . import thresholds
from .graph.values import label
from .numpy_code.generated import Buffer, Code
from .numpy_code.writer import renumbered
from .program.program import Program
from .program.reach import reached_from
from .runtime.failures import MachineCodeFailed

Same = TypeVar("Same", bound="Executable")


class Executable(ABC):
    """A program, ready to run.

    Args:
        program: the program to compute.
        output_shapes: the shapes of its outputs, if they differ from the program's.
        other: the same program for arguments of other sizes; this one shares whatever doesn't depend on the size.

    Attributes:
        outputs: the shape and dtype of each output.
        notes: remarks for the user on how it runs.
        buffers: the arrays that are kept from call to call; None if another library manages the memory.
    """

    buffers: Sequence[Buffer] | None = None

    def __init__(
        self,
        program: Program,
        output_shapes: Sequence[tuple[int, ...]] | None = None,
        other: Executable | None = None,
    ) -> None:
        self.program = program
        shapes = [v.shape for v in program.outputs] if output_shapes is None else output_shapes
        self.outputs = [(shape, v.dtype) for shape, v in zip(shapes, program.outputs)]
        self.notes: list[str] = []
        self._starts: dict[tuple[bool, ...], Start] = {}
        self._places: dict[tuple[bool, ...], list[int | None]] = {} if other is None else other._places

    def at(self: Same, sizes: tuple[int, ...]) -> Same:
        """The executable itself: it is for arguments of certain sizes."""
        return self

    @abstractmethod
    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the outputs."""

    @abstractmethod
    def source(self) -> str:
        """The generated code, as text."""

    def start(self, used: tuple[bool, ...]) -> Start:
        """The start of the backward pass.

        Args:
            used: for each output, whether a cotangent has arrived there.
        """
        if used not in self._starts:
            zeros = [None if is_used else np.zeros(*form) for form, is_used in zip(self.outputs, used)]
            self._starts[used] = Start(zeros, self._places_of_gradients(used))
        return self._starts[used]

    def _places_of_gradients(self, used: tuple[bool, ...]) -> list[int | None]:
        if used not in self._places:
            program = self.program
            outputs = program.outputs_as_traced or program.outputs  # where all rules still stand, as in the eager graph
            reached = reached_from([v for v, is_used in zip(outputs, used) if is_used])
            places = {v: i for i, v in enumerate(program.gradients) if v in reached}
            self._places[used] = [places.get(v) for v in program.inputs]
        return self._places[used]


class Run(Protocol):
    """A call of an executable.

    Attributes:
        inputs: the inputs of the call.
        outputs: the outputs of the program.
    """

    inputs: Sequence[np.ndarray]
    outputs: tuple[np.ndarray, ...]

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""


class Start(NamedTuple):
    """The start of a backward pass, also if cotangents have arrived at some of the outputs only.

    Attributes:
        zeros: for each output without a cotangent the zeros that replace it, not to be written to; None for the others.
        places: for each input the position of its gradient in ``Run.gradients``; None if it has none.
    """

    zeros: list[np.ndarray | None]
    places: list[int | None]


class GeneratedExecutable(Executable):
    """A program with generated functions, and the memory that waits to be used again.

    The memory holds what a forward pass saves, so it belongs to one call until the backward pass of that call is done
    or no longer wanted. Then the next call takes it: nothing is allocated, and it is in the processor's caches.

    Args:
        program: the program to compute.
        code: its functions and buffers.
        output_shapes: as in ``Executable``.
        other: as in ``Executable``; the two share their memory.
    """

    def __init__(
        self,
        program: Program,
        code: Code,
        output_shapes: Sequence[tuple[int, ...]] | None = None,
        other: GeneratedExecutable | None = None,
    ) -> None:
        super().__init__(program, output_shapes, other)
        self._waiting: deque[Memory] = deque(maxlen=thresholds.MOST_WAITING) if other is None else other._waiting
        self.code = code
        self.buffers = list(code.buffers.values())
        self.notes = [f"a loop calls NumPy at each step, because {why}" for why in dict.fromkeys(code.left_to_numpy)]
        given = list(map(label, program.inputs))
        self._given_forward = _selection(self.code.forward.given, given)
        if self.code.backward is not None:
            given += [*map(label, program.cotangents), *self.code.saved]
            self._given_backward = _selection(self.code.backward.given, given)

    def run(self, inputs: Sequence[np.ndarray]) -> GeneratedRun:
        """Compute the outputs."""
        try:
            memory = self._waiting.pop()
        except IndexError:  # a test before the pop would let another thread take the last one in between
            memory = Memory()
        return GeneratedRun(self, memory, inputs)

    def source(self) -> str:
        """The generated functions: calls of NumPy, and loops."""
        functions = [self.code.forward] if self.code.backward is None else [self.code.forward, self.code.backward]
        views = [f"# {name} is {view.text}" for name, view in self.code.views.items()]
        return renumbered("\n".join([*views, *(function.source for function in functions)]))

    def try_out(self, inputs: Sequence[np.ndarray]) -> None:
        """Run once for nothing, so that its machine code is made. Any other failure will occur again in a real call.

        Raises:
            MachineCodeFailed: there can be no machine code for something.
        """
        try:
            with np.errstate(all="ignore"):
                run = self.run(inputs)
                if self.code.backward is not None and threading.main_thread().is_alive():
                    run.gradients([np.zeros(shape, dtype) for shape, dtype in self.outputs])
        except MachineCodeFailed:
            raise
        except Exception:  # such as a singular matrix, which a real call will report
            return


def _selection(names: Sequence[str], given: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function that picks the values with these names."""
    places = [given.index(name) for name in names]
    return itemgetter(*places) if len(places) > 1 else lambda values: tuple([values[i] for i in places])


class Memory:
    """The arrays of one call. They grow with the arguments, and are used again for smaller ones."""

    __slots__ = ("_arrays", "_workspaces")

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}  # flat, by the name of the buffer
        self._workspaces: dict[tuple[int, ...], list[list[Any]]] = {}  # by the sizes for which they were made

    def workspace(self, code: Code) -> list[list[Any]]:
        """The arguments that the forward function takes at each call, and those that the backward function takes."""
        try:
            return self._workspaces[code.sizes]
        except KeyError:
            if len(self._workspaces) >= thresholds.MOST_SIZES:
                self._workspaces.clear()
            arrays = {name: self._array(name, buffer) for name, buffer in code.buffers.items()}
            views = {name: view.of(arrays[view.buffer], *code.numbers.values()) for name, view in code.views.items()}
            kept = {**arrays, **views, **code.numbers}
            functions = [function for function in (code.forward, code.backward) if function is not None]
            self._workspaces[code.sizes] = [[kept[name] for name in function.kept] for function in functions]
            return self._workspaces[code.sizes]

    def _array(self, name: str, buffer: Buffer) -> np.ndarray:
        size, found = buffer.size, self._arrays.get(name)
        if found is None or len(found) < size:
            self._workspaces.clear()  # they would keep the smaller arrays alive
            found = self._arrays[name] = Buffer((size,), buffer.dtype).allocated()
        return found[:size].reshape(buffer.shape)


class GeneratedRun:
    """A call: its inputs and outputs, and its memory until the call returns it."""

    __slots__ = ("_executable", "_memory", "_saved", "_workspace", "inputs", "outputs")

    def __init__(self, executable: GeneratedExecutable, memory: Memory, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self._memory, self.inputs = executable, memory, inputs
        workspace = self._workspace = memory.workspace(executable.code)
        run = executable.code.forward.run
        self.outputs, self._saved = run(*workspace[0], *executable._given_forward(inputs))

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""
        backward = self._executable.code.backward
        if backward is None:  # the outputs depend on nothing whose gradient is wanted
            return ()
        given = self._executable._given_backward((*self.inputs, *cotangents, *self._saved))
        found: tuple[np.ndarray, ...] = backward.run(*self._workspace[1], *given)
        return found

    def __del__(self) -> None:
        self._executable._waiting.append(self._memory)
