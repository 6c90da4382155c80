"""The graph after ``backward()``: a large one is freed, a small one is kept for inspection.

A large graph costs memory, so it is freed during the walk. A small one costs next to nothing, and a user may call
``backward()`` first and draw afterwards: so the graph of a thread's latest ``backward()`` stays as long as its loss
does, until the next ``backward()`` that may keep one. It is spent: no gradient can be computed from it again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node, ancestors, backward_walk, retained, retaining

MOST_NODES = 10_000
MOST_BYTES = 4 * 2**20


class _Latest(threading.local):
    root: weakref.ref[Node] | None = None


_latest = _Latest()


def gradients_of(root: Node, cotangent: Any, retain: bool, keep: bool | None, watch: Any = None) -> dict[Node, Any]:
    """The gradients that ``backward()`` leaves behind: of the leaves, and of nodes that retain theirs.

    Args:
        root: the node that is differentiated.
        cotangent: the cotangent to start with.
        retain: True to leave the graph as it is, for another walk; else it is freed on the way, or marked as spent.
        keep: as ``is_kept`` takes it.
        watch: the observer of ``detect_anomaly``, if that is on.

    Raises:
        RuntimeError: part of the graph was freed, or is spent.
    """
    parents = _leaves_behind(root) if watch is None and not retaining else []
    nodes = [root, *parents] if parents else ancestors([root], spent=False)
    if watch is not None:
        watch.begin(nodes)
    spend = not retain and is_kept(root, nodes, keep)
    free = not (retain or spend)
    if parents and free:
        contributions = root._pull_back(cotangent)
        root._free()
        return {leaf: leaf._own(c) for leaf, c in contributions if c is not None}
    return backward_walk({root: cotangent}, nodes, also=retained(nodes), free=free, spend=spend, observer=watch)


def _leaves_behind(root: Node) -> list[Node]:
    """The inputs that require a gradient, if all are leaves, and no two the same: then there is no way to be found.

    A training step that is compiled as a whole is such a node, and a small one costs no more than its walk.
    """
    edges = root.edges
    if not edges or root.is_spent:
        return []
    inputs = root.inputs
    parents = [inputs[i] for i in edges]
    is_plain = len({*parents}) == len(parents) and all([parent.op is None for parent in parents])  # noqa: C419
    return parents if is_plain else []


def is_kept(root: Node, nodes: Sequence[Node], keep: bool | None) -> bool:
    """Return True if the graph of a ``backward()`` is kept for inspection after its walk.

    ``keep`` is the caller's wish; None keeps small graphs.

    The small graph that an earlier ``backward()`` left is freed, if it still exists, unless ``keep`` is False.
    """
    if keep is False:  # as each step of a training loop asks; what is kept stays for its user
        return False
    before = None if _latest.root is None else _latest.root()
    _latest.root = None
    if before is not None:
        _free_spent(before)
    if keep is None and _is_small(nodes):
        _latest.root = weakref.ref(root)
        return True
    return bool(keep)


def _is_small(nodes: Sequence[Node]) -> bool:
    """Return True if nodes are few and need little memory; a compiled loop or checkpoint may need any amount."""
    if len(nodes) > MOST_NODES:
        return False
    size = 0
    for node in nodes:
        data = getattr(node, "_data", None)
        if data.__class__ is np.ndarray:
            size += data.nbytes
        elif data.__class__ is tuple:
            size += sum(part.nbytes for part in data)
        if node.op is not None and node.op.is_single:
            return False
    return size <= MOST_BYTES


def _free_spent(root: Node) -> None:
    """Free the spent part of the graph behind a node."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.is_spent and node.edges:
            stack += [node.inputs[i] for i in node.edges]
            node._free()
