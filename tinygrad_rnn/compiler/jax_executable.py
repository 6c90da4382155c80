"""A program that runs on JAX: it is called like generated code, but keeps its arrays on JAX's device in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from . import thresholds
from .executable import Executable, Run
from .generate import scheduled
from .graph.values import Value
from .jax_code import places
from .jax_code.passes import Both, Pass, passes_of
from .jax_code.precision import as_jax_has_it, as_numpy_computes
from .loops.fission import Cheap
from .program.program import Program


def on_jax(program: Program, wanted: Sequence[bool]) -> JaxExecutable:
    """A traced program, split and differentiated, on JAX.

    Args:
        program: a program from ``traced``.
        wanted: for each of its inputs, whether the gradient is wanted.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """
    program = scheduled(program, wanted, Cheap.SLICES_BEFORE)
    is_loss = bool(program.gradients) and [v.shape for v in program.outputs] == [()]
    return JaxLoss(program) if is_loss else JaxExecutable(program)


class JaxExecutable(Executable):
    """A program on JAX's first device.

    XLA takes new memory for each call. On a CPU, the system has to clear the pages of large arrays before they are
    written, which takes as long as a fifth of an LSTM's step. So each pass gets *room* from an earlier one: its large
    arrays, which XLA may overwrite.

    Args:
        program: the program to compute.

    Attributes:
        passes: both passes, as parts for larger functions of JAX.
        forward: the forward pass, compiled; its first argument is room.
        backward: the backward pass, likewise; None for a program without.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.passes = passes = passes_of(program, _has_room)
        self.forward = _in_room(passes.forward)
        self.backward = None if passes.backward is None else _in_room(passes.backward)
        self._trace()

    def _trace(self) -> None:
        """Trace with JAX at once, so that an operation without a JAX form is refused before anything runs."""
        with as_numpy_computes():
            self._forms = Room(*(_forms_of_room(a_pass) for a_pass in (self.passes.forward, self.passes.backward)))
            made = self.forward.eval_shape(self._forms.forward, *map(_form, self.program.inputs))
            if self.backward is not None:
                cotangents = tuple(map(_form, self.program.cotangents))
                self.backward.eval_shape(self._forms.backward, cotangents, made.saved)

    def room(self) -> Room:
        """The room of an earlier call, or new room."""
        try:
            return self._waiting.pop()
        except IndexError:  # a test before the pop would let another thread take the last one in between
            return Room(*(tuple(np.empty(form.shape, form.dtype) for form in forms) for forms in self._forms))

    def kept_in_room(self, saved: Sequence[Any]) -> list[Any]:
        """The arrays that the forward pass saved in its room."""
        room = {*self.passes.forward.room}
        return [a for v, a in zip(self.passes.saved, saved) if v in room]

    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the outputs."""
        return JaxRun(self, inputs)

    def source(self) -> str:
        """The two passes in JAX's notation."""
        with as_numpy_computes():
            inputs, cotangents = (
                tuple(map(_form, values)) for values in (self.program.inputs, self.program.cotangents)
            )
            texts = [str(jax.make_jaxpr(self.passes.forward)(*inputs))]
            if self.passes.backward is not None:
                saved = jax.eval_shape(self.passes.forward, *inputs).saved
                texts.append(str(jax.make_jaxpr(self.passes.backward)(cotangents, saved)))
        return "\n\n".join(texts)


class JaxLoss(JaxExecutable):
    """A loss on JAX's first device: one number, which is computed together with its gradients.

    One call of XLA takes less time than two: its threads start once, and what the backward pass reads stays inside. The
    cotangent isn't known before the backward pass, but it is 1, unless the loss is part of a larger one. So that of
    the last backward pass is taken; where it proves wrong, all is computed again.

    Args:
        program: the program to compute.

    Attributes:
        both: both passes as one, compiled; its first argument is room.
        cotangent: that of the last backward pass; 1 before there was one.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """

    def _trace(self) -> None:
        self.both = _in_room(self.passes.both)
        (cotangent,) = self.program.cotangents
        with as_numpy_computes():
            self._forms = Room(_forms_of_room(self.passes.both), ())
            self.both.eval_shape(self._forms.forward, (_form(cotangent),), *map(_form, self.program.inputs))
        self.cotangent = np.ones((), cotangent.dtype)

    def run(self, inputs: Sequence[np.ndarray]) -> Run:
        """Compute the loss and its gradients."""
        return JaxLossRun(self, inputs)

    def computed(self, inputs: Sequence[np.ndarray], cotangent: Any) -> Both:
        """The loss, and its gradients for this cotangent.

        Raises:
            IndexError: an index pointed past the end of an axis, or a matrix was singular.
        """
        room = self.room()
        with as_numpy_computes():
            found: Both = self.both(room.forward, (cotangent,), *_given(inputs))
        self.take_back(Room(found.series, ()))
        _check(found.in_range)
        return found


class Room(NamedTuple):
    """Large arrays that may be overwritten, in tuples: to JAX, a list would be another form of argument.

    Attributes:
        forward: for the forward pass.
        backward: for the backward pass.
    """

    forward: tuple[Any, ...]
    backward: tuple[Any, ...]


def _has_room(value: Value) -> bool:
    """Return True for a large array on a CPU: other devices keep freed memory for reuse."""
    return jax.default_backend() == "cpu" and value.nbytes >= thresholds.SMALLEST_ROOM


def _in_room(a_pass: Pass) -> Any:
    """A compiled pass that takes room before its arguments."""

    def run(room: Any, *args: Any) -> Any:
        return a_pass(*args, room=room)

    return jax.jit(run, donate_argnums=0, keep_unused=True)


def _forms_of_room(a_pass: Pass | None) -> tuple[Any, ...]:
    return tuple(map(_form, a_pass.room)) if a_pass else ()


def _given(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The inputs, in types that JAX has."""
    return [np.asarray(a, as_jax_has_it(a.dtype)) for a in inputs]


def _check(in_range: Any) -> None:
    if not places.as_bool(in_range):
        raise IndexError("an index is out of range, or a matrix is singular")


class JaxRun:
    """A call of a program in JAX.

    Attributes:
        inputs: the inputs of the call.
        outputs: the outputs of the program.

    Raises:
        IndexError: an index pointed past the end of an axis, or a matrix was singular.
    """

    __slots__ = ("_executable", "_room", "_saved", "inputs", "outputs")

    def __init__(self, executable: JaxExecutable, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self.inputs = executable, inputs
        self._room: Room | None = None  # None while a pass writes there, since that may fail
        room = executable.room()
        with as_numpy_computes():
            series, self._saved, outputs, in_range = executable.forward(room.forward, *_given(inputs))
        self._room = room._replace(forward=(*series, *executable.kept_in_room(self._saved)))
        _check(in_range)
        self.outputs = tuple(map(np.asarray, outputs))

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""
        backward = self._executable.backward
        if backward is None:  # the outputs depend on nothing whose gradient is wanted
            return ()
        room, self._room = self._room or self._executable.room(), None
        with as_numpy_computes():
            series, gradients = backward(room.backward, tuple(cotangents), self._saved)
            self._room = room._replace(backward=series)
            return tuple(map(np.array, gradients))

    def __del__(self) -> None:
        if self._room is not None:
            self._executable.take_back(self._room)


class JaxLossRun:
    """A call of a loss in JAX.

    Attributes:
        inputs: the inputs of the call.
        outputs: the loss.

    Raises:
        IndexError: an index pointed past the end of an axis, or a matrix was singular.
    """

    __slots__ = ("_cotangent", "_executable", "_found", "inputs", "outputs")

    def __init__(self, executable: JaxLoss, inputs: Sequence[np.ndarray]) -> None:
        self._executable, self.inputs = executable, inputs
        self._cotangent = executable.cotangent
        self._found = executable.computed(inputs, self._cotangent)
        self.outputs = tuple(map(np.asarray, self._found.outputs))

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from the cotangent of the loss."""
        (cotangent,) = cotangents
        if cotangent != self._cotangent:
            self._executable.cotangent = self._cotangent = np.array(cotangent)
            self._found = self._executable.computed(self.inputs, self._cotangent)
        return tuple(map(np.array, self._found.gradients))


def _form(value: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(value.shape, as_jax_has_it(value.dtype))
