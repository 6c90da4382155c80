"""Tracing: run a function on stand-ins for arrays, and keep its operations as Values.

A ``Tracer`` is a Tensor without elements. Operations on Tracers are recorded and not run. Other Tensors in these
operations are *captured*, as inputs of the program, and plain arrays become its constants. An operation that was
recorded before gives the same Value again, and what changes nothing (a transpose of a transpose) isn't recorded.

Whatever asks for a value (``if h > 0``, ``float(h)``) is refused: the program will run on other values.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ...autodiff import errors, registry
from ...autodiff.array_node import owned, takes_arrays
from ...autodiff.graph import initialise, next_serial
from ...autodiff.rules import indexing
from ...autodiff.scope import changed, context
from ...autodiff.tensor import NO_KEYWORDS, Tensor
from .shapes import REDUCTIONS_WITHOUT_GRADIENT, dummy, example, has_several_results, inferred, run
from .simplify import simplified
from .values import Value, is_constant, name_of, values_in

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
        """Raise CannotCompile: ``backward`` needs values, and a trace has none."""
        raise errors.not_inside("backward()", "call it on what the compiled function returns")

    @property
    def requires_grad(self) -> bool:
        """Raise CannotCompile: one trace serves calls with and without gradients."""
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
    """The record of a function's operations so far.

    Args:
        executor: the executor for which the trace is made: "numpy", "llvm" or "auto", whose loops may call programs of
            their own; None for readers that know only the operations.

    Attributes:
        captured: the Value of each Tensor that the function uses and that existed before the trace.
        inside: the functions with rules of their own that are being traced.
        in_step: whether a cell is being traced, whose steps will be a loop.
    """

    def __init__(self, executor: str | None = None) -> None:
        self.executor = executor
        self.captured: dict[Tensor, Value] = {}
        self.inside: set[Any] = set()
        self.in_step = False
        self._known: dict[Any, Value] = {}
        self.given: set[Value] = set()  # rows of sequences: a step doesn't have the operands of a sequence
        self._began = next_serial()

    def recording(self) -> AbstractContextManager[None]:
        """A context in which every operation on Tensors in this thread is recorded here."""
        return changed(context, trace=self, recording=True)

    # --- what Tensor's operations call ---------------------------------------------------------------------------

    def record(self, op: Any, args: tuple[Any, ...], keywords: dict[str, Any] = NO_KEYWORDS) -> Any:
        """An operation on Tracers, Tensors, arrays and numbers: its result, not yet computed.

        Raises:
            Exception: the operation fails on such arguments; the error is explained as in an ordinary run.
        """
        if isinstance(op, registry.Primitive):
            kept = Tensor if takes_arrays(op) else (Tensor, tuple, list)  # which may be axes elsewhere
            args = tuple(a if isinstance(a, kept) else owned(a, op) for a in args)
        try:
            value = self._of(op, args, keywords)
        except errors.NotOnTensors:
            raise
        except Exception as error:
            arrays = [_shape_of(a) for a in args]
            raise errors.explained(error, name_of(op), arrays, context.scope) from error
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
        """The same value, but no gradient flows through it."""
        return tracer(self._stopped(self.lowered(a)))

    def _stopped(self, value: Value) -> Value:
        """A copy of a Value through which no gradient flows, as inside ``no_grad()``."""
        return self.made(stop_gradient, (value,), {}) if value.dtype.kind == "f" else value

    def _several(self, hidden: Tracer) -> Any:
        """The results of an operation with several: each one selects from the tuple of all."""
        value = hidden._data
        results = example(value.op, value.args, value.keywords)
        selected = [self.record(indexing.output, (hidden, i)) for i in range(len(results))]
        return type(results)._make(selected) if hasattr(results, "_make") else tuple(selected)

    def record_plain(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The result of a function without a gradient: questions about shapes are answered, all else is recorded."""
        if function in LOOKS_AT_SHAPE:
            return function(*map(_shape_of, args), **keywords)
        if function in LENGTH_BY_VALUES:
            raise errors.length_by_values(f"np.{function.__name__}")
        if function in REDUCTIONS_WITHOUT_GRADIENT and len(args) == 2:  # one form for both ways to write it
            a, axis = args
            return self.record_plain(function, (a,), {"axis": axis, **keywords})
        if function in REDUCTIONS_WITHOUT_GRADIENT and not np.ndim(args[0]) and keywords.get("axis") in (0, -1):
            keywords = {**keywords, "axis": None}  # a number has no axes, but NumPy takes these two
        return self.record(function, args, keywords)

    # --- making values -------------------------------------------------------------------------------------------

    def lowered(self, a: Any) -> Any:
        """An argument as a Value holds it: arrays become Values, all else is unchanged."""
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
        if tensor.serial > self._began:  # made inside, from numbers: a constant
            return self._constant(tensor._data)
        if tensor not in self.captured:
            self.captured[tensor] = Value(None, (), {}, tensor.shape, tensor.dtype, "captured", tensor.name or "")
        return self.captured[tensor]

    def _constant(self, array: np.ndarray) -> Value:
        key = ("constant", array.shape, array.dtype.str, array.tobytes())
        make = lambda: Value(None, (), {}, array.shape, array.dtype, "constant", array=np.array(array))  # noqa: E731
        return self.known(key, make)

    def made(self, op: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Value:
        """The Value of an operation: a new one, or the same one if it was recorded before."""
        given = bool(args) and isinstance(args[0], Value) and args[0] in self.given
        shorter = None if given else simplified(self.made, op, args, keywords, self.in_step)
        if shorter is not None:
            return shorter
        found = list(values_in((args, keywords)))
        if all(map(is_constant, found)) and not getattr(op, "outputs", False):
            arrays = [a.array if isinstance(a, Value) else a for a in args]
            if not any(isinstance(a, tuple) for a in arrays):
                return self._constant(np.asarray(run(op, tuple(arrays), keywords)))
        key = (op, identity(args), identity(keywords))
        return self.known(key, lambda: Value(op, args, keywords, *inferred(op, args, keywords)))

    def known(self, key: Any, make: Callable[[], Value]) -> Value:
        """The Value for a key; it is made the first time that it is asked for."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def recorded(trace: Trace, a: Any) -> Value:
    """The Value behind something that a traced function returned."""
    if isinstance(a, (Tensor, np.ndarray, np.generic, float, int)):
        array = a if isinstance(a, Tensor) else np.asarray(a)
        return trace.lowered(array)
    kind = type(a).__name__
    raise errors.CannotCompile(f"a compiled function returns arrays, but this one returned {kind}{errors.here()}")


def _shape_of(a: Any) -> Any:
    """An array with the shape of an argument: its own array, or one like it."""
    value = a._data if isinstance(a, Tensor) else a
    return dummy(value) if isinstance(value, Value) else value


def by_places(index: Any, shape: tuple[int, ...]) -> Any:
    """The index with each mask, an array of booleans, replaced by the places that it selects."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(_is_mask(part) for part in parts):
        return index
    if all(isinstance(part, np.ndarray) or indexing.is_basic(part) for part in parts):
        np.broadcast_to(False, shape)[index]  # NumPy raises if a mask doesn't fit; places always would
    return tuple(place for part in parts for place in (np.nonzero(part) if _is_mask(part) else (part,)))


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == np.bool_ and part.ndim > 0


def identity(tree: Any) -> Any:
    """A key under which equal arguments are found: numbers by value and type, Values by themselves."""
    if isinstance(tree, (tuple, list)):
        return ("tuple", *map(identity, tree))
    if isinstance(tree, dict):
        return tuple(sorted((key, identity(part)) for key, part in tree.items()))
    if isinstance(tree, slice):
        return ("slice", tree.start, tree.stop, tree.step)
    if isinstance(tree, Value):
        return id(tree)
    return (type(tree).__name__, repr(tree))
