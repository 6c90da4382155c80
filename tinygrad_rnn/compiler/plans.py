"""Plans: what is kept of a compiled function for arguments of one form."""

from __future__ import annotations

import importlib.util
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.tensor import Tensor
from ..autodiff.trees import packer, tree_map
from .executable import Executable
from .guards.guards import Guards
from .guards.random_numbers import without_draws
from .guards.side_effects import nothing_changed
from .machine_code.function import NoMachineCode
from .program.program import Program, traced
from .report import described

THREAD = "tinygrad_rnn compiler"
CALLS_BEFORE_MACHINE_CODE = 2  # a function that is called once isn't worth seconds of compiling


class Outdated(Exception):
    """What a plan was traced from was changed without notice."""


class Plan:
    """A traced function for arguments of one form, with an executable for each set of gradients wanted so far.

    Args:
        function: what to trace.
        args: arguments of the form.
        executor: "numpy", "numba", or "auto": NumPy at once, and machine code, which a thread makes meanwhile, when it
            is ready.
        guards: what the plan depends on besides the function, which ``compiled`` watches.
        watched: all that the function may look at, or change, besides arrays.

    Attributes:
        captured: the Tensors that the function uses besides its arguments.
        traces: how often the function was traced for it.
        packed: makes of a tuple of results the tree that the function gives.

    Raises:
        CannotCompile: it can't be traced.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], executor: str, guards: Guards, watched: Sequence[Any]
    ) -> None:
        self.guards = guards
        self._watched = watched
        stand_ins = tree_map(lambda a: np.broadcast_to(np.zeros((), a.dtype), a.shape) if _is_array(a) else a, args)
        self._run_traced = partial(traced, function, stand_ins, watched)
        self._traced: Program | None = self._run_traced()
        self.traces = 1
        self._spelled = {True: self._traced.spelled_out()}
        self.captured = self._traced.captured
        self.packed = packer(self._traced.result)
        self._executor = executor
        self._executables: dict[tuple[bool, ...], Executable] = {}
        self._calls: dict[tuple[bool, ...], int] = {}
        self._by_numpy: dict[tuple[bool, ...], str] = {}  # why, though machine code was asked for

    def _trace(self, lifts_elements: bool = True) -> Program:
        """The function, traced once more.

        Raises:
            Outdated: it does something else than it did.
        """
        self.traces += 1
        program = self._run_traced(lifts_elements=lifts_elements)
        before = self._spelled.setdefault(lifts_elements, program.spelled_out())
        if any(a is not b for a, b in zip(program.captured, self.captured)) or program.spelled_out() != before:
            raise Outdated
        return program

    def executable(self, wanted: tuple[bool, ...]) -> Executable:
        """The best that there is so far, for gradients of these inputs.

        Args:
            wanted: for each input whether its gradient is wanted.
        """
        executable = self._executables.get(wanted)
        if executable is None:
            executable = self._executables[wanted] = self._made(wanted)
        if self._executor == "auto":
            calls = self._calls[wanted] = self._calls.get(wanted, 0) + 1
            if calls == CALLS_BEFORE_MACHINE_CODE and importlib.util.find_spec("numba"):
                self._improve(wanted)
        return executable

    def __str__(self) -> str:
        """What is computed where, for each set of gradients wanted so far."""
        texts = []
        for wanted, executable in self._executables.items():
            why = self._by_numpy.get(wanted)
            note = "" if why is None else f"by NumPy, since there is no machine code for {why}\n"
            texts.append(note + described(executable.program, executable.code))
        return "\n\n".join(texts)

    def _made(self, wanted: tuple[bool, ...]) -> Executable:
        if self._executor == "numba":
            try:
                return self._with_machine_code(wanted)
            except NoMachineCode as why:
                self._by_numpy[wanted] = str(why)
        program = self._traced or self._trace()
        self._traced = None
        return self._executable_of(program, wanted, machine_code=False)

    def _with_machine_code(self, wanted: tuple[bool, ...]) -> Executable:
        return self._executable_of(self._trace(lifts_elements=False), wanted, machine_code=True)

    def _executable_of(self, program: Program, wanted: tuple[bool, ...], machine_code: bool) -> Executable:
        if any(wanted):  # gradients of the user's own are run for it
            with nothing_changed(self._watched):
                without_draws(lambda: program.differentiate(wanted), Guards(*self._watched).generators)
        return Executable(program, machine_code)

    def _improve(self, wanted: tuple[bool, ...]) -> None:
        """Have a thread make machine code, which later calls then use."""
        try:
            better = self._with_machine_code(wanted)
        except NoMachineCode as why:
            self._by_numpy[wanted] = str(why)
            return

        def make() -> None:
            try:
                better.run_on_zeros()
            except Exception as error:
                warnings.warn(f"no machine code, NumPy goes on: {type(error).__name__}: {error}", stacklevel=1)
            else:
                self._executables[wanted] = better

        threading.Thread(target=make, name=THREAD).start()


def _is_array(a: Any) -> bool:
    return isinstance(a, (Tensor, np.ndarray))
