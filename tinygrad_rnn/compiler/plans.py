"""Plans: what is kept of a compiled function for arguments of one form."""

from __future__ import annotations

import html
import importlib.util
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..autodiff.errors import NotOnTensors
from ..autodiff.tensor import Tensor
from ..autodiff.trees import packer, tree_map
from . import thresholds
from .elements.function import NoMachineCode
from .executable import Executable, GeneratedExecutable
from .generate import generate
from .guards.guards import Guards
from .guards.random_numbers import without_draws
from .guards.side_effects import nothing_changed
from .program.tracing import traced
from .report import described
from .runtime.failures import MachineCodeFailed

THREAD = "tinygrad_rnn compiler"
Made = TypeVar("Made")


class Plan:
    """A function, traced once for arguments of one form, with an executable for each set of gradients wanted so far.

    Args:
        function: what to trace.
        args: arguments of the form.
        executor: "numpy", "numba", "jax", or "auto": NumPy at once, and machine code, which a thread makes meanwhile,
            when it is ready.
        guards: what the plan depends on besides the function, which ``compiled`` watches.
        watched: all that the function may look at, or change, besides arrays.
        by_numpy: is told why there is no machine code, where there was to be some.

    Attributes:
        program: what the function does, as it was traced.
        captured: the Tensors that the function uses besides its arguments.
        packed: makes of a tuple of results the tree that the function gives.

    Raises:
        CannotCompile: it can't be traced.
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
        stand_ins = tree_map(lambda a: np.broadcast_to(np.zeros((), a.dtype), a.shape) if _is_array(a) else a, args)
        self.program = traced(function, stand_ins, watched)
        self.captured = self.program.captured
        self.packed = packer(self.program.result)
        self._executor = executor
        self._executables: dict[tuple[bool, ...], Executable] = {}
        self._calls: dict[tuple[bool, ...], int] = {}
        self._say_by_numpy = by_numpy
        self._by_numpy: dict[tuple[bool, ...], str] = {}  # why, though machine code was asked for

    def executable(self, wanted: tuple[bool, ...], inputs: Sequence[Any]) -> Executable:
        """The best that there is so far, for gradients of these inputs.

        Args:
            wanted: for each input whether its gradient is wanted.
            inputs: Tensors and arrays.
        """
        executable = self._executables.get(wanted)
        if executable is None:
            executable = self._executables[wanted] = self._made(wanted, inputs)
        if self._executor == "auto":
            calls = self._calls[wanted] = self._calls.get(wanted, 0) + 1
            if calls == thresholds.CALLS_BEFORE_MACHINE_CODE and importlib.util.find_spec("numba"):
                self._improve(wanted, inputs)
        return executable

    def __str__(self) -> str:
        """What is computed where, for each set of gradients wanted so far."""
        texts = []
        for wanted, executable in self._executables.items():
            why = self._by_numpy.get(wanted)
            notes = [*([] if why is None else [f"by NumPy, because {why}"]), *executable.notes]
            texts.append("\n".join([*notes, described(executable.program, executable.buffers)]))
        return "\n\n".join(texts)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def source(self) -> str:
        """The generated functions as text, for each set of gradients wanted so far: calls of NumPy, and loops.

        Loops that are machine code are calls in it. What runs on JAX is in JAX's notation.
        Names are made of a word and a number, counted from 0. A view of a
        buffer is made but once, with the buffer: what it is stands in a comment.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tr
            >>> double = tr.compile(lambda x: np.tanh(x) * 2)
            >>> y = double(np.ones(3))
            >>> print(double.plans[0].source())
            def forward(multiply_0, tanh_1, input_2):
                tanh(input_2, out=tanh_1)
                multiply(tanh_1, 2, out=multiply_0)
                return ((array(multiply_0),), ())
        """
        return "\n\n\n".join(executable.source() for executable in self._executables.values())

    def _made(self, wanted: tuple[bool, ...], inputs: Sequence[Any]) -> Executable:
        if self._executor == "jax":
            from .jax_executable import on_jax  # only now: JAX is an extra

            return self._without_effects(lambda: on_jax(self.program, wanted), wanted)
        if self._executor == "numba":
            try:
                executable = self._generated(wanted, machine_code=True)
                executable.try_out([_data(a) for a in inputs])
                return executable
            except NotOnTensors:
                raise
            except Exception as error:  # numba changes, and may fail in ways that nobody knows beforehand
                self._give_up(wanted, error)
        return self._generated(wanted, machine_code=False)

    def _give_up(self, wanted: tuple[bool, ...], error: Exception) -> None:
        """Leave it to NumPy, and say why: which operation has no machine code, or what is wrong with numba."""
        expected = isinstance(error, (NoMachineCode, MachineCodeFailed))
        self._by_numpy[wanted] = str(error if expected else MachineCodeFailed(error))
        if self._executor == "numba" or not isinstance(error, NoMachineCode):
            self._say_by_numpy(self._by_numpy[wanted])

    def _generated(self, wanted: tuple[bool, ...], machine_code: bool) -> GeneratedExecutable:
        made = self._without_effects(lambda: generate(self.program, wanted, machine_code), wanted)
        return GeneratedExecutable(*made)

    def _without_effects(self, make: Callable[[], Made], wanted: tuple[bool, ...]) -> Made:
        """What is made of the program, perhaps by gradients of the user's own: they may change nothing, nor draw."""
        if not any(wanted):
            return make()
        with nothing_changed(self._watched):
            return without_draws(make, Guards(*self._watched).generators)

    def _improve(self, wanted: tuple[bool, ...], inputs: Sequence[Any]) -> None:
        """Have a thread make machine code, which later calls then use."""
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
                better.try_out(copies)
            except Exception as error:
                self._give_up(wanted, error)
            else:
                self._executables[wanted] = better

        threading.Thread(target=make, name=THREAD).start()


def _is_array(a: Any) -> bool:
    return isinstance(a, (Tensor, np.ndarray))


def _data(a: Any) -> Any:
    return a._data if isinstance(a, Tensor) else a
