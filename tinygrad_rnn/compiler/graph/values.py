"""Values, the parts of a compiled program. Each knows its operation and its operands.

A program is defined by its results: a Value that no result depends on isn't part of it, so nothing has to be deleted.
Values never change, and an operation that is recorded twice gives the same Value (hash-consing: this is how common
subexpressions are eliminated; see ``trace``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Literal, TypeVar

import numpy as np

from ...autodiff import errors

# The words that stand in identifiers of generated code. "x" is a step's input, "g" a cotangent.
Kind = Literal["input", "captured", "constant", "x", "state", "g", "result", "value"]
NUMPY_NAMES = frozenset(name for name in np.__all__ if name.isascii() and name.isidentifier())

next_serial = itertools.count().__next__


class Value:
    """An array that a program will have, once it runs: its shape and dtype, and how it is made.

    Attributes:
        op: a Primitive, a NumPy function, or the Loop that computes it; None for an input or a constant.
        args: the operands: Values, numbers, and other arguments of the operation; tuples may hold Values, too.
        keywords: the operation's keywords.
        shape: the length of each axis.
        dtype: the type of the elements.
        array: the elements of a constant; None for any other Value.
        kind: a word for its role. In generated code, its name is this word with its number.
        name: the user's name for it, any text. It is shown, and never becomes code.
        operands: the Values in ``args`` and ``keywords``. A result of a loop has none: ask the loop what it reads.
    """

    __slots__ = ("args", "array", "dtype", "keywords", "kind", "name", "op", "operands", "serial", "shape")

    def __init__(
        self,
        op: Any,
        args: tuple[Any, ...],
        keywords: dict[str, Any],
        shape: tuple[int, ...],
        dtype: Any,
        kind: Kind = "value",
        name: str = "",
        array: np.ndarray | None = None,
    ) -> None:
        self.op = op
        self.args = args
        self.keywords = keywords
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.kind: Kind = kind
        self.name = name
        self.array = array
        self.serial = next_serial()
        self.operands = () if op is None else (*values_in(args), *values_in(keywords))  # once: every pass asks

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The memory that it takes, in bytes."""
        return self.size * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise errors.no_value("np.asarray")

    def __repr__(self) -> str:
        name = f" {self.name!a}" if self.name else ""
        return f"<{label(self)}{name}: {self.dtype}{list(self.shape)}>"


def label(value: Value) -> str:
    """The identifier of a Value in generated code, unique in a process: ``input_3``, ``state_5``, ``tanh_42``.

    It consists of a word of ours, or NumPy's name of the operation, and a number. No text of the user's is in it: the
    name of a Tensor may come from a file that somebody else has written.
    """
    if value.kind == "value" and value.op is not None and name_of(value.op) in NUMPY_NAMES:
        return f"{name_of(value.op)}_{value.serial}"
    return f"{value.kind}_{value.serial}"


def name_of(op: Any) -> str:
    """The name of an operation: a primitive, a NumPy function or a loop."""
    name: str = op.name if hasattr(op, "name") else op.__name__
    return name


def new_input(shape: tuple[int, ...], dtype: Any, kind: Kind, name: str = "") -> Value:
    """A value that a program is given."""
    return Value(None, (), {}, tuple(shape), dtype, kind, name)


def is_constant(value: Value) -> bool:
    """Return True if a Value's elements are known already."""
    return value.array is not None


def values_in(tree: Any) -> Iterator[Value]:
    """The Values in an argument, also inside tuples, lists and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from values_in(part)
    elif isinstance(tree, dict):
        yield from values_in(tuple(tree.values()))


def substitute(tree: Any, replace: Callable[[Value], Any]) -> Any:
    """An argument with each Value in it replaced."""
    if isinstance(tree, Value):
        return replace(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree)(substitute(part, replace) for part in tree)
    if isinstance(tree, dict):
        return {key: substitute(part, replace) for key, part in tree.items()}
    return tree


Node = TypeVar("Node", bound=Hashable)


def in_order(
    roots: Iterable[Node],
    stop: Callable[[Node], bool] = lambda node: False,
    parents: Callable[[Node], Sequence[Node]] = attrgetter("operands"),  # of Values, unless told otherwise
) -> list[Node]:
    """The ancestors of ``roots`` up to ``stop``, each after its operands; the roots included.

    Args:
        roots: where to begin. They come last.
        stop: returns True for a Value that isn't computed here; it is left out, with its operands.
        parents: the operands of a value.
    """
    order: list[Node] = []
    done: set[Node] = set()
    begun: list[Node] = []  # whose operands are on the stack, above a None
    stack: list[Node | None] = [*reversed(list(roots))]
    while stack:
        value = stack.pop()
        if value is None:
            order.append(begun.pop())
        elif value not in done and not stop(value):
            done.add(value)
            begun.append(value)
            stack.append(None)
            stack += parents(value)[::-1]
    return order


class Dependence:
    """A test for Values that depend on given ones.

    Args:
        sources: these Values. Their own operands make no difference.
    """

    def __init__(self, sources: Iterable[Value]) -> None:
        self.sources = frozenset(sources)
        self._known = dict.fromkeys(self.sources, True)

    def __call__(self, value: Value) -> bool:
        """Return True if a Value depends on the sources."""
        if value not in self._known:
            for v in in_order([value], stop=self._known.__contains__):
                self._known[v] = any(self._known[parent] for parent in v.operands)
        return self._known[value]
