"""Functions that take each parameter as an argument of its own, called with all parameters in one tree."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any

from ..autodiff.trees import leaves, paths


def of_a_tree(function: Callable[..., Any], parameters: Any, data: Sequence[Any]) -> Callable[..., Any]:
    """A function ``f(parameters, *data)``, made of one that takes the parameters one by one; else the function itself.

    Arguments that have the names of the parameters are these; the parameters of a tuple or list stand in front.

    Example:
        >>> f = of_a_tree(lambda b, W, x: W @ x + b, {"W": 1.0, "b": 2.0}, (3.0,))
        >>> inspect.signature(f)
        <Signature (parameters, x)>
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it has none that Python can read
        return function
    taken = list(signature.parameters)
    names = [path.rpartition(".")[2] for path in paths(parameters)]
    by_name = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in signature.parameters.values())
    if not by_name or len(names) < 2 or len(set(names)) < len(names) or len(taken) != len(names) + len(data):
        return function
    if all(name.isdigit() for name in names) and not _takes(signature, 1 + len(data)):
        names = taken[: len(names)]
    if not set(names) <= set(taken):
        return function
    others = [name for name in taken if name not in names]

    def of_tree(parameters: Any, *data: Any) -> Any:
        return function(**dict(zip(names, leaves(parameters))), **dict(zip(others, data)))

    first = Parameter("parameters", Parameter.POSITIONAL_OR_KEYWORD)
    of_tree.__signature__ = Signature([first, *map(signature.parameters.__getitem__, others)])  # type: ignore[attr-defined]
    return of_tree


def _takes(signature: Signature, count: int) -> bool:
    """Return True if a function can be called with so many arguments."""
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
