"""The function that Python calls: it takes apart its arguments, lets other threads of Python run, and does the work.

It follows CPython's calling convention for functions of an array of objects. What it is bound to is an array of
addresses: of functions of Python's, of the type of arrays, and of the dtype of each. So the machine code itself has no
address in it, and can be kept.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from .arrays import BYTES, IN_MEMORY, ONE, Array
from .numbers import Builder, NotTranslated, Number
from .translator import FLAG, Body, Translation, by_name

INTEGER, INT, POINTER = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
KINDS = {np.dtype("?" if kind == "bool" else f"{kind[0]}{size}"): kind for kind, size in BYTES.items()}
DTYPES = {kind: dtype for dtype, kind in KINDS.items()}
C_CONTIGUOUS, ALIGNED = 0x1, 0x100

# Where NumPy's array objects have their parts, in bytes behind what every object begins with: NumPy's binary interface.
DATA, AXES, SHAPE, STRIDES, DTYPE, FLAGS = 0, 8, 16, 24, 40, 48
HEAD = object.__basicsize__

OF_PYTHON = ("PyEval_SaveThread", "PyEval_RestoreThread", "PyLong_AsLongLong", "PyErr_Occurred", "PyLong_FromLong")
SAVE, RESTORE, AS_LONG, OCCURRED, FROM_LONG = range(len(OF_PYTHON))
ARRAY_TYPE = len(OF_PYTHON)
DONE, OTHER_FORM, OUT_OF_BOUNDS = 0, 1, 2  # what it gives; for arguments of another form it has done nothing


class ArrayForm(NamedTuple):
    """The form of an argument that is an array: the type of its elements, its axes, whether they lie side by side."""

    kind: str
    ndim: int
    is_contiguous: bool


Form = tuple["ArrayForm | None", ...]  # None for a whole number


def form_of(args: Sequence[Any]) -> Form:
    """The form of arguments.

    Raises:
        NotTranslated: there is no machine code for such an argument.
    """
    form: list[ArrayForm | None] = []
    for a in args:
        if type(a) is np.ndarray and a.dtype in KINDS and a.flags.aligned and a.dtype.isnative:
            form.append(ArrayForm(KINDS[a.dtype], a.ndim, a.flags.c_contiguous))
        elif isinstance(a, (int, np.integer)) and not isinstance(a, bool):
            form.append(None)
        else:
            raise NotTranslated(f"an argument of the type {type(a).__name__} and dtype {getattr(a, 'dtype', None)}")
    return tuple(form)


def with_own_dtype(a: Any) -> Any:
    """An argument as the function takes it: arrays have NumPy's own dtype, not a copy, as they do once unpickled."""
    kind = KINDS.get(a.dtype) if type(a) is np.ndarray else None
    return a if kind is None or a.dtype is DTYPES[kind] else a.view(DTYPES[kind])


def addresses(form: Form) -> np.ndarray:
    """The addresses to which the function is bound."""
    functions = [ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in OF_PYTHON]
    dtypes = [0 if part is None else id(DTYPES[part.kind]) for part in form]
    return np.array([*functions, id(np.ndarray), *dtypes], np.int64)


def write_entry(translation: Translation, form: Form, name: str) -> None:
    """Write the function that Python calls, around the text's ``program``."""
    function = ir.Function(translation.module, ir.FunctionType(POINTER, [POINTER, POINTER, INTEGER]), name)
    builder = Builder(function.append_basic_block())
    writer = _Entry(builder, *function.args[:2])
    writer.require([(function.args[2], ir.Constant(INTEGER, len(form)))])
    program = translation.own["program"]
    given = by_name(
        program, [writer.number(i) if part is None else writer.array(i, part) for i, part in enumerate(form)]
    )
    thread = writer.call(SAVE, POINTER, [])
    failed = builder.alloca(FLAG)
    builder.store(ir.Constant(FLAG, 0), failed)
    Body(translation, builder, given, failed).write(program.body)
    writer.call(RESTORE, ir.VoidType(), [thread])
    results = [ir.Constant(INTEGER, result) for result in (OUT_OF_BOUNDS, DONE)]
    builder.ret(writer.call(FROM_LONG, POINTER, [builder.select(builder.load(failed), *results)]))


class _Entry:
    """A writer of what takes apart the arguments."""

    def __init__(self, builder: Builder, bound: Any, args: Any) -> None:
        self.builder = builder
        self.args = builder.bitcast(args, POINTER.as_pointer())
        self.table = self._field(bound, DATA, INTEGER.as_pointer())
        self._other_form, self._failed = (builder.append_basic_block(name) for name in ("other_form", "failed"))
        with builder.goto_block(self._other_form):
            self.give(OTHER_FORM)
        with builder.goto_block(self._failed):
            builder.ret(ir.Constant(POINTER, None))

    def call(self, which: int, result: Any, args: Sequence[Any]) -> Any:
        """Call one of the functions of Python's."""
        type_ = ir.FunctionType(result, [a.type for a in args]).as_pointer()
        return self.builder.call(self.builder.inttoptr(self._address(which), type_), args)

    def give(self, result: int) -> None:
        """Return a whole number."""
        self.builder.ret(self.call(FROM_LONG, POINTER, [ir.Constant(INTEGER, result)]))

    def number(self, i: int) -> Number:
        """A whole number; -1 is what Python gives for others, too, with an error."""
        builder = self.builder
        found = self.call(AS_LONG, INTEGER, [self._argument(i)])
        checked, following = (builder.append_basic_block(name) for name in ("checked", "number"))
        builder.cbranch(builder.icmp_signed("==", found, ir.Constant(INTEGER, -1)), checked, following)
        builder.position_at_end(checked)
        error = self.call(OCCURRED, POINTER, [])
        builder.cbranch(builder.icmp_unsigned("==", error, ir.Constant(POINTER, None)), following, self._failed)
        builder.position_at_end(following)
        return Number("i64", found)

    def array(self, i: int, form: ArrayForm) -> Array:
        """An array, once it is known that it has this form."""
        builder, found = self.builder, self._argument(i)
        self.require([(self._field(found, -8, INTEGER), self._address(ARRAY_TYPE))])
        flags = ir.Constant(INT, ALIGNED | (C_CONTIGUOUS if form.is_contiguous else 0))
        self.require(
            [
                (self._field(found, AXES, INT), ir.Constant(INT, form.ndim)),
                (self._field(found, DTYPE, INTEGER), self._address(ARRAY_TYPE + 1 + i)),
                (builder.and_(self._field(found, FLAGS, INT), flags), flags),
            ]
        )
        pointer = builder.bitcast(self._field(found, DATA, POINTER), IN_MEMORY[form.kind].as_pointer())
        shape = self._lengths(found, SHAPE, form.ndim)
        if form.is_contiguous:
            strides: list[Any] = [ONE]
            for n in shape[:0:-1]:
                strides.insert(0, builder.mul(strides[0], n, flags=("nsw",)))
            strides = strides[: form.ndim] if form.ndim else []
        else:
            size = ir.Constant(INTEGER, BYTES[form.kind])
            strides = [builder.sdiv(stride, size) for stride in self._lengths(found, STRIDES, form.ndim)]
        return Array(form.kind, pointer, tuple(shape), tuple(strides))

    def require(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Go on if these are the same, two by two; else it is another form."""
        are_equal = [self.builder.icmp_unsigned("==", found, expected) for found, expected in pairs]
        following = self.builder.append_basic_block("as_expected")
        self.builder.cbranch(reduce(self.builder.and_, are_equal), following, self._other_form)
        self.builder.position_at_end(following)

    def _lengths(self, found: Any, where: int, count: int) -> list[Any]:
        lengths = self._field(found, where, INTEGER.as_pointer())
        return [self.builder.load(self.builder.gep(lengths, [ir.Constant(INTEGER, axis)])) for axis in range(count)]

    def _argument(self, i: int) -> Any:
        return self.builder.load(self.builder.gep(self.args, [ir.Constant(INTEGER, i)]))

    def _address(self, i: int) -> Any:
        return self.builder.load(self.builder.gep(self.table, [ir.Constant(INTEGER, i)]))

    def _field(self, found: Any, where: int, type_: Any) -> Any:
        return self.builder.load(self.builder.bitcast(self._behind(found, HEAD + where), type_.as_pointer()))

    def _behind(self, found: Any, count: int) -> Any:
        return self.builder.gep(found, [ir.Constant(INTEGER, count)])
