"""Plans: the traces and executables of a compiled function for arguments of one form."""

from __future__ import annotations

import functools
import html
import importlib.util
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..autodiff.errors import NotOnTensors
from ..autodiff.tensor import Tensor
from ..autodiff.trees import tree_map, unflatten
from . import thresholds
from .elements.function import NoMachineCode
from .executable import Executable, GeneratedExecutable
from .generate import generate
from .guards.guards import Guards
from .guards.random_numbers import without_draws
from .guards.side_effects import nothing_changed
from .program.program import Program
from .program.tracing import traced
from .report import described
from .runtime.failures import MachineCodeFailed
from .sized_executable import SizedExecutable
from .sizes.reading import DependsOnSize

THREAD = "tinygrad_rnn compiler"
Made = TypeVar("Made")


class Plan:
    """A function, traced once for arguments of one form, with an executable for each set of gradients wanted so far.

    Args:
        function: what to trace.
        args: arguments of the form.
        executor: "numpy", "llvm" or "jax"; "auto" for NumPy until a thread has made the machine code; "auto:20" for
            machine code from the 20th call on.
        guards: the things that the plan depends on besides the function, which ``compiled`` watches.
        watched: everything that the function may look at, or change, besides arrays.
        by_numpy: called with the reason if machine code was asked for but can't be made.

    Attributes:
        captured: the Tensors that the function uses besides its arguments.
        packed: turns a tuple of results into the tree that the function returns.
        why_fixed: the reason why this plan serves only these lengths, if a plan for all lengths was tried.

    Raises:
        CannotCompile: the function can't be traced.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        executor: str,
        guards: Guards,
        watched: Sequence[Any],
        by_numpy: Callable[[str], None],
    ) -> None:
        self.guards = guards
        self._watched = watched
        self._executor = executor
        self._program = self._traced(function, args)
        self.captured = self._program.captured
        self.packed = functools.partial(unflatten, self._program.result)
        self._executables: dict[tuple[bool, ...], Executable | SizedExecutable] = {}
        self._calls: dict[tuple[bool, ...], int] = {}
        self._switches_at = switching_call(executor)
        self._coming: dict[tuple[bool, ...], Coming] = {}
        self._say_by_numpy = by_numpy
        self._by_numpy: dict[tuple[bool, ...], str] = {}  # the reason, if machine code was asked for
        self.why_fixed = ""

    @property
    def program(self) -> Program:
        """The traced program of the function."""
        return self._program

    def _traced(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Program:
        executor = None if self._executor == "jax" else self._executor
        return traced(function, stand_ins(args), self._watched, executor)

    def executable(self, wanted: tuple[bool, ...], inputs: Sequence[Any], sizes: tuple[int, ...] = ()) -> Executable:
        """The best executable so far, for gradients of these inputs.

        Args:
            wanted: for each input, whether its gradient is wanted.
            inputs: Tensors and arrays.
            sizes: the free lengths of the inputs, if the plan is for arguments of many sizes.
        """
        executable = self._executables.get(wanted)
        if executable is None:
            executable = self._executables[wanted] = self._made(wanted, inputs, sizes)
        if self._switches_at is not None:
            executable = self._best_at_this_call(self._switches_at, wanted, inputs, sizes)
        return executable.at(sizes)

    def _best_at_this_call(
        self, switches_at: int, wanted: tuple[bool, ...], inputs: Sequence[Any], sizes: tuple[int, ...]
    ) -> Executable | SizedExecutable:
        """The executable for a call with "auto": NumPy's, or machine code if that is ready or its call has come."""
        calls = self._calls[wanted] = self._calls.get(wanted, 0) + 1
        begins_at = min(thresholds.CALLS_BEFORE_MACHINE_CODE, switches_at or thresholds.CALLS_BEFORE_MACHINE_CODE)
        if calls == begins_at and importlib.util.find_spec("llvmlite"):
            self._improve(wanted, inputs, sizes)
        coming = self._coming.get(wanted)
        if coming is not None and (not switches_at or calls >= switches_at):
            if switches_at:
                coming.thread.join()
            is_over = not coming.thread.is_alive()
            if coming.executable is not None:
                self._executables[wanted] = coming.executable
            if is_over:
                del self._coming[wanted]
        return self._executables[wanted]

    def __str__(self) -> str:
        """The plan as text: the storage and the order of the program, for each set of gradients wanted so far."""
        head = f"for these lengths alone, because {self.why_fixed}\n\n" if self.why_fixed else ""
        return head + "\n\n".join(self._described(wanted) for wanted in self._executables)

    def _described(self, wanted: tuple[bool, ...]) -> str:
        why = self._by_numpy.get(wanted)
        program, executable = self._shown(wanted)
        notes = [*([] if why is None else [f"by NumPy, because {why}"]), *executable.notes]
        return "\n".join([*notes, described(program, executable.buffers)])

    def _shown(self, wanted: tuple[bool, ...]) -> tuple[Program, Executable]:
        """The program that runs, and its executable, for printing."""
        executable = self._executables[wanted].at(())
        return executable.program, executable

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def source(self) -> str:
        """The generated functions as text, for each set of gradients wanted so far: calls of NumPy, and loops.

        A loop in machine code appears as a call. A program that runs on JAX is in JAX's notation. Names consist of a
        word and a number, counted from 0. A view of a buffer is made only once, with the buffer; a comment shows how.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tr
            >>> double = tr.compile(lambda x: np.tanh(x) * 2)
            >>> y = double(np.ones(3))
            >>> print(double.plans[0].source())
            def forward(tanh_0, input_1):
                tanh(input_1, out=tanh_0)
                multiply(tanh_0, 2, out=tanh_0)
                return ((array(tanh_0),), ())
        """
        return "\n\n\n".join(self._shown(wanted)[1].source() for wanted in self._executables)

    def _made(
        self, wanted: tuple[bool, ...], inputs: Sequence[Any], sizes: tuple[int, ...]
    ) -> Executable | SizedExecutable:
        if self._executor == "jax":
            from .jax_executable import on_jax  # only now: JAX is an extra

            return self._without_effects(lambda: on_jax(self._program, wanted), wanted)
        if self._executor == "llvm":
            try:
                executable = self._generated(wanted, machine_code=True)
                executable.at(sizes).try_out([_data(a) for a in inputs])
                return executable
            except (NotOnTensors, DependsOnSize):
                raise
            except Exception as error:  # llvmlite changes, and may fail in unforeseen ways
                self._give_up(wanted, error)
        return self._generated(wanted, machine_code=False)

    def _give_up(self, wanted: tuple[bool, ...], error: Exception) -> None:
        """Leave a program to NumPy, and say why: the operation without machine code, or the failure."""
        expected = isinstance(error, (NoMachineCode, MachineCodeFailed, DependsOnSize))
        self._by_numpy[wanted] = str(error if expected else MachineCodeFailed(error))
        if self._executor == "llvm" or not isinstance(error, (NoMachineCode, DependsOnSize)):
            self._say_by_numpy(self._by_numpy[wanted])

    def _generated(self, wanted: tuple[bool, ...], machine_code: bool) -> GeneratedExecutable | SizedExecutable:
        return self._without_effects(lambda: self._compiled(wanted, machine_code), wanted)

    def _compiled(self, wanted: tuple[bool, ...], machine_code: bool) -> GeneratedExecutable | SizedExecutable:
        return GeneratedExecutable(*generate(self._program, wanted, machine_code))

    def _without_effects(self, make: Callable[[], Made], wanted: tuple[bool, ...]) -> Made:
        """Call ``make`` on the program; gradients written by the user may neither change anything nor draw numbers."""
        if not any(wanted):
            return make()
        with nothing_changed(self._watched) as before:
            return without_draws(make, before.generators)

    def _improve(self, wanted: tuple[bool, ...], inputs: Sequence[Any], sizes: tuple[int, ...]) -> None:
        """Start a thread that makes machine code, which later calls then use."""
        try:
            better = self._generated(wanted, machine_code=True)
        except NotOnTensors:
            raise
        except Exception as error:
            self._give_up(wanted, error)
            return
        copies = [np.array(_data(a)) for a in inputs]

        def make() -> None:
            try:
                better.at(sizes).try_out(copies)
            except Exception as error:
                self._give_up(wanted, error)
            else:
                coming.executable = better

        coming = self._coming[wanted] = Coming(threading.Thread(target=make, name=THREAD))
        coming.thread.start()


class Chosen(NamedTuple):
    """A plan for the arguments at hand."""

    plan: Plan
    sizes: tuple[int, ...] = ()  # their free lengths; () if the plan is for these lengths alone


class Coming:
    """Machine code while a thread makes it.

    Attributes:
        executable: the finished executable; None until it is ready.
    """

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.executable: GeneratedExecutable | SizedExecutable | None = None


def switching_call(executor: str) -> int | None:
    """The call from which machine code runs: 20 for "auto:20"; 0 for "auto": once it is ready; else None."""
    name, colon, call = executor.partition(":")
    if name != "auto" or (colon and not (call.isascii() and call.isdigit() and int(call))):
        return None
    return int(call) if colon else 0


def stand_ins(args: tuple[Any, ...], lengths: Iterable[int] | None = None) -> tuple[Any, ...]:
    """Arguments in which each array stands for any array of its shape, and takes no memory.

    Args:
        args: the arguments.
        lengths: the new lengths of all their axes, if they are to change.
    """
    remaining = None if lengths is None else iter(lengths)

    def stand_in(a: Any) -> Any:
        if not _is_array(a):
            return a
        shape = a.shape if remaining is None else tuple(islice(remaining, a.ndim))
        return np.broadcast_to(np.zeros((), a.dtype), shape)

    made: tuple[Any, ...] = tree_map(stand_in, args)
    return made


def _is_array(a: Any) -> bool:
    return isinstance(a, (Tensor, np.ndarray))


def _data(a: Any) -> Any:
    return a._data if isinstance(a, Tensor) else a
