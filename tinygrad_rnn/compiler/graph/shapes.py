"""Shapes and dtypes of results, found without computing them.

Operations with large results have a rule each. Views and rare operations run on dummies instead.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff import errors, registry
from ...autodiff.rules import elementwise, indexing, linalg, log_probabilities, reductions, shape
from ...autodiff.rules.axes import all_axes
from .. import thresholds
from .values import Value, name_of, substitute

Found = tuple[tuple[int, ...], Any]

# Operations that act by element, but are declared as linear, which matters more.
ALSO_BY_ELEMENT = {elementwise.multiply, shape.cast}
REDUCTIONS = {reductions.sum, reductions.mean, reductions.max, reductions.min, log_probabilities.log_sum_exp}
# Operations along some axes that keep the shape.
ALONG_AXES = {log_probabilities.softmax_of, log_probabilities.shares, log_probabilities.log_softmax_of}
REARRANGES = {
    shape.reshape, shape.squeeze, shape.expand_dims, shape.transpose, shape.swapaxes, shape.moveaxis,
    shape.broadcast_to,
}  # fmt: skip
REDUCTIONS_WITHOUT_GRADIENT = {np.argmax, np.argmin, np.any, np.all, np.count_nonzero}


class OfKnownShapes(registry.Primitive):
    """A primitive with several results of known shapes and dtypes: it needn't be run to find these.

    Args:
        name: as in any primitive.
        forward: likewise.
        vjps: likewise; one rule for all arguments.
        results: the shape and dtype of each result.
    """

    __slots__ = ("results",)

    def __init__(self, name: str, forward: Any, vjps: Any, results: Sequence[Found]) -> None:
        super().__init__(name, forward, vjps, (), outputs=True)
        self.is_single = True
        self.results = results


def acts_by_element(op: Any) -> bool:
    """Return True if an operation treats every element alike, with broadcasting."""
    return isinstance(op, np.ufunc) or getattr(op, "by_element", False) or op in ALSO_BY_ELEMENT


def letters_of(value: Value) -> tuple[list[str], str]:
    """The axes of the factors and of the product, as in an einsum."""
    if value.op is linalg.contraction:
        return linalg.explicit_subscripts(value.keywords["subscripts"], [a.shape for a in value.args])
    a, b = value.args
    stack = string.ascii_lowercase[: max(a.ndim, b.ndim, 2) - 2]
    left = stack[len(stack) + 2 - a.ndim :] + "yx" if a.ndim > 1 else "x"
    right = stack[len(stack) + 2 - b.ndim :] + "xz" if b.ndim > 1 else "x"
    return [left, right], stack + "y" * (a.ndim > 1) + "z" * (b.ndim > 1)


def multiplications(product: Value) -> int:
    """The number of multiplications in a matrix product."""
    return product.size * int(product.args[0].shape[-1])


def spreads_out(value: Value, moves: Callable[[Value], bool], steps: int) -> bool:
    """Return True for an elementwise operation of a step whose results at all steps would fill the memory.

    Args:
        value: the operation.
        moves: returns whether an operand changes from step to step.
        steps: the number of steps.
    """
    if not acts_by_element(value.op) or value.size * steps <= thresholds.MOST_AT_ALL_STEPS:
        return False
    sizes = [a.size for a in value.args if isinstance(a, Value) and moves(a)]
    return bool(sizes) and value.size >= thresholds.SPREAD * max(sizes)


def is_view(value: Value) -> bool:
    """Return True if a Value is a view of its first operand."""
    if value.op is indexing.getitem:
        return indexing.is_basic(value.args[1])
    return value.op in REARRANGES or value.op is indexing.output


def order_of_axes(value: Value) -> list[int]:
    """The order in which a transpose puts the axes of its operand; found on an array whose lengths all differ."""
    lengths = tuple(range(2, value.args[0].ndim + 2))
    probe = np.broadcast_to(np.empty((), bool), lengths)
    return [lengths.index(n) for n in run(value.op, (probe, *value.args[1:]), value.keywords).shape]


def reduced_axes(value: Value) -> set[int]:
    """The axes of its one operand along which a Value is computed."""
    (a,) = value.args
    return _counted(value.keywords.get("axis"), a.ndim)


def _counted(axis: Any, ndim: int) -> set[int]:
    """The axes that an argument ``axis`` names, counted from the front."""
    return {i % ndim for i in all_axes(axis, ndim)}


def has_several_results(value: Value) -> bool:
    """Return True if a Value is a tuple of arrays, from which others select."""
    return bool(getattr(value.op, "outputs", False))


def infer(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Found:
    """The shape and dtype of ``op(*args, **keywords)``, where some arguments are Values.

    Raises:
        Exception: whatever the operation raises on such shapes.
    """
    if acts_by_element(op):
        return _by_element(op, args, keywords)
    if op in RULES:
        found = RULES[op](*args, **keywords)
        if found is not None:
            return found
    return _by_running(op, args, keywords)


def inferred(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Found:
    """The shape and dtype of a result that a program can hold.

    Raises:
        CannotCompile: it is complex.
        Exception: as ``infer``.
    """
    shape, dtype = infer(op, args, keywords)
    if dtype.kind == "c":
        raise errors.complex_refused(name_of(op))
    return shape, dtype


def run(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Run an operation on plain arrays."""
    return getattr(op, "forward", op)(*args, **keywords)


def _one_element(value: Value) -> np.ndarray:
    return np.ones((1,) * value.ndim, value.dtype)


def _by_element(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Found:
    """Shapes broadcast, and the dtype is that of one element."""
    with np.errstate(all="ignore"):
        dtype = np.asarray(run(op, substitute(args, _one_element), substitute(keywords, _one_element))).dtype
    try:
        shapes = [a.shape if isinstance(a, Value) else np.shape(a) for a in args if a is not None]
        return np.broadcast_shapes(*shapes), dtype
    except ValueError:
        run(op, substitute(args, dummy), substitute(keywords, dummy))  # raises the operation's own error
        raise


def dummy(value: Value) -> np.ndarray:
    """An array of this shape that takes no memory: one element, repeated."""
    return np.broadcast_to(np.ones((), value.dtype), value.shape)


def _typical(value: Value) -> np.ndarray:
    """Numbers that most functions accept: matrices are positive definite, indices are in range."""
    if value.dtype.kind != "f":
        return np.zeros(value.shape, value.dtype)
    numbers = np.random.default_rng(0).uniform(0.5, 1.5, value.shape)
    if value.ndim > 1 and value.shape[-1] == value.shape[-2]:
        numbers += 2 * value.shape[-1] * np.eye(value.shape[-1])
    return numbers.astype(value.dtype)


def example(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """An example of the result of an operation on arguments like these."""
    if isinstance(op, OfKnownShapes):
        return tuple(np.broadcast_to(np.zeros((), dtype), shape) for shape, dtype in op.results)
    stand_in = dummy if op in REARRANGES or op is indexing.getitem else _typical
    with np.errstate(all="ignore"):
        return run(op, substitute(args, stand_in), substitute(keywords, stand_in))


def _by_running(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Found:
    result = example(op, args, keywords)
    if getattr(op, "outputs", False):
        return (len(result),), np.asarray(result[0]).dtype
    result = np.asarray(result)
    return result.shape, result.dtype


def _output(results: Value, index: int) -> Found:
    result = np.asarray(example(results.op, results.args, results.keywords)[index])
    return result.shape, result.dtype


def _matmul(a: Any, b: Any) -> Found | None:
    if min(a.ndim, b.ndim) == 0 or a.shape[-1] != b.shape[-2:][0]:
        return None
    left, right = a.shape[:-1], b.shape
    rows = tuple(left[-1:]) if a.ndim > 1 else ()
    columns = tuple(right[-1:]) if b.ndim > 1 else ()
    batch = np.broadcast_shapes(tuple(left[:-1]), tuple(right[:-2]))
    return (*batch, *rows, *columns), np.result_type(a.dtype, b.dtype)


def _reduced(a: Any, axis: Any = None, keepdims: bool = False) -> tuple[int, ...]:
    axes = _counted(axis, a.ndim)
    return tuple(1 if i in axes else n for i, n in enumerate(a.shape) if keepdims or i not in axes)


def _reduction(op: Any) -> Callable[..., Found]:
    def rule(a: Any, axis: Any = None, keepdims: bool = False) -> Found:
        one = np.asarray(run(op, (np.ones((1,) * a.ndim, a.dtype),), {"axis": axis, "keepdims": keepdims}))
        return _reduced(a, axis, keepdims), one.dtype

    return rule


def _along_axes(a: Any, axis: Any = None) -> Found:
    return a.shape, a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)


def _reshape(a: Any, shape: Any) -> Found | None:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if -1 in shape:
        rest = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
        shape = tuple(a.size // rest if n == -1 and rest else n for n in shape)
    if int(np.prod(shape, dtype=np.int64)) != a.size:
        return None
    return tuple(int(n) for n in shape), a.dtype


def _concatenate(*arrays: Any, axis: int | None, starts: list[int]) -> Found | None:
    dtype = np.result_type(*(a.dtype for a in arrays))
    if axis is None:
        return (starts[-1],), dtype
    if arrays[0].ndim == 0 or len({a.shape[:axis] + a.shape[axis:][1:] for a in arrays}) > 1:
        return None
    whole = list(arrays[0].shape)
    whole[axis] = starts[-1]
    return tuple(whole), dtype


def _stack(*arrays: Any, axis: int = 0) -> Found | None:
    if len({a.shape for a in arrays}) > 1:
        return None
    whole = list(arrays[0].shape)
    whole.insert(axis if axis >= 0 else axis + len(whole) + 1, len(arrays))
    return tuple(whole), np.result_type(*(a.dtype for a in arrays))


def _assemble(*pieces: Any, indices: Any, shape: tuple[int, ...]) -> Found:
    return tuple(shape), pieces[0].dtype


def _einsum(*arrays: Any, subscripts: str, optimize: bool = False) -> Found:
    letters, result = linalg.explicit_subscripts(subscripts, [a.shape for a in arrays])
    sizes: dict[str, int] = {}
    for term, a in zip(letters, arrays):
        for letter, n in zip(term, a.shape):
            known = sizes.get(letter, 1)
            if n != known and 1 not in (n, known):
                raise ValueError(f"the axis {letter!r} of {subscripts!r} has the lengths {known} and {n}")
            sizes[letter] = known if n == 1 else n
    return tuple(sizes[letter] for letter in result), np.result_type(*(a.dtype for a in arrays))


def _getitem(a: Any, index: Any) -> Found | None:
    if any(
        isinstance(part, Value) and part.dtype.kind == "b" for part in (index if isinstance(index, tuple) else [index])
    ):
        raise errors.length_by_values("an index by a condition, a[a > 0],")
    if not isinstance(a, Value) or indexing.is_basic(index):
        return None
    return indexing.selected_shape(a.shape, index), a.dtype


RULES: dict[Any, Callable[..., Any]] = {
    linalg.matmul: _matmul,
    linalg.contraction: _einsum,
    shape.reshape: _reshape,
    shape.joined: _concatenate,
    shape.stacked: _stack,
    indexing.assemble: _assemble,
    indexing.getitem: _getitem,
    indexing.output: _output,
    **{op: _reduction(op) for op in REDUCTIONS},
    **dict.fromkeys(ALONG_AXES, _along_axes),
}
