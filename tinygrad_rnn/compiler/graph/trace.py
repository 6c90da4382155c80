"""Tracing: run a function on stand-ins for arrays, and keep what it did as Values.

A ``Tracer`` is a Tensor without elements. Wherever one goes, the operations that it meets are recorded and not run;
Tensors that they meet are *captured*, as inputs of the program, and plain arrays become constants of it. What is
recorded a second time is the first again, and what changes nothing (a transpose of a transpose) isn't recorded.

Whatever asks for a value (``if h > 0``, ``float(h)``) is refused: the program will run on other values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...autodiff import errors, registry
from ...autodiff.array_node import owned
from ...autodiff.graph import initialise, next_serial
from ...autodiff.rules import elementwise, indexing, linalg, reductions, shape
from ...autodiff.scope import context, enable_grad, traces
from ...autodiff.tensor import NO_KEYWORDS, Tensor
from .shapes import dummy, example, has_several_results, infer, run
from .values import Value, is_constant, values_in

INDEX_ARGUMENT = {indexing.getitem: 1, indexing.updated: 2}
LOOKS_AT_SHAPE = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.result_type,
                  np.isrealobj, np.iscomplexobj, np.may_share_memory}  # fmt: skip
LENGTH_BY_VALUES = {np.nonzero, np.flatnonzero, np.argwhere}


class Tracer(Tensor):
    """A Tensor without elements, that stands for a Value while a function is traced."""

    __slots__ = ()

    def _readable(self, how: str) -> Any:
        raise _no_value(how)

    _plain = _readable

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise _no_value("np.asarray")

    def _is_updated_in_place(self) -> bool:
        return False

    def backward(self, *args: Any, **keywords: Any) -> None:
        """Refused: it would look at values."""
        raise errors.not_inside("backward()", "call it on what the compiled function gives")

    @property
    def requires_grad(self) -> bool:
        """Refused: one trace serves calls with and without gradients."""
        raise _no_value("requires_grad")

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"a Tensor has no attribute {name!r}")
        raise _no_value(f".{name}")

    def __repr__(self) -> str:
        return f"tracer({self._data!r})"


def _no_value(how: str) -> errors.CannotCompile:
    return _outlived(how) if context.trace is None else errors.no_value(how)


def _outlived(how: str) -> errors.CannotCompile:
    return errors.CannotCompile(
        f"{how} of a Tensor that a compiled function stored while it was traced: it stands for values that are there "
        "only while the function runs. Have the function return it, or run it as it is, without compile()."
    )


stop_gradient = registry.elementwise(np.positive, None, name="detach")


def tracer(value: Value) -> Tracer:
    """A stand-in for a Value."""
    made = object.__new__(Tracer)
    initialise(made, False)
    made._data = value
    return made


class Trace:
    """What has been recorded so far.

    Attributes:
        captured: the Value of each Tensor that the function uses and that was there before.
        inside: the functions with rules of their own that are being traced.
        in_step: whether a cell is being traced, whose steps will be a loop.
    """

    def __init__(self) -> None:
        self.captured: dict[Tensor, Value] = {}
        self.inside: set[Any] = set()
        self.in_step = False
        self._known: dict[Any, Value] = {}
        self._began = next_serial()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Take over every operation that this thread runs on Tensors."""
        before = context.trace
        context.trace = self
        traces.append(self)
        try:
            with enable_grad():
                yield
        finally:
            traces.remove(self)
            context.trace = before

    # --- what Tensor's operations call ---------------------------------------------------------------------------

    def record(self, op: Any, args: tuple[Any, ...], keywords: dict[str, Any] = NO_KEYWORDS) -> Any:
        """An operation on Tracers, Tensors, arrays and numbers: its result, not yet computed.

        Raises:
            Exception: it has none; explained as if the operation ran as it is.
        """
        if isinstance(op, registry.Primitive):
            args = tuple(a if isinstance(a, (Tensor, tuple, list)) else owned(a, op) for a in args)
        try:
            value = self._of(op, args, keywords)
        except errors.NotOnTensors:
            raise
        except Exception as error:
            arrays = [_shape_of(a) for a in args]
            raise errors.explained(error, _name(op), arrays, context.scope) from error
        if has_several_results(value):
            return self._several(tracer(value))
        return tracer(value if context.recording else self._stopped(value))

    def _of(self, op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value:
        """The Value of an operation, with indices and arguments as Values hold them."""
        if op in INDEX_ARGUMENT:
            i = INDEX_ARGUMENT[op]
            args = (*args[:i], by_places(args[i], np.shape(args[0])), *args[i + 1 :])
        elif op is indexing.assemble:
            indices = tuple(by_places(index, keywords["shape"]) for index in keywords["indices"])
            keywords = {**keywords, "indices": indices}
        return self.made(op, self.lowered(args), {key: self.lowered(part) for key, part in keywords.items()})

    def detached(self, a: Tensor) -> Tracer:
        """The same value, through which no gradient flows."""
        return tracer(self._stopped(self.lowered(a)))

    def _stopped(self, value: Value) -> Value:
        """A Value, through which no gradient flows: as inside ``no_grad()``."""
        return self.made(stop_gradient, (value,), {}) if value.dtype.kind == "f" else value

    def _several(self, hidden: Tracer) -> Any:
        """The results of an operation that has several: each selects from the tuple of all."""
        value = hidden._data
        results = example(value.op, value.args, value.keywords)
        selected = [self.record(indexing.output, (hidden, i)) for i in range(len(results))]
        return type(results)._make(selected) if hasattr(results, "_make") else tuple(selected)

    def record_plain(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """A function without a gradient: what asks for a shape is answered, all else is recorded."""
        if function in LOOKS_AT_SHAPE:
            return function(*map(_shape_of, args), **keywords)
        if function in LENGTH_BY_VALUES:
            raise errors.length_by_values(f"np.{function.__name__}")
        return self.record(function, args, keywords)

    # --- making values -------------------------------------------------------------------------------------------

    def lowered(self, a: Any) -> Any:
        """An argument as a Value holds it: Values for arrays, all else as it is."""
        if isinstance(a, Tracer):
            if a.serial < self._began:
                raise _outlived("use")
            return a._data
        if isinstance(a, Tensor):
            return self._capture(a)
        if isinstance(a, np.ndarray):
            return self._constant(a)
        if isinstance(a, (tuple, list)):
            return tuple(map(self.lowered, a))
        return a

    def _capture(self, tensor: Tensor) -> Value:
        if tensor.serial > self._began:  # made inside, of numbers: a constant
            return self._constant(tensor._data)
        if tensor not in self.captured:
            self.captured[tensor] = Value(None, (), {}, tensor.shape, tensor.dtype, "captured", tensor.name or "")
        return self.captured[tensor]

    def _constant(self, array: np.ndarray) -> Value:
        key = ("constant", array.shape, array.dtype.str, array.tobytes())
        make = lambda: Value(None, (), {}, array.shape, array.dtype, "constant", array=np.array(array))  # noqa: E731
        return self.known(key, make)

    def made(self, op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value:
        """The Value of an operation: a new one, or one that is known already."""
        shorter = simplified(self, op, args, keywords)
        if shorter is not None:
            return shorter
        found = list(values_in((args, keywords)))
        if all(map(is_constant, found)) and not getattr(op, "outputs", False):
            arrays = [a.array if isinstance(a, Value) else a for a in args]
            if not any(isinstance(a, tuple) for a in arrays):
                return self._constant(np.asarray(run(op, tuple(arrays), keywords)))
        key = (op, identity(args), identity(keywords))
        return self.known(key, lambda: Value(op, args, keywords, *_inferred(op, args, keywords)))

    def known(self, key: Any, make: Callable[[], Value]) -> Value:
        """The Value that goes by a key; made, if it is asked for the first time."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _inferred(op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[tuple[int, ...], Any]:
    """The shape and dtype of a result."""
    shape, dtype = infer(op, args, keywords)
    if dtype.kind == "c":
        raise errors.complex_refused(_name(op))
    return shape, dtype


def _name(op: Any) -> str:
    return op.name if isinstance(op, registry.Primitive) else op.__name__


def recorded(trace: Trace, a: Any) -> Value:
    """The Value behind something that a traced function gave."""
    if isinstance(a, (Tensor, np.ndarray, np.generic, float, int)):
        array = a if isinstance(a, Tensor) else np.asarray(a)
        return trace.lowered(array)
    raise errors.CannotCompile(f"a compiled function gives arrays, but this one gave {type(a).__name__}{errors.here()}")


def _shape_of(a: Any) -> Any:
    """What may be seen of an argument by who looks at shapes: its array, or one like it."""
    value = a._data if isinstance(a, Tensor) else a
    return dummy(value) if isinstance(value, Value) else value


def by_places(index: Any, shape: tuple[int, ...]) -> Any:
    """An index in which each mask, an array of booleans, is replaced by the places that it selects."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(_is_mask(part) for part in parts):
        return index
    if all(isinstance(part, np.ndarray) or indexing.is_basic(part) for part in parts):
        np.broadcast_to(False, shape)[index]  # NumPy says it if a mask doesn't fit; places always would
    return tuple(place for part in parts for place in (np.nonzero(part) if _is_mask(part) else (part,)))


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == np.bool_ and part.ndim > 0


def identity(tree: Any, of_value: Callable[[Value], int] = id) -> Any:
    """A key under which equal arguments are found: numbers by value and type, Values by themselves.

    Args:
        tree: an argument.
        of_value: the number that stands for a Value.
    """
    if isinstance(tree, (tuple, list)):
        return ("tuple", *(identity(part, of_value) for part in tree))
    if isinstance(tree, dict):
        return tuple(sorted((key, identity(part, of_value)) for key, part in tree.items()))
    if isinstance(tree, slice):
        return ("slice", tree.start, tree.stop, tree.step)
    if isinstance(tree, Value):
        return of_value(tree)
    return (type(tree).__name__, repr(tree))


# --- what needn't be recorded ----------------------------------------------------------------------------------------


def simplified(trace: Trace, op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value | None:
    """A shorter way to the same value, or None."""
    a = args[0] if args else None
    if not isinstance(a, Value):
        return None
    if op is elementwise.positive:
        return a
    if op in (shape.broadcast_to, shape.cast) and next(iter((*args[1:], *keywords.values()))) in (a.shape, a.dtype):
        return a
    if op is elementwise.negative and a.op is elementwise.negative:
        return a.args[0]
    if op is shape.transpose:
        return _transposed(trace, a, args, keywords)
    if op is shape.reshape:
        return _reshaped(trace, a, _inferred(op, args, keywords)[0], args[1])
    if op is reductions.sum and a.op is op:
        return _summed_at_once(trace, a, keywords)
    if op is indexing.assemble:
        return as_concatenation(trace, args, keywords["indices"], keywords["shape"])
    if op is indexing.getitem and a.op is shape.joined:
        return piece_of(a, args[1])
    if op is linalg.matmul and a.ndim > 2 and not trace.in_step:
        return _product_of_rows(trace, a, args[1])
    return None


def _transposed(trace: Trace, a: Value, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value | None:
    """An order of axes is spelled out only where it is neither the old one nor its reverse."""
    _inferred(shape.transpose, args, keywords)  # NumPy says it if there is no such order
    axes = keywords.get("axes", args[1] if len(args) > 1 else None)
    order = list(range(a.ndim))[::-1] if axes is None else [i % a.ndim for i in axes]
    if order == sorted(order):
        return a
    if order != sorted(order, reverse=True):
        return None
    if a.op is shape.transpose and len(a.args) == 1:
        return a.args[0]
    return None if axes is None else trace.made(shape.transpose, (a,), {})


def _product_of_rows(trace: Trace, a: Value, b: Any) -> Value | None:
    """A stack of matrices times one matrix is one product of all rows."""
    if not isinstance(b, Value) or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        return None
    rows = trace.made(shape.reshape, (a, (math.prod(a.shape[:-1]), a.shape[-1])), {})
    return trace.made(shape.reshape, (trace.made(linalg.matmul, (rows, b), {}), (*a.shape[:-1], b.shape[-1])), {})


def _reshaped(trace: Trace, a: Value, new: tuple[int, ...], asked: Any) -> Value | None:
    """Shapes are spelled out, and only the last of several reshapes counts."""
    if new == a.shape:
        return a
    if a.op is shape.reshape:
        return trace.made(shape.reshape, (a.args[0], new), {})
    return None if asked == new else trace.made(shape.reshape, (a, new), {})


def _summed_at_once(trace: Trace, a: Value, keywords: dict[str, Any]) -> Value | None:
    """A sum of a sum over other axes is one sum over all of them, if no axis was kept."""
    axes = [k.get("axis") for k in (a.keywords, keywords)]
    if None in axes or keywords.get("keepdims") or a.keywords.get("keepdims"):
        return None
    ndim = a.args[0].ndim
    first, second = (axis if isinstance(axis, tuple) else (axis,) for axis in axes)
    gone = {i % ndim for i in first}
    left = [i for i in range(ndim) if i not in gone]
    both = sorted(gone | {left[i % len(left)] for i in second})
    return trace.made(reductions.sum, a.args, {"axis": tuple(both)})


def as_concatenation(trace: Trace, pieces: tuple[Any, ...], indices: Any, whole: tuple[int, ...]) -> Value | None:
    """Pieces that lie side by side along one axis and leave no gap: no zeros are needed under them."""
    found = [part_of_axis(index, whole) for index in indices]
    axes = {part[0] for part in found if part is not None}
    if len(axes) != 1 or None in found:
        return None
    (axis,) = axes
    ordered = sorted(zip(found, pieces), key=lambda pair: pair[0][1])  # type: ignore[index]
    starts = [0]
    for (_, start, stop), piece in ordered:  # type: ignore[misc]
        if start != starts[-1] or piece.ndim != len(whole):
            return None
        starts.append(stop)
    if starts[-1] != whole[axis]:
        return None
    keywords = {"axis": axis - len(whole), "starts": tuple(starts)}
    return trace.made(shape.joined, tuple(piece for _, piece in ordered), keywords)


def part_of_axis(index: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """For an index that takes a contiguous part of one axis and all of the others: (axis, start, stop)."""
    index = index if isinstance(index, tuple) else (index,)
    if index.count(Ellipsis) == 1:
        at = index.index(Ellipsis)
        index = (*index[:at], *[slice(None)] * (len(shape) - len(index) + 1), *index[at + 1 :])
    if len(index) > len(shape) or not all(isinstance(part, slice) and part.step in (None, 1) for part in index):
        return None
    bounds = [(i, *part.indices(n)[:2]) for i, (part, n) in enumerate(zip(index, shape))]
    partial = [(i, start, stop) for i, start, stop in bounds if (start, stop) != (0, shape[i])]
    return partial[0] if len(partial) == 1 and partial[0][2] > partial[0][1] else None


def piece_of(whole: Value, index: Any) -> Value | None:
    """What was put into a concatenation, if the index takes out just that."""
    part = part_of_axis(index, whole.shape)
    axis, starts = whole.keywords["axis"], whole.keywords["starts"]
    if part is None or axis is None or part[0] != axis % whole.ndim:
        return None
    for piece, start, stop in zip(whole.args, starts, starts[1:]):
        if (start, stop) == part[1:]:
            return piece
    return None
