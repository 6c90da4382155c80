"""Time is a loop: run a cell over a sequence, one node after another; BPTT is then the engine's own backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.graph import named
from ..autodiff.scope import context
from ..autodiff.tensor import Tensor, tensor
from ..autodiff.trees import children, leaves, paths, tree_map

Cell = Callable[[Any, Any], Any]


def unroll(cell: Cell, xs: Any, state: Any = None, steps: int | None = None) -> tuple[Any, Any]:
    """Run a cell over a sequence.

    Args:
        cell: ``y, state = cell(x, state)``. A function that gives one array is a cell whose output is its state.
        xs: the inputs, (T, ...): an ndarray or a Tensor, or an object array of Scalars; ``xs[t-1]`` is the input at
        time
            step t. None for a cell without inputs, which then needs ``steps``.
        state: the state before the first step, an array or a tuple, NamedTuple or dict of arrays. None asks
            ``cell.initial_state(x)`` for one.
        steps: how many steps to take; by default the length of ``xs``.

    Returns:
        ``(ys, state)``: the outputs of all steps as one Tensor (T, ...), and the state after the last.

    Raises:
        TypeError: the cell has no initial state and none was given; or it gives something else than an array or a pair.
        ValueError: neither ``xs`` nor ``steps``; more steps than inputs; no steps at all.

    Everything that is recorded inside a step carries its number, counted from 1 as in the articles; outputs and the
    components of the state are labelled.

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
    inputs = _taken_in(xs)
    steps = _count_steps(inputs, steps)
    state = _initial_state(cell, inputs) if state is None else state
    if not _holds_scalars(inputs):
        state = _owned_state(state)
    outside = context.scope
    outputs = []
    try:
        context.scope = outside._replace(step=0)
        _label_state(state)
        for t in range(1, steps + 1):
            context.scope = outside._replace(step=t)
            x = None if inputs is None else named("x", inputs[t - 1], "input")
            y, state = _one_step(cell, x, state)
            named("y", y, "output")
            _label_state(state)
            outputs.append(y)
    finally:
        context.scope = outside
    return np.stack(outputs) if outputs else _nothing(cell, inputs, state), state


def _one_step(cell: Cell, x: Any, state: Any) -> tuple[Any, Any]:
    result = cell(x, state)
    if isinstance(result, (Tensor, np.ndarray, np.generic)):
        return result, result
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise TypeError(
        f"unroll at {context.scope}: a cell returns y, state (or one array that is both), but this one gave "
        f"{type(result).__name__}{f' of length {len(result)}' if isinstance(result, (tuple, list)) else ''}"
    )


def _taken_in(xs: Any) -> Any:
    """The inputs, copied once if they are the caller's array, so that the steps can share them."""
    if xs is None or isinstance(xs, Tensor):
        return xs
    return xs if _holds_scalars(xs) else tensor(xs)


def _holds_scalars(xs: Any) -> bool:
    return isinstance(xs, np.ndarray) and xs.dtype == object


def _count_steps(inputs: Any, steps: int | None) -> int:
    if inputs is None:
        if steps is None:
            raise ValueError("unroll: without inputs (xs=None) the number of steps is needed: steps=10")
        return steps
    if np.ndim(inputs) == 0:
        raise ValueError("unroll: xs is a sequence with time first, (T, ...); this one is a single number")
    if steps is not None and steps > len(inputs):
        raise ValueError(f"unroll: {steps} steps asked for, but xs of shape {np.shape(inputs)} has only {len(inputs)}")
    return len(inputs) if steps is None else steps


def _initial_state(cell: Cell, inputs: Any) -> Any:
    if not hasattr(cell, "initial_state"):
        name = getattr(cell, "__name__", type(cell).__name__)
        raise TypeError(
            f"unroll: {name} has no initial_state(x), so the state before the first step must be given: "
            "state=np.zeros((B, d)), or np.zeros(d) without a batch"
        )
    if inputs is None:
        return cell.initial_state(None)
    first = inputs[0] if len(inputs) else np.zeros(np.shape(inputs)[1:], inputs.dtype)
    return cell.initial_state(first)


def _owned_state(state: Any) -> Any:
    """The initial state with the caller's arrays taken in."""
    is_plain = lambda a: isinstance(a, (np.ndarray, list, float, int)) and np.asarray(a).dtype != object  # noqa: E731
    return tree_map(lambda a: tensor(a) if is_plain(a) else a, state)


def state_names(state: Any) -> list[str]:
    """What the components of a state are called: "h" if it is one array, else by field, key or place."""
    return ["h"] if children(state) is None else list(paths(state))


def _label_state(state: Any) -> None:
    for name, component in zip(state_names(state), leaves(state)):
        named(name, component, "state")


def _nothing(cell: Cell, inputs: Any, state: Any) -> Any:
    """The outputs of no steps: their shape is found by one step on zeros, and they keep their tie to the parameters."""
    x = None if inputs is None else np.zeros(np.shape(inputs)[1:], inputs.dtype)
    return np.stack([_one_step(cell, x, state)[0]])[:0]
