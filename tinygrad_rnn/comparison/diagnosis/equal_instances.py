"""A batch of equal instances, in which less is unknown: what a line gives for one of them it gives for all.

With a batch, a line has more values than there are numbers in the gradients, so no line can be excluded. But the
gradients of equal instances add up: they depend only on the mean of what a line gives for them. Each slip in a single
line shows as other means, whatever it does to the instances, and there are as many of these as values of one instance.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from ...derivation.derivation import Derivation
from ...derivation.edits.editing import Bench
from ...derivation.equations.quantities import Quantity
from .at_fault import AtFault
from .situation import Situation
from .witness import Witness

MOST_WAYS = 16  # in which several axes as long as the batch may be taken for its axis
MOST_TRIED = 3  # instances that are put in the places of all, until one shows what is wrong

Arrays = Mapping[str, np.ndarray]


def with_equal_instances(derivation: Derivation, recorded: Situation, witness: Witness) -> AtFault | None:
    """The test which lines can be at fault, for a batch of equal instances; None if there is none that shows as much.

    Args:
        derivation: the right derivation.
        recorded: the gradients as recorded.
        witness: the manual side.
    """
    ways = ((_batch_axes(derivation, recorded.bench, arrays), arrays) for arrays in _axes_of_arrays(recorded.bench))
    axes, arrays = max(ways, key=lambda way: len(way[0]), default=({}, {}))
    for instance in range(MOST_TRIED if axes else 0):
        data = _with_one_instance(derivation, arrays, instance)
        bench = Bench(derivation, None, data)
        given = witness.at(derivation.parameters, bench, {n: data[n] for n in arrays if n in derivation.given})
        if given is not None and set(recorded.wrong) <= set(Situation(bench, given, recorded.tolerance).wrong):
            return AtFault(bench, given, recorded.tolerance, axes)
    return None


def _axes_of_arrays(recorded: Bench) -> Iterator[dict[str, int]]:
    """The possible axes of the batch in all arrays that may have one; also in masks, which were computed from them."""
    arrays = {name: array for name, array in recorded.data.items() if isinstance(array, np.ndarray)}
    sizes = {size for line in recorded.lines if line.kind == "backward" for size in line.shape if size > 1}
    for size in sorted(sizes):
        axes = {name: [axis for axis, n in enumerate(a.shape) if n == size] for name, a in arrays.items()}
        having = [name for name in arrays if axes[name]]
        for chosen in itertools.islice(itertools.product(*map(axes.__getitem__, having)), MOST_WAYS if having else 0):
            yield dict(zip(having, chosen))


def _with_one_instance(derivation: Derivation, axes: Mapping[str, int], instance: int) -> dict[str, np.ndarray]:
    """The arrays with one instance in the places of all."""
    found = {**derivation.given, **derivation.data}
    for name, axis in axes.items():
        size = found[name].shape[axis]
        found[name] = np.repeat(found[name].take([instance % size], axis), size, axis)
    return found


def _batch_axes(derivation: Derivation, recorded: Bench, axes: Mapping[str, int]) -> dict[Quantity, int]:
    """The axis of each quantity along which equal instances make it equal: of a derivative, that of its value, too.

    What a mask with equal elements makes 0 is equal along any axis, and no batch.
    """
    bench, found = Bench(derivation, None, _with_one_instance(derivation, axes, 0)), {}
    for line in bench.lines:
        for axis in range(len(line.shape)) if line.kind != "gradient" else ():
            if _are_equal(bench, line.quantity, axis) and not _are_equal(recorded, line.quantity, axis):
                found[line.quantity] = axis
    sources = {quantity: quantity.adjoint_of for quantity in found}
    return {q: axis for q, axis in found.items() if (of := sources[q]) is None or found.get(of) == axis}


def _are_equal(bench: Bench, quantity: Quantity, axis: int) -> bool:
    values: Mapping[int | None, np.ndarray] = bench.right.values[quantity]
    return all(np.allclose(value, value.take([0], axis), rtol=1e-9, atol=0) for value in values.values())
