"""Items: a recorded graph without the operations that nobody would write down.

Items stand between the recording and the derivation: operations that change nothing are removed, a part of a stack *is*
the value that was put in, and a value through which no gradient flows knows its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...autodiff.array_node import value_of
from ...autodiff.graph import Node, ancestors, by_serial
from ...autodiff.registry import OVERRIDES, PLAIN, Primitive, name_of
from ...autodiff.remembering import Origin, Origins
from ...autodiff.rules import elementwise, indexing, shape
from ...autodiff.scope import NOWHERE, Label, Scope
from ...autodiff.tensor import Tensor
from ...compiler.graph.trace import stop_gradient
from ..equations.expressions import setting_key

# Functions of masks as they are written, where that differs from what ran.
WRITTEN: dict[Any, Any] = {np.invert: np.logical_not, np.where: elementwise.where}


@dataclass(eq=False, slots=True)
class Item:
    """A value of the graph."""

    op: Any  # the operation that made it; None for a leaf
    inputs: tuple[Any, ...]  # Items, and arguments that aren't arrays
    keywords: dict[str, Any]  # those of the operation
    value: Any  # the recorded value
    order: int  # its place in the order of recording; at first, the number of the recorded value with which it comes
    scope: Scope = NOWHERE  # the scope in which it was made
    labels: tuple[Label, ...] = ()  # its names in the model
    parameter: str | None = None  # the name of the parameter that it is, if any
    data: str | None = None  # the name of the array that it is, if the loss was given it
    step: int | None = None  # the time step to which it belongs; None outside of steps
    loop: Any = None  # the number of the loop over time to which the step belongs
    place: int | None = None  # its place in the step, if the loop was found by its repetition
    is_plain: bool = False  # whether no gradient flows through it: a mask that was computed by a comparison
    variable: str | None = None  # the user's variable that held it, if known

    @property
    def operation(self) -> Any:
        """The operation that made it, as a key; one that was made for this value alone is known by its name."""
        return self.op.name if self.is_single else self.op

    @property
    def is_single(self) -> bool:
        """True if its operation was made for this value alone."""
        return getattr(self.op, "is_single", False)

    @property
    def own_labels(self) -> list[Label]:
        """Its labels at its own step; at later ones it may be part of a state with other names."""
        return [label for label in self.labels if label.step == self.scope.step]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its value; () for several results."""
        return () if isinstance(self.value, tuple) else np.shape(self.value)

    def __repr__(self) -> str:
        return f"<item {name_of(self.op) if self.op else self.parameter or self.data or 'constant'} {self.step}>"


class Constants:
    """The Items of plain arrays; equal arrays share one."""

    def __init__(self) -> None:
        self._items: dict[Any, Item] = {}

    def item(self, array: Any) -> Item:
        """The Item of an array."""
        array = np.asarray(array)
        return self._items.setdefault(setting_key(array), Item(None, (), {}, array, -1))


class _Cleaning:
    def __init__(self, parameters: Mapping[Tensor, str], data: Mapping[Tensor, str], origins: Origins) -> None:
        self.parameters = parameters
        self.data = data
        self.origins = origins
        self.items: list[Item] = []
        self._of_node: dict[Any, Item] = {}
        self._constants = Constants()
        self._by_array: dict[int, Item] = {}
        self._rows: set[int] = set()  # taken from the data before the loss began

    def add(self, node: Any) -> Item:
        """The Item of a node whose inputs have theirs already."""
        if node in self._of_node:
            return self._of_node[node]
        if node.is_leaf:
            item = self._leaf(node)
        else:
            inputs = tuple(self._input(given, array) for given, array in zip(node.inputs, node._arrays))
            item = self._shorter(node, inputs) or self._operation(node, inputs)
        self._of_node[node] = item
        for label in node.labels:
            if label not in item.labels:
                item.labels = (*item.labels, label)
        return item

    def _leaf(self, node: Any) -> Item:
        source = self._by_array.get(id(node._data))
        if source is not None and not node.requires_grad:  # detached: the same array outside of the graph
            detached = Item(stop_gradient, (source,), {}, node._data, source.order, source.scope, step=source.step)
            return self._kept(detached)
        if not node.requires_grad and (made := self._of_detached(node)) is not None:
            return made
        parameter, data = self.parameters.get(node), self.data.get(node)
        return Item(None, (), {}, node._data, node.serial, node.scope, parameter=parameter, data=data)

    def _of_detached(self, node: Any) -> Item | None:
        """The Item of what is computed from a detached value, ``0.9 * h`` at the first step of a piece."""
        origin = self.origins.get(id(node._data))
        if origin is None or not any(isinstance(a, Tensor) for a in origin.inputs):
            return None
        inputs = tuple(self._input(a, value_of(a)) for a in origin.inputs)
        if all(not isinstance(a, Item) or a.op is None for a in inputs):
            return None
        item = self._kept(Item(origin.function, inputs, {}, node._data, node.serial, node.scope))
        self._by_array[id(node._data)] = item
        return item

    def _kept(self, item: Item) -> Item:
        self.items.append(item)
        return item

    def _operation(self, node: Any, inputs: tuple[Any, ...]) -> Item:
        inputs = self._with_rows(inputs, order=node.serial, scope=node.scope)
        item = self._kept(Item(node.op, inputs, dict(node._keywords), node._data, node.serial, node.scope))
        if not isinstance(node._data, tuple):
            self._by_array[id(node._data)] = item
        if node in self.data:
            self._rows.add(id(item))
        return item

    def _with_rows(self, inputs: tuple[Any, ...], **place: Any) -> tuple[Any, ...]:
        """The inputs, with each row of a list of steps taken where it is read: the list was given as one array."""
        return tuple(self._kept(replace(a, **place)) if id(a) in self._rows else a for a in inputs)

    def _input(self, given: Any, array: Any) -> Any:
        if isinstance(given, Tensor):
            return self.add(given)
        if not isinstance(array, (np.ndarray, np.generic)):
            return array
        if id(array) in self.origins:
            return self._by_array.get(id(array)) or self._plain(self.origins[id(array)])
        if np.ndim(array) == 0 and array.dtype.kind == "f":
            return array.item()
        return self._constants.item(array)

    def _plain(self, origin: Origin) -> Any:
        """The Item of a plain array whose origin is known; if it was changed since, it is a constant.

        A guard against one number that didn't occur, ``norm == 0``, is False: nobody writes it.
        """
        value, function, given = np.asarray(origin.array), origin.function, origin.inputs
        with np.errstate(all="ignore"):
            again = getattr(function, "forward", function)(*map(value_of, given))
        operation = WRITTEN.get(function) or OVERRIDES.get(function, function)
        if not np.array_equal(again, value) or not (isinstance(operation, Primitive) or operation in PLAIN):
            return self._constants.item(value)
        if operation is np.equal and not value.any() and isinstance(given[0], Tensor) and given[0].op is not None:
            return False
        for mask in _as_numbers(origin):
            operation, given = elementwise.where, (mask, 1.0, 0.0)
        inputs = tuple(self._input(a, a) for a in given)
        latest = max((a for a in inputs if isinstance(a, Item)), key=lambda a: a.order, default=None)
        if latest is None:
            return self._constants.item(value)
        inputs = self._with_rows(inputs, order=latest.order, is_plain=True)
        item = self._kept(Item(operation, inputs, {}, value, latest.order, latest.scope, is_plain=True))
        self._by_array[id(origin.array)] = item
        return item

    def _shorter(self, node: Any, inputs: tuple[Any, ...]) -> Item | None:
        """The existing Item that this value is equal to."""
        first = inputs[0]
        if node.op in (shape.copy, elementwise.positive):
            return first if isinstance(first, Item) else None
        if node.op in (shape.reshape, shape.broadcast_to, shape.cast, shape.squeeze) and isinstance(first, Item):
            same = first.shape == node.shape and np.asarray(first.value).dtype == node.dtype
            return first if same else None
        if node.op is elementwise.add and len(inputs) == 2:
            for number, other in (inputs, inputs[::-1]):
                if isinstance(number, (int, float)) and number == 0 and isinstance(other, Item):
                    return other
        if node.op is indexing.getitem:
            return self._taken(first, inputs[1]) or self._taken_at_once(node, first, inputs[1])
        if node.op is shape.stacked and not node._keywords.get("axis") and all(id(a) in self._rows for a in inputs):
            whole = first.inputs[0]
            return whole if [row.inputs[1] for row in inputs] == list(range(len(whole.value))) else None
        return None

    def _taken(self, whole: Any, index: Any) -> Item | None:
        """The stacked array that an index selects, or the whole of an array; else None."""
        if isinstance(whole, Item) and takes_all(index, whole.shape):
            return whole
        if not (isinstance(whole, Item) and whole.op is shape.stacked and whole.keywords.get("axis", 0) == 0):
            return None
        if isinstance(index, (int, np.integer)):
            found = whole.inputs[int(index)]
            return found if isinstance(found, Item) else None
        if isinstance(index, slice) and len(whole.inputs[index]) > 1:
            return self._stack(whole, whole.inputs[index], np.asarray(whole.value)[index])
        return None

    def _taken_at_once(self, node: Any, part: Any, index: Any) -> Item | None:
        """A part of a part of the data, taken in one: ``X[n, t]`` for ``X[n][t]``, ``xs[t + 4]`` for ``xs[4:][t]``."""
        if not isinstance(part, Item) or part.op is not indexing.getitem or part.inputs[0].data is None:
            return None
        whole, outer = part.inputs
        place, *inner = index if isinstance(index, tuple) else (index,)
        if isinstance(outer, slice) and type(place) in (int, slice):
            rows = range(len(whole.value))[outer][place]
            found = (rows if isinstance(rows, int) else _slice(rows), *inner)
        elif type(outer) is int and all(type(part) in (int, slice) for part in (place, *inner)):
            found = (outer, place, *inner)
        else:
            return None
        taken = found if len(found) > 1 else found[0]
        return self._kept(Item(node.op, (whole, taken), {}, node._data, node.serial, node.scope))

    def _stack(self, whole: Item, inputs: tuple[Any, ...], value: np.ndarray) -> Item:
        """A stack of some of the arrays that were stacked."""
        return self._kept(Item(whole.op, inputs, dict(whole.keywords), value, whole.order, whole.scope))


def _slice(rows: range) -> slice:
    """The slice that selects these rows."""
    return slice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)


def _as_numbers(origin: Origin) -> list[Any]:
    """The mask of which an array is the zeros and ones: ``mask * 1.0``, ``mask.astype(float)``; none of any other."""
    masks = [a for a in origin.inputs if isinstance(a, np.ndarray) and a.dtype == np.bool_]
    by_one = origin.function is np.multiply and any(type(a) in (int, float) and a == 1 for a in origin.inputs)
    return masks[:1] if by_one or (origin.function is shape.cast and origin.array.dtype.kind in "iuf") else []


def takes_all(index: Any, shape: tuple[int, ...]) -> bool:
    """Return True for an index that selects the whole array."""
    parts = indexing.spelled_out(index, len(shape))
    return len(parts) == len(shape) and all(
        isinstance(part, slice) and part.indices(n) == (0, n, 1) for part, n in zip(parts, shape)
    )


def cleaned(
    loss: Tensor,
    parameters: Mapping[Tensor, str],
    data: Mapping[Tensor, str],
    origins: Origins,
    variables: Mapping[Node, str],
) -> tuple[Item, list[Item]]:
    """The graph of a recorded loss as Items.

    Args:
        loss: the root.
        parameters: the leaves by which the loss is differentiated, by name.
        data: other leaves with a name.
        origins: the origins of plain arrays.
        variables: what the user calls values.

    Returns:
        The Item of the loss, and all Items of operations that lead to it, in the order of recording.
    """
    cleaning = _Cleaning(parameters, data, origins)
    for node in sorted(ancestors([loss]), key=by_serial):
        item = cleaning.add(node)
        item.variable = variables.get(node, item.variable)
    root = cleaning.add(loss)
    return root, _needed(root, cleaning.items)


def _needed(root: Item, items: list[Item]) -> list[Item]:
    """The Items that lead to a root, in the order of recording, with what is made of a recorded value after it."""
    recorded = sorted(items, key=lambda item: item.order)
    found = {id(root)}
    for item in reversed(recorded):
        if id(item) in found:
            found.update(id(given) for given in item.inputs if isinstance(given, Item))
    needed = [item for item in recorded if id(item) in found]
    for place, item in enumerate(needed):
        item.order = place
    return needed
