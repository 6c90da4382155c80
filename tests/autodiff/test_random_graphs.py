"""Random graphs: Tensor, Scalar and a naive recursive oracle are held against each other.

A Hypothesis state machine grows a graph of arrays, each kept three times: as a Tensor, as an object array of Scalars,
and as nodes of ``Naive``, which differentiates by the definition: the derivative of a node by a leaf is the sum, over
its arguments, of local derivative times their derivative; without a graph walk, an order, or un-broadcasting.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

import tinygrad_rnn as tr


class Naive:
    """One number, with its arguments and local derivatives."""

    def __init__(self, value: float, parts: list[tuple[Naive, float]] | None = None) -> None:
        self.value = value
        self.parts = parts or []
        self._known: dict[int, float] = {}

    def by(self, leaf: Naive) -> float:
        """The derivative by a leaf."""
        if self is leaf:
            return 1.0
        if id(leaf) not in self._known:
            self._known[id(leaf)] = sum(local * part.by(leaf) for part, local in self.parts)
        return self._known[id(leaf)]


def naive(f: Callable[..., float], *derivatives: Callable[..., float]) -> Callable[..., Any]:
    """A function of Naive numbers, applied to object arrays element by element, with NumPy's broadcasting."""

    def of_numbers(*xs: Naive) -> Naive:
        values = [x.value for x in xs]
        return Naive(f(*values), [(x, d(*values)) for x, d in zip(xs, derivatives)])

    return np.frompyfunc(of_numbers, len(derivatives), 1)


def add_up(xs: np.ndarray, axis: int | None) -> Any:
    """Sums of Naive numbers along an axis."""
    plus = naive(lambda a, b: a + b, lambda a, b: 1.0, lambda a, b: 1.0)
    if axis is None:
        return functools.reduce(plus, xs.ravel(), Naive(0.0))
    rows = np.moveaxis(xs, axis, 0)
    return functools.reduce(plus, rows, np.frompyfunc(lambda _: Naive(0.0), 1, 1)(np.zeros(rows.shape[1:])))


def product_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product of Naive numbers, by its definition."""
    return add_up(NAIVE["multiply"](a[:, :, None], b[None, :, :]), 1)


UNARY: dict[str, tuple[Callable[..., Any], Callable[..., float], Callable[..., float]]] = {
    "tanh": (np.tanh, np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "exp": (lambda x: np.exp(-x), lambda x: np.exp(-x), lambda x: -np.exp(-x)),
    "sigmoid": (tr.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "relu": (tr.relu, lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "log": (lambda x: np.log(x * x + 1), lambda x: np.log(x * x + 1), lambda x: 2 * x / (x * x + 1)),
    "sqrt": (lambda x: np.sqrt(x * x + 2), lambda x: np.sqrt(x * x + 2), lambda x: x / np.sqrt(x * x + 2)),
    "square": (lambda x: x**2, lambda x: x**2, lambda x: 2 * x),
    "negative": (lambda x: -x, lambda x: -x, lambda x: -1.0),
    "shift": (lambda x: 1.5 - x, lambda x: 1.5 - x, lambda x: -1.0),
    "scale": (lambda x: x * 0.5, lambda x: x * 0.5, lambda x: 0.5),
}
BINARY: dict[str, tuple[Callable[..., Any], Callable[..., float], Callable[..., float], Callable[..., float]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b, lambda a, b: 1.0, lambda a, b: 1.0),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b, lambda a, b: 1.0, lambda a, b: -1.0),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
    "divide": (
        lambda a, b: a / (b * b + 1),
        lambda a, b: a / (b * b + 1),
        lambda a, b: 1 / (b * b + 1),
        lambda a, b: -2 * a * b / (b * b + 1) ** 2,
    ),
}
NAIVE = {name: naive(*functions[1:]) for name, functions in (UNARY | BINARY).items()}

Triple = tuple[Any, np.ndarray, np.ndarray]  # the same array as a Tensor, as Scalars, as Naive numbers


class RandomGraphs(RuleBasedStateMachine):
    """Grows a graph, and now and then takes a gradient."""

    arrays = Bundle("arrays")

    @initialize()
    def begin(self) -> None:
        self.leaves: list[Triple] = []

    def same(self, *versions: Any) -> Triple:
        tensor, scalars, numbers = versions[0], *(np.asarray(v, dtype=object) for v in versions[1:])
        assert isinstance(tensor, tr.Tensor)
        assert tensor.shape == scalars.shape == numbers.shape
        values = np.array([s.data if isinstance(s, tr.Scalar) else s for s in scalars.ravel()], dtype=float)
        assert np.allclose(tensor.data.ravel(), values, rtol=1e-12, atol=1e-12)
        assert np.allclose(tensor.data.ravel(), [n.value for n in numbers.ravel()], rtol=1e-12, atol=1e-12)
        return tensor, scalars, numbers

    def keep(self, triple: Triple) -> Triple:
        """A result, tamed by tanh where it grew too large to compare."""
        if triple[0].size and np.max(np.abs(triple[0].data)) > 20:
            return self.same(np.tanh(triple[0]), np.tanh(triple[1]), NAIVE["tanh"](triple[2]))
        return triple

    @rule(
        target=arrays, shape=st.sampled_from([(), (1,), (3,), (2, 3), (3, 1), (3, 3)]), seed=st.integers(0, 2**32 - 1)
    )
    def leaf(self, shape: tuple[int, ...], seed: int) -> Triple:
        values = np.random.default_rng(seed).uniform(-2, 2, shape)
        triple = (
            tr.tensor(values, requires_grad=True),
            tr.scalars(values),
            np.asarray(np.frompyfunc(Naive, 1, 1)(values), dtype=object),
        )
        self.leaves.append(triple)
        return self.same(*triple)

    @rule(target=arrays, name=st.sampled_from(sorted(UNARY)), x=arrays)
    def one(self, name: str, x: Triple) -> Triple:
        f = UNARY[name][0]
        return self.keep(self.same(f(x[0]), f(x[1]), NAIVE[name](x[2])))

    @rule(target=arrays, name=st.sampled_from(sorted(BINARY)), x=arrays, y=arrays)
    def two(self, name: str, x: Triple, y: Triple) -> Triple:
        try:
            np.broadcast_shapes(x[0].shape, y[0].shape)
        except ValueError:
            return x
        f = BINARY[name][0]
        return self.keep(self.same(f(x[0], y[0]), f(x[1], y[1]), NAIVE[name](x[2], y[2])))

    @rule(target=arrays, x=arrays, axis=st.sampled_from([None, 0, 1]))
    def sum(self, x: Triple, axis: int | None) -> Triple:
        if axis is not None and axis >= x[0].ndim:
            return x
        return self.keep(self.same(np.sum(x[0], axis=axis), np.sum(x[1], axis=axis), add_up(x[2], axis)))

    @rule(target=arrays, x=arrays, y=arrays)
    def matrix_product(self, x: Triple, y: Triple) -> Triple:
        if x[0].ndim != 2 or y[0].ndim != 2 or x[0].shape[1] != y[0].shape[0]:
            return x
        return self.keep(self.same(x[0] @ y[0], x[1] @ y[1], product_of(x[2], y[2])))

    @rule(target=arrays, x=arrays, data=st.data())
    def moved(self, x: Triple, data: Any) -> Triple:
        """Elements in other places: an index, a transpose, a join, a choice."""
        kinds = ["transpose", "join", "choose", "ravel"] + (["row", "repeated", "reversed"] if x[0].ndim else [])
        kind = data.draw(st.sampled_from(kinds))
        functions: dict[str, Callable[[Any], Any]] = {
            "transpose": np.transpose,
            "join": lambda a: np.concatenate([np.ravel(a), np.ravel(a)[:1]])[:3],
            "choose": lambda a: np.where(np.arange(a.size).reshape(a.shape) % 2 == 0, a, a),
            "ravel": lambda a: np.ravel(a)[:3],
            "row": lambda a: a[0],
            "repeated": lambda a: a[np.array([0, 0, -1])],
            "reversed": lambda a: a[::-1],
        }
        return self.same(*(functions[kind](version) for version in x))

    @precondition(lambda self: len(self.leaves) > 0)
    @rule(x=arrays, seed=st.integers(0, 2**32 - 1))
    def gradients_agree(self, x: Triple, seed: int) -> None:
        if not x[0].requires_grad:
            return
        weights = np.random.default_rng(seed).uniform(-1, 1, x[0].shape)
        for leaf in self.leaves:
            leaf[0].grad = None
            for s in leaf[1].ravel():
                s.grad = None
        x[0].backward(weights, retain_graph=True)
        total = np.sum(weights * x[1])
        if isinstance(total, tr.Scalar):
            total.backward(retain_graph=True)
        for tensor, scalars, numbers in self.leaves:
            by_definition = [sum(w * y.by(n) for w, y in zip(weights.ravel(), x[2].ravel())) for n in numbers.ravel()]
            found = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
            assert found.shape == tensor.shape
            assert np.allclose(found.ravel(), by_definition, rtol=1e-9, atol=1e-9)
            assert np.allclose(tr.gradients(scalars).ravel(), by_definition, rtol=1e-9, atol=1e-9)

    @invariant()
    def no_leaf_was_written_to(self) -> None:
        for tensor, scalars, _ in getattr(self, "leaves", []):
            assert np.array_equal(tensor.data.ravel(), [s.data for s in scalars.ravel()])


TestRandomGraphs = RandomGraphs.TestCase
TestRandomGraphs.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
