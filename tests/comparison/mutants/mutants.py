"""Mutants of the derivations by hand: the right ones, changed in one place, that run and give other gradients."""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.comparison.mutants.mutations import Mutation, mutations
from tests.comparison.planted.common import Network

MUTANT = "mutant"
LARGEST = 1e6  # times the right gradient: nobody needs to be told of more


@dataclass(frozen=True)
class Mutant:
    """A network whose derivation by hand has a mistake in it.

    Attributes:
        network: its one slip is called ``MUTANT``.
        kind: of the mutation.
        change: the lines that differ, before and after.
    """

    network: Network
    kind: str
    change: str


class Mutable:
    """A network, and the mutants of its derivation by hand."""

    def __init__(self, network: Network) -> None:
        self.network = network
        source = textwrap.dedent(inspect.getsource(network.by_hand))
        self.function = _without_slips(ast.parse(source).body[0])
        self.right = ast.unparse(self.function)
        self.gradients = self._run(self.right)
        assert self.gradients is not None, network.name
        self._seen = [self.gradients]

    def draw(self, rng: np.random.Generator, wanted: str = "") -> Iterator[Mutant]:
        """Mutants that are mistakes, in random order: first the kind is drawn, then one of the kind."""
        found: dict[str, list[Mutation]] = {}
        for mutation in mutations(self.function, _first(self.function), self._shapes()):
            if wanted in mutation.kind:
                found.setdefault(mutation.kind, []).append(mutation)
        while found:
            kind = sorted(found)[rng.integers(len(found))]
            while found[kind]:
                source = found[kind].pop(rng.integers(len(found[kind]))).source(self.function)
                if self.is_mistake(source):
                    yield self.mutant(kind, source)
                    break
            else:
                del found[kind]

    def is_mistake(self, source: str) -> bool:
        """Whether a mutant runs and gives finite gradients unlike the right ones and those of earlier mutants."""
        found = self._run(source)
        if found is None or any(_same(found, other) for other in self._seen):
            return False
        self._seen.append(found)
        return True

    def _run(self, source: str) -> dict[str, np.ndarray] | None:
        """The gradients; None if there aren't any of the right shapes, or what was given is changed."""
        p, data = copy.deepcopy((dict(self.network.parameters), self.network.data))
        try:
            with np.errstate(all="ignore"):
                found = {name: np.asarray(g) for name, g in self._compiled(source)(_right, p, *data).items()}
            given = [*self.network.parameters.values(), *self.network.data]
            kept = all(map(np.array_equal, [*p.values(), *data], given))
            fits = all(found[name].shape == value.shape for name, value in p.items())
            finite = all(np.all(np.isfinite(g)) and np.max(np.abs(g)) < LARGEST for g in found.values())
        except Exception:  # a mutant that doesn't run
            return None
        return found if kept and fits and finite else None

    def _compiled(self, source: str) -> Callable[..., Any]:
        scope = dict(self.network.by_hand.__globals__)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that nobody would write
            exec(compile(source, "<mutant>", "exec"), scope)
        return scope[self.function.name]

    def mutant(self, kind: str, source: str) -> Mutant:
        """A source as a mutant of this kind."""
        right, wrong = self._compiled(self.right), self._compiled(source)

        def by_hand(slip: Any, p: Mapping[str, Any], *data: Any) -> Any:
            with np.errstate(all="ignore"):
                return (wrong if MUTANT in slip.names else right)(slip, p, *data)

        old, new = self.right.splitlines(), source.splitlines()
        gone = [line.strip() for line in old if line not in new or old.count(line) > new.count(line)]
        come = [line.strip() for line in new if line not in old or new.count(line) > old.count(line)]
        change = f"{' ; '.join(gone)}   ->   {' ; '.join(come)}"
        if not gone and not come:
            first = next(i for i, (a, b) in enumerate(zip(old, new)) if a != b)
            change = f"{old[first].strip()} ; {new[first].strip()} exchanged"
        return Mutant(replace(self.network, by_hand=by_hand), kind, change)

    def _shapes(self) -> dict[str, Any]:
        """What each local name stands for at the end; parameters as ``p["W"]``."""
        found: dict[str, Any] = {}
        run = self._compiled(self.right)

        def trace(frame: Any, event: str, _: Any) -> Any:
            if frame.f_code is run.__code__:
                if event == "return":
                    found.update(frame.f_locals)
                return trace
            return None

        before = sys.gettrace()
        sys.settrace(trace)
        with contextlib.ExitStack() as stack:
            stack.callback(sys.settrace, before)
            run(_right, *copy.deepcopy((dict(self.network.parameters), *self.network.data)))
        parameters = {f'p["{name}"]': np.shape(value) for name, value in self.network.parameters.items()}
        shapes = {name: _shape(value) for name, value in found.items()}
        return {**{name: shape for name, shape in shapes.items() if shape is not None}, **parameters}


def _shape(value: Any) -> Any:
    """What two values must have in common for one to stand in the other's place."""
    if isinstance(value, (np.ndarray, float)):
        return np.shape(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and value and isinstance(value[-1], np.ndarray):
        return "list", value[-1].shape
    return None


def _first(function: ast.FunctionDef) -> int:
    """The number of the statement with which the backward pass begins: gradients to be added to."""
    for i, statement in enumerate(function.body):
        if isinstance(statement, ast.Assign):
            made = statement.value.elts[0] if isinstance(statement.value, ast.Tuple) else statement.value
            if (
                "zeros(p)" in ast.unparse(made)
                or ast.unparse(made).startswith("np.zeros_like")
                or (isinstance(made, ast.DictComp))
            ):
                return i + 1
    return len(function.body) // 2


def _same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return all(np.allclose(one[name], other[name], rtol=1e-6, atol=1e-9) for name in other)


def _right(name: str, right: Any, wrong: Any) -> Any:
    return right() if callable(right) else right


class _WithoutSlips(ast.NodeTransformer):
    """Puts what belongs there in the place of each slip."""

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "slip":
            right = node.args[1]
            return right.body if isinstance(right, ast.Lambda) else right
        return node

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        is_one = isinstance(node.left, ast.Constant) and node.left.value == 1 and isinstance(node.op, ast.Mult)
        return node.right if is_one else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        is_same = len(node.targets) == 1 and ast.unparse(node.targets[0]) == ast.unparse(node.value)
        return None if is_same else node

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        return None if ast.unparse(node.iter) == "()" or not node.body else node


def _without_slips(function: ast.stmt) -> ast.FunctionDef:
    assert isinstance(function, ast.FunctionDef)
    function.decorator_list = []
    return ast.fix_missing_locations(_WithoutSlips().visit(function))
