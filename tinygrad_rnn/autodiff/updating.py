"""Updates of a leaf by hand: the in-place operators, and the array that ``.data`` returns.

An update never writes into an array that a graph may hold. It computes a new one and rebinds the leaf's data to it, so
the backward pass of an earlier forward pass still sees the values of that pass.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .scope import context


def recorded_update(name: str, sign: str) -> RuntimeError:
    """The error for an in-place update of a leaf while operations are recorded, with the right loop."""
    return RuntimeError(
        f"{name} {sign} ... while operations are recorded: {name} is a leaf that requires a gradient, and the result "
        "would be another Tensor, computed from it. Gradient descent by hand is\n"
        "    loss.backward()\n"
        "    with tr.no_grad():\n"
        "        for p in parameters:\n"
        "            p -= lr * p.grad\n"
        "            p.grad = None\n"
        f"To compute with the value write {name} = {name} {sign[:-1]} ..."
    )


def _operator(operate: Callable[[Any, Any], Any], sign: str) -> Callable[[Any, Any], Any]:
    """An in-place operator as a method."""

    def method(self: Any, other: Any) -> Any:
        if not self._is_updated_in_place():
            return operate(self, other)
        if context.recording:
            raise recorded_update(self.name or "p", sign)
        self.data = operate(self, other).data
        return self

    method.__name__ = method.__qualname__ = f"__i{operate.__name__.strip('_')}__"
    method.__doc__ = f"``{sign}``: in ``no_grad()`` an update of a leaf that requires a gradient, else a new value."
    return method


class InPlaceOperators:
    """``+=`` and the like: an update of a leaf that requires a gradient, in ``no_grad()``; a new value of all else."""

    __slots__ = ()

    def _is_updated_in_place(self) -> bool:
        raise NotImplementedError

    __iadd__ = _operator(operator.add, "+=")
    __isub__ = _operator(operator.sub, "-=")
    __imul__ = _operator(operator.mul, "*=")
    __itruediv__ = _operator(operator.truediv, "/=")
    __ifloordiv__ = _operator(operator.floordiv, "//=")
    __imod__ = _operator(operator.mod, "%=")
    __ipow__ = _operator(operator.pow, "**=")
    __imatmul__ = _operator(operator.matmul, "@=")


def _new_value(name: str) -> Callable[[Any, Any], Any]:
    """An in-place operator of arrays, which makes a new array if it can't write into the old one."""
    in_place: Callable[[Any, Any], Any] = getattr(np.ndarray, f"__i{name}__")
    plain: Callable[[Any, Any], Any] = getattr(operator, f"__{name}__")

    def method(self: Any, other: Any) -> Any:
        return in_place(self, other) if self.flags.writeable else plain(np.asarray(self), other)

    return method


class ReadOnlyArray(np.ndarray[Any, Any]):
    """A read-only array, as ``.data`` returns it: ``p.data -= step`` then rebinds the data.

    Python evaluates that as ``p.data = p.data.__isub__(step)``. NumPy's results of it are plain arrays.
    """

    __isub__ = _new_value("sub")
    __iadd__ = _new_value("add")
    __imul__ = _new_value("mul")
    __itruediv__ = _new_value("truediv")
    __ifloordiv__ = _new_value("floordiv")
    __imod__ = _new_value("mod")
    __ipow__ = _new_value("pow")
    __iand__ = _new_value("and")
    __ior__ = _new_value("or")
    __ixor__ = _new_value("xor")
    __ilshift__ = _new_value("lshift")
    __irshift__ = _new_value("rshift")
    if hasattr(np.ndarray, "__imatmul__"):
        __imatmul__ = _new_value("matmul")

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.flags.writeable:
            raise ValueError(
                "the data of a Tensor is read-only: a recorded graph may need it. Assign to elements of the Tensor "
                "itself, in no_grad(), if it is a leaf that requires a gradient (W[0] = 0), or assign a new array "
                "(W.data = array); to change a copy, take W.data.copy()."
            )
        super().__setitem__(index, value)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array is not self and isinstance(array, ReadOnlyArray):  # NumPy 1 makes its results such arrays
            array = array.view(np.ndarray)
        return array[()] if array.ndim == 0 else array

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if not hasattr(function, "_implementation"):  # an operator of this class, which would call this array again
            return function(*_plain(args), **{name: _plain(value) for name, value in keywords.items()})
        result = super().__array_function__(function, types, args, keywords)
        return result.view(np.ndarray) if isinstance(result, ReadOnlyArray) else result

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


def _plain(a: Any) -> Any:
    """A plain array, or the members of a list or tuple as plain arrays."""
    if isinstance(a, (list, tuple)):
        return [_plain(part) for part in a] if isinstance(a, list) else tuple(map(_plain, a))
    return a.view(np.ndarray) if isinstance(a, ReadOnlyArray) else a


def read_only(array: np.ndarray) -> np.ndarray:
    """A view of an array that can't be written to; in-place operators make a new array instead."""
    view = array.view(ReadOnlyArray)
    view.flags.writeable = False
    return view
