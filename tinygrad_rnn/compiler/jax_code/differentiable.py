"""A program as one function for JAX programs: JAX may map it, shard it and compile it, and has our gradient of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..program.program import Program
from .passes import Found, passes_of
from .precision import as_jax_has_it


def with_own_gradient(program: Program) -> Callable[..., tuple[Any, ...]]:
    """The outputs for these inputs; JAX takes the program's backward pass for their derivative."""
    passes = passes_of(program)

    @jax.custom_vjp
    def run(*inputs: Any) -> tuple[Any, ...]:
        return _checked(passes.forward(*inputs))[0]

    def forward(*inputs: Any) -> tuple[Any, Any]:
        return _checked(passes.forward(*inputs))

    def backward(saved: Any, cotangents: Any) -> tuple[Any, ...]:
        if passes.backward is None:
            return (None,) * len(program.inputs)
        given = [
            g if v.dtype.kind == "f" else jnp.zeros(v.shape, as_jax_has_it(v.dtype))
            for v, g in zip(program.outputs, cotangents)
        ]
        found = dict(zip(program.gradients, passes.backward(*given, *saved).results))
        return tuple(found.get(v) for v in program.inputs)  # None stands for zeros

    run.defvjp(forward, backward)
    return run


def without_gradient(program: Program) -> Callable[..., tuple[Any, ...]]:
    """The outputs for these inputs; JAX differentiates them by its own rules."""
    passes = passes_of(program)
    return lambda *inputs: _checked(passes.forward(*inputs))[0]


def _checked(found: Found) -> tuple[Any, Any]:
    """The outputs of a forward pass, NaN if an index pointed past the end, and the values that it saved."""
    outputs, in_range = found.results, found.in_range
    if isinstance(in_range, jax.core.Tracer) or not in_range:
        outputs = tuple(jnp.where(in_range, y, jnp.nan) if y.dtype.kind == "f" else y for y in outputs)
    return outputs, found.saved
