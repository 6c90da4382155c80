"""An ONNX graph in the making: its nodes, its constants, and the lengths that are known only when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..compiler.sizes.reading import Counted, Filled, Size

OPSET = 18
IR_VERSION = 9


class NoOnnxForm(ValueError):
    """The error for an operation without an ONNX form, or without one that is known here."""


class Graph:
    """A graph. The body of a Scan is a graph inside another, and can read the values of the outer one.

    Attributes:
        nodes: the nodes so far.
        constants: the constants of the outermost graph.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.main: Graph = self if outer is None else outer.main
        self.nodes: list[Any] = []
        if outer is None:
            self.constants: list[Any] = []
            self.size_names: dict[str, str] = {}  # "T" -> the one number, (1,), in the graph
            self._made: dict[Any, str] = {}
            self._count = 0

    def unique(self, word: str) -> str:
        """A unique name: a word of ours and a number."""
        self.main._count += 1
        return f"{word}_{self.main._count}"

    def node(self, kind: str, inputs: Sequence[str], *, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one result; returns the result's name."""
        from onnx import helper

        name = name or self.unique(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, array: Any, name: str | None = None) -> str:
        """A constant array, kept once."""
        from onnx import numpy_helper

        array = np.asarray(array)
        key = name or (array.dtype.str, array.shape, array.tobytes())
        main = self.main
        if key not in main._made:
            main._made[key] = name or self.unique("constant")
            main.constants.append(numpy_helper.from_array(np.array(array, order="C"), main._made[key]))
        return main._made[key]

    def lengths(self, numbers: Sequence[int | Size]) -> str:
        """A row of whole numbers, some of which may be known only when the graph runs."""
        if not any(isinstance(n, Size) for n in numbers):
            return self.constant(np.array(numbers, np.int64))
        joined = lambda g: g.node("Concat", [g._length(n) for n in numbers], axis=0)  # noqa: E731
        return self._once("lengths", tuple(numbers), joined)

    def _length(self, number: int | Size) -> str:
        if not isinstance(number, Size):
            return self.constant(np.array([number], np.int64))

        def computed(graph: Graph) -> str:
            terms = [graph._more(graph.size_names[name], shift) for name, shift in number.shifted()]
            product = reduce(lambda a, b: graph.node("Mul", [a, b]), terms)
            if number.factor != 1:
                product = graph.node("Mul", [product, graph.constant(np.array([number.factor], np.int64))])
            return graph._more(product, number.offset)

        return self._once("length", number, computed)

    def _more(self, length: str, more: int) -> str:
        return self.node("Add", [length, self.constant(np.array([more], np.int64))]) if more else length

    def _once(self, word: str, key: Any, make: Callable[[Graph], str]) -> str:
        """A value in the outermost graph, which every graph can read; it is made when it is first asked for."""
        main = self.main
        if (word, key) not in main._made:
            main._made[word, key] = make(main)
        return main._made[word, key]

    def array(self, a: Any) -> str:
        """A constant as ``Sized.constant`` gives it."""
        from onnx import helper

        if isinstance(a, Filled):
            number = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(a.number.dtype), [1], [a.number])
            make = lambda g: g.node("ConstantOfShape", [g.lengths(a.shape)], value=number)  # noqa: E731
            return self._once("filled", (a.number.dtype.str, a.number.tobytes(), a.shape), make)
        if isinstance(a, Counted):
            return self._once("counted", (a.dtype.str, a.shape), lambda g: g._counted(a))
        return self.constant(a)

    def _counted(self, a: Counted) -> str:
        size = self.node("ReduceProd", [self.lengths(a.shape)], keepdims=0)
        numbers = self.node("Range", [self.constant(np.int64(0)), size, self.constant(np.int64(1))])
        return self.cast(self.reshape(numbers, a.shape), a.dtype)

    def scalar(self, number: int | Size) -> str:
        """A whole number that may be known only when the graph runs."""
        if isinstance(number, Size):
            return self.node("Squeeze", [self._length(number)])
        return self.constant(np.int64(number))

    def cast(self, a: str, dtype: Any) -> str:
        """An array of another type."""
        from onnx import helper

        return self.node("Cast", [a], to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, a: str, shape: Sequence[int | Size]) -> str:
        """An array of another shape."""
        return self.node("Reshape", [a, self.lengths(shape)], allowzero=1)
