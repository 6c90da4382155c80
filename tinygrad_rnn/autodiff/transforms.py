"""Functions of functions: ``grad``, ``value_and_grad``, ``vjp``, ``jvp``, ``linearize``.

Each runs the function on fresh leaves and walks the recorded graph to them. Nesting needs no levels: if an argument is
itself a Tensor of an outer graph, its fresh leaf is an identity node over it, and the walk is recorded, so that it can
be differentiated in turn. It is recorded exactly if the graph reaches another Tensor that requires a gradient.

Results are plain arrays on the outside, and Tensors where the walk was recorded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import errors
from .array_node import starting_cotangent, value_of
from .graph import Node, ancestors, backward_walk, forward_walk, leading_to
from .registry import elementwise
from .scope import context, enable_grad
from .tensor import Argument, Tensor, apply, constant, make_leaf
from .trees import leaves, tree_map, unflatten

identity = elementwise(lambda x: x, 1, name="identity")


def _fresh(x: Any) -> Tensor:
    """A new leaf over an argument, whose gradient doesn't include other uses of the same array."""
    if isinstance(x, Tensor):
        if x.requires_grad:
            return apply(identity, (x,))
        if x.dtype.kind != "f":
            raise TypeError(f"grad: an argument of dtype {x.dtype} has no gradient; pass real numbers")
        return make_leaf(Argument, x._data, True, None, x.name)
    return make_leaf(Argument, x, True, np.float64 if isinstance(x, (int, float)) else None, None)


def _as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else constant(np.array(x))


def _one_number(y: Any) -> Tensor:
    """The result of a function that ``grad`` differentiates, checked to be one number."""
    if not isinstance(y, (Tensor, np.ndarray, np.number, int, float)):
        raise TypeError(
            f"grad(): the function returns a {type(y).__name__}, not one number. Return the number; has_aux=True of "
            "value_and_grad is for a pair of it and anything else."
        )
    value = _as_tensor(y)
    if value.size != 1:
        raise RuntimeError(
            f"grad(): the function returns an array of shape {value.shape}, not one number. Sum it first, or ask vjp "
            "for the gradient with a cotangent of your own, or jacobian for all derivatives."
        )
    return value


def _own_number(a: Any) -> Any:
    """A copy that is the caller's own: an array, or a number if there are no axes."""
    return np.array(a)[()]


def check_positions(argnums: int | Sequence[int], args: Sequence[Any]) -> None:
    """Raise IndexError where ``argnums`` names an argument that the call doesn't have."""
    for i in [argnums] if isinstance(argnums, int) else argnums:
        if not -len(args) <= i < len(args):
            raise IndexError(f"argnums={argnums}: positional arguments count from 0, and this call has {len(args)}")


class _Run:
    """A run of a function on fresh leaves, with the graph that it left."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], keywords: dict[str, Any]):
        if context.trace is not None:
            raise errors.not_inside("a gradient or a tangent", "take it of the compiled function")
        args = list(args)
        self.recording = context.recording
        with enable_grad():
            for i in argnums:
                args[i] = tree_map(_fresh, args[i])
            self.chosen = [args[i] for i in argnums]
            try:
                self.result = f(*args, **keywords)
            except ValueError as error:
                errors.reveal(error)
                raise
        self.targets: frozenset[Node] = frozenset(leaf for tree in self.chosen for leaf in leaves(tree))

    def graph(self, outputs: Sequence[Tensor]) -> tuple[list[Node], bool]:
        """The nodes between the leaves and the outputs, and whether the graph reaches beyond the leaves."""
        nodes = ancestors(outputs, stop=self.targets, spent=False)
        beyond = self.recording and any([(node.op is None) != (node in self.targets) for node in nodes])  # noqa: C419
        return leading_to(nodes, self.targets), beyond

    def gradients(self, outputs: Sequence[Tensor], cotangents: Sequence[Any], keep: bool = False) -> list[Any]:
        """The cotangent of each chosen argument, as trees like them; zeros if the result doesn't depend on it."""
        nodes, beyond = self.graph(outputs)
        self.recorded = recorded = beyond or (self.recording and any(isinstance(g, Tensor) for g in cotangents))
        cotangents = [_as_tensor(g) if recorded else value_of(g) for g in cotangents]
        start: dict[Node, Any] = {}
        for output, g in zip(outputs, cotangents):
            start[output] = start[output] + g if output in start else g
        with enable_grad():
            free = not (recorded or keep)
            reached = backward_walk(start, nodes, targets=self.targets, free=free, observer=context.anomaly)
        return [
            tree_map(lambda leaf: reached[leaf] if leaf in reached else np.zeros_like(leaf._data), tree)
            for tree in self.chosen
        ]

    def close(self) -> None:
        """Turn this run's own leaves into constants: no gradient can be computed for them any more."""
        for leaf in self.targets:
            leaf.requires_grad = leaf.requires_grad and not leaf.is_leaf


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value of ``f`` and its gradient.

    Args:
        f: a function that returns one number (or, with ``has_aux``, a pair of a number and any other object).
        argnums: the position(s) of the argument(s) to differentiate by; each an array, a number or a tree of them.
        has_aux: whether ``f`` returns a pair.

    Returns:
        A function of the same arguments that returns ``(value, gradient)``; the gradient is shaped as the argument,
        or is a tuple of gradients if ``argnums`` is a sequence.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> value, g = tr.value_and_grad(lambda w: np.sum(w * w))(np.array([1.0, 2.0]))
        >>> float(value), g.tolist()
        (5.0, [2.0, 4.0])
    """

    @functools.wraps(f)
    def differentiated(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        check_positions(argnums, args)
        run = _Run(f, args, [argnums] if isinstance(argnums, int) else argnums, keywords)
        value, aux = run.result if has_aux else (run.result, None)
        value = _one_number(value)
        gradients = run.gradients([value], [np.ones_like(value._data)])
        run.close()
        found = gradients[0] if isinstance(argnums, int) else tuple(gradients)
        value = value if run.recorded else value._data[()]
        return ((value, aux) if has_aux else value), found

    return differentiated


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of ``f``, which returns one number.

    Args:
        f: a function that returns one number.
        argnums: the position(s) of the argument(s) to differentiate by; each an array, a number or a tree of them.

    Returns:
        A function of the same arguments that returns the gradient, in the shape of the argument. It can be
        differentiated again: ``grad(grad(f))``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> first = tr.grad(np.tanh)
        >>> second = tr.grad(first)
        >>> round(float(first(0.5)), 4), round(float(second(0.5)), 4)
        (0.7864, -0.7269)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **keywords: Any) -> Any:
        return both(*args, **keywords)[1]

    return differentiated


def both_ways(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]], Callable[..., Any]]:
    """The value of ``f``, and the two walks through its recorded graph: ``(value, pull_back, push_forward)``."""
    run = _Run(f, primals, range(len(primals)), {})
    outputs = [_as_tensor(y) for y in leaves(run.result)]
    nodes, beyond = run.graph(outputs)

    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        seeds: list[Any] = []
        tree_map(lambda y, g: seeds.append(starting_cotangent(_as_tensor(y), g, "vjp")), run.result, cotangent)
        return tuple(run.gradients(outputs, seeds, keep=True))

    def push_forward(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise TypeError(f"a tangent is needed for each of {len(primals)} arguments, but {len(tangents)} were given")
        start: dict[Node, Any] = {}

        def start_with(leaf: Tensor, v: Any) -> None:
            shape = np.shape(value_of(v))
            if shape != leaf.shape:
                raise ValueError(f"jvp: a tangent of shape {shape} for an argument of shape {leaf.shape}")
            start[leaf] = v if isinstance(v, Tensor) else np.array(v, dtype=leaf.dtype)

        for tree, direction in zip(run.chosen, tangents):
            tree_map(start_with, tree, direction)
        recorded = beyond or (run.recording and any(isinstance(v, Tensor) for v in start.values()))
        start = {leaf: _as_tensor(v) if recorded else value_of(v) for leaf, v in start.items()}
        with enable_grad():
            known = forward_walk(start, nodes)
        found = [known[y] if y in known else np.zeros_like(y._data) for y in outputs]
        return unflatten(run.result, iter(found if recorded else map(_own_number, found)))

    value = run.result if beyond else tree_map(lambda y: _own_number(value_of(y)), run.result)
    return value, pull_back, push_forward


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of ``f``, and a function that takes a cotangent of it back to the arguments (reverse mode).

    Args:
        f: a function that returns an array or a tree of arrays.
        primals: the arguments of ``f``, arrays or trees of them.

    Returns:
        ``(value, pull_back)``; ``pull_back(cotangent)``, with a cotangent like the value, returns a tuple with one
        cotangent for each argument. It can be called any number of times.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> y, pull_back = tr.vjp(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
        >>> pull_back(np.array([1.0, 0.0, 10.0]))[0].tolist()
        [2.0, 0.0, 60.0]
    """
    value, pull_back, _ = both_ways(f, *primals)
    return value, pull_back


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of ``f``, and a function that takes tangents of the arguments forward to it (forward mode).

    This is the counterpart of ``vjp``.

    Args:
        f: a function that returns an array or a tree of arrays.
        primals: the arguments of ``f``, arrays or trees of them.

    Returns:
        ``(value, push_forward)``; ``push_forward(*tangents)``, one for each argument, returns the value's tangent.
        It can be called any number of times.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> y, push_forward = tr.linearize(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
        >>> push_forward(np.array([1.0, 0.0, 10.0])).tolist()
        [2.0, 0.0, 60.0]
    """
    value, _, push_forward = both_ways(f, *primals)
    return value, push_forward


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``f`` and its derivative in a direction (forward mode).

    Args:
        f: a function that returns an array or a tree of arrays.
        primals: the arguments of ``f``, a sequence of arrays or trees of them.
        tangents: the direction, in the same shape.

    Returns:
        ``(value, tangent of the value)``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> y, dy = tr.jvp(np.tanh, (np.array(0.0),), (np.array(2.0),))
        >>> float(dy)
        2.0
    """
    if (
        not isinstance(primals, (tuple, list))
        or not isinstance(tangents, (tuple, list))
        or len(primals) != len(tangents)
    ):
        raise TypeError(
            "jvp(f, primals, tangents): pass both as tuples of the same length, one entry for each argument"
        )
    value, push_forward = linearize(f, *primals)
    return value, push_forward(*tangents)
