"""The graph and its two walks: backward with cotangents, forward with tangents. Shared by Tensor and Scalar.

Every operation makes a node with the next serial number, and can only use nodes that exist already. So *recording order
is topological order*: to visit every node after all that use it, visit by descending serial number. There is no sort
and no recursion; a chain of a million nodes is an ordinary input.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Container, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .scope import NOWHERE, Label, Scope, context

next_serial = itertools.count().__next__
by_serial = attrgetter("serial")
PullBack = Callable[["Node", Any], Iterable[tuple["Node", Any]]]


class Node:
    """A value in the graph, with the operation that made it. Tensor and Scalar are nodes.

    Attributes:
        requires_grad: True if a gradient is wanted for it, or for one of its ancestors.
        grad: the gradient of a leaf, after a backward pass.
        name: the user's name for it.
        serial: its place in the order of recording.
        op: the operation that made it; None for a leaf.
        inputs: the arguments of ``op``, nodes and constants.
        edges: the numbers of the inputs that require a gradient; None once the graph has been freed.
        is_spent: True after a ``backward()`` through this node: no gradient can be computed from it again.
        scope: the layer and time step in which it was made.
        labels: its roles in the model (output, state h, gate f, ...).
    """

    __slots__ = (
        "__weakref__", "edges", "grad", "inputs", "is_spent", "knot", "labels", "name", "op", "requires_grad", "scope",
        "serial",
    )  # fmt: skip

    requires_grad: bool
    grad: Any
    name: str | None
    serial: int
    op: Any
    inputs: tuple[Any, ...]
    edges: Sequence[int] | None
    is_spent: bool
    scope: Scope
    labels: tuple[Label, ...]
    knot: Any  # set for some nodes only: where the freeing of a long chain is interrupted; see ``letting_go``

    __hash__ = object.__hash__

    def _pull_back(self, g: Any) -> Sequence[tuple[Node, Any]]:
        """The inputs of the edges, each with what this node's cotangent contributes to it, or None for nothing."""
        raise NotImplementedError

    def _push_forward(self, tangents: list[Any]) -> Any:
        """The tangent of this node, from the tangents of its inputs (None where an input has none)."""
        raise NotImplementedError

    def _own(self, g: Any) -> Any:
        """A copy of this node's cotangent that shares no memory, for the user."""
        return g

    def _seed(self, gradient: Any) -> Any:
        """The cotangent to start a backward walk with, checked; by default 1."""
        raise NotImplementedError

    def _free(self) -> None:
        """Forget the node's operation and inputs. Its value stays."""
        self.inputs = ()
        self.knot = self.edges = None
        self.is_spent = True

    @property
    def is_leaf(self) -> bool:
        """True for a node that the user made; False for the result of an operation."""
        return self.op is None

    def retain_grad(self) -> None:
        """Make ``backward()`` store the gradient in ``.grad`` here too, although this is the result of an operation.

        Raises:
            RuntimeError: the node requires no gradient.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tr
            >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
            >>> h = w * w
            >>> h.retain_grad()
            >>> np.sum(3 * h).backward()
            >>> h.grad, w.grad
            (array([3., 3.]), array([ 6., 12.]))
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad(): nothing that this was made of requires a gradient, so it gets none")
        if not self.is_leaf and self.serial not in retaining:
            retaining[self.serial] = self
            self.grad = None


def initialise(node: Node, requires_grad: bool, name: str | None = None) -> None:
    """Set the fields of a leaf."""
    node.requires_grad = requires_grad
    node.grad = None
    node.name = name
    node.serial = next_serial()
    node.op = None
    node.inputs = ()
    node.edges = ()
    node.is_spent = False
    node.scope = NOWHERE
    node.labels = ()


# The results of operations whose gradient is kept, by serial number: a Tensor can't be a key, because of its own ==.
retaining: weakref.WeakValueDictionary[int, Node] = weakref.WeakValueDictionary()


def retained(nodes: Iterable[Node]) -> set[Node]:
    """The nodes that aren't leaves but keep their gradient (see ``retain_grad``)."""
    return {node for node in nodes if node.serial in retaining} if retaining else set()


def freed_graph(node: Node) -> RuntimeError:
    """The error for a walk through a graph that was freed."""
    where = f" ({node.op.name} at {node.scope})" if str(node.scope) else f" ({node.op.name})"
    return RuntimeError(
        f"the graph behind this value was freed by an earlier backward(){where}. For another gradient run the forward "
        "pass again, or pass retain_graph=True to the first backward(). To draw, explain or compare, do so before "
        "backward(), or pass it keep=True (the latest small graph stays by itself)."
    )


def ancestors(roots: Iterable[Node], stop: Container[Node] = (), spent: bool = True) -> list[Node]:
    """The ancestors of ``roots`` that lead to something that requires a gradient, latest first; the roots included.

    Args:
        roots: the nodes to begin with.
        stop: nodes whose own inputs are not visited.
        spent: True to accept a graph whose gradients have been taken, because it is only inspected.

    Raises:
        RuntimeError: part of the graph was freed, or is spent.
    """
    stack = [root for root in roots if root.requires_grad]
    found = set(stack)
    while stack:
        node = stack.pop()
        if node in stop:
            continue
        edges = node.edges
        if edges is None or (not spent and node.is_spent):
            raise freed_graph(node)
        inputs = node.inputs
        for i in edges:
            parent = inputs[i]
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return sorted(found, key=by_serial, reverse=True)


def leading_to(nodes: list[Node], targets: Iterable[Node]) -> list[Node]:
    """The nodes (of ``nodes``, latest first) that lie on a path to one of ``targets``; paths end there."""
    marked = set(targets)
    found = []
    for node in reversed(nodes):
        inputs = node.inputs
        if node in marked or any([inputs[i] in marked for i in node.edges or ()]):  # noqa: C419  # quicker than a generator
            marked.add(node)
            found.append(node)
    found.reverse()
    return found


class Observer:
    """An observer of a backward walk, for pictures, explanations and comparisons. Subclasses override its methods."""

    def cotangent(self, node: Node, g: Any) -> None:
        """Take the complete cotangent of a node: ``g`` is the gradient of the root with respect to it."""

    def contribution(self, node: Node, argument: int, c: Any) -> None:
        """Take a contribution: ``node`` passes ``c`` to ``node.inputs[argument]``, whose cotangent is the sum of all.

        If the contribution comes in parts (an index contributes pieces), ``c`` is a ``Parts``; ``c.assembled(shape)``
        is the whole array.
        """


def observe_backward(root: Node, observer: Observer, gradient: Any = None) -> dict[Node, Any]:
    """Walk backward from ``root`` for an observer. Nothing changes: no ``.grad`` is set, nothing is freed.

    Args:
        root: a Tensor or a Scalar.
        observer: its methods are called with every cotangent and contribution.
        gradient: the cotangent to start with; may be left out for a single number.

    Returns:
        The cotangent of every leaf that requires a gradient.

    Raises:
        RuntimeError: the graph was freed: observe it before ``backward()``, or pass ``retain_graph=True`` to that.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.autodiff.graph import Observer, observe_backward
        >>> class Printer(Observer):
        ...     def contribution(self, node, argument, c):
        ...         print(node.op.name, argument, c)
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> leaves = observe_backward(np.sum(w * w), Printer())
        sum 0 [1. 1.]
        multiply 0 [1. 2.]
        multiply 1 [1. 2.]
        >>> leaves[w], w.grad
        (array([2., 4.]), None)
    """
    return backward_walk({root: root._seed(gradient)}, ancestors([root]), observer=observer)


def backpropagate(
    cotangents: dict[Node, Any], nodes: Iterable[Node], pull_back: PullBack, add: Callable[[Node, Any, Any], Any]
) -> None:
    """The chain rule, applied to a whole graph: each node passes contributions to its inputs, where they add up.

    Args:
        cotangents: the cotangent of each root.
        nodes: the nodes to visit, latest first: each comes after everything that used it, so its cotangent is complete.
        pull_back: called with a node and its cotangent; yields inputs, each with the contribution to it, or with None
            for no contribution.
        add: called with a node, the contributions that it has got so far, and one more; returns the sum.
    """
    waiting = dict(cotangents)
    for node in nodes:
        g = waiting.pop(node, None)
        if g is None:
            continue
        for parent, contribution in pull_back(node, g):
            if contribution is not None:
                waiting[parent] = add(parent, waiting[parent], contribution) if parent in waiting else contribution


def backward_walk(
    cotangents: dict[Node, Any],
    nodes: list[Node],
    *,
    targets: frozenset[Node] | None = None,
    also: Container[Node] = (),
    free: bool = False,
    spend: bool = False,
    observer: Observer | None = None,
) -> dict[Node, Any]:
    """Backpropagate, and collect the cotangents of the leaves or of other targets.

    Args:
        cotangents: the cotangent of each root, where the walk starts.
        nodes: the nodes to visit, latest first, as ``ancestors`` and ``leading_to`` return them.
        targets: the nodes whose cotangents are wanted; the walk does not go beyond them. By default all leaves.
        also: further nodes whose cotangents are wanted; the walk continues beyond them.
        free: True to forget each node's inputs on the way, so that memory falls as the walk proceeds.
        spend: True to mark each node as spent on the way, so that it stays for inspection.
        observer: the observer of every cotangent and contribution, in the order of the walk.

    Returns:
        The cotangent of each target that was reached.
    """
    reached: dict[Node, Any] = {}
    allowed = None if targets is None else set(nodes)
    watched = allowed is not None or observer is not None
    recorded = any([isinstance(g, Node) for g in cotangents.values()])  # noqa: C419  # quicker than a generator
    summed: set[Node] = set()  # nodes whose sum is an array made here, safe to add to in place

    def pull_back(node: Node, g: Any) -> Iterable[tuple[Node, Any]]:
        if observer is not None:
            g = node._own(g)
            observer.cotangent(node, g)
        if node.op is None if targets is None else node in targets:
            reached[node] = node._own(g)
            return ()
        if also and node in also:
            reached[node] = node._own(g)
        contributions = node._pull_back(g)
        if watched:
            contributions = _let_through(node, contributions, allowed, observer)
        if free:
            node._free()
        elif spend:
            node.is_spent = True
        return contributions

    def add(node: Node, total: Any, contribution: Any) -> Any:
        if node in summed:
            total += contribution
            return total
        total = total + contribution
        if not (recorded and isinstance(total, np.ndarray)):  # a step function's zero: a Tensor may follow
            summed.add(node)
        return total

    backpropagate(cotangents, nodes, pull_back, add)
    return reached


def _let_through(
    node: Node, contributions: Iterable[tuple[Node, Any]], allowed: set[Node] | None, observer: Observer | None
) -> list[tuple[Node, Any]]:
    """The contributions of a node that lead to a target. The observer gets each of them."""
    found = []
    for i, (parent, c) in zip(node.edges or (), contributions):
        if c is not None and (allowed is None or parent in allowed):
            found.append((parent, c))
            if observer is not None:
                observer.contribution(node, i, c)
    return found


def forward_walk(tangents: dict[Node, Any], nodes: list[Node]) -> dict[Node, Any]:
    """Take tangents forward through the graph: the mirror image of the backward walk.

    Args:
        tangents: the tangent of each node where the walk starts.
        nodes: the nodes to visit, latest first, as ``ancestors`` and ``leading_to`` return them.

    Returns:
        The tangent of every visited node.
    """
    known = dict(tangents)
    for node in reversed(nodes):
        if node not in known and node.edges:
            arriving: list[Any] = [None] * len(node.inputs)
            for i in node.edges:
                arriving[i] = known.get(node.inputs[i])
            if any(v is not None for v in arriving):
                known[node] = node._push_forward(arriving)
    return known


def named(name: str, value: Any, role: str = "value") -> Any:
    """Label a value, a gate for instance, with the current layer and time step; return it unchanged.

    Pictures, per-gate tables and comparisons find it by that label. Plain arrays are returned unchanged, so a cell that
    labels its gates still runs on them.

    Args:
        name: the value's name in the model, such as "f" for a forget gate.
        value: a Tensor, or an object array of Scalars, or a plain array.
        role: "input", "output", "state" or "value".

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> with tr.scope(layer=0, step=3):
        ...     f = tr.named("f", tr.sigmoid(w))
        >>> f.labels
        (Label(role='value', name='f', layer=0, step=3),)
    """
    label = Label(role, name, context.scope.layer, context.scope.step)
    if context.collector is not None:
        context.collector(label, value)
    if isinstance(value, np.ndarray):
        for index in np.ndindex(value.shape) if value.dtype == object else ():
            element: Any = value[index]
            if isinstance(element, Node):
                at = ",".join(map(str, index))
                _attach(element, label._replace(name=f"{name}[{at}]" if at else name))
    elif isinstance(value, Node):
        _attach(value, label)
    return value


def _attach(node: Node, label: Label) -> None:
    if label not in node.labels:  # for example if the same initial state starts two loops
        node.labels = (*node.labels, label)
