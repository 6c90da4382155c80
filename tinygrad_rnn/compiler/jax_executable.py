"""A program that runs on JAX: it is called like generated code, but keeps its arrays on JAX's device in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from . import thresholds
from .executable import Executable, Run
from .generate import scheduled
from .graph.values import Value
from .jax_code.passes import Found, Pass, passes_of
from .jax_code.precision import as_jax_has_it, as_numpy_computes
from .loops.fission import Cheap
from .program.program import Program


def on_jax(program: Program, wanted: Sequence[bool]) -> JaxExecutable:
    """A traced program, split and differentiated, on JAX.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """
    program = scheduled(program, wanted, Cheap.SLICES_BEFORE)
    is_loss = bool(program.gradients) and [v.shape for v in program.outputs] == [()]
    return JaxLoss(program) if is_loss else JaxExecutable(program)


class PassInRoom:
    """A compiled pass, and arrays of its earlier calls that XLA may overwrite: its room.

    XLA takes new memory for each call. On a CPU, the system has to clear the pages of large arrays before they are
    written, which takes as long as a fifth of an LSTM's step.

    Attributes:
        run: the compiled function; its first argument is room.
        waiting: the room of earlier calls, in tuples: to JAX, a list would be another form of argument.
    """

    def __init__(self, a_pass: Pass) -> None:
        def run(room: Any, *args: Any) -> Any:
            return a_pass(*args, room=room)

        self.a_pass = a_pass
        self.run = jax.jit(run, donate_argnums=0, keep_unused=True)
        self.waiting: deque[tuple[Any, ...]] = deque(maxlen=thresholds.MOST_WAITING)
        self._forms = tuple(map(_form, a_pass.room))

    def traced(self, *forms: Any) -> Found:
        """The forms of its results; so an operation without a JAX form is refused before anything runs."""
        with as_numpy_computes():
            found: Found = self.run.eval_shape(self._forms, *forms)
            return found

    def room(self) -> tuple[Any, ...]:
        """The room of an earlier call, or new room."""
        try:
            return self.waiting.pop()
        except IndexError:  # a test before the pop would let another thread take the last one in between
            return tuple(np.empty(form.shape, form.dtype) for form in self._forms)

    def __call__(self, *args: Any) -> Found:
        """The results for these arguments."""
        with as_numpy_computes():
            given = (np.asarray(a, as_jax_has_it(a.dtype)) if isinstance(a, np.ndarray) else a for a in args)
            found: Found = self.run(self.room(), *given)
            return found


class JaxExecutable(Executable):
    """A program on JAX's first device.

    Attributes:
        passes: its passes, as parts for larger functions of JAX.
        forward: the forward pass, compiled.
        backward: the backward pass, likewise; None for a program without.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.passes = passes_of(program, _has_room)
        self.forward = PassInRoom(self.passes.forward)
        self.backward = None if self.passes.backward is None else PassInRoom(self.passes.backward)
        self._trace()

    def _trace(self) -> None:
        found = self.forward.traced(*map(_form, self.program.inputs))
        if self.backward is not None:
            self.backward.traced(*map(_form, self.program.cotangents), *found.saved)

    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the outputs."""
        return JaxRun(self, inputs)

    def source(self) -> str:
        """The two passes in JAX's notation."""
        with as_numpy_computes():
            inputs = list(map(_form, self.program.inputs))
            texts = [str(jax.make_jaxpr(self.passes.forward)(*inputs))]
            if self.passes.backward is not None:
                saved = jax.eval_shape(self.passes.forward, *inputs).saved
                texts.append(str(jax.make_jaxpr(self.passes.backward)(*map(_form, self.program.cotangents), *saved)))
        return "\n\n".join(texts)


class JaxLoss(JaxExecutable):
    """A loss on JAX's first device: one number, which is computed together with its gradients.

    One call of XLA takes less time than two: its threads start once, and what the backward pass reads stays inside. The
    cotangent isn't known before the backward pass, but it is 1, unless the loss is part of a larger one. So that of
    the last backward pass is taken; where it proves wrong, all is computed again.

    Attributes:
        both: both passes as one, compiled.
        cotangent: that of the last backward pass; 1 before there was one.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """

    def _trace(self) -> None:
        (cotangent,) = self.program.cotangents
        self.both = PassInRoom(self.passes.both)
        self.both.traced(*map(_form, [cotangent, *self.program.inputs]))
        self.cotangent = np.ones((), cotangent.dtype)

    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the loss and its gradients."""
        return JaxLossRun(self, inputs)


def _has_room(value: Value) -> bool:
    """Return True for a large array on a CPU: other devices keep freed memory for reuse."""
    return jax.default_backend() == "cpu" and value.nbytes >= thresholds.SMALLEST_ROOM


def _check(in_range: Any) -> None:
    if not in_range:
        raise IndexError("an index is out of range, or a matrix is singular")


class JaxRun:
    """A call of a program in JAX.

    Raises:
        IndexError: an index pointed past the end of an axis, or a matrix was singular.
    """

    __slots__ = ("_executable", "_found", "inputs", "outputs")

    def __init__(self, executable: JaxExecutable, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self.inputs = executable, inputs
        self._found: Found | None = None  # if the pass fails
        self._found = executable.forward(*inputs)
        _check(self._found.in_range)
        self.outputs = tuple(map(np.asarray, self._found.results))

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""
        backward = self._executable.backward
        if backward is None or self._found is None:  # the outputs depend on nothing whose gradient is wanted
            return ()
        found = backward(*cotangents, *self._found.saved)
        backward.waiting.append(found.series)
        return tuple(map(np.array, found.results))

    def __del__(self) -> None:
        if self._found is not None:
            a_pass = self._executable.forward.a_pass
            kept = {*a_pass.room}
            saved = (a for v, a in zip(a_pass.saved, self._found.saved) if v in kept)
            self._executable.forward.waiting.append((*self._found.series, *saved))


class JaxLossRun:
    """A call of a loss in JAX.

    Raises:
        IndexError: an index pointed past the end of an axis, or a matrix was singular.
    """

    __slots__ = ("_cotangent", "_executable", "_gradients", "inputs", "outputs")

    def __init__(self, executable: JaxLoss, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self.inputs = executable, inputs
        self.outputs = self._computed(executable.cotangent)

    def _computed(self, cotangent: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute the loss, which is returned, and its gradients for this cotangent."""
        both = self._executable.both
        found = both(cotangent, *self.inputs)
        both.waiting.append(found.series)
        _check(found.in_range)
        loss, *self._gradients = found.results
        self._cotangent = cotangent
        return (np.asarray(loss),)

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from the cotangent of the loss."""
        (cotangent,) = cotangents
        if cotangent != self._cotangent:
            self._executable.cotangent = np.array(cotangent)
            self._computed(self._executable.cotangent)
        return tuple(map(np.array, self._gradients))


def _form(value: Any) -> jax.ShapeDtypeStruct:
    with as_numpy_computes():
        return jax.ShapeDtypeStruct(value.shape, as_jax_has_it(value.dtype))
