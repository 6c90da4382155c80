"""A program that runs on JAX: the same calls as of generated code, with arrays that lie on JAX's device in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .executable import Executable
from .generate import scheduled
from .jax_code import places
from .jax_code.passes import passes_of
from .jax_code.precision import as_numpy_computes
from .program.program import Program


def on_jax(program: Program, wanted: Sequence[bool]) -> JaxExecutable:
    """A traced program, split and differentiated, on JAX.

    Args:
        program: what ``traced`` gave.
        wanted: for each of its inputs, whether the gradient is wanted.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """
    return JaxExecutable(scheduled(program, wanted, lifts_elements=False))


class JaxExecutable(Executable):
    """A program on JAX's first device.

    Args:
        program: what is computed.

    Attributes:
        passes: both passes, for who puts them into a larger function of JAX.
        forward: the forward pass, compiled.
        backward: the backward pass, compiled; None for a program without.

    Raises:
        CannotCompile: an operation has no form in JAX.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.passes = passes = passes_of(program)
        self.forward = jax.jit(passes.forward)
        self.backward = None if passes.backward is None else jax.jit(passes.backward)
        self._trace()

    def _trace(self) -> None:
        """Trace with JAX at once, so that an operation without a JAX form is refused before anything runs."""
        with as_numpy_computes():
            _, saved, _ = self.forward.eval_shape(*map(_form, self.program.inputs))
            if self.backward is not None:
                self.backward.eval_shape(tuple(map(_form, self.program.cotangents)), saved)

    def run(self, inputs: Sequence[np.ndarray]) -> JaxRun:
        """Compute the outputs."""
        return JaxRun(self, inputs)

    def source(self) -> str:
        """The two passes in JAX's notation."""
        inputs, cotangents = (tuple(map(_form, values)) for values in (self.program.inputs, self.program.cotangents))
        with as_numpy_computes():
            texts = [str(jax.make_jaxpr(self.forward)(*inputs))]
            if self.backward is not None:
                _, saved, _ = self.forward.eval_shape(*inputs)
                texts.append(str(jax.make_jaxpr(self.backward)(cotangents, saved)))
        return "\n\n".join(texts)


class JaxRun:
    """A call of a program in JAX.

    Attributes:
        inputs: what it was given.
        outputs: what the program gave.

    Raises:
        IndexError: an index pointed past the end of an axis.
    """

    __slots__ = ("_backward", "_saved", "inputs", "outputs")

    def __init__(self, executable: JaxExecutable, inputs: Sequence[np.ndarray]) -> None:
        self.inputs = inputs
        self._backward: Callable[..., Any] | None = executable.backward
        with as_numpy_computes():
            outputs, self._saved, in_range = executable.forward(*inputs)
        if not places.as_bool(in_range):
            raise IndexError("an index is out of range")
        self.outputs = tuple(map(np.asarray, outputs))

    def gradients(self, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """The gradients, in the order of ``program.gradients``, from a cotangent for each output."""
        if self._backward is None:  # the outputs depend on nothing whose gradient is wanted
            return ()
        with as_numpy_computes():
            return tuple(map(np.array, self._backward(tuple(cotangents), self._saved)))


def _form(value: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(value.shape, value.dtype)
