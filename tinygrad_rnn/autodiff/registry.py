"""Primitives: functions of arrays, each declared with its derivatives beside it.

A primitive is declared once. ``forward`` computes it in plain NumPy; for each argument a **vjp** rule takes the
cotangent of the result to the cotangent of that argument, and a **jvp** rule takes the tangent of that argument to the
tangent of the result:

    vjp(g, ans, *args, **kwargs)      g: cotangent of the result, ans: the result of the forward pass
    jvp(v, ans, *args, **kwargs)      v: tangent of the argument

Rules are written in plain NumPy as well. Called with ndarrays, they are the first-order backward pass at NumPy's speed;
called with Tensors, the same rules are recorded, which makes higher derivatives possible. So neither this file nor any
file of rules knows what a Tensor is. In return a rule keeps four habits: it calls only registered functions; it
branches on shapes, dtypes and keywords, never on values; it assigns into nothing; and it leaves un-broadcasting and
dtypes to the backward pass, which handles both in one place.

There are four ways to declare one:

    elementwise(f, *derivatives)      one derivative per argument; 1, -1 and 0 stand for themselves
    linear(f, *transposes)            linear in each argument: the jvp is f itself, applied to the tangent
    linear_in_all(f, transpose)       the same for any number of arguments
    primitive(f, vjps, jvps)          anything else

``overrides`` then names the NumPy function that a primitive, or a plain composition of primitives, replaces.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Rule = Callable[..., Any]

# NumPy function (or ufunc) -> what runs instead of it when a Tensor is among the arguments.
OVERRIDES: dict[Callable[..., Any], Callable[..., Any]] = {}

# Functions whose result carries no gradient anywhere (comparisons, argmax, ...): they return plain arrays.
PLAIN: set[Callable[..., Any]] = set()


class Primitive:
    """A differentiable function: forward, vjp and jvp side by side.

    It is called like a function. If an argument has NumPy's ``__array_function__`` protocol (a Tensor does), the call
    is passed to that protocol, as NumPy's own functions do; on plain arrays it just runs ``forward``.

    Attributes:
        name: the name in errors and pictures.
        forward: the function, on arrays.
        vjps: one rule per positional argument, None for an argument without a derivative (an axis, a condition).
            A function of any number of arrays has one rule for all of them, ``vjps(wanted, g, ans, *args, **kwargs)``,
            which returns the cotangents of the arguments whose indices are in ``wanted``.
        jvps: likewise one per argument; or one rule ``jvps(tangents, ans, *args, **kwargs)`` for all, in which the
            tangent of an argument that doesn't change is None.
        outputs: True if ``forward`` returns a tuple of arrays.
        by_element: True if it acts on each element by itself; the compiler may then run many steps at once.
        is_linear: True if it was declared linear, so that its jvp is the function itself.
        is_single: True if it was made for one node, and holds that node's data.
        passes_on: the number of arguments that it returns unchanged, for a primitive that exists for its rules alone.
    """

    __slots__ = ("by_element", "forward", "is_linear", "is_single", "jvps", "name", "outputs", "passes_on", "vjps")

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjps: Sequence[Rule | None] | Rule,
        jvps: Sequence[Rule | None] | Rule,
        outputs: bool = False,
    ) -> None:
        self.name = name
        self.forward = forward
        self.vjps = vjps
        self.jvps = jvps
        self.outputs = outputs
        self.by_element = self.is_linear = self.is_single = False
        self.passes_on = 0

    def remains(self) -> Primitive:
        """The same primitive without its data, for a freed node whose primitive was made for it alone."""
        return _remains(self.name, self.outputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or let an argument with NumPy's protocol run it."""
        for argument in args:
            kind = argument.__class__
            if kind is not np.ndarray and hasattr(kind, "__array_function__") and not issubclass(kind, np.ndarray):
                result = kind.__array_function__(argument, self, (kind,), args, kwargs)
                if result is not NotImplemented:
                    return result
            elif kind is list:
                speaker = next((a for a in _flat(argument) if hasattr(a.__class__, "__array_function__")), None)
                if speaker is not None and not isinstance(speaker, np.ndarray):
                    return speaker.__class__.__array_function__(speaker, self, (speaker.__class__,), args, kwargs)
        return self.forward(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _flat(nested: Any) -> Iterator[Any]:
    """The elements of nested lists, one after another."""
    for part in nested:
        yield from _flat(part) if isinstance(part, list) else (part,)


@functools.cache
def _remains(name: str, outputs: bool) -> Primitive:
    return Primitive(name, _freed, [], [], outputs)


def _freed(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("this operation was freed with its graph")


def name_of(f: Callable[..., Any]) -> str:
    """The public name of a function: ``tanh``, ``linalg.inv``, ``fft.fft``."""
    name = getattr(f, "__name__", None) or repr(f)
    module = getattr(f, "__module__", None) or ""
    for part in ("linalg", "fft"):
        if module.startswith(f"numpy.{part}"):
            return f"{part}.{name}"
    return name.strip("_")


def _scale(derivative: Rule | int, arguments: int) -> Rule:
    """Multiply a cotangent (or a tangent: the rule is the same) by an elementwise derivative."""
    if derivative == 1:
        return (lambda g, ans, x, y: g) if arguments == 2 else (lambda g, ans, *args, **kwargs: g)
    if derivative == -1:
        return lambda g, ans, *args, **kwargs: -g
    if derivative == 0:
        return lambda g, ans, *args, **kwargs: np.zeros_like(g)
    assert callable(derivative)
    if arguments == 1:  # the two common shapes, spelled out: passing *args on costs as much as the product
        return lambda g, ans, x, **kwargs: g * derivative(ans, x, **kwargs)
    if arguments == 2:
        return lambda g, ans, x, y: g * derivative(ans, x, y)
    return lambda g, ans, *args, **kwargs: g * derivative(ans, *args, **kwargs)


def elementwise(f: Callable[..., Any], *derivatives: Rule | int | None, name: str | None = None) -> Primitive:
    """A function that acts on each element by itself, with broadcasting.

    Args:
        f: the function.
        derivatives: for each argument its derivative ``d(ans, *args, **kwargs)``, or 1, -1 or 0, or None.
        name: the name of the primitive, by default that of ``f``.
    """
    rules = [None if d is None else _scale(d, len(derivatives)) for d in derivatives]
    return primitive(f, rules, rules, name=name, by_element=True)


def linear(f: Callable[..., Any], *transposes: Rule | None, name: str | None = None) -> Primitive:
    """A function that is linear in each of its arguments, the others held fixed (a sum, a reshape, a matrix product).

    Args:
        f: the function.
        transposes: for each argument its vjp rule, the transpose of that linear map.
        name: the name of the primitive, by default that of ``f``.
    """

    def push_forward(i: int) -> Rule:
        return lambda v, ans, *args, **kwargs: self(*args[:i], v, *args[i + 1 :], **kwargs)

    jvps = [None if t is None else push_forward(i) for i, t in enumerate(transposes)]
    self = Primitive(name or name_of(f), f, list(transposes), jvps)
    self.is_linear = True
    return self


def linear_in_all(f: Callable[..., Any], transpose: Rule, name: str | None = None) -> Primitive:
    """A function of any number of arrays, linear in all of them together (concatenate, stack).

    Args:
        f: the function.
        transpose: one vjp rule for all arguments, ``transpose(wanted, g, ans, *args, **kwargs)``.
        name: the name of the primitive, by default that of ``f``.
    """

    def push_forward(tangents: Sequence[Any], ans: Any, *args: Any, **kwargs: Any) -> Any:
        filled = [np.zeros_like(a) if v is None else v for v, a in zip(tangents, args)]
        return self(*filled, **kwargs)

    self = Primitive(name or name_of(f), f, transpose, push_forward)
    self.is_linear = True
    return self


def primitive(
    f: Callable[..., Any],
    vjps: Sequence[Rule | None] | Rule,
    jvps: Sequence[Rule | None] | Rule,
    *,
    name: str | None = None,
    outputs: bool = False,
    by_element: bool = False,
) -> Primitive:
    """Any other function, with both kinds of rules written out, one per argument.

    Args:
        f: the function.
        vjps: one rule per argument, or one for all.
        jvps: one rule per argument, or one for all.
        name: the name of the primitive, by default that of ``f``.
        outputs: whether ``f`` returns a tuple of arrays.
        by_element: whether it acts on each element by itself, although its rules select and don't scale.
    """
    op = Primitive(name or name_of(f), f, vjps, jvps, outputs)
    op.by_element = by_element
    return op


def overrides(*functions: Callable[..., Any]) -> Callable[[Any], Any]:
    """Register a primitive, or a composition of primitives, as the derivative-aware form of these NumPy functions.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.autodiff.registry import OVERRIDES
        >>> OVERRIDES[np.tanh].name
        'tanh'
    """

    def declare(implementation: Any) -> Any:
        for function in functions:
            OVERRIDES[function] = implementation
        return implementation

    return declare


def without_gradient(*functions: Callable[..., Any]) -> None:
    """Register NumPy functions that look at values or shapes only: on Tensors they return plain results."""
    PLAIN.update(functions)
