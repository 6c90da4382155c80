"""Tensor: a NumPy array that remembers how it was made.

A Tensor *is* a node of the graph. It implements NumPy's protocols ``__array_ufunc__`` and ``__array_function__``, so a
model is written in plain NumPy: ``np.tanh(x @ U + h @ W + b)`` runs unchanged on ndarrays, and on Tensors, where every
operation is also recorded. There is no wrapped namespace to import.

Ownership: ``tensor(a)`` copies, constants that enter an operation are copied, and a result belongs to its node. Nothing
writes to an array that a node holds; an update *rebinds* a parameter's data to a new array. So the backward pass always
sees the values of the forward pass.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy import ndarray

from . import did_you_mean, errors
from .arguments import as_taken
from .array_node import IMMUTABLE, ArrayNode, owned, plain_index, starting_cotangent, takes_arrays, value_of
from .graph import Node, initialise, next_serial
from .keeping import gradients_of
from .letting_go import EVERY, Knot
from .memory import own_copy
from .promotion import NUMPY_1, as_promised
from .registry import OVERRIDES, PLAIN, Primitive, name_of
from .remembering import Origin, remembered
from .rules.complex_pairs import ComplexTensor, on_complex
from .rules.elementwise import (
    absolute,
    add,
    divide,
    floor_divide,
    multiply,
    negative,
    positive,
    power,
    remainder,
    subtract,
)
from .rules.indexing import getitem, output
from .rules.joining import is_list_of_arrays, without_lists
from .rules.linalg import matmul
from .rules.parts import Parts
from .rules.shape import astype, reshape, swapaxes, transpose
from .scope import context
from .updating import InPlaceOperators, read_only

# The arguments and results of a cell: an ndarray, a Tensor, or an object array of Scalars; the same code runs on each.
# To type checkers it is Any, because NumPy's own hints say ndarray where the result is a Tensor.
Array: TypeAlias = Any

NO_KEYWORDS: dict[str, Any] = {}

bare_object = object.__new__

ONE, OTHER = EVERY

# Functions whose second argument by position is ``out``.
SECOND_IS_OUT = (np.isposinf, np.isneginf)

# The functions equal to ``np.add.reduce`` and the like, which NumPy's own Python code calls.
REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
}


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function as the ndarray method of that name."""

    def method(self: Tensor, *args: Any, **keywords: Any) -> Any:
        return call(function, (self, *args), keywords)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = f"As ``np.{function.__name__}``."
    return method


def _operators(op: Primitive) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """An operator of two operands as methods of the left one and of the right one."""
    return (lambda self, other: apply(op, (self, other))), (lambda self, other: apply(op, (other, self)))


def _comparison(ufunc: np.ufunc, compare: Callable[[Any, Any], Any]) -> Any:
    """A comparison as a method; ``compare`` is the operator of arrays, which knows what to do with other objects."""

    def method(self: Tensor, other: Any) -> Any:
        if context.trace is not None:
            return context.trace.record_plain(ufunc, (self, other), NO_KEYWORDS)
        found = compare(self._data, value_of(other))
        return found if context.origins is None else remembered(ufunc, (self, other), found)

    return method


class Tensor(InPlaceOperators, ArrayNode):
    """An array in the graph. Make one with ``tensor(...)``; operations on Tensors return Tensors.

    Attributes:
        grad: the gradient, an ndarray of the same shape and dtype, set by ``backward()`` on leaves and on nodes with
            ``retain_grad`` (a Tensor after ``backward(create_graph=True)``); None before.
        requires_grad: whether a gradient is wanted for it, or for one of its ancestors.
        name: the name in pictures and reports.
        scope: the layer and time step in which it was made.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("make a Tensor with tinygrad_rnn.tensor(data, requires_grad=False, dtype=None, name=None)")

    # --- the value ---------------------------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The value, as a read-only view. Assigning, also by ``-=``, rebinds it to a copy; graphs keep the old."""
        return read_only(self._readable("data"))

    @data.setter
    def data(self, value: Any) -> None:
        if not self.is_leaf:
            raise RuntimeError(f"only a leaf's data can be replaced; this Tensor is the result of {self.op.name}")
        array = own_copy(value, self._data.dtype)
        if array.shape != self._data.shape:
            raise ValueError(f"data of {self.name or 'a Tensor'}: shape {array.shape} can't replace {self._data.shape}")
        self._data = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._data.dtype

    @property
    def T(self) -> Tensor:
        """The transpose: all axes in reverse order."""
        return apply(transpose, (self,))

    @property
    def mT(self) -> Tensor:
        """Each matrix of a stack, transposed: the last two axes exchanged."""
        return apply(swapaxes, (self, -2, -1))

    @property
    def real(self) -> Tensor:
        """The real part, which is all of it."""
        return call(np.real, (self,), NO_KEYWORDS)

    @property
    def imag(self) -> Tensor:
        """The imaginary part, zeros."""
        return call(np.imag, (self,), NO_KEYWORDS)

    def numpy(self) -> np.ndarray:
        """The value, as a read-only view."""
        view: np.ndarray = self._readable("numpy()").view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The value of a Tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item(): a Tensor of shape {self.shape} is not one number. Index it first, or sum it.")
        return self._readable("item()").item()

    def tolist(self) -> Any:
        """The value, as nested lists of Python numbers."""
        return self._readable("tolist()").tolist()

    def detach(self) -> Tensor:
        """The same value outside the graph: no gradient flows through it."""
        if context.trace is not None:
            return context.trace.detached(self)
        return constant(self._data, self.name) if context.stops else self

    def __reduce__(self) -> Any:
        """Copy a leaf for ``copy.copy``, ``copy.deepcopy`` and other processes."""
        if not self.is_leaf:
            raise RuntimeError(
                f"this Tensor is the result of {self.op.name}, and a graph isn't copied. To plot or store its values, "
                "pass .numpy(); to go on with them, copy .detach()"
            )
        return make_leaf, (type(self), self._data, self.requires_grad, None, self.name), (None, {"grad": self.grad})

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a Tensor without axes")
        return self._data.shape[0]

    if not TYPE_CHECKING:  # otherwise a type checker would accept every attribute

        def __getattr__(self, name: str) -> Any:
            if name == "grad":  # of a result, unless it retains its gradient: see _node
                warnings.warn(
                    f".grad of the result of {self.op.name} is None: backward() stores the gradients of leaves. For "
                    "this one call retain_grad() before backward(). A parameter stays a leaf where it is updated in "
                    "place: with tr.no_grad(): p -= step",
                    stacklevel=2,
                )
                return None
            if name.startswith("_"):
                raise AttributeError(f"a Tensor has no attribute {name!r}")
            raise AttributeError(did_you_mean.method(name, type(self)), name=name, obj=self)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="tensor(", threshold=200)
        extras = "" if self._data.dtype == np.float64 else f", dtype={self._data.dtype}"
        if self.name:
            extras += f", name={self.name!r}"
        if self.requires_grad:
            extras += ", requires_grad=True" if self.is_leaf else f", op={self.op.name}"
        return f"tensor({text}{extras})"

    def __format__(self, spec: str) -> str:
        """The value as text: a single number takes a format, as in f"{loss:.4f}". Text carries no gradient."""
        if spec and self.size != 1:
            raise TypeError(
                f"a Tensor of shape {self.shape} takes no format {spec!r}: one number does, such as x.mean() or x[0]; "
                "np.array2string(x.numpy(), precision=3) formats them all"
            )
        return format(self.item(), spec) if spec else super().__format__(spec)

    # --- gradients ---------------------------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool = False,
        *,
        create_graph: bool = False,
        keep: bool | None = None,
    ) -> None:
        """Add the gradient of this Tensor to the ``.grad`` of every leaf that it was made of and that requires one.

        Args:
            gradient: the cotangent to start with, of the same shape; 1 by default for a Tensor with one element.
            retain_graph: retain the graph for another ``backward()``; by default it is freed on the way, or kept.
            create_graph: record the backward pass too, so that the gradients can be differentiated; retains the graph.
            keep: keep the graph for inspection (by ``draw``, ``compare``, ``explanation``) as long as this Tensor.
                By default a small one is kept (10,000 operations and 4 MiB at most, nothing compiled or
                checkpointed), until the next ``backward()``; False frees it in any case.

        Raises:
            RuntimeError: nothing here requires a gradient; or the graph was freed; or a cotangent is needed.

        Example:
            >>> import tinygrad_rnn as tr
            >>> w = tr.tensor([1.0, 2.0, 3.0], requires_grad=True)
            >>> (w * w).sum().backward()
            >>> w.grad
            array([2., 4., 6.])
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward(): nothing that this Tensor was made of requires a gradient. Make the parameters with "
                "tensor(..., requires_grad=True), compute the loss outside no_grad(), and update them in place there: "
                "p -= step. p = p - step would make a constant."
            )
        seed = starting_cotangent(self, gradient)
        if not create_graph:
            seed = value_of(seed)
        elif not isinstance(seed, Tensor):
            seed = constant(seed)
        retain = retain_graph or create_graph
        for leaf, g in gradients_of(self, seed, retain, keep, context.anomaly).items():
            if create_graph and not isinstance(g, Tensor):
                g = constant(g)  # for a step function, whose derivative is 0 everywhere
            total = g if leaf.grad is None else leaf.grad + g
            leaf.grad = total if total.__class__ is ndarray or isinstance(total, Tensor) else np.asarray(total)

    # --- NumPy's protocols -------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "__call__":
            if len(inputs) == 2 and (inputs[0].__class__ is ComplexTensor or inputs[1].__class__ is ComplexTensor):
                return NotImplemented
            return call(ufunc, inputs, keywords)
        if method == "reduce" and ufunc in REDUCTIONS:
            return call(REDUCTIONS[ufunc], inputs, {"axis": 0, **keywords})
        if method == "outer" and ufunc.signature is None:
            a, b = inputs
            return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **keywords)
        if method == "at":
            raise errors.no_out(f"{ufunc.__name__}.at")
        raise errors.no_rule(f"{ufunc.__name__}.{method}")

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if len(types) > 1 and ComplexTensor in types:
            return NotImplemented
        return call(function, args, keywords)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Element]]:
        if self.requires_grad and not self.is_spent:
            raise errors.no_array(self.scope)
        return np.array(self._readable("np.asarray"), dtype=dtype)

    def __float__(self) -> float:
        return float(self._plain("float()"))

    def __int__(self) -> int:
        return int(self._plain("int()"))

    def __index__(self) -> int:
        return self._plain("use as an index").__index__()

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self._plain("round()")), digits)

    def __complex__(self) -> complex:
        raise errors.complex_refused("complex()")

    def _plain(self, how: str) -> Any:
        if self.requires_grad and not self.is_spent:  # after backward(), no gradient can be lost
            raise errors.silent_detour(how, self.scope)
        return self._readable(how)

    def _readable(self, how: str) -> Any:
        """The value, for code that reads it; while a function is traced, there is no value, which is an error."""
        if context.trace is not None:
            raise errors.no_value(how)
        return self._data

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a Tensor of shape {self.shape} is ambiguous: use np.any or np.all")
        return bool(self._readable("bool()"))

    # --- operators ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Parts) else apply(add, (self, other))

    def __radd__(self, other: Any) -> Any:
        return apply(add, (other, self))

    __sub__, __rsub__ = _operators(subtract)
    __mul__, __rmul__ = _operators(multiply)
    __truediv__, __rtruediv__ = _operators(divide)
    __floordiv__, __rfloordiv__ = _operators(floor_divide)
    __mod__, __rmod__ = _operators(remainder)
    __matmul__, __rmatmul__ = _operators(matmul)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, other: Any) -> Any:
        return power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return power(other, self)

    def __neg__(self) -> Any:
        return apply(negative, (self,))

    def __pos__(self) -> Any:
        return apply(positive, (self,))

    def __abs__(self) -> Any:
        return apply(absolute, (self,))

    def __getitem__(self, index: Any) -> Any:
        return apply(getitem, (self, plain_index(index)))

    # In-place operators and assignment to elements update a leaf that requires a gradient, in no_grad().

    def _is_updated_in_place(self) -> bool:
        return self.op is None and self.requires_grad

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._is_updated_in_place() or context.recording:
            raise errors.no_assignment()
        array = self._data.copy()
        array[plain_index(index)] = value_of(value)
        self.data = array

    def __delitem__(self, index: Any) -> None:
        raise errors.no_assignment()

    # Comparisons look at values only; their results are plain arrays.

    __hash__ = Node.__hash__

    __eq__ = _comparison(np.equal, operator.eq)
    __ne__ = _comparison(np.not_equal, operator.ne)
    __lt__ = _comparison(np.less, operator.lt)
    __le__ = _comparison(np.less_equal, operator.le)
    __gt__ = _comparison(np.greater, operator.gt)
    __ge__ = _comparison(np.greater_equal, operator.ge)

    # So are the results of operators that combine conditions, or the bits of whole numbers.

    __and__ = __rand__ = _as_method(np.bitwise_and)
    __or__ = __ror__ = _as_method(np.bitwise_or)
    __xor__ = __rxor__ = _as_method(np.bitwise_xor)
    __invert__ = _as_method(np.invert)
    __lshift__ = _as_method(np.left_shift)
    __rshift__ = _as_method(np.right_shift)

    def __rlshift__(self, other: Any) -> Any:
        return call(np.left_shift, (other, self), NO_KEYWORDS)

    def __rrshift__(self, other: Any) -> Any:
        return call(np.right_shift, (other, self), NO_KEYWORDS)

    # --- methods, as ndarrays have them ------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """The elements in another shape, given as one tuple or as several ints; see ``np.reshape``."""
        to = shape[0] if len(shape) == 1 else shape
        return apply(reshape, (self, to)) if order == "C" else call(np.reshape, (self, to, order), NO_KEYWORDS)

    def transpose(self, *axes: Any) -> Tensor:
        """The same elements with the axes in another order, given as one tuple or as several ints."""
        return apply(transpose, (self, (axes[0] if len(axes) == 1 else axes) or None))

    def flatten(self, order: str = "C") -> Tensor:
        """The elements in a single axis."""
        return self.reshape(self.size, order=order)

    def astype(self, dtype: Any, *, copy: bool = True) -> Tensor:
        """The same values as another dtype. Integers carry no gradient; ``copy`` makes no difference."""
        return astype(self, dtype)

    sum = _as_method(np.sum)
    mean = _as_method(np.mean)
    prod = _as_method(np.prod)
    max = _as_method(np.max)
    min = _as_method(np.min)
    var = _as_method(np.var)
    std = _as_method(np.std)
    cumsum = _as_method(np.cumsum)
    cumprod = _as_method(np.cumprod)
    argmax = _as_method(np.argmax)
    argmin = _as_method(np.argmin)
    argsort = _as_method(np.argsort)
    any = _as_method(np.any)
    all = _as_method(np.all)
    nonzero = _as_method(np.nonzero)
    searchsorted = _as_method(np.searchsorted)
    squeeze = _as_method(np.squeeze)
    swapaxes = _as_method(np.swapaxes)
    ravel = _as_method(np.ravel)
    repeat = _as_method(np.repeat)
    take = _as_method(np.take)
    diagonal = _as_method(np.diagonal)
    trace = _as_method(np.trace)
    dot = _as_method(np.dot)
    clip = _as_method(np.clip)
    round = _as_method(np.round)
    copy = _as_method(np.copy)
    conj = _as_method(np.conjugate)
    conjugate = _as_method(np.conjugate)


# --- running operations ----------------------------------------------------------------------------------------------


def apply(op: Primitive, args: tuple[Any, ...], keywords: dict[str, Any] = NO_KEYWORDS) -> Any:
    """Run a primitive on Tensors, arrays and numbers, and record it if one of them requires a gradient."""
    if context.trace is not None:
        if ComplexTensor in map(type, args):
            return on_complex(op, args, keywords)
        kinds = list(map(type, args))
        if list in kinds or (tuple in kinds and takes_arrays(op)):  # elsewhere, a tuple may be an index
            args = tuple([without_lists(None, a) if type(a) is list or takes_arrays(op) else a for a in args])
        return context.trace.record(op, args, keywords)
    arrays: list[Any] = []
    edges: list[int] = []
    copied = False
    for a in args:
        if isinstance(a, Tensor):
            if a.requires_grad:
                edges.append(len(arrays))
            arrays.append(a._data)
        elif a.__class__ in IMMUTABLE:
            arrays.append(a)
        elif a.__class__ is ComplexTensor:
            return on_complex(op, args, keywords)
        elif is_list_of_arrays(a):
            return apply(op, tuple([without_lists(None, part) for part in args]), keywords)
        else:
            arrays.append(owned(a, op))
            copied = True
    try:
        data = op.forward(*arrays, **keywords) if keywords else op.forward(*arrays)
    except Exception as error:
        raise errors.explained(error, op.name, arrays, context.scope) from error
    if copied:
        args = tuple(a if isinstance(a, Tensor) else b for a, b in zip(args, arrays))
    if data.__class__ is not ndarray:
        if op.outputs:
            return _several(op, args, edges, arrays, keywords, data)
        data = np.asarray(data)
    if NUMPY_1 and op.by_element:
        data = as_promised(data, op, arrays)
    if edges and context.recording and data.dtype.kind == "f":
        node = _node(data, op, args, edges, arrays, keywords)
        if context.anomaly is not None:
            context.anomaly.recorded(node)
        return node
    if data.dtype.kind == "c":
        raise errors.complex_refused(op.name)
    if context.origins is not None and not keywords and all(data is not a for a in arrays):  # of detached values
        context.origins[id(data)] = Origin(data, op, args)
    return _node(data)


if TYPE_CHECKING:

    class Element(np.object_, Tensor):  # type: ignore[misc]
        """The elements of a Tensor, to type checkers: by NumPy's hints a mean of objects is Any, of numbers a number.

        So ``np.mean(x).backward()`` is in order.
        """


def _node(
    data: Any,
    op: Primitive | None = None,
    inputs: tuple[Any, ...] = (),
    edges: Sequence[int] = (),
    arrays: Sequence[Any] = (),
    keywords: dict[str, Any] = NO_KEYWORDS,
) -> Tensor:
    """A new Tensor: the result of a recorded operation, or one that needs no gradient."""
    node = bare_object(Tensor)
    node._data = data
    node.requires_grad = op is not None
    node.op = op
    node.inputs = inputs
    node.edges = edges
    node.is_spent = False
    node._arrays = arrays
    node._keywords = keywords
    node.name = None
    if op is None:
        node.grad = None  # else it stays unset, so that __getattr__ warns whoever asks for it
    node.labels = ()
    node.serial = serial = next_serial()
    node.scope = context.scope
    if not (serial % ONE and serial % OTHER):
        node.knot = Knot(inputs)
    return node


def _several(op: Primitive, args: Any, edges: Any, arrays: Any, keywords: Any, results: Any) -> Any:
    """An operation with several results is one hidden node, and each result selects from it."""
    parts = tuple(map(np.asarray, results))
    if edges and context.recording:
        hidden = _node(parts, op, args, edges, arrays, keywords)
        selected = [
            _node(part, output, (hidden, i), [0], (parts, i)) if part.dtype.kind == "f" else _node(part)
            for i, part in enumerate(parts)
        ]
        if context.anomaly is not None:
            for node in (hidden, *selected):
                if node.op is not None:
                    context.anomaly.recorded(node)
    else:
        selected = list(map(_node, parts))
    return type(results)._make(selected) if hasattr(results, "_make") else tuple(selected)


def call(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Run the replacement of a NumPy function when a Tensor is among its arguments."""
    implementation = function if function.__class__ is Primitive else OVERRIDES.get(function)
    if keywords and function is not implementation:
        keywords = {k: without_lists(function, v) for k, v in keywords.items()}
    if keywords or len(args) > 2:
        args, keywords = as_taken(function, implementation, args, keywords)
    if implementation is None:
        if function in PLAIN:
            if function in SECOND_IS_OUT and len(args) > 1 and args[1] is not None:
                raise errors.no_out(name_of(function))
            if context.trace is not None:
                return context.trace.record_plain(function, args, keywords)
            found = function(*map(value_of, args), **{k: value_of(v) for k, v in keywords.items()})
            return found if context.origins is None or keywords else remembered(function, args, found)
        raise errors.no_rule(name_of(function))
    if implementation.__class__ is Primitive:
        return apply(implementation, args, keywords)
    for a in args:
        if a.__class__ is list or a.__class__ is tuple:
            args = tuple([without_lists(function, part) for part in args])
            break
    try:
        return implementation(*args, **keywords)
    except np.exceptions.AxisError as error:
        if error.axis is None:  # it was explained already at its origin
            raise
        raise errors.explained(error, name_of(function), list(map(value_of, args)), context.scope) from error


class Argument(Tensor):
    """An argument of a function that is being differentiated: a leaf that is no parameter.

    In-place operators rebind it to a new value, so a function may use ``x += 1``, as for numbers.
    """

    __slots__ = ()

    def _is_updated_in_place(self) -> bool:
        return False


# --- making Tensors --------------------------------------------------------------------------------------------------


def constant(array: Any, name: str | None = None) -> Tensor:
    """A Tensor that needs no gradient, over an array that is known not to change."""
    node = _node(array)
    node.name = name
    return node


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None) -> Tensor:
    """Make a Tensor from numbers: a leaf of the graph.

    Args:
        data: array, nested lists of numbers, or one number. Copied.
        requires_grad: whether ``backward()`` stores its gradient in ``.grad``.
        dtype: element type; by default NumPy's.
        name: the name in pictures and reports.

    Raises:
        TypeError: the elements aren't real numbers; or they are integers or booleans and a gradient is asked for.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([0.5, -1.0], requires_grad=True, name="w")
        >>> y = np.tanh(w).sum()
        >>> y.backward()
        >>> np.allclose(w.grad, 1 - np.tanh([0.5, -1.0]) ** 2)
        True
    """
    return make_leaf(Tensor, data, requires_grad, dtype, name)


def make_leaf(kind: type[Tensor], data: Any, requires_grad: bool, dtype: Any, name: str | None) -> Any:
    """A new leaf of a given class (Tensor or a subclass)."""
    array = own_copy(data._plain("tensor()") if isinstance(data, Tensor) else data, dtype)
    if array.dtype.kind == "c":
        raise errors.complex_refused("tensor()")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensor(): elements of type {array.dtype} are not numbers")
    if requires_grad and array.dtype.kind != "f":
        raise TypeError(
            f"tensor(): {array.dtype} can't require a gradient, since derivatives need real numbers. "
            "Pass dtype=np.float64 (or float32), or write 1.0 instead of 1."
        )
    leaf = bare_object(kind)
    initialise(leaf, requires_grad, name)
    leaf._data = array
    leaf._arrays = ()
    leaf._keywords = NO_KEYWORDS
    return leaf
