"""A node that holds an array: the application of a primitive's rules to it, and the checks of its inputs.

The walks of ``graph`` use a Tensor as an instance of this class; its interface for users is in ``tensor``.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy import ndarray

from . import errors
from .graph import Node
from .registry import Primitive
from .remembering import copied
from .rules.indexing import Outputs
from .rules.linalg import matmul
from .rules.parts import Parts
from .rules.reductions import sum_to_shape
from .rules.shape import astype
from .scope import context
from .texts import printable

# Types of arguments that can't change afterwards, so they enter a node without a copy.
IMMUTABLE = frozenset(
    {float, int, bool, str, slice, type(None), type(Ellipsis), type, np.float64, np.float32, np.int64, np.bool_}
)


class ArrayNode(Node):
    """A node with an array for its value: the base of Tensor."""

    __slots__ = ("_arrays", "_data", "_keywords")

    _data: Any  # the value: an ndarray, or a tuple of them in the hidden node of an operation with several results
    _arrays: Any  # the arguments as they were at forward time, as plain arrays
    _keywords: dict[str, Any]

    def _pull_back(self, g: Any) -> list[tuple[Node, Any]]:
        """Apply the vjp rules to arrays or, if the cotangent is a Tensor, to Tensors, so that they are recorded."""
        ans, args = self._data, self._arrays
        if g.__class__ is not ndarray:
            g = self._settled(g)
            if is_recorded(g):
                ans, args = self, self._recorded_arguments()
        edges, inputs, keywords, vjps = self.edges or (), self.inputs, self._keywords, self.op.vjps
        if vjps.__class__ is not list:
            found = vjps(edges, g, ans, *args, **keywords)
            return [
                (inputs[i], None if c is None else conformed(c, inputs[i]._data, self, i)) for i, c in zip(edges, found)
            ]
        # The most frequent case is written out: passing *args on costs as much as a small product.
        plain_pair = not keywords and len(args) == 2
        a, b = args if plain_pair else (None, None)
        contributions = []
        for i in edges:
            c = vjps[i](g, ans, a, b) if plain_pair else vjps[i](g, ans, *args, **keywords)
            parent = inputs[i]
            value = parent._data
            if c.__class__ is not ndarray or c.dtype is not value.dtype or c.shape != value.shape:
                c = conformed(c, value, self, i)
            contributions.append((parent, c))
        return contributions

    def _push_forward(self, tangents: list[Any]) -> Any:
        """Apply the jvp rules: the counterpart of ``_pull_back``."""
        if any(is_recorded(v) for v in tangents):
            ans, args = self, self._recorded_arguments()
        else:
            ans, args = self._data, self._arrays
        keywords, jvps = self._keywords, self.op.jvps
        if callable(jvps):
            result = jvps(tangents, ans, *args, **keywords)
        else:
            parts = (jvps[i](v, ans, *args, **keywords) for i, v in enumerate(tangents) if v is not None)
            result = next(parts)
            for part in parts:
                result = tuple(a + b for a, b in zip(result, part)) if isinstance(result, tuple) else result + part
        if isinstance(result, tuple):
            return result
        if result.shape != self._data.shape:  # a derivative of 1 passes the tangent on as it is
            result = np.broadcast_to(result, self._data.shape)
        return result if result.dtype == self._data.dtype else astype(result, self._data.dtype)

    def _recorded_arguments(self) -> tuple[Any, ...]:
        for parent, array in zip(self.inputs, self._arrays):
            if isinstance(parent, ArrayNode) and parent._data is not array:
                name = printable(parent.name or "an input")
                raise RuntimeError(
                    f"{self.op.name}: the data of {name} was replaced after the forward pass, and a recorded "
                    "backward pass (create_graph=True) needs it. Take that gradient before the update."
                )
        return self.inputs

    def _settled(self, g: Any) -> Any:
        """The complete cotangent of this node: contributions that arrived in parts are put together."""
        if isinstance(g, Outputs):
            return g.assembled((len(self._data),))
        return conformed(g.assembled(self._data.shape), self._data) if isinstance(g, Parts) else g

    def _own(self, g: Any) -> Any:
        if g.__class__ is ndarray:
            return np.array(g)
        g = self._settled(g)
        if isinstance(g, tuple):  # an operation with several results, some of which may be unused
            return tuple(part if part is None or is_recorded(part) else np.array(part) for part in g)
        return g if is_recorded(g) else np.array(g)

    def _seed(self, gradient: Any) -> Any:
        return starting_cotangent(self, gradient)

    def _free(self) -> None:
        self.inputs = self._arrays = ()
        self.knot = self.edges = None
        self.is_spent = True
        if self.op.is_single:  # otherwise a loss that the user keeps would keep the whole loop in memory
            self.op = self.op.remains()


def value_of(a: Any) -> Any:
    """The plain value: a Tensor's array, also inside lists and tuples; any other object as it is."""
    if isinstance(a, ArrayNode):
        return a._data
    return type(a)(map(value_of, a)) if type(a) in (list, tuple) else a


def takes_arrays(op: Primitive) -> bool:
    """Return True if every argument of a primitive is an array: a tuple is one, too, and no setting such as a shape."""
    return op.by_element or op is matmul


def owned(a: Any, op: Primitive) -> Any:
    """A constant for a node: a copy, so that later changes by the caller don't reach the graph."""
    if isinstance(a, tuple) and takes_arrays(op):
        a = list(a)
    if isinstance(a, tuple) and not any(isinstance(part, (list, np.ndarray)) for part in a):
        return a
    if isinstance(a, tuple):
        return tuple(owned(part, op) if isinstance(part, (list, np.ndarray)) else part for part in a)
    if isinstance(a, np.generic):
        return a
    if isinstance(a, (np.ndarray, list)):
        array = np.array(a)
        if array.dtype == object:
            raise _mixed(op, "an object array")
        if array.dtype.kind == "c":
            raise errors.complex_refused(op.name)
        if context.origins is not None:
            copied(a, array)
        return array
    if isinstance(a, complex):
        raise errors.complex_refused(op.name)
    if isinstance(a, Node):
        raise _mixed(op, "a Scalar")
    if isinstance(a, Number) and not isinstance(a, (int, float)):  # NumPy would make an object array of it
        raise TypeError(f"{op.name}: a Tensor met a {type(a).__name__}; pass it as a float.")
    return a


def _mixed(op: Primitive, what: str) -> TypeError:
    return TypeError(
        f"{op.name}: a Tensor met {what}. Scalars and Tensors don't mix: make every array with scalars(...), also the "
        "xs and the state of unroll, or none; and join Tensors with np.stack rather than in a list."
    )


def plain_index(index: Any) -> Any:
    """An index, with Tensors of integers or booleans in it replaced by their values, and lists by arrays."""
    if isinstance(index, ArrayNode):
        return index._data
    if isinstance(index, list):
        return np.array(index) if index else np.array(index, dtype=np.intp)
    return tuple(map(plain_index, index)) if isinstance(index, tuple) else index


def is_recorded(g: Any) -> bool:
    """Return True if a cotangent or tangent is itself part of a graph."""
    if isinstance(g, tuple):
        return any([isinstance(part, ArrayNode) for part in g])  # noqa: C419  # a generator costs more than a list
    return isinstance(g, ArrayNode)


def conformed(c: Any, value: Any, made_by: Any = None, argument: int = 0) -> Any:
    """A contribution in the shape and dtype of its value; only this function changes them.

    Broadcast axes are summed. Nothing is reshaped: a wrong shape with the right number of elements is a mistake.

    Args:
        c: the contribution, as a rule returned it.
        value: the value with the right shape and dtype.
        made_by: the node or the Value whose rule made it, for the error.
        argument: the index of the argument, for the error.

    Raises:
        ValueError: the value doesn't broadcast to the contribution's shape.
    """
    if isinstance(c, Parts):
        return c
    if c.shape != value.shape:
        try:
            c = sum_to_shape(c, value.shape)
        except ValueError:
            raise errors.wrong_cotangent(made_by, argument, c.shape, value.shape) from None
    if c.dtype is not value.dtype and c.dtype != value.dtype:
        c = astype(c, value.dtype)
    return c


def starting_cotangent(root: ArrayNode, gradient: Any, how: str = "backward") -> Any:
    """The cotangent to start a backward pass with, checked."""
    value = root._data
    if gradient is None:
        if value.size != 1:
            raise RuntimeError(
                f"{how}(): a Tensor of shape {value.shape} has no single gradient. Sum it first, or pass the "
                f"cotangent: {how}(np.ones({value.shape}))."
            )
        return np.ones(value.shape, value.dtype) if value.ndim else value.dtype.type(1)
    shape = np.shape(value_of(gradient))
    if shape != value.shape:
        raise ValueError(f"{how}(): a cotangent of shape {shape} for a Tensor of shape {value.shape}")
    return gradient if isinstance(gradient, ArrayNode) else np.array(gradient, dtype=value.dtype)
