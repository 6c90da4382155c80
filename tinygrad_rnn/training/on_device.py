"""Training on JAX's devices: weights and the optimiser's state stay there, a batch goes in, and three numbers come out.

The run's model and optimiser on the host are brought up to date before any other code may read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding

from ..autodiff.tensor import Tensor
from ..autodiff.trees import tree_map
from ..compiler.compiled import Prepared
from ..compiler.jax_code import training as steps
from ..compiler.jax_code.precision import as_numpy_computes
from ..nn import Module
from ..optim import Optimizer
from .sharing import Part
from .updates import Clipping
from .whole_step import CompiledStep

MOST_NUMBERS = 64  # numbers, such as learning rates, that are kept on the device to be used again


class Losses(NamedTuple):
    """The results of a batch."""

    loss: float  # the sum of the losses of its parts, each times its share
    states: list[Any]  # the state that each part passes on to the next batch
    finite: bool  # whether all gradients are finite


class Call(NamedTuple):
    """A part of a batch, ready to be computed."""

    prepared: Prepared  # the executable to run
    others: list[Any]  # its inputs besides the model's parameters; a carried state is already on the device
    share: float  # the factor on the loss


class OnDevice:
    """A model, its optimiser and its compiled step on JAX's devices.

    Raises:
        ValueError: JAX has fewer devices.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, clipping: Clipping, step: CompiledStep, devices: int
    ) -> None:
        self.parameters = list(model.parameters())
        self.optimizer, self.clipping, self.step = optimizer, clipping, step
        self.devices = devices_of(devices)
        self._mesh = steps.mesh_of(self.devices)
        self._everywhere = NamedSharding(self._mesh, steps.EVERYWHERE)
        self._apart = NamedSharding(self._mesh, steps.APART)
        self._places = {id(parameter): i for i, parameter in enumerate(self.parameters)}
        self._values: list[Any] = [None] * len(self.parameters)
        self._memories: list[dict[str, Any]] = [{} for _ in self.parameters]
        self._gradients: dict[int, Any] = {}  # by the number of the parameter
        self._before: list[Any] | None = None  # the weights before the last update
        self._shown: list[tuple[Any, Any]] = [(None, None)] * len(self.parameters)  # the host's copies of both
        self._is_newer = False  # than the host's
        self._numbers: dict[float, Any] = {}
        self._steps: dict[Any, Any] = {}
        self._updates: dict[Any, Any] = {}

    # --- a step ------------------------------------------------------------------------------------------------------

    def compute(self, parts: Sequence[Part], before: Sequence[Any]) -> Losses | None:
        """The loss of all parts, and their gradients, which stay on the devices. None if it can't be compiled.

        Raises:
            IndexError: an index points past the end of an axis.
        """
        calls = [self._call(part, state) for part, state in zip(parts, before)]
        if any(call is None for call in calls):
            return None
        self._take_from_host()
        self._gradients = {}
        totals, states = np.zeros(3), []
        with as_numpy_computes():
            for group in self._groups([call for call in calls if call is not None]):
                found = self._found(group)
                totals += from_device(found.numbers)
                states += self._states(group, found)
        if totals[1]:
            self._explain(parts, before)
        return Losses(float(totals[0]), states, not totals[2])

    def _call(self, part: Part, state: Any) -> Call | None:
        carried: dict[int, Any] = {}

        def stand_in(a: Any) -> Any:
            if not hasattr(a, "dtype"):
                return a
            like = np.broadcast_to(np.zeros((), a.dtype), a.shape)  # a plan depends only on shapes and dtypes
            carried[id(like)] = a
            return like

        prepared = self.step.prepared(part.batch, tree_map(stand_in, state))
        if prepared is None:
            return None
        others = [carried.get(id(a), a) for a in prepared.inputs if id(a) not in self._places]
        return Call(prepared, others, part.share)

    def _groups(self, calls: list[Call]) -> list[list[Call]]:
        """Groups of calls that run the same executable, so that each device can take one; other calls stand alone."""
        count = len(self.devices)
        found: list[list[Call]] = []
        for i in range(0, len(calls), count):
            group = calls[i : i + count]
            alike = len(group) == count and len({id(call.prepared.executable) for call in group}) == 1
            found += [group] if alike else [[call] for call in group]
        return found

    def _found(self, calls: list[Call]) -> steps.Found:
        """Make some calls at once, one on each device; a single call runs on all of them alike."""
        step, reached = self._step(calls[0].prepared, len(calls))
        values = [self._values[self._places[id(a)]] for a in calls[0].prepared.inputs if id(a) in self._places]
        if len(calls) == 1:
            found = step(values, [self._moved(a) for a in calls[0].others], self._number(calls[0].share))
        else:
            others = [self._side_by_side(parts) for parts in zip(*(call.others for call in calls))]
            found = step(values, others, to_device(np.array([call.share for call in calls]), self._apart))
        for i, g in zip(reached, found.gradients):
            self._gradients[i] = self._gradients[i] + g if i in self._gradients else g
        return found

    def _step(self, call: Prepared, parts: int) -> tuple[Any, list[int]]:
        """The compiled step, and the numbers of the parameters whose gradients it returns."""
        key = (id(call.executable), parts)
        if key not in self._steps:
            executable: Any = call.executable
            outputs = executable.program.outputs
            places = executable.start((True, *[False] * (len(outputs) - 1))).places
            reached = [(self._places[id(a)], place) for a, place in zip(call.inputs, places) if place is not None]
            is_parameter = [id(a) in self._places for a in call.inputs]
            run = steps.loss_and_gradients(executable.passes, is_parameter, [place for _, place in reached])
            run = run if parts == 1 else steps.over_devices(run, self._mesh)
            self._steps[key] = executable, jax.jit(run), [number for number, _ in reached]
        _, run, reached_numbers = self._steps[key]
        return run, reached_numbers

    def update(self) -> None:
        """Change the weights by the gradients of the last batch.

        It raises NotOnTensors if the optimiser uses an operation that JAX can't trace.
        """
        group_of = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        chosen = [i for i in sorted(self._gradients) if id(self.parameters[i]) in group_of]
        groups = [group_of[id(self.parameters[i])] for i in chosen]
        options = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in groups]
        every = sorted(self._gradients)
        key = (tuple(chosen), tuple(every), repr(options))
        if key not in self._updates:
            clip = self.clipping.norm, self.clipping.value
            places = [every.index(i) for i in chosen]
            self._updates[key] = steps.update_of(self.optimizer.updated, options, places, clip)
        rates = [self._number(group["lr"]) for group in groups]
        values, memories = ([of[i] for i in chosen] for of in (self._values, self._memories))
        with as_numpy_computes():
            values, memories = self._updates[key](values, [self._gradients[i] for i in every], memories, rates)
        self._before = list(self._values)
        for i, value, memory in zip(chosen, values, memories):
            self._values[i], self._memories[i] = value, memory
        self._is_newer = True

    # --- between host and devices ------------------------------------------------------------------------------------

    def to_host(self, gradients: bool = False) -> None:
        """Bring the host's weights and the optimiser's state up to date; and the gradients, if asked for."""
        if gradients:
            for i, parameter in enumerate(self.parameters):
                parameter.grad = np.array(self._gradients[i]) if i in self._gradients else None
        if not self._is_newer:
            return
        self._is_newer = False
        for i, parameter in enumerate(self.parameters):
            parameter.data = np.array(self._values[i])
            if self._memories[i]:
                self.optimizer.state[parameter] = {name: _on_host(a) for name, a in self._memories[i].items()}
            self._shown[i] = parameter._data, self.optimizer.state.get(parameter)

    def weights_before(self) -> list[tuple[Any, np.ndarray]]:
        """The parameters with their weights before the last update; empty if there was no update."""
        return [(parameter, np.array(value)) for parameter, value in zip(self.parameters, self._before or [])]

    def _take_from_host(self) -> None:
        """Move the values that the host changed since it was brought up to date; the first time, all of them."""
        for i, parameter in enumerate(self.parameters):
            value, memory = self._shown[i]
            if parameter._data is not value:
                self._values[i] = to_device(parameter._data, self._everywhere)
            state = self.optimizer.state.get(parameter)
            if state is not memory:
                self._memories[i] = {name: self._remembered(a) for name, a in (state or {}).items()}
            self._shown[i] = parameter._data, state

    def _remembered(self, a: Any) -> Any:
        return self._number(a) if type(a) in (int, float) else to_device(np.asarray(a), self._everywhere)

    def _number(self, value: float) -> Any:
        if value not in self._numbers:
            if len(self._numbers) == MOST_NUMBERS:
                self._numbers.clear()
            self._numbers[value] = steps.number_of(value)
        return self._numbers[value]

    def _moved(self, a: Any) -> Any:
        """An array where the weights are: on all devices."""
        if isinstance(a, jax.Array):
            return jax.device_put(a, self._everywhere)
        return to_device(_data(a), self._everywhere)

    def _side_by_side(self, parts: Sequence[Any]) -> Any:
        """The arrays of several parts, each on its device, as one array with one more axis."""
        if not all(isinstance(a, jax.Array) for a in parts):
            return to_device(np.stack([_data(a) for a in parts]), self._apart)
        shape = (len(parts), *parts[0].shape)
        rows = [jax.device_put(a, device)[None] for a, device in zip(parts, self.devices)]
        return jax.make_array_from_single_device_arrays(shape, self._apart, rows)

    def _states(self, calls: list[Call], found: steps.Found) -> list[Any]:
        """The states after some parts, left on their devices."""
        if len(calls) == 1:
            return [calls[0].prepared.plan.packed([found.numbers, *found.rest])[1]]
        by_part = zip(*([shard.data[0] for shard in _in_order(a)] for a in found.rest)) if found.rest else ()
        rows: list[Any] = list(by_part) or [()] * len(calls)
        return [call.prepared.plan.packed([found.numbers, *row])[1] for call, row in zip(calls, rows)]

    def _explain(self, parts: Sequence[Part], before: Sequence[Any]) -> None:
        """Run the step on the host, where the operation with an index out of range raises its own error."""
        self.to_host()
        for (batch, _), state in zip(parts, before):
            self.step.eager(batch, tree_map(_on_host, state))
        raise IndexError("an index is out of range, or a matrix is singular")


def devices_of(count: int) -> list[Any]:
    """The first ``count`` of JAX's devices.

    Raises:
        ValueError: JAX has fewer devices.
    """
    there = jax.devices()
    if not 1 <= count <= len(there):
        raise ValueError(
            f"fit: devices={count}, and JAX has {len(there)}: {', '.join(map(str, there[:8]))}. It splits a CPU into "
            "several if the environment has XLA_FLAGS=--xla_force_host_platform_device_count=2 before JAX is imported."
        )
    return there[:count]


def to_device(array: np.ndarray, where: Any) -> Any:
    """An array moved to a device, or to several; every transfer to a device goes through this function."""
    with as_numpy_computes():
        return jax.device_put(array, where)


def from_device(array: Any) -> np.ndarray:
    """An array moved from a device to the host; at each step this is at most three numbers."""
    return np.asarray(jax.device_get(array), np.float64)


def _data(a: Any) -> np.ndarray:
    return a.numpy() if isinstance(a, Tensor) else np.asarray(a)


def _in_order(array: Any) -> list[Any]:
    return sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)


def _on_host(a: Any) -> Any:
    if not isinstance(a, jax.Array):
        return a
    return a.item() if a.weak_type and a.ndim == 0 else np.array(a)
