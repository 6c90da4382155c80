"""Mutations: what one small slip of a hand makes of the syntax tree of a backward pass.

Each mutation changes one place: a factor or a term is left out, a name is exchanged for another of the same shape, an
index moves by a step, ``=`` stands for ``+=``, two lines change places. Which of the results are mistakes, running them
tells (``mutants``). Left out is what nobody writes: signs in an index, a size for an array, squares of sums.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Found = Iterator[tuple[str, Any]]
NOT_VALUES = ("range", "reversed", "enumerate", "len", "zeros", "ones", "zeros_like", "ones_like")
SLOPE, SIGN, RANGE = "slope", "sign", "range of steps"


class Mutation(NamedTuple):
    """A change of one place of a function.

    Attributes:
        kind: of the change.
        owner: the list, or the part of the tree, in which something is put.
        place: the slice of the list, or the name of the field.
        new: what is put there.
    """

    kind: str
    owner: Any
    place: Any
    new: Any

    def source(self, function: ast.FunctionDef) -> str:
        """The changed function; the tree itself stays as it is."""
        read, write = (list.__getitem__, list.__setitem__) if isinstance(self.owner, list) else (getattr, setattr)
        old = read(self.owner, self.place)
        write(self.owner, self.place, self.new)
        try:
            return ast.unparse(ast.fix_missing_locations(function))
        finally:
            write(self.owner, self.place, old)


def mutations(function: ast.FunctionDef, first: int, shapes: Mapping[str, Any]) -> Iterator[Mutation]:
    """Every mutation of a function.

    Args:
        function: the function.
        first: the number of its first statement that belongs to the backward pass.
        shapes: what the names in it stand for: names with equal entries can be exchanged; ``p["W"]`` is such a name.
    """
    for statements, start in _blocks(function, first):
        for i in range(start, len(statements)):
            for kind, new in _of_statements(statements, i):
                yield Mutation(kind, statements, slice(None), new)
            for owner, place, part in _places(statements[i]) if not isinstance(statements[i], ast.Return) else ():
                yield from (Mutation(kind, owner, place, new) for kind, new in _of_part(part, shapes))


def _blocks(function: ast.FunctionDef, first: int) -> Iterator[tuple[list[ast.stmt], int]]:
    yield function.body, first
    for part in (part for statement in function.body[first:] for part in ast.walk(statement)):
        for name in ("body", "orelse"):
            if isinstance(part, (ast.For, ast.If)) and getattr(part, name):
                yield getattr(part, name), 0


def _places(statement: ast.stmt) -> Iterator[tuple[Any, Any, ast.AST]]:
    """Each part of a statement, and where it hangs; the statements in it have turns of their own."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        owner = waiting.pop()
        for name, value in ast.iter_fields(owner):
            if isinstance(owner, ast.Subscript) and name == "slice" and isinstance(value, ast.BinOp):
                continue  # t - 1: the subscript has a kind of its own, a step
            listed = [(value, i, part) for i, part in enumerate(value)] if isinstance(value, list) else None
            for where, place, part in listed or [(owner, name, value)]:
                if isinstance(part, ast.AST) and not isinstance(part, ast.stmt):
                    yield where, place, part
                    waiting.append(part)


# --- statements -------------------------------------------------------------------------------------------------------


def _of_statements(statements: list[ast.stmt], i: int) -> Found:
    before, this, after = statements[:i], statements[i], statements[i + 1 :]
    if isinstance(this, ast.Return):
        return
    if len(statements) > 1:
        yield "statement left out", before + after
    if after and not isinstance(after[0], ast.Return):
        yield "order of lines", [*before, after[0], this, *after[1:]]
    if isinstance(this, ast.If):
        yield "condition", [*before, *this.body, *after]
    if isinstance(this, ast.For):
        for iterated in _ranges(this.iter):
            yield RANGE, [*before, _with(this, iter=iterated), *after]
    if isinstance(this, ast.AugAssign):
        yield "= for +=", [*before, ast.Assign([this.target], this.value), *after]
        other = ast.Sub() if isinstance(this.op, ast.Add) else ast.Add()
        yield SIGN, [*before, _with(this, op=other), *after]
    if isinstance(this, ast.Assign) and isinstance(this.targets[0], (ast.Name, ast.Subscript)):
        yield "+= for =", [*before, ast.AugAssign(this.targets[0], ast.Add(), this.value), *after]
        yield SIGN, [*before, _with(this, value=ast.UnaryOp(ast.USub(), this.value)), *after]


def _ranges(iterated: ast.expr) -> Iterator[ast.expr]:
    """A range one shorter at either end, or not turned round."""
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name):
        if iterated.func.id == "reversed":
            yield iterated.args[0]
            yield from (_with(iterated, args=[inner]) for inner in _ranges(iterated.args[0]))
        elif iterated.func.id == "range":
            bounds = iterated.args
            for k, by in itertools.product(range(min(len(bounds), 2)), (-1, 1)):
                yield _with(iterated, args=[*bounds[:k], _plus(bounds[k], by), *bounds[k + 1 :]])
            if len(bounds) == 1:
                yield _with(iterated, args=[ast.Constant(1), bounds[0]])
            if len(bounds) == 3:  # upwards over the same steps
                yield _with(iterated, args=[_plus(bounds[1], 1), _plus(bounds[0], 1)])
    elif isinstance(iterated, ast.Subscript):  # range(T)[::-1]
        yield iterated.value
        yield from (_with(iterated, value=inner) for inner in _ranges(iterated.value))


# --- parts of statements ----------------------------------------------------------------------------------------------


def _of_part(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    for kind in (_of_operation, _of_name, _of_index, _of_call, _of_attribute, _of_choice, _of_list):
        yield from kind(part, shapes)


def _of_operation(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub) and not isinstance(part.operand, ast.Constant):
        yield SIGN, part.operand
    if not isinstance(part, ast.BinOp):
        return
    left, right = part.left, part.right
    if isinstance(part.op, ast.Mult):
        yield "factor left out", left
        yield "factor left out", right
        for factor in (left, right):
            if isinstance(factor, (ast.Name, ast.Subscript)):
                yield "factor twice", ast.BinOp(part, ast.Mult(), factor)
    elif isinstance(part.op, ast.Div):
        yield "divisor left out", left
        yield "divisor left out", ast.BinOp(left, ast.Mult(), right)
        yield "divisor left out", ast.BinOp(part, ast.Div(), right)
    elif isinstance(part.op, ast.MatMult):
        yield "factor left out", left
        yield "arguments exchanged", ast.BinOp(right, ast.MatMult(), left)
        for side in ("left", "right"):
            operand = getattr(part, side)
            if not (isinstance(operand, ast.Attribute) and operand.attr == "T"):
                yield "transpose", _with(part, **{side: ast.Attribute(operand, "T", ast.Load())})
    elif isinstance(part.op, ast.Pow):
        yield SLOPE, left
    elif _is(left, 1) and isinstance(part.op, ast.Sub):
        yield SLOPE, right
        yield SLOPE, ast.BinOp(ast.Constant(1), ast.Add(), right)
        squared = isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow)
        if squared:
            y = right.left
            yield SLOPE, ast.BinOp(y, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), y))
        else:
            yield SLOPE, ast.BinOp(ast.Constant(1), ast.Sub(), ast.BinOp(right, ast.Pow(), ast.Constant(2)))
    elif isinstance(part.op, (ast.Add, ast.Sub)):
        yield "term left out", left
        yield "term left out", right if isinstance(part.op, ast.Add) else ast.UnaryOp(ast.USub(), right)
        yield SIGN, _with(part, op=ast.Sub() if isinstance(part.op, ast.Add) else ast.Add())
        yield SIGN, ast.BinOp(right, ast.Sub(), left)


def _of_name(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    """Another name of the same shape; another parameter, or the gradient of another."""
    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in shapes:
        for other, shape in shapes.items():
            if other.isidentifier() and other != part.id and shape == shapes[part.id]:
                yield "other name", ast.Name(other, part.ctx)
    if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant) and isinstance(part.value, ast.Name):
        own = f'p["{part.slice.value}"]'
        for other in shapes:
            is_parameter = own in shapes and other != own and not other.isidentifier()
            if is_parameter and shapes[other] in (shapes[own], shapes[own][::-1]):
                kind = "other parameter" if isinstance(part.ctx, ast.Load) else "other gradient"
                yield kind, _with(part, slice=ast.Constant(other[3:-2]))
    if isinstance(part, ast.Constant) and type(part.value) in (int, float) and part.value not in (0, 1):
        for value in (1, part.value * 2, part.value / 2):
            yield "number", ast.Constant(value)


def _of_index(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    """The step before or after; other columns."""
    if not isinstance(part, ast.Subscript) or not isinstance(part.ctx, ast.Load):
        return
    index = part.slice
    has_name = any(isinstance(inner, ast.Name) for inner in ast.walk(index))
    if has_name and isinstance(index, (ast.Name, ast.BinOp)):
        for by in (-1, 1):
            yield "step", _with(part, slice=_plus(index, by))
    for _, _, inner in _places(ast.Expr(part)):
        if isinstance(inner, ast.Slice) and inner.step is None and (inner.lower is None) != (inner.upper is None):
            changed = copy.deepcopy(part)
            found = next(s for s in ast.walk(changed) if ast.dump(s) == ast.dump(inner))
            found.lower, found.upper = found.upper, found.lower  # the other columns
            yield "columns", changed
    if isinstance(index, (ast.Slice, ast.Tuple)):
        yield "columns", part.value


def _of_call(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    if not isinstance(part, ast.Call):
        return
    args, name = part.args, part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
    if name in ("outer", "dot", "matmul"):
        yield "arguments exchanged", _with(part, args=args[::-1])
    if name in ("sum", "mean") and isinstance(part.func, ast.Attribute):
        yield "sum and axis", _with(part, func=_with(part.func, attr="mean" if name == "sum" else "sum"))
        is_method = not (isinstance(part.func.value, ast.Name) and part.func.value.id == "np")
        inner = part.func.value if is_method else args[0]
        yield "sum and axis", inner
        for axis in (0, 1, -1):
            kept = [] if is_method else [args[0]]
            yield "sum and axis", _with(part, args=[*kept, ast.Constant(axis)], keywords=_without(part, "axis"))
        if len(_without(part, "keepdims")) < len(part.keywords):
            yield "sum and axis", _with(part, keywords=_without(part, "keepdims"))
        for end in (0, -1):
            yield "sum and axis", ast.Subscript(inner, ast.Constant(end), ast.Load())
    elif len(args) == 1 and not part.keywords and name not in NOT_VALUES:
        yield "function left out", args[0]


def _of_attribute(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    if isinstance(part, ast.Attribute) and part.attr == "T":
        yield "transpose", part.value


def _of_choice(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    if isinstance(part, ast.IfExp):
        yield "condition", part.body
        yield "condition", part.orelse
        yield "condition", _with(part, body=part.orelse, orelse=part.body)
    if isinstance(part, ast.Compare) and len(part.ops) == 1:
        opposite = {ast.Gt: ast.LtE, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.GtE: ast.Lt}
        beside = {ast.Gt: ast.GtE, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.GtE: ast.Gt}
        for table in (opposite, beside):
            if type(part.ops[0]) in table:
                yield "condition", _with(part, ops=[table[type(part.ops[0])]()])
        for by in (-1, 1):
            yield "condition", _with(part, comparators=[_plus(part.comparators[0], by)])


def _of_list(part: ast.AST, shapes: Mapping[str, Any]) -> Found:
    """Two of several exchanged: gates in another order."""
    if isinstance(part, (ast.List, ast.Tuple)):
        for i, j in itertools.combinations(range(len(part.elts)), 2):
            elements = list(part.elts)
            elements[i], elements[j] = elements[j], elements[i]
            yield "order of gates", _with(part, elts=elements)


def _with(node: Any, **fields: Any) -> Any:
    """A node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _without(call: ast.Call, name: str) -> list[ast.keyword]:
    return [keyword for keyword in call.keywords if keyword.arg != name]


def _plus(bound: ast.expr, by: int) -> ast.expr:
    """An expression plus 1 or minus 1, as one writes it: t for t - 1 + 1."""
    if isinstance(bound, ast.Constant) and isinstance(bound.value, int):
        return ast.Constant(bound.value + by)
    if isinstance(bound, ast.UnaryOp) and isinstance(bound.operand, ast.Constant):
        return ast.Constant(-bound.operand.value + by)
    if isinstance(bound, ast.BinOp) and isinstance(bound.right, ast.Constant) and isinstance(bound.right.value, int):
        sign = {ast.Add: 1, ast.Sub: -1}.get(type(bound.op))
        if sign is not None:
            shift = sign * bound.right.value + by
            return bound.left if not shift else _shifted(bound.left, shift)
    return _shifted(bound, by)


def _shifted(bound: ast.expr, shift: int) -> ast.expr:
    return ast.BinOp(bound, ast.Add() if shift > 0 else ast.Sub(), ast.Constant(abs(shift)))


def _is(part: ast.expr, value: float) -> bool:
    return isinstance(part, ast.Constant) and part.value == value
