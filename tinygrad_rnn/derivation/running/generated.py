"""Running the text of a derivation: only that text, and the values of its variables at the end."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Run(NamedTuple):
    """The values that a derivation's program computed.

    Attributes:
        loss: the loss; None for a layer alone.
        values: the value of each line, by name; a dict by step if the line holds at several steps.
        gradients: the gradients, by parameter.
    """

    loss: Any
    values: dict[str, Any]
    gradients: dict[str, np.ndarray]


def function_of(text: str) -> Callable[..., dict[str, Any]]:
    """The function of a text, changed to return all its variables instead of its result."""
    name = f"<derivation {hash(text)}>"
    module = ast.parse(text, name)
    function = module.body[-1]
    assert isinstance(function, ast.FunctionDef)
    assert isinstance(function.body[-1], ast.Return)
    everything = ast.parse("return_ = locals()").body[0]
    assert isinstance(everything, ast.Assign)
    function.body[-1] = ast.copy_location(ast.Return(everything.value), function.body[-1])
    ast.fix_missing_locations(module)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # so that errors show their line
    space: dict[str, Any] = {}
    exec(compile(module, name, "exec"), space)  # the text is our own
    found: Callable[..., dict[str, Any]] = space[function.name]
    return found
