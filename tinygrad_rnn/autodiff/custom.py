"""Functions with derivatives of the user's own: ``custom_vjp`` and ``custom_jvp``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import errors
from .array_node import value_of
from .registry import Primitive
from .scope import context, enable_grad
from .tensor import Tensor, apply, constant
from .texts import printable
from .transforms import vjp
from .trees import leaves, paths, tree_map, unflatten

CLOSURE = (
    "{name}: the function uses a Tensor from outside that requires a gradient, and a derivative of your own says "
    "nothing about it. Pass it as an argument."
)


def _detached(a: Any) -> Any:
    return constant(a._data) if isinstance(a, Tensor) and a.requires_grad else a


class _Custom:
    """The common base of both decorators: a call runs the function once, and makes a single node of it."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self._f = f
        self._name = printable(getattr(f, "__name__", type(f).__name__))

    def __call__(self, *args: Any) -> Any:
        """Run the function, and record one node if an argument requires a gradient."""
        if context.trace is not None:
            return self._f(*args) if self in context.trace.inside else self._traced(args)
        given = leaves(args)
        active = [i for i, a in enumerate(given) if isinstance(a, Tensor) and a.requires_grad]
        if not active or not context.recording:
            return self._f(*args)
        with enable_grad():  # so that Tensors used from outside are noticed
            result, rules = self._run(tree_map(_detached, args), args)
        values = [y if isinstance(y, Tensor) else constant(np.asarray(y)) for y in leaves(result)]
        if any(y.requires_grad for y in values):
            raise TypeError(CLOSURE.format(name=self._name))
        arrays = tuple(y._data for y in values)
        several = len(arrays) != 1
        op = Primitive(self._name, lambda *_: arrays if several else arrays[0], *rules(active), outputs=several)
        op.is_single = True
        results = apply(op, tuple(given[i] for i in active))
        return unflatten(result, iter(results if several else [results]))

    def _traced(self, args: Any) -> Any:
        """Trace a call for the compiler: the operations of ``f``, followed by one operation that carries the rules."""
        given = leaves(args)
        active = [i for i, a in enumerate(given) if isinstance(a, Tensor)]
        inside = context.trace.inside
        with _held(inside, self):
            result, rules = self._run(args, args)
        values = leaves(result)
        n = len(values)
        pull_back, push_forward = rules(active)

        def past_values(wanted: Sequence[int], g: Any, ans: Any, *operands: Any) -> list[Any]:
            """The cotangents of the arguments; those of the values before them are dropped."""
            with _held(inside, self):
                found = iter(pull_back([i - n for i in wanted if i >= n], g, ans, *operands[n:]))
            return [None if i < n else next(found) for i in wanted]

        op = Primitive(self._name, lambda *a: a[0] if n == 1 else a[:n], past_values, push_forward, outputs=n != 1)
        op.passes_on = n
        results = apply(op, (*values, *(given[i] for i in active)))
        return unflatten(result, iter([results] if n == 1 else results))

    def _run(self, detached: Any, args: Any) -> tuple[Any, Callable[[list[int]], tuple[Any, Any]]]:
        """The result, and a function that returns the vjp and jvp rules for the leaves that require a gradient."""
        raise NotImplementedError


@contextmanager
def _held(functions: set[Any], function: Any) -> Iterator[None]:
    """A context for running its halves, in which a call of the function itself uses no rules."""
    functions.add(function)
    try:
        yield
    finally:
        functions.discard(function)


def _with(args: Any, active: Sequence[int], values: Sequence[Any]) -> Any:
    """The arguments, with other values in the place of the active leaves; arrays become Tensors."""
    given = leaves(args)
    for i, v in zip(active, values):
        given[i] = v if isinstance(v, Tensor) else constant(v)
    return unflatten(args, iter(given))


def _cotangent_tree(result: Any, g: Any) -> Any:
    """The cotangents of the results, as a tree like the result; zeros where none arrived."""
    shapes = [np.shape(value_of(y)) for y in leaves(result)]
    given = list(g) if len(shapes) != 1 else [g]
    filled = [np.zeros(shape) if c is None else c for c, shape in zip(given, shapes)]
    return unflatten(result, iter([c if isinstance(c, Tensor) else constant(c) for c in filled]))


def _of_leaves(args: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """The cotangents of all leaves of the arguments, zeros where none arrived."""
    found: list[Any] = []
    for argument, c in zip(args, cotangents):
        if c is None:
            found.extend([None] * len(leaves(argument)))
        else:
            tree_map(lambda _, part: found.append(part), argument, c)
    return [np.zeros(np.shape(value_of(leaf))) if c is None else c for leaf, c in zip(leaves(args), found)]


def _fitting(c: Any, name: str, argument: int, args: Any, result: Any) -> Any:
    """The cotangent of one leaf of the arguments, checked to have a possible shape.

    Possible are the leaf's own shape, and a shape to which it is broadcast beside another argument or in a result.

    Raises:
        ValueError: the shape is another one.
    """
    c = c if isinstance(c, Tensor) else np.asarray(c)
    shapes = [np.shape(value_of(leaf)) for leaf in (*leaves(args), *leaves(result))]
    shape = shapes[argument]
    if c.shape != shape and not any(c.shape == _broadcast(shape, other) for other in shapes):
        path = list(paths(args))[argument]
        raise errors.wrong_cotangent(name, path, c.shape, shape)
    return c


def _broadcast(shape: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """The common shape after broadcasting; None if two shapes don't broadcast."""
    try:
        return np.broadcast_shapes(shape, other)
    except ValueError:
        return None


def _tangents(found: Any, name: str, args: Any, result: Any) -> Any:
    """The tangents that a rule returned, checked: a tree like the result, of arrays in the same shapes.

    A result that is an argument, broadcast, may have the argument's tangent.
    """
    of_arguments = [np.shape(value_of(leaf)) for leaf in leaves(args)]
    path = paths(result)

    def checked(y: Any, v: Any) -> Any:
        v = v if isinstance(v, Tensor) else np.asarray(v)
        shape, place = np.shape(value_of(y)), next(path)
        if v.shape == shape:
            return v
        if v.shape in of_arguments and _broadcast(v.shape, shape) == shape:
            return np.broadcast_to(v, shape)
        raise ValueError(
            f"{name}: the rule returned a tangent of shape {v.shape} for result {place or 0}, which has the shape "
            f"{shape}. A tangent has the shape of its result."
        )

    return tree_map(checked, result, found)


def _plain_unless(recorded: bool, values: Any) -> list[Any]:
    return [v if recorded else value_of(v) for v in values]


class ReverseModeOnly(TypeError):
    """A function has a gradient for reverse mode, and no derivative for forward mode."""


class custom_vjp(_Custom):
    """Attach a gradient of your own to a function, for reverse mode.

    Args:
        f: a function of arrays, numbers and trees of them; all in it that requires a gradient must be an argument.

    Then declare both halves with ``defvjp(forward, backward)``:

    - ``forward(*args)`` returns ``(result, residuals)``;
    - ``backward(residuals, cotangent)`` returns a tuple with the cotangent of each argument, None for no gradient.

    Both are written in plain NumPy and get Tensors. For a second derivative ``backward`` itself is differentiated. A
    cotangent has the shape of its argument. If an argument was broadcast beside another, or to the shape of a result,
    its cotangent may have that larger shape, and is summed; any other shape is an error.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> @tr.custom_vjp
        ... def clip_gradient(x):
        ...     return x
        >>> clip_gradient.defvjp(lambda x: (x, None), lambda residuals, g: (np.clip(g, -1, 1),))
        >>> float(tr.grad(lambda x: 100 * clip_gradient(x))(3.0))
        1.0
    """

    _halves: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Declare the forward and the backward function."""
        self._halves = (forward, backward)

    def _run(self, detached: Any, args: Any) -> Any:
        if self._halves is None:
            raise TypeError(f"{self._name}: custom_vjp needs defvjp(forward, backward) before it is called")
        forward, backward = self._halves
        both = forward(*detached)
        if not isinstance(both, tuple) or len(both) != 2:
            raise TypeError(f"{self._name}: forward must return (result, residuals), a tuple of two")
        result, residuals = both

        def rules(active: list[int]) -> tuple[Any, Any]:
            def pull_back(wanted: Sequence[int], g: Any, ans: Any, *values: Any) -> list[Any]:
                recorded = any(isinstance(v, Tensor) for v in values)
                kept = forward(*_with(args, active, values))[1] if recorded else residuals
                cotangents = backward(kept, _cotangent_tree(result, g))
                if not isinstance(cotangents, tuple) or len(cotangents) != len(args):
                    raise TypeError(
                        f"{self._name}: backward must return a tuple: one cotangent for each of {len(args)} arguments"
                    )
                found = _of_leaves(args, cotangents)
                fitting = [_fitting(found[active[i]], self._name, active[i], args, result) for i in wanted]
                return _plain_unless(recorded, fitting)

            return pull_back, self._no_jvp

        return result, rules

    def _no_jvp(self, *args: Any) -> Any:
        raise ReverseModeOnly(
            f"{self._name} has a gradient of its own for reverse mode only, so jvp can't go through it. Use "
            "custom_jvp, which has both."
        )


class custom_jvp(_Custom):
    """Attach a derivative of your own to a function, for both modes.

    Args:
        f: a function of arrays, numbers and trees of them; all in it that requires a gradient must be an argument.

    Then declare the rule with ``defjvp(rule)``: ``rule(primals, tangents)`` returns ``(result, tangent of the
    result)``, linear in the tangents, in plain NumPy. Reverse mode transposes it. A tangent has the shape of its
    result.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> @tr.custom_jvp
        ... def step(x):
        ...     return np.where(x > 0, 1.0, 0.0)
        >>> step.defjvp(lambda primals, tangents: (step(*primals), tangents[0] * np.exp(-primals[0] ** 2)))
        >>> float(tr.grad(step)(0.0)), float(tr.jvp(step, (0.0,), (2.0,))[1])
        (1.0, 2.0)
    """

    _rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> None:
        """Declare the rule."""
        self._rule = rule

    def _traced(self, args: Any) -> Any:
        raise errors.not_inside(f"custom_jvp ({self._name})", "use custom_vjp, which can be compiled")

    def _run(self, detached: Any, args: Any) -> Any:
        rule = self._rule
        if rule is None:
            raise TypeError(f"{self._name}: custom_jvp needs defjvp(rule) before it is called")
        result = self._f(*detached)

        def along(primals: Any, active: list[int], tangents: Sequence[Any]) -> Any:
            """The rule's tangent if only the active leaves change."""
            still = [np.zeros_like(value_of(leaf), dtype=np.float64) for leaf in leaves(primals)]
            for i, v in zip(active, tangents):
                still[i] = v
            return _tangents(rule(primals, unflatten(primals, iter(still)))[1], self._name, args, result)

        def rules(active: list[int]) -> tuple[Any, Any]:
            def pull_back(wanted: Sequence[int], g: Any, ans: Any, *values: Any) -> list[Any]:
                primals = _with(args, active, values)
                zeros = [np.zeros_like(value_of(v)) for v in values]
                _, transposed = vjp(lambda *tangents: along(primals, active, tangents), *zeros)
                found = transposed(_cotangent_tree(result, g))
                return _plain_unless(any(isinstance(v, Tensor) for v in values), [found[i] for i in wanted])

            def push_forward(tangents: Sequence[Any], ans: Any, *values: Any) -> Any:
                primals = _with(args, active, values)
                moving = [
                    np.zeros_like(value_of(v)) if t is None else t if isinstance(t, Tensor) else constant(t)
                    for t, v in zip(tangents, values)
                ]
                found = leaves(along(primals, active, moving))
                found = _plain_unless(any(isinstance(v, Tensor) for v in values), found)
                return found[0] if len(found) == 1 else tuple(found)

            return pull_back, push_forward

        return result, rules
