"""Time is a loop: run a cell over a sequence, one node after another; BPTT is then the engine's own backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.did_you_mean import check_function
from ..autodiff.errors import reveal
from ..autodiff.graph import Node, named
from ..autodiff.memory import own_copy
from ..autodiff.scope import Label, Scope, context, of_loop
from ..autodiff.tensor import Tensor, constant, tensor
from ..autodiff.trees import children, leaves, paths, rebuild, tree_map
from .compiled_cells import is_compiled, uncompiled
from .part_names import part_names

Cell = Callable[[Any, Any], Any]


class Noisy(NamedTuple):
    """An input together with noise, for a cell with a method ``draw(x, state, steps)``, which draws before the loop.

    ``draw`` takes the first input, the initial state and the number of steps, and returns an array (steps, ...), a tree
    of such arrays, or None; nothing may change the arrays. So the cell itself stays a function of its arguments.

    Attributes:
        x: the input of this step.
        noise: the random numbers for this step.
    """

    x: Any
    noise: Any


def unroll(
    cell: Cell, xs: Any, state: Any = None, steps: int | None = None, *, reverse: bool = False
) -> tuple[Any, Any]:
    """Run a cell over a sequence.

    Args:
        cell: ``y, state = cell(x, state)``. A function that returns a single array is a cell whose output is its state.
            A compiled cell runs the whole loop as generated code; a cell's own ``unroll`` method is used if it has one.
        xs: the inputs, (T, ...): an ndarray or a Tensor, or an object array of Scalars; ``xs[t-1]`` is the input at
            time step t. With a tuple, NamedTuple or dict of these, the cell gets a tuple, NamedTuple or dict. None for
            a cell without inputs, which then needs ``steps``.
        state: the state before the first step, an array or a tuple, NamedTuple, dataclass or dict of arrays. None for
            ``cell.initial_state(x)``.
        steps: the number of steps; by default the length of ``xs``.
        reverse: go from the last step to the first; ``ys`` stays in the order of ``xs``, and so do the numbers of the
            steps.

    Returns:
        ``(ys, state)``: the outputs of all steps as one Tensor (T, ...), or a tree of Tensors if each output is a tree;
        and the state after the last step.

    Raises:
        TypeError: the cell has no initial state and ``state`` isn't given; or it returns something other than an array
            or a pair; or it is not a cell.
        ValueError: neither ``xs`` nor ``steps`` is given; there are more steps than inputs; or ``xs`` has no time axis.

    Everything that is recorded inside a step carries its number, counted from 1 as in the articles; outputs and the
    components of the state are labelled. A loop inside a step is a layer of its own: "loop in step 2", or "words in
    step 2" if it runs in ``tr.scope(layer="words")``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5]], requires_grad=True)
        >>> def cell(x, h):
        ...     return np.tanh(x + h @ W)
        >>> ys, h = tr.unroll(cell, np.ones((3, 1)), state=np.zeros(1))
        >>> ys.shape, h.shape
        ((3, 1), (1,))
        >>> ys.sum().backward()
        >>> round(W.grad.item(), 4)
        0.3646
    """
    check_function("unroll", cell, "cell: a function, or a module such as RNNCell(3, 4)")
    plain = uncompiled(cell)
    own_way = getattr(plain, "unroll", None)
    if own_way is not None:
        return own_way(xs, state, steps, reverse=reverse)
    inputs, state, steps = prepared(plain, xs, state, steps)
    if not steps:
        return _no_outputs(cell, inputs, state), state
    if context.trace is not None:
        from ..compiler.loops.traced_loop import unroll_traced  # not needed by uncompiled models

        return unroll_traced(partial(one_step, cell), inputs, state, steps, reverse)
    if is_compiled(cell):
        step, eager = partial(one_step, plain), partial(_step_by_step, plain, steps, reverse)
        return cell.over_time(inputs, state, steps, reverse, step, eager)
    return _step_by_step(cell, steps, reverse, inputs, state)


def _step_by_step(cell: Cell, steps: int, reverse: bool, inputs: Any, state: Any) -> tuple[Any, Any]:
    label_start(state)
    outputs, state = take_steps(cell, inputs, state, in_order(steps, reverse))
    return stacked(outputs, reverse), state


# --- before the loop -------------------------------------------------------------------------------------------------


def prepared(cell: Cell, xs: Any, state: Any, steps: int | None) -> tuple[Any, Any, int]:
    """The inputs, with noise if any, the initial state and the number of steps for ``unroll``, checked."""
    by_scalars = _holds_scalars(xs)
    inputs = xs if by_scalars else _taken_in(xs, lists_are_arrays=True)
    steps = _count_steps(inputs, steps)
    state = initial_state_of(cell, _first(inputs, steps)) if state is None else state
    if type(state) is tuple and hasattr(cell, "initial_state"):
        state = _with_names(cell, state, _first(inputs, steps))
    if not by_scalars:
        state = _taken_in(state)
    noise = cell.draw(_first(inputs, steps), state, steps) if hasattr(cell, "draw") else None
    if noise is not None:
        inputs = Noisy(inputs, noise if by_scalars else tree_map(constant, noise))
    return inputs, state, steps


def label_start(state: Any) -> None:
    """Label the initial state: its step is 0."""
    outside = context.scope
    context.scope = of_loop(outside)._replace(step=0)
    _label("state", "h", state)
    context.scope = outside


def in_order(steps: int, reverse: bool) -> range:
    """The numbers of the steps in the order in which they are taken."""
    return range(steps, 0, -1) if reverse else range(1, steps + 1)


def _taken_in(tree: Any, lists_are_arrays: bool = False) -> Any:
    """The caller's arrays as Tensors, copied once, so that the steps can share them; other values stay as they are.

    A list is one array if ``lists_are_arrays``, as it is in inputs; states may be lists of arrays.
    """
    if isinstance(tree, Tensor):
        return tree
    if isinstance(tree, np.ndarray):
        if tree.dtype.kind in "fiub":
            return constant(own_copy(tree))  # the same as tensor(), without its checks
        return tree if tree.dtype.hasobject else tensor(tree)
    if lists_are_arrays and isinstance(tree, list):
        shapes = list(dict.fromkeys(map(np.shape, tree)))
        if len(shapes) > 1:
            raise ValueError(f"unroll: a list of inputs is one array, but its steps have the shapes {shapes}")
        return tensor(tree)
    if isinstance(tree, (np.generic, float, int)):
        return tensor(tree)
    parts = children(tree)
    return rebuild(tree, [_taken_in(part, lists_are_arrays) for part in parts]) if parts else tree


def _holds_scalars(xs: Any) -> bool:
    if isinstance(xs, (tuple, dict)):
        return any(map(_holds_scalars, children(xs) or ()))
    return isinstance(xs, np.ndarray) and xs.dtype.hasobject


def _count_steps(inputs: Any, steps: int | None) -> int:
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 0):
        raise ValueError(f"unroll: steps is a whole number from 0, not {steps!r}")
    if inputs is None:
        if steps is None:
            raise ValueError("unroll: without inputs (xs=None) the number of steps is needed: steps=10")
        return steps
    lengths = []
    for part in leaves(inputs):
        shape = getattr(part, "shape", ())
        if not shape:
            given = "single number" if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"unroll: xs is a sequence with time first, (T, ...); this one is a {given}")
        lengths.append(shape[0])
    if len(set(lengths)) != 1:
        raise ValueError(f"unroll: the parts of xs are of different lengths: {', '.join(map(str, lengths))} steps")
    if steps is not None and steps > lengths[0]:
        shapes = ", ".join(str(np.shape(part)) for part in leaves(inputs))
        raise ValueError(f"unroll: {steps} steps asked for, but xs of shape {shapes} has only {lengths[0]}")
    return lengths[0] if steps is None else steps


def _first(inputs: Any, steps: int) -> Any:
    """The first input, or zeros like it if there is none."""
    return tree_map(lambda a: a[0] if len(a) else np.zeros(np.shape(a)[1:], a.dtype), inputs)


class NoInitialState(TypeError):
    """A cell, or one inside it, is a plain function, which has no initial state."""


def initial_state_of(cell: Cell, x: Any) -> Any:
    """The state before the first step, from the cell, for a first input x.

    Raises:
        NoInitialState: the cell has no initial state.
    """
    if not hasattr(cell, "initial_state"):
        is_object = not hasattr(cell, "__name__")
        name = type(cell).__name__ if is_object else cell.__name__
        raise NoInitialState(
            f"unroll: {name} has no initial_state(x), so the state before the first step must be given: "
            "state=np.zeros((B, d)), or np.zeros(d) without a batch"
            + "; or derive its class from nn.Cell, which begins with zeros"
            * is_object
        )
    return cell.initial_state(x)


def _with_names(cell: Cell, state: tuple[Any, ...], x: Any) -> Any:
    """A plain tuple converted to the NamedTuple of the cell's own states, so that its parts have names.

    Raises:
        TypeError: the cell's states are single arrays. (NumPy would take the tuple for an array with one more axis.)
    """
    try:
        own = initial_state_of(cell, x)
    except NoInitialState:
        return state
    if children(own) is None:
        raise TypeError(f"unroll: the state of {type(cell).__name__} is one array, not a tuple of {len(state)}")
    return type(own)(*state) if hasattr(own, "_fields") and len(own) == len(state) else state


# --- the loop --------------------------------------------------------------------------------------------------------


def take_steps(cell: Cell, inputs: Any, state: Any, order: Iterable[int], skipped: int = 0) -> tuple[list[Any], Any]:
    """Take the steps with these numbers, one after another; the inputs begin after ``skipped`` steps.

    Returns:
        The outputs, in the order in which the steps were taken, and the state after the last step.
    """
    outside = context.scope
    layer, _, owner, within, _ = of_loop(outside)
    whose = module_of(cell)
    outputs: list[Any] = []
    names = part_names(whose, len(state)) if type(state) is tuple else None
    try:
        for t in order:
            context.scope = Scope(layer, t, owner, within, whose)
            place = t - 1 - skipped
            x = inputs[place] if isinstance(inputs, Tensor) else tree_map(lambda a: a[place], inputs)  # noqa: B023
            _label("input", "x", x)
            before = state
            y, state = one_step(cell, x, state)
            _label("output", "y", y)
            _label("state", "h", state, names)
            if not outputs:
                _call_alike(before, state, names)
            outputs.append(y)
    except ValueError as error:
        reveal(error)
        raise
    finally:
        context.scope = outside
    return outputs, state


def one_step(cell: Cell, x: Any, state: Any) -> tuple[Any, Any]:
    """The output and the state of one step of any cell, also of a cell that returns one array as both.

    Raises:
        TypeError: the cell returns something else.
    """
    result = cell(x, state)
    if isinstance(result, (Tensor, np.ndarray, np.generic)):
        return result, result
    if isinstance(result, tuple) and len(result) == 2:
        return result
    where = f" at {context.scope}" if str(context.scope) else ""
    raise TypeError(
        f"unroll{where}: a cell returns y, state (or one array that is both), but this one gave "
        f"{type(result).__name__}{f' of length {len(result)}' if isinstance(result, (tuple, list)) else ''}"
    )


def state_names(state: Any) -> list[str]:
    """The names of the components of a state: "h" if it is one array, else by field, key or place."""
    return ["h"] if children(state) is None else list(paths(state))


def module_of(cell: Any) -> Any:
    """The cell inside a compiled or masked cell, or the cell itself."""
    cell = uncompiled(cell)
    return getattr(cell, "stands_for", cell)


def _label(role: str, name: str, tree: Any, names: Sequence[str] | None = None) -> None:
    """Label an array with its name, or the arrays of a tree with theirs; a name given by the cell takes precedence."""
    parts = [(name, tree)] if children(tree) is None else zip(_paths(tree, names), leaves(tree))
    for path, part in parts:
        named(path, part, role)
        given = _given_name(part)
        if given is not None:
            _call(part, role, context.scope.step, given)


def _paths(tree: Any, names: Sequence[str] | None) -> Sequence[str]:
    """The names of a tree's leaves: by place, or the names in the cell's code for the parts of a tuple."""
    found = list(paths(tree))
    if names is None or not found or len(names) != len(tree):
        return found
    places = {str(place): name for place, name in enumerate(names)}
    return [places[first] + dot + rest for first, dot, rest in (path.partition(".") for path in found)]


def _given_name(value: Any) -> str | None:
    """The name that the cell gave a value in this step by ``named``; None without one."""
    for node in _nodes(value)[:1]:
        for label in reversed(node.labels):
            if label.role == "value" and (label.layer, label.step) == (context.scope.layer, context.scope.step):
                return label.name.partition("[")[0] if isinstance(value, np.ndarray) else label.name
    return None


def _call_alike(before: Any, after: Any, names: Sequence[str] | None) -> None:
    """Give the parts of the initial state the names of the parts of the states that the cell returns."""
    if len(leaves(before)) == len(leaves(after)):
        paths_of_parts: Sequence[str | None] = _paths(after, names) if names else [None] * len(leaves(after))
        for old, new, path in zip(leaves(before), leaves(after), paths_of_parts):
            name = _given_name(new) or path
            if name is not None:
                _call(old, "state", 0, name)


def _call(value: Any, role: str, step: int | None, name: str) -> None:
    """Rename the labels that a value has from its role at a step of the current layer."""

    def called(label: Label) -> Label:
        if (label.role, label.layer, label.step) != (role, context.scope.layer, step):
            return label
        return label._replace(name=name + "".join(label.name.partition("[")[1:]))

    for node in _nodes(value):
        node.labels = tuple(dict.fromkeys(map(called, node.labels)))


def _nodes(value: Any) -> list[Node]:
    """A Tensor, or the Scalars of an object array."""
    elements = value.flat if isinstance(value, np.ndarray) and value.dtype == object else [value]
    return [node for node in elements if isinstance(node, Node)]


# --- after the loop --------------------------------------------------------------------------------------------------


def stacked(outputs: list[Any], reverse: bool = False) -> Any:
    """The outputs of the steps as one array (T, ...), in the order of time; a tree of such if each is a tree."""
    if reverse:
        outputs = outputs[::-1]
    return tree_map(lambda *parts: np.stack(parts), *outputs)


def _no_outputs(cell: Cell, inputs: Any, state: Any) -> Any:
    """The outputs of no steps: their shape is found by one step on zeros, and they stay connected to the parameters."""
    y, _ = one_step(cell, _first(inputs, 0), state)
    return tree_map(lambda a: np.stack([a])[:0], y)
