"""The limits of an answer: the functions and operators that it may use, values by step, and the size of results."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

MOST_ELEMENTS, LARGEST_INTEGER = 10**7, 10**6


class Unreadable(ValueError):
    """The error for an answer that can't be read or computed; it says why, where, and what to write instead."""

    verdict = "unreadable"


class Circular(Unreadable):
    """The error for an answer that reads values computed from the very line that it should define."""

    verdict = "circular"


class WrongShape(Unreadable):
    """The error for an answer whose values have another shape than those of its line."""

    verdict = "wrong shape"


class AtSteps:
    """A value that exists at each step: ``h[t - 1]``; ``h`` alone means the value at the current step."""

    def __init__(self, name: str, steps: tuple[int, ...], value: Callable[[int], Any]) -> None:
        self.name, self.steps, self.value = name, steps, value

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            first, end = (bound if bound is not None else default for bound, default in
                          ((index.start, self.steps[0]), (index.stop, self.steps[-1] + 1)))  # fmt: skip
            chosen = range(operator.index(first), operator.index(end), index.step or 1)
            return np.stack([self.value(t) for t in chosen])
        try:
            step = operator.index(index)
        except TypeError:
            raise Unreadable(f"{self.name} takes a step: {self.name}[t], {self.name}[t - 1]") from None
        return self.value(step)


class Once:
    """A value without steps, computed when it is first read."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def softmax(x: Any, axis: int = -1) -> Any:
    """The softmax along an axis."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def relu(x: Any) -> Any:
    """The rectifier."""
    return np.maximum(x, 0)


SHORT: dict[str, Any] = {"sigmoid": sigmoid, "σ": sigmoid, "softmax": softmax, "relu": relu, "abs": np.abs, "len": len}
NUMPY = frozenset({
    "tanh", "exp", "log", "log1p", "expm1", "sqrt", "square", "abs", "absolute", "sign", "sin", "cos", "tan", "arctan",
    "sinh", "cosh", "maximum", "minimum", "where", "outer", "dot", "matmul", "inner", "einsum", "sum", "mean", "prod",
    "max", "min", "concatenate", "stack", "vstack", "hstack", "transpose", "swapaxes", "moveaxis", "reshape",
    "expand_dims", "squeeze", "broadcast_to", "add", "subtract", "multiply", "divide", "power", "negative",
    "reciprocal", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "eye", "diag", "clip", "logaddexp",
    "array", "asarray", "atleast_2d", "cumsum", "flip", "greater", "less", "greater_equal", "less_equal", "equal",
    "not_equal", "logical_and", "logical_or", "logical_not", "trace", "ravel", "arange", "float64", "logaddexp.reduce",
    "linalg.norm", "linalg.inv", "linalg.solve", "linalg.det", "linalg.slogdet", "pi", "e", "inf", "newaxis"
})  # fmt: skip
GROWING = frozenset({"outer", "einsum", "full", "zeros", "ones", "eye", "diag", "broadcast_to", "arange", "reshape"})
METHODS = frozenset({
    "sum", "mean", "prod", "max", "min", "dot", "reshape", "transpose", "ravel", "copy", "squeeze", "swapaxes",
    "astype", "clip"
})  # fmt: skip
ATTRIBUTES = frozenset({"T", "shape", "size", "ndim"})
KEYWORDS = frozenset({"axis", "keepdims", "axes", "dtype", "shape"})
BINARY: dict[type, Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                           ast.Div: operator.truediv, ast.MatMult: operator.matmul, ast.Pow: operator.pow,
                           ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_,
                           ast.BitOr: operator.or_}  # fmt: skip
UNARY: dict[type, Any] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: np.logical_not,
}
COMPARED: dict[type, Any] = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
                             ast.Eq: operator.eq, ast.NotEq: operator.ne,
                             ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b}  # fmt: skip


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def too_large(function: Any, values: tuple[Any, ...]) -> bool:
    """Return True if a result may have more elements than anyone needs."""
    name = getattr(function, "__name__", "")
    sizes = [v.size for v in _flat(values) if isinstance(v, np.ndarray)]
    if function is range:
        return any(not isinstance(v, (int, np.integer)) or abs(int(v)) > LARGEST_INTEGER for v in values)
    if name in GROWING:
        lengths = [float(abs(v)) for v in _flat(values) if isinstance(v, (int, float)) and abs(v) < np.inf]
        of_lengths = math.prod([max(length, 1.0) for length in lengths]) ** (2 if name == "eye" else 1)
        return of_lengths > MOST_ELEMENTS or math.prod(float(max(size, 1)) for size in sizes) > 100 * MOST_ELEMENTS
    shapes = [v.shape for v in values if isinstance(v, np.ndarray)]
    try:
        return math.prod(map(float, np.broadcast_shapes(*shapes))) > MOST_ELEMENTS
    except ValueError:  # the operation itself will report that
        return sum(sizes) > MOST_ELEMENTS
