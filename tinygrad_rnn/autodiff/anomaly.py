"""The search for the first NaN or inf: ``detect_anomaly`` watches every operation, forward and backward."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from .graph import Node, Observer, ancestors, backward_walk
from .scope import changed, context, resumed
from .texts import printable

PACKAGE = str(Path(__file__).parents[1]) + os.sep


class AnomalyError(FloatingPointError):
    """The error of ``detect_anomaly``. ``node`` is the node that produced the NaN or inf, or received it first."""

    def __init__(self, message: str, node: Node) -> None:
        super().__init__(message)
        self.node = node


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int

    def __str__(self) -> str:
        code = linecache.getline(self.file, self.number).strip()
        return f'File "{self.file}", line {self.number}' + (f"\n    {code}" if code else "")


def users_line() -> Line | None:
    """The innermost line on the stack that is neither this package's nor NumPy's.

    While a node that stands for many is expanded, the lines further out belong to the backward pass and don't count.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            if frame.f_code.co_name == "expand":
                return None
        elif "numpy" not in Path(file).parts and not file.startswith("<__array"):
            return Line(file, frame.f_lineno)
        frame = frame.f_back
    return None


def _expanded(node: Node) -> list[Node]:
    """The nodes that a compiled loop or checkpoint stands for, recorded again so that each can be inspected."""
    with resumed(node.scope):
        found: list[Node] = node.op.expand()
        return found


def _what(value: Any) -> str | None:
    """The word for a NaN or an infinity among the values; None if there is none."""
    arrays = value if isinstance(value, tuple) else (value,)
    kinds = set()
    for a in arrays:
        a = np.asarray(getattr(a, "_data", a))
        if a.dtype.kind == "f" and not np.all(np.isfinite(a)):
            kinds.add("NaN" if np.any(np.isnan(a)) else "inf")
    return "NaN" if "NaN" in kinds else "inf" if kinds else None


def _a(found: str) -> str:
    return "an inf" if found == "inf" else "a NaN"


class Watch(Observer):
    """An observer that checks each result when it is recorded, and each contribution when it is passed back."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}  # by serial number
        self._cotangent: Any = None
        self._line: Line | None = None  # of the node that the backward pass has reached, and of nodes recorded for it

    def recorded(self, node: Node) -> None:
        """Check a new node: raise if it is the first with a NaN or inf."""
        line = users_line() or self._line
        if line is not None:
            self._lines[node.serial] = line
        self.check_value(node)

    def check_value(self, node: Any) -> None:
        """Raise if a result is bad although its inputs were good, or if bad values were passed in."""
        found = _what(node._data)
        if found is None:
            return
        if hasattr(node.op, "expand"):
            _expanded(node)
        bad = [(i, a) for i, a in enumerate(node._arrays) if isinstance(a, np.ndarray) and _what(a)]
        if found == "inf" and bad:
            return  # infinities that were passed in (masks of -inf) are allowed
        nans = [i for i, a in bad if _what(a) == "NaN"]
        if nans:
            source = node.inputs[nans[0]]
            name = getattr(source, "name", None)
            came = f"came in with argument {nans[0]}{f' ({printable(name)})' if name else ''}"
        else:
            came = f"was produced by {node.op.name}"
        raise AnomalyError(f"forward: {_a(found)} {came}{self._place(node)}", node)

    def begin(self, nodes: list[Any]) -> None:
        """Begin a backward pass: check the nodes that were recorded before the watch began."""
        for node in reversed(nodes):
            if node.op is not None and node.serial not in self._lines:
                self.check_value(node)

    def cotangent(self, node: Node, g: Any) -> None:
        """Remember the cotangent that the rules of the next node are applied to, and the line that made the node."""
        self._cotangent = g
        self._line = self._lines.get(node.serial)

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        """Raise if a backward rule returned a NaN or inf."""
        parts = tuple(part for part, _ in c.parts) if hasattr(c, "parts") else c
        found = _what(parts)
        if found is not None:
            self._walk_inside(node)
            raise AnomalyError(
                f"backward: {_a(found)} was produced by the derivative of {node.op.name} by its argument {argument}"
                f"{self._place(node)}",
                node,
            )

    def _walk_inside(self, node: Any) -> None:
        """Walk through the nodes that a node stands for, if it stands for several."""
        if not hasattr(node.op, "expand"):
            return
        cotangents = self._cotangent if isinstance(self._cotangent, tuple) else (self._cotangent,)
        start = {y: c for y, c in zip(_expanded(node), cotangents) if c is not None}
        inputs = frozenset(a for a in node.inputs if isinstance(a, Node))
        backward_walk(start, ancestors(start, stop=inputs), targets=inputs, observer=self)

    def _place(self, node: Node) -> str:
        at = f" at {node.scope}" if str(node.scope) else ""
        arguments = ", ".join(_described(a) for a in node.inputs)
        text = f"{at}\n  {node.op.name}({arguments})"
        if node.serial not in self._lines:
            return f"{text}\n  recorded outside detect_anomaly(), so its line isn't known: put the forward pass inside"
        return f"{text}\n  made by {self._lines[node.serial]}"


def _described(a: Any) -> str:
    value = getattr(a, "_data", a)
    if not isinstance(value, np.ndarray):
        return f"{type(a).__name__}" if isinstance(value, tuple) else repr(a)
    name = printable(getattr(a, "name", None) or "")
    if value.ndim == 0 or value.dtype.kind != "f" or not value.size:
        return f"{name or 'array'} {value.dtype}{value.shape}" if value.ndim else f"{name + '=' if name else ''}{value}"
    finite = value[np.isfinite(value)]
    extent = f" between {finite.min():.3g} and {finite.max():.3g}" if finite.size else " with nothing finite"
    return f"{name or 'array'} {value.dtype}{value.shape}{extent}"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Find the origin of a NaN or an infinity: a context in which the first operation that produces one raises.

    It watches the forward pass and the backward pass, and names operation, layer, time step and the line of code that
    made it. Infinities and NaNs in data are named as such; infinities that are passed in as constants (masks of -inf)
    are allowed. Inside, everything is several times slower.

    Raises:
        AnomalyError: at the first operation that produced a NaN or inf.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> x = tr.tensor([0.0, 4.0], requires_grad=True)
        >>> with np.errstate(all="ignore"), tr.detect_anomaly():
        ...     np.sum(np.where(x.data > 0, np.sqrt(x), 0)).backward()
        Traceback (most recent call last):
        ...
        tinygrad_rnn.autodiff.anomaly.AnomalyError: backward: a NaN was produced by the derivative of sqrt...
        ...
    """
    with changed(context, anomaly=Watch()):
        yield
