"""The recorded graph, read into a plain model of vertices and edges to draw.

A ``Graph`` has vertices and edges, and for each vertex three things that place it: its **step** (the column), its
**lane** (the layer, or the part before, between or after the layers), and its **key**: its role in the cell, the same
at every step. All of it is read from the tags that nodes carry since their creation.
Unrolled, a picture is arranged by (lane, key, step); rolled, by (lane, key) alone.

Two things are inferred, because they are facts of the data flow and not guesses about its shape. A value computed
outside any step (such as a loss) but from the values of one step belongs to that step. And ``stack`` followed by an
index is a wire: ``ys[2]`` is the output of step 3 itself.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autodiff.graph import Node, ancestors
from ...autodiff.scalar import Scalar
from ...autodiff.scope import Label
from ...autodiff.tensor import Tensor
from ...autodiff.texts import printable
from ...recorded.replay import expanded, replaced_since
from ..scene import Line
from .symbols import operation_symbol, plain_number, settings_text

# The ranks of labels, for values with several: the first one names the value.
ROLES = ("state", "output", "value", "input")
ROLE_LETTERS = {"state": "s", "output": "y", "value": "v", "input": "x"}
KINDS = {"state": "state", "output": "output", "value": "gate", "input": "input"}


@dataclass(slots=True)
class Vertex:
    """A thing to draw: a recorded value, a leaf, a constant, or (in a quotient) many of them."""

    kind: str  # "parameter", "input", "state", "output", "gate", "operation", "loss", "constant", "cell" or "elided"
    title: str  # its name ("h", "W"); empty for an operation without a name
    symbol: str  # how it was made ("tanh", "× 0.5"); empty for leaves
    step: int | None  # its column; None if it belongs to no step
    lane: int | None  # index into ``Graph.lanes``; None for parameters, which stand in the margin
    key: Hashable  # its role in its lane, the same at every step
    nodes: list[Any]  # the recorded nodes; the last one is its value
    detail: str = ""  # the settings of its operation ("axis=-1")
    last_step: int | None = None  # the last of the steps that it stands for, if it stands for several
    lines: list[Line] = field(default_factory=list)  # further lines in its box
    fill: str | None = None  # a colour that replaces that of the kind
    lit: bool = True  # whether it is on the highlighted paths, if there are any
    before: Any = None  # for a leaf that was updated since, the value that it had when it was used

    @property
    def value(self) -> Any:
        """The recorded value: a node, or the array of a constant."""
        return self.nodes[-1]

    @property
    def array(self) -> Any:
        """The plain value, as it was when it was recorded or used."""
        return value_array(self.value) if self.before is None else self.before


@dataclass(slots=True)
class Edge:
    """A use of one vertex by another."""

    source: int  # index into ``Graph.vertices``
    target: int  # likewise
    argument: int  # its number among those of the target
    uses: list[tuple[Node, int]]  # the recorded uses that it stands for, (node, argument); none where no gradient flows
    source_key: Hashable = None  # the key of the value used, even if the source stands for many values
    target_key: Hashable = None  # the key of the user, likewise
    delay: int = 0  # the number of steps that it goes forward in time
    count: int = 1  # the number of times, in different steps, that the value is handed on
    lit: bool = True  # as for a vertex


@dataclass
class Lane:
    """A layer of the model over all its steps, or a part before, between or after the layers."""

    title: str  # the text at its left end
    timed: bool  # whether its vertices belong to time steps
    inherited: bool  # whether their steps come from their inputs, not from a scope
    is_cell: bool = False  # whether states or outputs of a cell are among them


@dataclass
class Graph:
    """The graph to draw, in the order of recording."""

    vertices: list[Vertex]
    edges: list[Edge]
    lanes: list[Lane]
    roots: list[int]

    @property
    def of_numbers(self) -> bool:
        """True if every box is one number."""
        return any(isinstance(node, Scalar) for vertex in self.vertices for node in vertex.nodes[-1:])

    def steps(self) -> list[int]:
        """The time steps, ascending, without step 0, the initial state."""
        return sorted({v.step for v in self.vertices if v.step})

    def outside_time(self) -> set[int]:
        """The vertices in lanes that don't run through the steps."""
        return {i for i, v in enumerate(self.vertices) if v.lane is not None and not self.lanes[v.lane].timed}


def read(roots: list[Node]) -> Graph:
    """Read the graph behind ``roots``. A node that stands for many (a compiled loop) is replaced by these.

    Raises:
        RuntimeError: the graph was freed by a ``backward()``.
    """
    nodes = ancestors(roots)
    if any(hasattr(node.op, "expand") for node in nodes):
        roots = [expanded(root)[root] if isinstance(root, Tensor) and root.requires_grad else root for root in roots]
        nodes = ancestors(roots)
    nodes.reverse()
    return _Reader(nodes or roots, roots).graph()


class _Reader:
    """A reader of graphs: it finds the step and lane of each node, makes the vertices, and then assigns keys."""

    def __init__(self, nodes: list[Node], roots: list[Node]) -> None:
        self.nodes = nodes
        self.roots = set(roots)
        self.root_list = roots
        self.before = replaced_since(nodes)
        self.wires: dict[Node, Node] = {}  # an index into a stack, and what it selects
        self.steps: dict[Node, int | None] = {}
        self.lane_of: dict[Node, int] = {}
        self.lanes: list[Lane] = []
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.index: dict[Any, int] = {}

    def graph(self) -> Graph:
        needed = self._needed()
        self._place(needed)
        self._add_vertices(needed)
        self._settle_sources()
        assign_keys(self.vertices, self.edges, self.lanes)
        for vertex in self.vertices:
            if vertex.kind in ("state", "output") and vertex.symbol and vertex.lane is not None:
                self.lanes[vertex.lane].is_cell = True
        return Graph(self.vertices, self.edges, self.lanes, [self.index[root] for root in self.root_list])

    # --- which nodes are drawn ---------------------------------------------------------------------------------------

    def _needed(self) -> list[Node]:
        """The nodes to draw, in order, without stacks whose every use is an index."""
        wanted = set(self.roots)
        for node in reversed(self.nodes):
            if node not in wanted:
                continue
            selected = selected_from_stack(node)
            if selected is not None:
                self.wires[node] = selected
                wanted.add(selected)
                continue
            for i in node.edges or ():
                wanted.add(node.inputs[i])
        return [node for node in self.nodes if node in wanted and not (node in self.wires and self._is_mere_wire(node))]

    def _is_mere_wire(self, node: Node) -> bool:
        return not node.labels and node not in self.roots

    def _followed(self, node: Any) -> Any:
        """The value behind an unlabelled index into a stack; any other value as it is."""
        while node in self.wires and self._is_mere_wire(node):
            node = self.wires[node]
        return node

    def _inputs(self, node: Node) -> list[tuple[int, Any]]:
        """The operands to draw: (argument, node or constant). A wire that stays visible has what it selects."""
        if node in self.wires:
            return [(0, self._followed(self.wires[node]))]
        edges = set(node.edges or ())
        found = []
        for i, value in enumerate(node.inputs):
            if i in edges:
                found.append((i, self._followed(value)))
            elif _is_operand(node, i) and isinstance(value, (Node, np.ndarray)) and plain_number(value) is None:
                found.append((i, value))
        return found

    # --- where they belong -------------------------------------------------------------------------------------------

    def _place(self, needed: list[Node]) -> None:
        """The step and the lane of every node that an operation made."""
        runs: dict[Any, _Run] = {}
        bands: dict[tuple[int, bool], int] = {}
        started = 0  # the number of layers begun so far: nodes outside of layers stand above these
        for node in needed:
            if node.op is None:
                self.steps[node] = _label_step(node)
                continue
            scope = node.scope
            if scope.step is not None:
                self.steps[node] = scope.step
                run = runs.get(scope.layer)
                if run is None or run.is_over(scope.step):
                    run = runs[scope.layer] = _Run(len(self.lanes), scope.step)
                    self.lanes.append(Lane(_lane_title(scope), timed=True, inherited=False))
                    started += 1
                if scope.owner is not None and not run.owned:
                    run.owned = True
                    self.lanes[run.lane].title = _lane_title(scope)
                run.current = scope.step
                run.seen.add(scope.step)
                self.lane_of[node] = run.lane
            else:
                step = self._inherited_step(node)
                self.steps[node] = step
                band = (started, step is not None)
                if band not in bands:
                    bands[band] = len(self.lanes)
                    self.lanes.append(Lane("", timed=step is not None, inherited=True))
                self.lane_of[node] = bands[band]
        self._order_lanes(bands)

    def _inherited_step(self, node: Node) -> int | None:
        """The step from which a value outside all steps was computed; the last one if it sums up several."""
        if _joins(node):
            return None
        found = None
        for i in node.edges or ():
            parent = self._followed(node.inputs[i])
            step = self.steps.get(parent)
            if step is None and parent.op is not None:
                return None
            if step is not None and (found is None or step > found):
                found = step
        return found

    def _order_lanes(self, bands: dict[tuple[int, bool], int]) -> None:
        """Lanes from bottom to top: each band above the layers that had begun, timed ones first."""
        place = {lane: (started, 1 + (not timed)) for (started, timed), lane in bands.items()}
        layers = [i for i in range(len(self.lanes)) if i not in place]
        place.update({lane: (n + 1, 0) for n, lane in enumerate(layers)})
        order = sorted(place, key=lambda lane: place[lane])
        renumbered = {old: new for new, old in enumerate(order)}
        self.lanes = [self.lanes[old] for old in order]
        self.lane_of = {node: renumbered[lane] for node, lane in self.lane_of.items()}

    # --- vertices and edges ------------------------------------------------------------------------------------------

    def _add_vertices(self, needed: list[Node]) -> None:
        for node in needed:
            inputs = self._inputs(node)
            for i, value in inputs:
                if value not in self.index if isinstance(value, Node) else True:
                    self._add_constant(node, i, value)
            self.index[node] = len(self.vertices)
            self.vertices.append(self._vertex(node))
            for i, value in inputs:
                source = self.index[value if isinstance(value, Node) else (node, i)]
                uses = [(node, i)] if i in (node.edges or ()) else []
                self.edges.append(Edge(source, self.index[node], i, uses))

    def _vertex(self, node: Node) -> Vertex:
        label = main_label(node)
        title = _title(node)
        if node.op is None:
            kind = KINDS[label.role] if label else "parameter" if node.requires_grad else "constant"
            before = self.before.get(node)
            return Vertex(kind, title, "", self.steps[node], None, None, [node], before=before)
        kind = KINDS[label.role] if label else "operation"
        if node in self.roots and np.size(value_array(node)) == 1 and not label:
            kind = "loss"
        keywords = getattr(node, "_keywords", {})
        symbol = operation_symbol(printable(node.op.name), node.inputs, keywords)
        lane = self.lane_of[node]
        return Vertex(kind, title, symbol, self.steps[node], lane, None, [node], detail=settings_text(keywords))

    def _add_constant(self, user: Node, argument: int, value: Any) -> None:
        """A value without a gradient, seen here for the first time."""
        key: Any = value if isinstance(value, Node) else (user, argument)
        label = main_label(value) if isinstance(value, Node) else None
        title = _title(value) if isinstance(value, Node) else ""
        kind = KINDS[label.role] if label else "constant"
        step = label.step if label else self.steps[user]
        self.index[key] = len(self.vertices)
        self.vertices.append(Vertex(kind, title, "", step, self.lane_of[user], None, [value]))

    def _settle_sources(self) -> None:
        """Place leaves where they are used, and values shared by several steps in the margin."""
        steps_of: dict[int, set[int | None]] = {}
        lane_of: dict[int, int] = {}
        for edge in self.edges:
            target = self.vertices[edge.target]
            steps_of.setdefault(edge.source, set()).add(target.step)
            if target.lane is not None:
                lane_of.setdefault(edge.source, target.lane)
        timed = any(lane.timed for lane in self.lanes)
        for i, vertex in enumerate(self.vertices):
            if vertex.symbol:
                continue
            if vertex.kind == "constant" and len(steps_of.get(i, ())) > 1:
                vertex.step = None
            if timed and vertex.step is None:
                vertex.lane = None
            else:
                vertex.lane = lane_of.get(i, 0)
        if not self.lanes:
            self.lanes.append(Lane("", timed=False, inherited=True))


@dataclass
class _Run:
    """A pass of a layer over its steps; a step that comes again begins another pass."""

    lane: int
    current: int
    seen: set[int] = field(default_factory=set)
    owned: bool = False

    def is_over(self, step: int) -> bool:
        return step != self.current and step in self.seen


def assign_keys(vertices: list[Vertex], edges: list[Edge], lanes: list[Lane]) -> None:
    """Assign a key to each vertex: its role in its lane, in words that are the same at every step.

    In a cell, a labelled value is identified by its label, and the values behind it by their place on the way there: so
        step 1, of which a part may be constant, still lines up with the others. A vertex that inherited its step is
        identified by how it was computed from values of that step: so a running sum lines up, though it begins with its
        first term. Either way a key is a small number, so all of this is linear in the size of the graph.
    """
    numbers: dict[Hashable, int] = {}
    copies: dict[Hashable, int] = {}

    def intern(vertex: Vertex, words: tuple[Any, ...]) -> int:
        """The number for these words in this lane; a second vertex with them in one step gets another number."""
        place = (vertex.lane, vertex.step, words)
        copies[place] = copies.get(place, -1) + 1
        return numbers.setdefault((vertex.lane, words, copies[place]), len(numbers))

    same_step: list[list[Edge]] = [[] for _ in vertices]
    made_of: list[list[Edge]] = [[] for _ in vertices]
    for edge in edges:
        source, target = vertices[edge.source], vertices[edge.target]
        if source.lane == target.lane and source.step == target.step:
            same_step[edge.source].append(edge)
            made_of[edge.target].append(edge)
    for i in range(len(vertices) - 1, -1, -1):
        vertex = vertices[i]
        if vertex.lane is None:
            vertex.key = ("margin", i)
        elif not lanes[vertex.lane].timed:
            vertex.key = ("own", i)
        elif vertex.title:
            vertex.key = intern(vertex, ("named", vertex.title))
        elif lanes[vertex.lane].inherited and vertex.symbol:
            continue
        elif same_step[i]:
            edge = same_step[i][0]
            vertex.key = intern(vertex, ("for", vertices[edge.target].key, edge.argument))
        else:
            vertex.key = intern(vertex, ("end", _operation(vertex)))
    for i, vertex in enumerate(vertices):
        if vertex.key is None:
            parts = tuple(vertices[e.source].key for e in made_of[i] if vertices[e.source].symbol)
            vertex.key = intern(vertex, ("of", _operation(vertex), parts))
    for edge in edges:
        source, target = vertices[edge.source], vertices[edge.target]
        edge.source_key, edge.target_key = source.key, target.key
        if source.step is not None and target.step is not None:
            edge.delay = target.step - source.step


def main_label(node: Node) -> Label | None:
    """The label that names a value best, among those set where it was made: a state, else an output, else a gate."""
    if not node.labels:
        return None
    here = [label for label in node.labels if label.step == node.scope.step] or node.labels
    return min(here, key=lambda label: ROLES.index(label.role))


def label_title(label: Label) -> str:
    """The title that a label gives; numbered parts of a tuple get a letter by their role."""
    return f"{ROLE_LETTERS[label.role]}[{label.name}]" if label.name.isdigit() else printable(label.name)


def _title(node: Node) -> str:
    """The title of a node: the label that fits best, else its own name."""
    label = main_label(node)
    return label_title(label) if label else printable(node.name or "")


def value_array(value: Any) -> Any:
    """The plain value of a node or constant."""
    if isinstance(value, Tensor):
        return value._data
    return value.data if isinstance(value, Scalar) else value


def _operation(vertex: Vertex) -> str:
    op = getattr(vertex.value, "op", None)
    return op.name if op is not None else ""


def _label_step(leaf: Node) -> int | None:
    label = main_label(leaf)
    return label.step if label else None


def _lane_title(scope: Any) -> str:
    whose = scope.cell if hasattr(scope.cell, "forward") else scope.owner  # a function has no useful name
    owner = printable(type(whose).__name__) if whose is not None else ""
    name = "" if scope.layer is None else printable(str(scope.layer))
    layer = f"layer {name}" if name[:1].isdigit() else name
    return " · ".join(part for part in (layer, owner) if part)


def _joins(node: Node) -> bool:
    """Return True if a node joins the values of several steps."""
    return node.op.name in ("stack", "concatenate") and len(node.edges or ()) > 1


def selected_from_stack(node: Node) -> Any:
    """The value that an integer index selects from a stack along the first axis; None for other nodes."""
    if node.op is None or node.op.name != "getitem" or not isinstance(node.inputs[1], (int, np.integer)):
        return None
    stack = node.inputs[0]
    if stack.op is None or stack.op.name != "stack" or stack._keywords.get("axis", 0) != 0:
        return None
    selected = stack.inputs[int(node.inputs[1])]
    return selected if isinstance(selected, Node) and selected.requires_grad else None


def _is_operand(node: Node, argument: int) -> bool:
    """Return True for an argument that is a value, not a setting such as an axis."""
    rules = getattr(node.op, "vjps", None)
    return not isinstance(rules, list) or (argument < len(rules) and rules[argument] is not None)
