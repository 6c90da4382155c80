"""A step of training, as functions of JAX: the loss with its gradients, on one device or several, and the update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ...autodiff.errors import CannotCompile
from .passes import Passes
from .precision import as_numpy_computes
from .stand_in import StandIn, lifted, no_form, plain

AXIS = "devices"
EVERYWHERE, APART = PartitionSpec(), PartitionSpec(AXIS)


class Found(NamedTuple):
    """The results of a part of a batch.

    Attributes:
        numbers: three numbers: the loss, times its share; how many devices found an index out of range; and how many
            found a gradient that isn't finite.
        gradients: the gradients of the parameters that the loss depends on, times the share.
        rest: the other outputs.
    """

    numbers: Any
    gradients: Any
    rest: Any


def loss_and_gradients(
    passes: Passes, is_parameter: Sequence[bool], places: Sequence[int]
) -> Callable[[Any, Any, Any], Found]:
    """A function of the parameters, the other inputs, and the share of the loss.

    Args:
        passes: those of a program whose first output is the loss.
        is_parameter: for each input, whether it is among the parameters.
        places: the positions of the parameters' gradients among the gradients of that program.
    """

    def run(parameters: Any, others: Any, share: Any) -> Found:
        some, rest = iter(parameters), iter(others)
        inputs = [next(some if is_one else rest) for is_one in is_parameter]
        _, saved, outputs, in_range = passes.forward(*inputs)
        loss = outputs[0]
        cotangents = [jnp.full(loss.shape, share, loss.dtype), *map(jnp.zeros_like, outputs[1:])]
        found = () if passes.backward is None else passes.backward(*cotangents, *saved).results
        counts = share != 0  # else the loss is the mean of nothing, which may be NaN
        gradients = [jnp.where(counts, found[place], 0) for place in places]
        finite = jnp.all(jnp.stack([jnp.isfinite(g).all() for g in gradients])) if gradients else True
        numbers = [jnp.where(counts, loss.sum() * share, 0), jnp.logical_not(in_range), jnp.logical_not(finite)]
        return Found(jnp.stack([jnp.asarray(number, loss.dtype) for number in numbers]), gradients, outputs[1:])

    return run


def over_devices(run: Callable[[Any, Any, Any], Found], mesh: Mesh) -> Callable[[Any, Any, Any], Found]:
    """The same over several devices: each has a part of the batch, and one all-reduce sums what they find.

    The other inputs, the shares and the other outputs have one more axis in front: the parts of the batch.
    """

    def local(parameters: Any, others: Any, shares: Any) -> Found:
        found = run(parameters, [a[0] for a in others], shares[0])
        numbers, *gradients = _summed([found.numbers, *found.gradients])
        return Found(numbers, gradients, [y[None] for y in found.rest])

    arguments, results = (EVERYWHERE, APART, APART), Found(EVERYWHERE, EVERYWHERE, APART)
    return jax.shard_map(local, mesh=mesh, in_specs=arguments, out_specs=results, check_vma=False)


def _summed(arrays: list[Any]) -> list[Any]:
    """The sums over all devices; all arrays of a type are joined, so that each type takes one reduction."""
    result: dict[int, Any] = {}
    for dtype in dict.fromkeys(a.dtype for a in arrays):
        chosen = [i for i, a in enumerate(arrays) if a.dtype == dtype]
        row = jax.lax.psum(jnp.concatenate([arrays[i].ravel() for i in chosen]), AXIS)
        ends = np.cumsum([arrays[i].size for i in chosen])
        for i, piece in zip(chosen, jnp.split(row, ends[:-1])):
            result[i] = piece.reshape(arrays[i].shape)
    return [result[i] for i in range(len(arrays))]


def mesh_of(devices: Sequence[Any]) -> Mesh:
    """A mesh of one axis."""
    return Mesh(np.array(devices), (AXIS,))


def clipped(gradients: list[Any], norm: float | None, value: float | None) -> list[Any]:
    """The gradients after clipping, as ``clip_grad_norm_`` and ``clip_grad_value_`` do it."""
    if norm is not None:
        squares = [jnp.sum(jnp.square(g)).astype(np.float64) for g in gradients]
        scale = jnp.minimum(1.0, norm / (jnp.sqrt(sum(squares)) + 1e-6))
        gradients = [(g * scale.astype(g.dtype)) for g in gradients]
    return gradients if value is None else [jnp.clip(g, -value, value) for g in gradients]


Update = Callable[[Any, Any, dict[str, Any], dict[str, Any]], Any]


def update_of(
    updated: Update,
    groups: Sequence[Mapping[str, Any]],
    places: Sequence[int],
    clip: tuple[float | None, float | None],
) -> Any:
    """An optimiser's update of all parameters, on JAX arrays: its own method, in plain NumPy.

    Args:
        updated: the method.
        groups: the options for each parameter; the learning rate is an argument of each call.
        places: for each parameter, the position of its gradient among all gradients, which are clipped together.
        clip: the largest norm and value of gradients, if any.

    Returns:
        A function of lists: parameters, all gradients, the optimiser's state of each parameter, and learning rates. It
        returns the new parameters and states.
    """

    def run(values: Any, gradients: Any, memories: Any, rates: Any) -> Any:
        found = []
        gradients = clipped(gradients, *clip)
        own = [gradients[place] for place in places]
        for value, g, memory, rate, group in zip(values, own, memories, rates, groups):
            state = {name: StandIn(a) for name, a in memory.items()}
            try:
                new = updated(StandIn(value), StandIn(g), state, {**group, "lr": StandIn(rate)})
            except CannotCompile:
                raise
            except Exception as error:
                raise no_form("updated()", f"{type(error).__name__}: {error}") from error
            found.append((plain(new).astype(value.dtype), {name: plain(lifted(a)) for name, a in state.items()}))
        return [new for new, _ in found], [memory for _, memory in found]

    return jax.jit(run)


def number_of(value: float) -> Any:
    """A number on the device that adapts to the arrays beside it, as Python's do."""
    with as_numpy_computes():
        return jnp.asarray(value)
