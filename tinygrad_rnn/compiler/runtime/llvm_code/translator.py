"""The translation of generated text: loops over ranges, assignments, choices, and calls of other functions."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Any

from llvmlite import ir

from ..parsing import parsed
from ..tiles import TILE_ROWS, vector_registers
from .arrays import BYTES, ONE, Array
from .functions import COSTLY, FUNCTIONS
from .numbers import (
    IN_ANY_ORDER,
    TYPES,
    Builder,
    NotTranslated,
    Number,
    arithmetic,
    chosen,
    compared,
    constant,
    converted,
    negative,
    truth,
)
from .tiles import write_tile

CONSTANTS = {"inf": math.inf, "nan": math.nan, "TILE_ROWS": TILE_ROWS, "True": True, "False": False}
LIBRARY = ("fast_functions", "division", "places", "tiled_product")
TILES = {f"{name}_{vectors}": (name, vectors) for name in ("multiply", "add_products") for vectors in (1, 2, 4)}
FLAG = ir.IntType(1)
Operand = Number | Array


@cache
def library() -> dict[str, ast.FunctionDef]:
    """The functions that generated text may call, as their sources say."""
    runtime = Path(__file__).parents[1]
    trees = [parsed((runtime / f"{name}.py").read_text("utf-8")) for name in LIBRARY]
    return {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


class Translation:
    """A module of LLVM's language, made of one generated text."""

    def __init__(self, source: str, module: Any) -> None:
        self.module = module
        self.own = {node.name: node for node in parsed(source).body if isinstance(node, ast.FunctionDef)}
        self._made: dict[Any, Any] = {}

    def call(self, builder: Builder, name: str, args: Sequence[Operand], failed: Any) -> None:
        """Write the call of a function that gives nothing, and that function, if it isn't there."""
        forms = tuple([a.form if isinstance(a, Array) else a.kind for a in args])
        if (name, forms) not in self._made:
            self._made[name, forms] = self._function(name, args)
        builder.call(self._made[name, forms], [failed, *(value for a in args for value in _passed(a))])

    def _function(self, name: str, args: Sequence[Operand]) -> Any:
        types = [FLAG.as_pointer(), *(value.type for a in args for value in _passed(a))]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), types), f"{name}.{len(self._made)}")
        function.linkage = "internal"
        function.attributes.add("nounwind")
        builder = Builder(function.append_basic_block())
        failed, *rest = function.args
        given = iter(rest)
        received: list[Operand] = []
        for a in args:
            if isinstance(a, Array):
                pointer = next(given)
                if name in self.own:
                    pointer.add_attribute("noalias")
                shape = tuple([next(given) for _ in a.shape])
                strides = tuple([stride if isinstance(stride, ir.Constant) else next(given) for stride in a.strides])
                received.append(Array(a.kind, pointer, shape, strides))
            else:
                received.append(Number(a.kind, next(given)))
        of_library, vectors = TILES.get(name, (name, 0))
        node = self.own.get(name) or library()[of_library]
        if any(getattr(decorator, "id", "") == "summing" for decorator in node.decorator_list):
            builder.flags = IN_ANY_ORDER
        Body(self, builder, by_name(node, received), failed, vectors).write(node.body)
        if not builder.block.is_terminated:
            builder.ret_void()
        return function


def _passed(a: Operand) -> list[Any]:
    """The values of LLVM's that are passed for an argument."""
    if isinstance(a, Number):
        return [a.value]
    return [a.pointer, *a.shape, *(stride for stride in a.strides if not isinstance(stride, ir.Constant))]


def by_name(node: ast.FunctionDef, args: Sequence[Operand]) -> dict[str, Operand]:
    """The arguments of a function by the names that it has for them."""
    names = [argument.arg for argument in node.args.args]
    if len(names) != len(args):
        raise NotTranslated(f"{len(args)} arguments of {node.name}")
    return dict(zip(names, args))


class Body:
    """A part of a function while it is translated.

    Args:
        translation: what it belongs to.
        builder: where to write.
        given: its arguments, by name.
        failed: where it is noted that it raises an error.
        vectors: the width of the tiles that it calls.
    """

    def __init__(
        self,
        translation: Translation,
        builder: Builder,
        given: Mapping[str, Operand],
        failed: Any,
        vectors: int = 0,
    ) -> None:
        self.translation, self.builder, self.failed, self.vectors = translation, builder, failed, vectors
        self.arrays = {name: a for name, a in given.items() if isinstance(a, Array)}
        self.slots: dict[str, tuple[str, Any]] = {}  # of numbers: LLVM keeps them in registers
        for name, a in given.items():
            if isinstance(a, Number):
                self._assign(name, a)

    # --- statements --------------------------------------------------------------------------------------------------

    def write(self, statements: Sequence[ast.stmt]) -> Number | None:
        """Translate statements; what they return, if they do."""
        for i, statement in enumerate(statements):
            if isinstance(statement, ast.Return):
                return self.number(statement.value) if statement.value is not None else None
            if isinstance(statement, ast.Raise):  # it goes on with the first place: what is computed is never seen
                self.builder.store(ir.Constant(FLAG, 1), self.failed)
                return constant(0)
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], (ast.Return, ast.Raise)):
                return self._returned(statement, [*statement.orelse, *statements[i + 1 :]])
            getattr(self, f"_{type(statement).__name__}", self._unknown)(statement)
        return None

    def _returned(self, node: ast.If, rest: Sequence[ast.stmt]) -> Number | None:
        """The number that is returned on the one way, or by the rest."""
        found: Number | None = self._either(node.test, lambda: self.write(node.body), lambda: self.write(rest))
        return found

    def _unknown(self, node: ast.AST) -> Any:
        raise NotTranslated(type(node).__name__)

    def _Expr(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Constant):  # a docstring
            return
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise NotTranslated("an expression alone")
        name, args = call.func.id, [self.operand(a) for a in call.args]
        if name == "tile":
            self._tile(*args)
        elif name in self.translation.own or name in TILES or name in ("pack", "add_rows"):
            self.translation.call(self.builder, name, args, self.failed)
        else:
            raise NotTranslated(name)

    def _tile(self, rows: Number, *args: Operand) -> None:
        a, start, a_row, a_column, panel, depth, c, c_start, c_row, *adds = (
            x.pointer if isinstance(x, Array) else x.value for x in args
        )
        sizes = rows.value.constant, self.vectors, vector_registers().size // BYTES[args[4].kind]
        left, out = self.builder.gep(a, [start]), self.builder.gep(c, [c_start])
        write_tile(self.builder, sizes, (left, a_row, a_column), panel, depth, (out, c_row), bool(adds))

    def _Assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        if isinstance(target, ast.Subscript):
            self._element(target).store(self.builder, self.number(node.value))
        elif isinstance(target, ast.Name):
            self._assign(target.id, self.number(node.value))
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            for name, n in zip(target.elts, self.operand(node.value.value).shape):
                assert isinstance(name, ast.Name)
                self._assign(name.id, Number("i64", n))
        else:
            raise NotTranslated("an assignment of this form")

    def _AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript):
            element = self._element(node.target)
            before, after = element.load(self.builder), self.number(node.value)
            element.store(self.builder, arithmetic(self.builder, type(node.op), before, after))
        elif isinstance(node.target, ast.Name):
            before, after = self._name(node.target.id), self.number(node.value)
            self._assign(node.target.id, arithmetic(self.builder, type(node.op), before, after))
        else:
            raise NotTranslated("an assignment of this form")

    def _assign(self, name: str, x: Number) -> None:
        if name not in self.slots:
            with self.builder.goto_entry_block():
                self.slots[name] = x.kind, self.builder.alloca(TYPES[x.kind])
        kind, slot = self.slots[name]
        if kind != x.kind:
            raise NotTranslated("a variable of two types")
        self.builder.store(x.value, slot)

    def _For(self, node: ast.For) -> None:
        call = node.iter
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "range":
            raise NotTranslated("a loop over something else than a range")
        bounds = [converted(self.builder, self.number(a), "i64").value for a in call.args]
        start, end = (ir.Constant(TYPES["i64"], 0), *bounds) if len(bounds) == 1 else bounds[:2]
        step = bounds[2] if len(bounds) == 3 else ir.Constant(TYPES["i64"], 1)
        if isinstance(step, ir.Constant) and step.constant < 1:
            raise NotTranslated("a loop that counts down")
        builder, before = self.builder, self.builder.block
        head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(TYPES["i64"])
        i.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", i, end), body, after)
        builder.position_at_end(body)
        assert isinstance(node.target, ast.Name)
        self._assign(node.target.id, Number("i64", i))
        self.write(node.body)
        i.add_incoming(builder.add(i, step, flags=("nsw",)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def _While(self, node: ast.While) -> None:
        builder = self.builder
        head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        builder.cbranch(truth(self.number(node.test)), body, after)
        builder.position_at_end(body)
        self.write(node.body)
        builder.branch(head)
        builder.position_at_end(after)

    def _If(self, node: ast.If) -> None:
        def run(statements: Sequence[ast.stmt]) -> None:
            if self.write(statements) is not None:
                raise NotTranslated("a return on one way alone")

        self._either(node.test, lambda: run(node.body), lambda: run(node.orelse))

    # --- expressions -------------------------------------------------------------------------------------------------

    def number(self, node: ast.expr) -> Number:
        """The number that an expression gives."""
        found = self.operand(node)
        return found.load(self.builder) if isinstance(found, Array) else found

    def operand(self, node: ast.expr) -> Any:
        """The number that an expression gives, or the array or a part of it."""
        return getattr(self, f"_{type(node).__name__}", self._unknown)(node)

    def _Constant(self, node: ast.Constant) -> Number:
        if not isinstance(node.value, (bool, int, float)):
            raise NotTranslated("a constant of this type")
        return constant(node.value)

    def _Name(self, node: ast.Name) -> Operand:
        return self._name(node.id)

    def _name(self, name: str) -> Any:
        if name in self.arrays:
            return self.arrays[name]
        if name in self.slots:
            kind, slot = self.slots[name]
            return Number(kind, self.builder.load(slot))
        if name in CONSTANTS:
            return constant(CONSTANTS[name])
        if name == "most_rows":
            return constant(vector_registers().most_rows)
        raise NotTranslated(name)

    def _Attribute(self, node: ast.Attribute) -> Operand:
        if node.attr == "flat":
            array = self.operand(node.value)
            if not isinstance(array, Array) or array.strides[-1] is not ONE:
                raise NotTranslated("elements that don't lie side by side")
            return array._replace(shape=(reduce(self.builder.mul, array.shape),), strides=(ONE,))
        if not isinstance(node.value, ast.Name) or node.value.id != "np" or node.attr not in CONSTANTS:
            raise NotTranslated(node.attr)
        return constant(CONSTANTS[node.attr])

    def _Subscript(self, node: ast.Subscript) -> Operand:
        part = self._element(node)
        return part if part.shape else part.load(self.builder)

    def _element(self, node: ast.Subscript) -> Array:
        array = self.operand(node.value)
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not isinstance(array, Array):
            raise NotTranslated("an index into a number")
        return array.at(self.builder, [self.number(index) for index in indices])

    def _BinOp(self, node: ast.BinOp) -> Number:
        left, right = self.number(node.left), self.number(node.right)
        return arithmetic(self.builder, type(node.op), left, right)

    def _UnaryOp(self, node: ast.UnaryOp) -> Number:
        x = self.number(node.operand)
        if isinstance(node.op, ast.USub):
            return negative(self.builder, x)
        if isinstance(node.op, ast.Invert) and x.kind == "i64":
            return Number("i64", self.builder.not_(x.value))
        if isinstance(node.op, ast.Not):
            return Number("bool", self.builder.not_(truth(x)))
        return self._unknown(node.op)

    def _Compare(self, node: ast.Compare) -> Number:
        if len(node.ops) != 1:
            raise NotTranslated("a comparison of several")
        return compared(self.builder, type(node.ops[0]), self.number(node.left), self.number(node.comparators[0]))

    def _BoolOp(self, node: ast.BoolOp) -> Number:
        join = self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_
        first, *others = (truth(self.number(value)) for value in node.values)
        for other in others:
            first = join(first, other)
        return Number("bool", first)

    def _IfExp(self, node: ast.IfExp) -> Number:
        if any(map(_must_branch, (node.body, node.orelse))):
            return self._either(node.test, lambda: self.number(node.body), lambda: self.number(node.orelse))
        return chosen(self.builder, self.number(node.test), self.number(node.body), self.number(node.orelse))

    def _either(self, test: ast.expr, one: Any, other: Any) -> Any:
        """The number that one branch gives, or the other; only one is run."""
        builder, condition = self.builder, truth(self.number(test))
        blocks = [builder.append_basic_block(name) for name in ("then", "otherwise", "both")]
        builder.cbranch(condition, *blocks[:2])
        ends = []
        for block, make in zip(blocks, (one, other)):
            builder.position_at_end(block)
            ends.append((make(), builder.block))
            builder.branch(blocks[2])
        builder.position_at_end(blocks[2])
        if ends[0][0] is None:
            return None
        kinds = {x.kind for x, _ in ends}
        if len(kinds) != 1:
            raise NotTranslated("a choice of two types")
        joined = builder.phi(TYPES[kinds.pop()])
        for x, block in ends:
            joined.add_incoming(x.value, block)
        return Number(ends[0][0].kind, joined)

    def _Call(self, node: ast.Call) -> Number:
        is_of_numpy = isinstance(node.func, ast.Attribute)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if node.keywords:
            raise NotTranslated("arguments by name")
        args = [self.number(a) for a in node.args]
        if name in FUNCTIONS:
            return FUNCTIONS[name](self.builder, *args)
        called = None if is_of_numpy else library().get(name)
        if called is None:
            raise NotTranslated(name)
        returned = Body(self.translation, self.builder, by_name(called, args), self.failed).write(called.body)
        if returned is None:
            raise NotTranslated(name)
        return returned


def _must_branch(node: ast.expr) -> bool:
    """Return True for a choice that mustn't be computed for nothing: an element that may not be there, costly calls."""
    return any(
        isinstance(part, ast.Subscript)
        or (isinstance(part, ast.Call) and getattr(part.func, "attr", getattr(part.func, "id", "")) in COSTLY)
        for part in ast.walk(node)
    )
