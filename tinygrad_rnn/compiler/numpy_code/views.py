"""Views of buffers in generated code: they stay the same from call to call, so they are made with the buffers, once."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..runtime.parsing import parsed
from .generated import Buffer, View

METHODS = {"reshape", "transpose", "T"}
SHARES_IF_IT_CAN = "ascontiguousarray"


class Views(ast.NodeTransformer):
    """A transformer that takes views out of lines, and gives them names.

    Example:
        >>> from tinygrad_rnn.compiler.numpy_code.views import Views
        >>> views = Views({"h": Buffer((5, 2, 3), float)})
        >>> views.taken_out(["y = f(h[1:].reshape((8, 3)), x[1:])"])
        ['y = f(view_0, x[1:])']
        >>> views.found["view_0"].text
        'h[1:].reshape((8, 3))'
    """

    def __init__(self, buffers: Mapping[str, Buffer]) -> None:
        self.buffers = buffers
        self.found: dict[str, View] = {}
        self._names: dict[str, str] = {}

    def taken_out(self, lines: list[str]) -> list[str]:
        """The lines, with each view replaced by its name."""
        return ast.unparse(self.visit(parsed("\n".join(lines)))).splitlines()

    def visit(self, node: ast.AST) -> Any:
        """A part of the lines, with the largest views in it replaced."""
        name = self._name(node) if isinstance(node, (ast.Call, ast.Subscript, ast.Attribute)) else None
        return ast.Name(name, ast.Load()) if name is not None else self.generic_visit(node)

    def _name(self, node: ast.expr) -> str | None:
        """The name of a view of a buffer; None for anything else."""
        if not _selects(node):
            return None
        buffer, *others = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - {SHARES_IF_IT_CAN}
        if others or buffer not in self.buffers:
            return None
        text = ast.unparse(node)
        if text not in self._names:
            view = View(buffer, text, eval(f"lambda {buffer}: {text}", {SHARES_IF_IT_CAN: np.ascontiguousarray}))
            whole = self.buffers[buffer].allocated()
            if not np.may_share_memory(whole, view.of(whole)):  # a copy would keep old values
                return None
            self._names[text] = f"view_{len(self.found)}"
            self.found[self._names[text]] = view
        return self._names[text]


def _selects(node: ast.expr) -> bool:
    """Return True if an expression is only a view of an array."""
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load) and _is_written_out(node.slice) and _selects(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr in METHODS and _selects(node.value)
    if isinstance(node, ast.Call) and not node.keywords:
        if isinstance(node.func, ast.Name):
            return node.func.id == SHARES_IF_IT_CAN and _selects(node.args[0])
        return _selects(node.func) and all(map(_is_written_out, node.args))
    return False


def _is_written_out(node: ast.expr) -> bool:
    return not any(isinstance(part, (ast.Name, ast.Call)) for part in ast.walk(node))
