"""Taking in the input of ``derive``: a recorded loss, a function of parameters and data, a Module, or a layer alone."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.array_node import value_of
from ...autodiff.graph import ancestors
from ...autodiff.rules import indexing
from ...autodiff.scope import enable_grad, no_grad
from ...autodiff.tensor import Tensor, tensor
from ...autodiff.trees import leaves, paths, tree_map, unflatten
from ...nn.module import Module
from ...nn.recurrent import Recurrent
from ...nn.unroll import unroll
from ...recorded.one_by_one import of_a_tree
from ...recorded.outside import data_outside, reading_others
from ...recorded.recording import Recording, record
from ..equations.expressions import ARRIVING


def taken_in(loss: Any, parameters: Any, data: Any) -> tuple[Recording, dict[Tensor, str], dict[str, np.ndarray]]:
    """The recording, the leaves that are followed as data, and the arrays that the loss was given."""
    if callable(loss) and is_array(parameters) and not _is_loss_of(loss, parameters, data):
        return _layer(loss, parameters, None if isinstance(data, (tuple, list)) and not len(data) else data)
    if isinstance(loss, Recording):
        return loss, {}, {}
    data = tuple(data)
    if not callable(loss) or isinstance(loss, Tensor):
        return _record(loss, parameters, data), {}, {}
    loss = of_a_tree(loss, parameters, data)
    outside = data_outside(loss, parameters, data)
    names = _argument_names(loss, isinstance(loss, Module) and parameters is None, len(data))
    everything, called = (*data, *outside.values()), [*names, *outside]
    given = {name: np.asarray(value_of(a)) for name, a in arrays_by_name(called, everything)}
    for count in sorted({len(everything), len(data)}, reverse=True):
        followed, tracked = _followed(called[:count], everything[:count])
        others = {id(old): new for old, new in zip(everything[len(data) :], followed[len(data) :]) if new is not old}
        with contextlib.suppress(Exception):  # the function may accept arrays there, but no Tensors
            (function,) = reading_others([loss], others)
            recording = _record(function, parameters, followed[: len(data)])
            recording.data, recording.outside = data, outside
            if recording.function is not None:
                recording.function = loss
            return recording, tracked, given
    return _record(loss, parameters, data), {}, given


def _record(loss: Any, parameters: Any, data: Sequence[Any]) -> Recording:
    """The recording; its errors name ``derive``."""
    try:
        return record(loss, parameters, data)
    except (TypeError, ValueError) as error:
        text = str(error)
        if not text.startswith("compare:"):
            raise
        raise type(error)(text.replace("compare", "derive").replace(" on the autograd side", "")) from None


def _is_loss_of(function: Any, parameters: Any, data: Any) -> bool:
    """Return True for a function that returns one number for an array of parameters: it is a loss, not a cell."""
    if isinstance(function, Module) or not isinstance(data, (tuple, list)):
        return False
    try:
        with no_grad():
            return np.size(value_of(function(parameters, *data))) == 1
    except Exception:  # a cell takes other arguments
        return False


def is_array(a: Any) -> bool:
    """Return True for an array or a Tensor that isn't a single number."""
    return isinstance(a, (Tensor, np.ndarray)) and np.ndim(a) > 0


def _layer(cell: Any, xs: Any, state: Any) -> tuple[Recording, dict[Tensor, str], dict[str, np.ndarray]]:
    """A layer alone, whose outputs get cotangents from outside."""
    xs = np.asarray(value_of(xs))
    followed = tensor(xs, requires_grad=xs.dtype.kind == "f")
    with enable_grad():
        ys, _ = cell(followed, state) if isinstance(cell, Recurrent) else unroll(cell, followed, state)
    outputs = [y for y in leaves(ys) if isinstance(y, Tensor)]
    rng = np.random.default_rng(0)
    arriving = {
        f"{ARRIVING}{name or 'y'}": tensor(rng.normal(size=y.shape), requires_grad=True)
        for name, y in zip(paths(ys), outputs)
    }
    with enable_grad():
        loss = sum(np.sum(y * g) for y, g in zip(outputs, arriving.values()))
    parameters = _parameters_of(cell, loss, [followed, *arriving.values()])
    tracked = {followed: "xs", **{leaf: name for name, leaf in arriving.items()}}
    given = {name: leaf.data for leaf, name in tracked.items()}
    return Recording(loss, parameters, parameters), tracked, given


def _parameters_of(cell: Any, loss: Any, others: Sequence[Tensor]) -> dict[str, Tensor]:
    """The parameters of a cell, by name: those of a module, or those to which a function refers."""
    if isinstance(cell, Module):
        return dict(cell.named_parameters())
    try:
        found = inspect.getclosurevars(cell)
        names = {id(leaf): path for path, leaf in _named_leaves({**found.globals, **found.nonlocals})}
    except TypeError:
        names = {}
    reached = [node for node in reversed(ancestors([loss])) if node.is_leaf and not any(node is o for o in others)]
    return {leaf.name or names.get(id(leaf)) or f"w_{k}": leaf for k, leaf in enumerate(reached, 1)}  # type: ignore[misc]


def _named_leaves(surroundings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, thing in surroundings.items():
        if isinstance(thing, Tensor):
            found.append((name, thing))
        elif isinstance(thing, Module):
            found += list(thing.named_parameters())
        elif isinstance(thing, (dict, tuple, list)):
            found += [(path, leaf) for path, leaf in zip(paths(thing), leaves(thing)) if isinstance(leaf, Tensor)]
    return found


def _argument_names(function: Any, is_model: bool, count: int) -> list[str]:
    """The names that a loss function gives its data."""
    try:
        target: Callable[..., Any] = function.forward if isinstance(function, Module) else function
        names = [p.name for p in inspect.signature(target).parameters.values() if p.kind != p.VAR_POSITIONAL]
    except (TypeError, ValueError, AttributeError):
        names = []
    names = names if is_model else names[1:]
    return [names[k] if k < len(names) else f"data_{k + 1}" for k in range(count)]


def arrays_by_name(names: Sequence[str], data: Sequence[Any]) -> list[tuple[str, Any]]:
    """The arrays in the data by name; a list of steps is one array for each thing that a step has."""
    found = []
    for name, argument in zip(names, data):
        columns = _columns(argument)
        own = zip(paths(argument), leaves(argument)) if columns is None else zip(paths(argument[0]), columns)
        found += [(f"{name}_{path}" if path else name, leaf) for path, leaf in own if is_array(leaf)]
    return found


def _columns(argument: Any) -> list[np.ndarray] | None:
    """The leaves of a list of things that are alike, each as one array whose rows are the steps; None of others.

    Sequences of unequal length stand one after another.
    """
    if type(argument) is not list or len(argument) < 2 or len({tuple(paths(step)) for step in argument}) > 1:
        return None
    columns = list(zip(*map(leaves, argument)))
    kinds = [{(type(leaf), getattr(leaf, "dtype", None), np.shape(leaf)[1:]) for leaf in column} for column in columns]
    is_plain = all(isinstance(column[0], (np.ndarray, float, int)) for column in columns)
    if not is_plain or any(len(kind) > 1 or len(set(map(np.ndim, column))) > 1 for kind, column in zip(kinds, columns)):
        return None
    return [np.stack(column) if _are_rows(column) else np.concatenate(column) for column in columns]


def _are_rows(column: Sequence[Any]) -> bool:
    """Return True for arrays of one shape, which are the rows of another one."""
    return len(set(map(np.shape, column))) == 1


def _taken_apart(whole: Any, column: Sequence[Any]) -> Iterable[Any]:
    """The arrays of a column, from the one that is made of them."""
    if _are_rows(column):
        return whole
    ends = np.cumsum(list(map(len, column))).tolist()
    return [whole[end - len(part) : end] for end, part in zip(ends, column)]


def with_other_arrays(data: Sequence[Any], names: Iterable[str], other: Mapping[str, Any]) -> tuple[Any, ...]:
    """The data with other arrays in place of some.

    Args:
        data: the data as the user holds them.
        names: the names of their arrays, in order.
        other: arrays by name.
    """
    remaining = iter(names)

    def replaced(argument: Any) -> Any:
        columns = _columns(argument)
        count = sum(map(is_array, leaves(argument))) if columns is None else len(columns)
        own = list(itertools.islice(remaining, count))
        if other.keys().isdisjoint(own):
            return argument
        if columns is None:
            its = iter(own)
            return tree_map(lambda a: other.get(next(its), a) if is_array(a) else a, argument)
        of_steps = zip(own, zip(*map(leaves, argument)))
        rows = zip(*(_taken_apart(other[name], column) if name in other else column for name, column in of_steps))
        return [unflatten(step, iter(row)) for step, row in zip(argument, rows)]

    return tuple(map(replaced, data))


def _followed(names: Sequence[str], data: Sequence[Any]) -> tuple[tuple[Any, ...], dict[Tensor, str]]:
    """The data as leaves whose every use is recorded, and the names of these leaves and of the rows taken from them."""
    arrays = dict(arrays_by_name(names, data))
    followed = {
        name: tensor(array, requires_grad=True, name=name)
        for name, array in arrays.items()
        if not isinstance(array, Tensor) and array.dtype.kind == "f"
    }
    with enable_grad():
        data = with_other_arrays(data, arrays, followed)
    rows = {row: row.inputs[0].name for row in leaves(data) if isinstance(row, Tensor) and row.op is indexing.getitem}
    return data, {**{leaf: name for name, leaf in followed.items()}, **rows}
