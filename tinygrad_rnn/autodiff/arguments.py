"""The arguments of a NumPy call, converted for the functions that replace NumPy's.

NumPy's own code calls its functions with keywords at their defaults and with an argument for ``out``, and users pass
arrays by keyword; rules look for arrays among the positional arguments and have no ``out``. This module converts
between the two.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from . import errors
from .array_node import ArrayNode
from .registry import Primitive, name_of

# Keywords that NumPy's own code passes along at their defaults; all others are left to the function.
DEFAULTS: dict[str, Any] = {"out": None, "dtype": None, "where": True, "initial": np._NoValue, "copy": True}


def as_taken(function: Any, implementation: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """The arguments and keywords in the form that the function's replacement takes.

    Raises:
        TypeError: ``out`` is given, or a keyword that the implementation doesn't have.
    """
    if len(args) > 2:
        args, keywords = _without_out(function, args, keywords)
    if keywords.get("out") is not None:
        raise errors.no_out(name_of(function))
    if implementation is None and isinstance(function, np.ufunc) and keywords.get("where", True) is not True:
        raise errors.unknown_keyword(name_of(function), ["where"])  # without out, the other elements are undefined
    if implementation is None or not keywords:
        return args, keywords
    keywords = {k: v for k, v in keywords.items() if k not in DEFAULTS or v is not DEFAULTS[k]}
    unknown = keywords.keys() - accepted_keywords(implementation)
    if unknown:
        raise errors.unknown_keyword(name_of(function), sorted(unknown))
    if any(isinstance(v, (ArrayNode, np.ndarray)) for v in keywords.values()):
        return _by_position(function, implementation, args, keywords)
    return args, keywords


def _without_out(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """The positional arguments without NumPy's ``out``, which functions here don't have."""
    names = names_by_position(function)
    if "out" not in names[: len(args)]:
        return args, keywords
    place = names.index("out")
    if args[place] is not None:
        raise errors.no_out(name_of(function))
    return args[:place], {**dict(zip(names[place + 1 :], args[place + 1 :])), **keywords}


@functools.cache
def names_by_position(function: Any) -> tuple[str, ...]:
    """NumPy's names of a function's positional arguments; empty if the function has no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # ufuncs, which hand out= over by name, and functions in C
        return ()
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


@functools.cache
def accepted_keywords(implementation: Any) -> frozenset[str]:
    """The keywords that a primitive or a composition takes."""
    function = implementation.forward if isinstance(implementation, Primitive) else implementation
    if isinstance(function, np.ufunc):
        return frozenset()
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def _by_position(function: Any, implementation: Any, args: Any, keywords: dict[str, Any]) -> Any:
    """The arguments with arrays in positional places, where rules look for them."""
    signature = inspect.signature(implementation.forward if isinstance(implementation, Primitive) else implementation)
    try:
        bound = signature.bind(*args, **keywords)
    except TypeError as error:
        raise TypeError(f"np.{name_of(function)}: {error}. Pass arrays by position.") from None
    return bound.args, bound.kwargs
