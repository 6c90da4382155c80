"""Typed right-hand sides, computed without being run as code: a whitelist of names, signs and functions.

The text is parsed, never compiled. The computation is limited in steps and in size, so that an answer from anyone can
be marked.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .allowed import (
    ATTRIBUTES,
    BINARY,
    COMPARED,
    KEYWORDS,
    LARGEST_INTEGER,
    METHODS,
    NUMPY,
    SHORT,
    UNARY,
    AtSteps,
    Circular,
    Once,
    Unreadable,
    too_large,
)
from .typed import Typed, as_python, hint

MOST_CHARACTERS, MOST_OPERATIONS = 20_000, 500_000


class Answer:
    """A right-hand side that was typed.

    Args:
        typed: the typed text.
        symbols: printed names that aren't valid Python, with their names in Python.

    Raises:
        Unreadable: the text is no expression.

    Example:
        >>> float(Answer("1 - h[t]**2").value({"h": np.array([0.0, 0.5]), "t": 1}))
        0.75
    """

    def __init__(self, typed: str, symbols: Mapping[str, str] | None = None) -> None:
        if len(typed) > MOST_CHARACTERS:
            raise Unreadable(f"an answer has at most {MOST_CHARACTERS} characters; this one has {len(typed)}")
        self.typed: Typed = as_python(typed, symbols or {})
        try:
            self.tree = ast.parse(self.typed.text, mode="eval").body
        except SyntaxError as error:
            column = self.typed.column(error.offset - 1 if error.offset else len(self.typed.text))
            advice = hint(self.typed.text)
            reason = error.msg if "\0" not in typed else "a NUL character"
            raise Unreadable(f"column {column}: {reason}{advice and f'; {advice}'}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise Unreadable(f"this can't be read: {error}") from None

    def value(self, names: Mapping[str, Any]) -> Any:
        """The value.

        Args:
            names: the value of each name; ``t`` is the step, if there is one.

        Raises:
            Unreadable: a part of it is unknown, or can't be computed.
        """
        try:
            with np.errstate(all="ignore"):
                return _Computing(self.typed, names).value(self.tree)
        except RecursionError:
            raise Unreadable("too many brackets within each other") from None


class _Computing:
    """The evaluation of an answer, part by part."""

    def __init__(self, typed: Typed, names: Mapping[str, Any]) -> None:
        self.typed = typed
        self.names = dict(names)
        self.left = MOST_OPERATIONS

    def error(self, node: ast.AST, reason: str) -> Unreadable:
        """An error that tells the column."""
        before = self.typed.text.encode()[: getattr(node, "col_offset", 0)].decode(errors="ignore")
        return Unreadable(f"column {self.typed.column(len(before))}: {reason}")

    def text(self, node: ast.AST) -> str:
        """The text of a part of the answer, as it was read."""
        return ast.get_source_segment(self.typed.text, node) or "this"

    def value(self, node: ast.AST) -> Any:
        """The value of a part; if it has a value at each step, the one at the current step."""
        found = self.raw(node)
        if not isinstance(found, AtSteps):
            return found
        if self.names.get("t") is None:
            raise self.error(
                node, f"{found.name} has a value at each step: write {found.name}[1], or a sum over the steps, "
                f"sum({found.name}[t] for t in range(1, T + 1))"
            )  # fmt: skip
        return self._at(node, found, self.names["t"])

    def _at(self, node: ast.AST, found: AtSteps, index: Any) -> Any:
        try:
            return found[index]
        except Circular as error:
            raise Circular(str(self.error(node, str(error)))) from None
        except (Unreadable, ValueError, TypeError, IndexError) as error:
            raise self.error(node, str(error)) from None

    def raw(self, node: ast.AST) -> Any:
        """The value of a part, or the object that holds its values by step."""
        self.left -= 1
        if self.left < 0:
            raise self.error(node, "this takes too long to compute")
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            kind = type(node).__name__
            raise self.error(
                node,
                f"{self.text(node)!r} can't stand in an answer ({kind}): only names, numbers, + - * / ** @, indices, "
                "comparisons, and functions of NumPy",
            )
        return method(node)

    # --- names and numbers ---------------------------------------------------------------------------------------

    def _Constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            return float(value)
        if value is None or isinstance(value, (bool, int, float)) or value is Ellipsis:
            return value
        raise self.error(node, f"{self.text(node)} is no number")

    def _Name(self, node: ast.Name) -> Any:
        name = node.id
        if self.names.get(name) is not None:
            return self._once(node, self.names[name])
        base, _, step = name.rpartition("_")
        at_steps = self.names.get(base)
        if isinstance(at_steps, AtSteps):
            if not step:
                return at_steps
            if step.isdigit() and len(step) < 7:
                return self._at(node, at_steps, int(step))
            if step in ("t", "T", "k", "s") and self.names.get(step) is not None:
                return self._at(node, at_steps, self.names[step])
        if name in ("t", "T") or (step == "t" and isinstance(at_steps, AtSteps)):
            end = "4" if self.names.get("T") is None else "T + 1"
            raise self.error(
                node, f"there is no {step or name} here: the line stands once, write sum(... for t in range(1, {end}))"
            )
        near = difflib.get_close_matches(name, [n for n in self.names if n.isidentifier()], 1)
        others = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self.names)[:20])}"
        raise self.error(node, f"there is no {name!r} here; {others}")

    def _once(self, node: ast.AST, found: Any) -> Any:
        try:
            return found.read() if isinstance(found, Once) else found
        except Circular as error:
            raise Circular(str(self.error(node, str(error)))) from None

    def _Attribute(self, node: ast.Attribute) -> Any:
        name = _numpy_name(node)
        if name is not None:
            found: Any = np
            for part in self._allowed(node, name).split("."):
                found = getattr(found, part)
            return found
        if node.attr not in ATTRIBUTES:
            raise self.error(node, f"no .{node.attr} in an answer; there are .T, .shape and methods such as .sum()")
        return getattr(np.asarray(self.value(node.value)), node.attr)

    def _allowed(self, node: ast.AST, name: str) -> str:
        if name not in NUMPY:
            near = difflib.get_close_matches(name, NUMPY, 1)
            raise self.error(
                node, f"np.{name} can't stand in an answer{f'; did you mean np.{near[0]}?' if near else ''}"
            )
        return name

    # --- signs -----------------------------------------------------------------------------------------------------

    def _BinOp(self, node: ast.BinOp) -> Any:
        left, right = (
            np.asarray(v) if isinstance(v, (list, tuple)) else v for v in map(self.value, (node.left, node.right))
        )
        function = BINARY.get(type(node.op))
        if function is None:
            raise self.error(node, f"{self.text(node)!r}: no such sign in an answer; a power is written with **")
        if isinstance(node.op, ast.Pow):
            left = float(left) if isinstance(left, int) else left
        return self._computed(node, function, left, right)

    def _computed(self, node: ast.AST, function: Any, *values: Any, **keywords: Any) -> Any:
        if not isinstance(getattr(node, "op", None), ast.MatMult) and too_large(function, values):
            raise self.error(node, f"{self.text(node)!r} is too large")
        try:
            found = function(*values, **keywords)
        except Unreadable:
            raise
        except Exception as error:  # any error of NumPy's for such values
            shapes = " and ".join(str(np.shape(v)) for v in values if not isinstance(v, (list, tuple, str)))
            said = "the inner sizes differ; transpose one with .T" if function is operator.matmul else str(error)
            raise self.error(node, f"{self.text(node)!r} of shapes {shapes}: {said}") from None
        if isinstance(found, int) and not isinstance(found, bool) and abs(found) > LARGEST_INTEGER:
            return float(found)
        return found

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        return self._computed(node, UNARY[type(node.op)], self.value(node.operand))

    def _Compare(self, node: ast.Compare) -> Any:
        values = [self.value(part) for part in (node.left, *node.comparators)]
        found: Any = True
        for sign, left, right in zip(node.ops, values, values[1:]):
            if type(sign) not in COMPARED:
                raise self.error(node, "two values are compared with <, <=, ==, != or in")
            one = self._computed(node, COMPARED[type(sign)], left, right)
            found = one if found is True else np.logical_and(found, one)
        return found

    def _BoolOp(self, node: ast.BoolOp) -> Any:
        values = [self._truth(part) for part in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)

    def _truth(self, node: ast.AST) -> bool:
        value = self.value(node)
        if np.size(value) != 1:
            raise self.error(node, f"{self.text(node)!r} is an array; choose by element with np.where")
        return bool(value)

    def _IfExp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self._truth(node.test) else node.orelse)

    # --- collections and indices -----------------------------------------------------------------------------------

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(map(self.value, node.elts))

    def _List(self, node: ast.List) -> Any:
        values = list(map(self.value, node.elts))
        if [type(part) for part in node.elts] != [ast.Compare]:
            return values
        (condition,) = values  # Iverson's bracket; of a step and lengths it is one for each instance, as printed
        of_a_step = any(isinstance(part, ast.Name) and part.id == "t" for part in ast.walk(node))
        return np.expand_dims(condition, 1) if of_a_step and np.ndim(condition) == 1 else condition

    def _Slice(self, node: ast.Slice) -> Any:
        return slice(*(part and self.value(part) for part in (node.lower, node.upper, node.step)))

    def _Subscript(self, node: ast.Subscript) -> Any:
        of, index = self.raw(node.value), self.value(node.slice)
        if isinstance(of, AtSteps):
            return self._at(node, of, index)
        return self._computed(node, operator.getitem, of if isinstance(of, (tuple, list)) else np.asarray(of), index)

    def _GeneratorExp(self, node: ast.GeneratorExp | ast.ListComp) -> Any:
        (loop, *others) = node.generators
        if others or not isinstance(loop.target, ast.Name):
            raise self.error(node, "one loop over steps: (... for t in range(1, T + 1))")
        return list(self._over(loop.target.id, self.value(loop.iter), node.elt, loop.ifs))

    _ListComp = _GeneratorExp

    def _over(self, name: str, values: Any, inner: ast.AST, conditions: list[ast.expr]) -> Iterator[Any]:
        held = self.names.get(name)
        for self.names[name] in values:
            if all(map(self._truth, conditions)):
                yield self.value(inner)
        self.names[name] = held

    # --- functions -------------------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in ("Σ_t", "sum_t") and len(node.args) == 1:
            return sum(self._over("t", range(1, self.value(ast.Name("T")) + 1), node.args[0], []))
        name, function = self._function(node.func)
        is_einsum = name == "einsum" and node.args and isinstance(node.args[0], ast.Constant)
        args = [node.args[0].value if is_einsum and i == 0 else self.value(a) for i, a in enumerate(node.args)]  # type: ignore[attr-defined]
        keywords = {}
        for keyword in node.keywords:
            if keyword.arg not in KEYWORDS:
                raise self.error(node, f"no {keyword.arg}= in an answer; there are axis= and keepdims=")
            keywords[keyword.arg] = self.value(keyword.value)
        return self._computed(node, function, *args, **keywords)

    def _function(self, node: ast.AST) -> tuple[str, Any]:
        if isinstance(node, ast.Name):
            if node.id == "range":
                return "range", range
            if node.id == "sum":
                return "sum", _sum
            if node.id in SHORT:
                return node.id, SHORT[node.id]
            if node.id in NUMPY and node.id not in self.names:
                return node.id, getattr(np, node.id)
            raise self.error(
                node, f"there is no function {node.id!r} here; write np. before a function of NumPy, * between factors"
            )
        if isinstance(node, ast.Attribute):
            name = _numpy_name(node)
            if name is not None:
                return name, self._Attribute(node)
            if node.attr in METHODS:
                return node.attr, getattr(np.asarray(self.value(node.value)), node.attr)
            raise self.error(node, f"no .{node.attr}() in an answer; there are {', '.join(sorted(METHODS))}")
        raise self.error(node, f"{self.text(node)!r} is no function; write * between factors")


def _numpy_name(node: ast.Attribute) -> str | None:
    """The name after ``np.``; None if it is no part of NumPy."""
    if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
        return node.attr
    inner = _numpy_name(node.value) if isinstance(node.value, ast.Attribute) else None
    return f"{inner}.{node.attr}" if inner else None


def _sum(values: Any, axis: Any = None) -> Any:
    """The sum of a list of arrays, or of an array."""
    return sum(values) if isinstance(values, list) else np.sum(values, axis=axis)
