"""The ONNX nodes of each operation: tables for those that have a node of their own, functions for the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.rules import indexing, linalg
from ..autodiff.rules.axes import all_axes
from ..compiler.graph.shapes import order_of_axes
from ..compiler.graph.values import Value, name_of
from ..compiler.sizes.reading import Size
from .onnx_graph import Graph, NoOnnxForm

INT64 = np.iinfo(np.int64)

# By the name of the operation, for operands and results as in NumPy.
SAME = {
    "abs": "Abs", "absolute": "Abs", "add": "Add", "arccos": "Acos", "arccosh": "Acosh", "arcsin": "Asin",
    "arcsinh": "Asinh", "arctan": "Atan", "arctanh": "Atanh", "ceil": "Ceil", "copy": "Identity", "cos": "Cos",
    "cosh": "Cosh", "detach": "Identity", "divide": "Div", "equal": "Equal", "erf": "Erf", "exp": "Exp",
    "fabs": "Abs", "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual", "isnan": "IsNaN",
    "less": "Less", "less_equal": "LessOrEqual", "log": "Log", "matmul": "MatMul", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "positive": "Identity", "power": "Pow", "reciprocal": "Reciprocal",
    "relu": "Relu", "rint": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "softplus": "Softplus", "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh", "true_divide": "Div",
}  # fmt: skip
BITWISE = {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "invert": "Not"}  # of booleans
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not"}  # of anything
REDUCED = {"max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "prod": "ReduceProd", "sum": "ReduceSum",
           "logsumexp": "ReduceLogSumExp"}  # fmt: skip

# Several nodes: each is its kind and its operands, of which "a" and "b" are those of the operation.
Form = tuple[Any, ...]
COMPOSED: dict[str, Form] = {
    "exp2": ("Pow", 2, "a"),
    "expm1": ("Sub", ("Exp", "a"), 1),
    "isfinite": ("Not", ("Or", ("IsNaN", "a"), ("IsInf", "a"))),
    "log10": ("Mul", ("Log", "a"), 1 / np.log(10)),
    "log1p": ("Log", ("Add", "a", 1)),
    "log2": ("Mul", ("Log", "a"), 1 / np.log(2)),
    "log_sigmoid": ("Neg", ("Softplus", ("Neg", "a"))),
    "logaddexp": (  # of equals it is written out: the difference of two infinities is no number
        "Where",
        ("Equal", "a", "b"),
        ("Add", "a", np.log(2)),
        ("Add", ("Max", "a", "b"), ("Softplus", ("Neg", ("Abs", ("Sub", "a", "b"))))),
    ),
    "not_equal": ("Not", ("Equal", "a", "b")),
    "square": ("Mul", "a", "a"),
    "trunc": ("Mul", ("Sign", "a"), ("Floor", ("Abs", "a"))),
}
OF_INTEGERS: dict[str, Form] = {  # ONNX's Div cuts off
    "floor_divide": ("Div", ("Sub", "a", ("Mod", "a", "b")), "b"),
    "remainder": ("Mod", "a", "b"),
}
ROUNDED = {"ceil", "floor", "rint", "trunc"}
COMPARED = {"equal", "greater", "greater_equal", "isfinite", "isnan", "less", "less_equal", "not_equal"}
ARITHMETIC = {*SAME, *COMPOSED, *OF_INTEGERS, *REDUCED, "clip", "cumsum", "einsum", "where"} - {"copy", "detach"}


class Operation(NamedTuple):
    """An operation of a program, with the material for its nodes."""

    value: Value  # its result
    args: tuple[Any, ...]  # the operands; sizes in place of numbers that follow them
    keywords: dict[str, Any]  # its keywords, likewise
    dtype: np.dtype[Any]  # the type in which it is computed
    shape: tuple[int | Size, ...]  # the lengths of the result
    shape_of: Callable[[Value], tuple[int | Size, ...]]  # the lengths of an operand
    operand: Callable[[Any], str]  # returns the name, in the graph, of an operand in that type
    as_it_is: Callable[[Any], str]  # returns the name of an operand in its own type, such as an index


Writer = Callable[[Graph, Operation], str]
WRITERS: dict[str, Writer] = {}


def computed_in(value: Value, args: Sequence[Any]) -> np.dtype[Any]:
    """The type in which an operation is computed: that of its result, or the common type of what it compares.

    Conditions, short and unsigned numbers are computed in int64, because many of ONNX's operations don't take them.
    """
    name, dtype = name_of(value.op), value.dtype
    if name in COMPARED:
        dtype = np.result_type(*(0 if isinstance(a, Size) else a.dtype if isinstance(a, Value) else a for a in args))
        dtype = np.dtype(np.float64) if name in ("isfinite", "isnan") and dtype.kind != "f" else dtype
    is_narrow = dtype.kind in "bu" or (dtype.kind == "i" and dtype.itemsize < 4)
    return np.dtype(np.int64) if is_narrow and name in ARITHMETIC else dtype


def nodes_of(graph: Graph, name: str, operation: Operation) -> str:
    """Add the nodes of an operation to a graph; return the name of its result there.

    Raises:
        NoOnnxForm: no ONNX form is known here.
    """
    result = _nodes_of(graph, name, operation)
    is_other = name in ARITHMETIC and name not in COMPARED and operation.dtype != operation.value.dtype
    return graph.cast(result, operation.value.dtype) if is_other else result


def _nodes_of(graph: Graph, name: str, operation: Operation) -> str:
    if operation.value.dtype.kind != "f" and name in ROUNDED:
        return operation.operand(operation.args[0])
    if operation.value.dtype.kind != "f" and name == "reciprocal":
        raise NoOnnxForm("there is no ONNX form for the reciprocal of whole numbers")
    if name in SAME and not operation.keywords:
        return graph.node(SAME[name], [operation.operand(a) for a in operation.args])
    if name in BITWISE and operation.value.dtype == bool:
        return graph.node(BITWISE[name], [operation.operand(a) for a in operation.args])
    composed = COMPOSED if operation.value.dtype.kind == "f" else COMPOSED | OF_INTEGERS
    if name in composed and not operation.keywords:
        return _composed(graph, operation, composed[name], [operation.operand(a) for a in operation.args])
    if name in REDUCED:
        return _reduced(graph, REDUCED[name], operation)
    if name not in WRITERS:
        raise NoOnnxForm(f"no ONNX form for {name} is known here")
    return WRITERS[name](graph, operation)


def writes(*names: str) -> Callable[[Writer], Writer]:
    """Declare the function that writes the nodes of some operations."""

    def declare(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(names, writer))
        return writer

    return declare


def _number(graph: Graph, op: Operation, number: float) -> str:
    return graph.constant(np.asarray(number, op.dtype))


def _composed(graph: Graph, op: Operation, form: Form, operands: Sequence[str]) -> str:
    """Add the nodes of a form, the innermost first."""
    kind, *parts = form
    names = []
    for part in parts:
        if isinstance(part, tuple):
            names.append(_composed(graph, op, part, operands))
        else:
            names.append(operands["ab".index(part)] if isinstance(part, str) else _number(graph, op, part))
    return graph.node(kind, names)


# --- elements --------------------------------------------------------------------------------------------------------


@writes("power")
def _power(graph: Graph, op: Operation) -> str:
    return graph.node("Pow", [op.operand(op.args[0]), _number(graph, op, op.keywords["exponent"])])


@writes("where")
def _where(graph: Graph, op: Operation) -> str:
    condition, *choices = op.args
    return graph.node("Where", [_booleans(graph, op, condition), *(op.operand(a) for a in choices)])


def _booleans(graph: Graph, op: Operation, a: Any) -> str:
    """An operand as booleans: False where it is 0."""
    name = op.as_it_is(a)
    return name if (a if isinstance(a, Value) else np.asarray(a)).dtype == bool else graph.cast(name, bool)


@writes(*LOGICAL)
def _logical(graph: Graph, op: Operation) -> str:
    return graph.node(LOGICAL[name_of(op.value.op)], [_booleans(graph, op, a) for a in op.args])


@writes("fmod")
def _fmod(graph: Graph, op: Operation) -> str:
    return graph.node("Mod", [op.operand(a) for a in op.args], fmod=1)


@writes("remainder", "floor_divide")
def _division(graph: Graph, op: Operation) -> str:
    """The nodes of a division of real numbers with a remainder, which has the sign of the divisor.

    A quotient that is rounded before it is cut off would be off by one where it is nearly a whole number.
    """
    a, b = (op.operand(operand) for operand in op.args)
    rest, zero = _fmod(graph, op), _number(graph, op, 0)
    agree = graph.node("Equal", [graph.node("Less", [rest, zero]), graph.node("Less", [b, zero])])
    keep = graph.node("Or", [agree, graph.node("Equal", [rest, zero])])
    rest = graph.node("Where", [keep, rest, graph.node("Add", [rest, b])])
    if name_of(op.value.op) == "remainder":
        return rest
    return graph.node("Round", [graph.node("Div", [graph.node("Sub", [a, rest]), b])])


@writes("clip")
def _clip(graph: Graph, op: Operation) -> str:
    """The nodes of a clip: two, because ONNX's Clip takes single numbers for bounds."""
    a, low, high = op.args
    name = op.operand(a)
    name = name if low is None else graph.node("Max", [name, op.operand(low)])
    return name if high is None else graph.node("Min", [name, op.operand(high)])


@writes("cast", "astype")
def _cast(graph: Graph, op: Operation) -> str:
    return graph.cast(op.operand(op.args[0]), op.value.dtype)


# --- shapes ----------------------------------------------------------------------------------------------------------


@writes("reshape", "squeeze", "expand_dims")
def _reshape(graph: Graph, op: Operation) -> str:
    return graph.reshape(op.operand(op.args[0]), op.shape)


@writes("broadcast_to")
def _broadcast_to(graph: Graph, op: Operation) -> str:
    return graph.node("Expand", [op.operand(op.args[0]), graph.lengths(op.shape)])


@writes("zeros_like", "ones_like")
def _filled(graph: Graph, op: Operation) -> str:
    number = {"zeros_like": 0, "ones_like": 1}[name_of(op.value.op)]
    return graph.node("Expand", [_number(graph, op, number), graph.lengths(op.shape)])


@writes("transpose", "swapaxes", "moveaxis")
def _transpose(graph: Graph, op: Operation) -> str:
    return graph.node("Transpose", [op.operand(op.args[0])], perm=order_of_axes(op.value))


@writes("concatenate")
def _concatenate(graph: Graph, op: Operation) -> str:
    names, axis = [op.operand(a) for a in op.args], op.keywords["axis"]
    if axis is None:
        names, axis = [graph.node("Reshape", [name, graph.constant(np.array([-1]))]) for name in names], 0
    return graph.node("Concat", names, axis=axis % len(op.shape))


@writes("stack")
def _stack(graph: Graph, op: Operation) -> str:
    axis = op.keywords["axis"] % len(op.shape)
    layer = (*op.shape[:axis], 1, *op.shape[axis + 1 :])
    return graph.node("Concat", [graph.reshape(op.operand(a), layer) for a in op.args], axis=axis)


@writes("pad")
def _pad(graph: Graph, op: Operation) -> str:
    width = [n for column in zip(*op.keywords["width"]) for n in column]
    return graph.node("Pad", [op.operand(op.args[0]), graph.lengths(width), _number(graph, op, 0)])


# --- along axes ------------------------------------------------------------------------------------------------------


def _axes(op: Operation) -> list[int]:
    count = op.args[0].ndim
    axis = op.keywords.get("axis", op.args[1] if len(op.args) > 1 else None)
    return [i % count for i in all_axes(axis, count)]


def _over_axes(graph: Graph, kind: str, op: Operation, name: str) -> str:
    axes = graph.constant(np.array(_axes(op), np.int64))
    return graph.node(kind, [name, axes], keepdims=int(op.keywords.get("keepdims") or 0))


def _reduced(graph: Graph, kind: str, op: Operation) -> str:
    unknown = op.keywords.keys() - {"axis", "keepdims", "dtype"}
    if unknown:
        raise NoOnnxForm(f"there is no ONNX form for {op.value.op.name} with {', '.join(sorted(unknown))}=")
    return _over_axes(graph, kind, op, op.operand(op.args[0]))


@writes("any", "all", "count_nonzero")
def _of_booleans(graph: Graph, op: Operation) -> str:
    kinds = {"any": "ReduceMax", "all": "ReduceMin", "count_nonzero": "ReduceSum"}
    numbers = graph.cast(_booleans(graph, op, op.args[0]), np.int64)
    name = _over_axes(graph, kinds[name_of(op.value.op)], op, numbers)
    return graph.cast(name, op.value.dtype)


@writes("softmax", "log_softmax")
def _softmax(graph: Graph, op: Operation) -> str:
    axes, name = _axes(op), name_of(op.value.op)
    if len(axes) != 1:
        raise NoOnnxForm(f"there is no ONNX form for {name} over several axes; reshape them to one")
    return graph.node({"softmax": "Softmax"}.get(name, "LogSoftmax"), [op.operand(op.args[0])], axis=axes[0])


@writes("cumsum")
def _cumsum(graph: Graph, op: Operation) -> str:
    return graph.node("CumSum", [op.operand(op.args[0]), graph.constant(np.int64(_axes(op)[0]))])


@writes("argmax", "argmin")
def _argmax(graph: Graph, op: Operation) -> str:
    kind = {"argmax": "ArgMax", "argmin": "ArgMin"}[op.value.op.__name__]
    axis = op.keywords.get("axis", op.args[1] if len(op.args) > 1 else None)
    name = op.operand(op.args[0])
    if axis is None:
        return graph.node(kind, [graph.node("Reshape", [name, graph.constant(np.array([-1]))])], axis=0, keepdims=0)
    return graph.node(kind, [name], axis=axis, keepdims=int(op.keywords.get("keepdims") or 0))


@writes("einsum")
def _einsum(graph: Graph, op: Operation) -> str:
    """The node of a contraction, every axis by a letter: ONNX's ellipsis stands for as many axes in each operand."""
    terms, result = linalg.explicit_subscripts(op.keywords["subscripts"], [a.shape for a in op.args])
    lengths: dict[str, set[int | Size]] = {}
    for term, a in zip(terms, op.args):
        for letter, n in zip(term, op.shape_of(a)):
            lengths.setdefault(letter, set()).add(n)
    if any(1 in found and len(found) > 1 for found in lengths.values()):
        raise NoOnnxForm("there is no ONNX form for an einsum that repeats an axis of length 1; broadcast it before")
    return graph.node("Einsum", [op.operand(a) for a in op.args], equation=f"{','.join(terms)}->{result}")


# --- indices ---------------------------------------------------------------------------------------------------------


@writes("getitem")
def _getitem(graph: Graph, op: Operation) -> str:
    a, index = op.args
    parts = indexing.spelled_out(index, a.ndim)
    lists = [i for i, part in enumerate(parts) if isinstance(part, (Value, np.ndarray))]
    if not lists:
        return _sliced(graph, op, a, parts)
    if any(parts[i].dtype.kind == "b" for i in lists):
        raise NoOnnxForm("there is no ONNX form for an index of booleans: how much it selects isn't known")
    takes_others_whole = all(part == slice(None) for i, part in enumerate(parts) if i not in lists)
    if len(lists) == 1 and takes_others_whole:
        return graph.node("Gather", [op.operand(a), op.as_it_is(parts[lists[0]])], axis=lists[0])
    if takes_others_whole and lists == list(range(len(lists))):  # indices of leading axes, side by side
        width = op.shape[: len(op.shape) - (a.ndim - len(lists))]
        indices = [graph.cast(op.as_it_is(parts[i]), np.int64) for i in lists]
        names = [graph.node("Expand", [index, graph.lengths(width)]) for index in indices]
        columns = [graph.reshape(name, (*width, 1)) for name in names]
        return graph.node("GatherND", [op.operand(a), graph.node("Concat", columns, axis=-1)])
    raise NoOnnxForm("there is no ONNX form for an index that mixes lists with slices; index in two steps")


def _sliced(graph: Graph, op: Operation, a: Value, parts: Sequence[Any]) -> str:
    parts = [part for part in parts if part is not None]
    bounds = [(i, *_bounds(part)) for i, part in enumerate(parts) if part != slice(None)]
    name = op.operand(a)
    if bounds:
        axes, starts, ends, steps = zip(*bounds)
        rows = [graph.lengths(row) for row in (starts, ends, axes, steps)]
        name = graph.node("Slice", [name, *rows])
    return graph.reshape(name, op.shape)


def _bounds(part: Any) -> tuple[Any, Any, int]:
    """Start, end and step of a slice, or of one index, as ONNX's Slice takes them."""
    if not isinstance(part, slice):
        if isinstance(part, Size):
            return part, part._replace(offset=part.offset + 1), 1
        return part, INT64.max if part == -1 else part + 1, 1
    step = 1 if part.step is None else part.step
    start = (0 if step > 0 else INT64.max) if part.start is None else part.start
    end = (INT64.max if step > 0 else INT64.min) if part.stop is None else part.stop
    return start, end, step
