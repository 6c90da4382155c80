"""Trees of arrays: nested tuples, lists, dicts, NamedTuples and dataclasses, taken apart and put together again.

An object of another class takes part through two methods: ``_tree_children()``, which returns its parts, and
``_tree_rebuild(parts)``, which makes such an object of new parts; and ``_tree_keys()``, if its parts have names.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def children(tree: Any) -> list[Any] | None:
    """The parts of a tree, or None if it is a leaf."""
    if isinstance(tree, (tuple, list)):
        return list(tree)
    if isinstance(tree, dict):
        return [tree[key] for key in tree]
    if tree is None:
        return []
    kind = type(tree)
    if hasattr(kind, "_tree_children"):
        return list(tree._tree_children())
    is_tree = hasattr(kind, "__dataclass_fields__") and not callable(tree)  # one that is called is a cell, a model
    return [getattr(tree, name) for name in keys(tree)] if is_tree else None


def keys(tree: Any) -> list[Any]:
    """The keys of a tree's parts: those of a dict, the names of fields, or places."""
    if isinstance(tree, dict):
        return list(tree)
    if hasattr(tree, "_tree_keys"):
        return list(tree._tree_keys())
    if hasattr(tree, "__dataclass_fields__"):
        return [field.name for field in dataclasses.fields(tree)]
    return list(getattr(tree, "_fields", range(len(children(tree) or ()))))


def rebuild(tree: Any, parts: list[Any]) -> Any:
    """A tree like this one, of new parts."""
    if tree.__class__ is tuple:
        return tuple(parts)
    if tree is None:
        return None
    if isinstance(tree, dict):
        return dict(zip(tree, parts))
    if hasattr(tree, "_make"):
        return tree._make(parts)
    if hasattr(tree, "_tree_rebuild"):
        return tree._tree_rebuild(parts)
    if hasattr(tree, "__dataclass_fields__"):
        new = copy.copy(tree)
        for name, part in zip(keys(tree), parts):
            object.__setattr__(new, name, part)  # frozen ones too
        return new
    return type(tree)(parts)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, from left to right."""
    parts = children(tree)
    return [tree] if parts is None else [leaf for part in parts for leaf in leaves(part)]


def paths(tree: Any, prefix: str = "") -> Iterator[str]:
    """The names of the leaves, from left to right: keys, fields and places, joined by dots.

    Example:
        >>> from tinygrad_rnn.autodiff.trees import paths
        >>> list(paths({"cell": {"U": 1, "W": 2}, "V": (3, 4)}))
        ['cell.U', 'cell.W', 'V.0', 'V.1']
    """
    parts = children(tree)
    if parts is None:
        yield prefix
        return
    for key, part in zip(keys(tree), parts):
        yield from paths(part, f"{prefix}.{key}" if prefix else str(key))


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A tree of the same shape, ``f`` applied to each leaf (and to those at its place in other trees).

    Raises:
        ValueError: the trees have different shapes.

    Example:
        >>> from tinygrad_rnn.autodiff.trees import tree_map
        >>> tree_map(lambda a, b: a + b, {"h": 1, "c": (2, 3)}, {"h": 10, "c": (20, 30)})
        {'h': 11, 'c': (22, 33)}
    """
    parts = children(tree)
    if parts is None:
        return f(tree, *others)
    if not others:
        return rebuild(tree, [tree_map(f, part) for part in parts])
    rest = [_counterparts(tree, parts, other) for other in others]
    return rebuild(tree, [tree_map(f, *group) for group in zip(parts, *rest)])


def _counterparts(tree: Any, parts: list[Any], other: Any) -> list[Any]:
    """The parts of another tree, in the order of this one's: dicts go by key."""
    if isinstance(tree, dict) and isinstance(other, dict):
        if tree.keys() != other.keys():
            raise ValueError(f"trees of different shapes: keys {sorted(map(str, tree))} and {sorted(map(str, other))}")
        return [other[key] for key in tree]
    found = children(other)
    if found is None or len(found) != len(parts):
        raise ValueError(f"trees of different shapes: {tree!r} and {other!r}")
    return found


def unflatten(tree: Any, values: Iterable[Any]) -> Any:
    """A tree of the same shape, its leaves taken in order from ``values``."""
    remaining = iter(values)
    return tree_map(lambda _: next(remaining), tree)
