"""``draw``: the graph behind a value, as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..autodiff.graph import Node
from ..autodiff.trees import leaves
from ..data.files import replace_file
from . import views
from .dot import to_digraph, to_dot
from .layout import place
from .model import Graph, read
from .render import NoRenderer, render
from .scene import Scene
from .svg import to_svg

VIEWS = ("unrolled", "rolled")
RENDERED = ("png", "pdf")


def draw(
    x: Any,
    *,
    level: str = "op",
    view: str = "unrolled",
    elide: bool = True,
    title: str | None = None,
) -> Picture:
    """Draw the graph behind a value: a column for each time step, a lane for each layer, a row for each operation.

    Parameters stand once, at the left, each with a line along all steps and a tap at every use.

    Args:
        x: a Tensor or a Scalar, or several in a tuple, list, dict or array; before ``backward()`` frees the graph.
        level: what is one box: "op" (each operation), "gate" (each labelled value), "cell" or "layer".
        view: "unrolled", or "rolled": one step for all, and what it hands to the next one as a loop.
        elide: draw more than eight steps with the middle as one column.
        title: what the picture is called; by default in words what it shows.

    Returns:
        The picture. It shows itself in a notebook; ``save`` writes it to a file; ``digraph`` is a ``graphviz.Digraph``.

    Raises:
        TypeError: there is no Tensor or Scalar in x.
        ValueError: a choice that there isn't.
        RuntimeError: the graph was freed by a ``backward()``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.viz import draw
        >>> W = tr.tensor([[0.5]], requires_grad=True, name="W")
        >>> ys, h = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 1)), state=np.zeros(1))
        >>> picture = draw(ys.sum())
        >>> picture.dot.count(" -> d")  # the line of W
        1
    """
    _check("level", level, views.LEVELS)
    _check("view", view, VIEWS)
    graph = read(_roots(x))
    steps = len([step for step in graph.steps() if step > 0])
    is_rolled = view == "rolled" or level == "layer"
    if is_rolled:
        graph = views.rolled(graph)
    elif elide and views.hidden_steps(graph):
        graph = views.elided(graph, views.hidden_steps(graph))
    graph = views.grouped(graph, level)
    scene = place(graph, rolled=is_rolled)
    scene.title = title or _title(steps, level, is_rolled)
    scene.description = _description(graph)
    return Picture(scene, graph)


class Picture:
    """A finished picture.

    Attributes:
        scene: everything on it, with its place.
        graph: what is drawn.
    """

    def __init__(self, scene: Scene, graph: Graph) -> None:
        self.scene = scene
        self.graph = graph

    @property
    def svg(self) -> str:
        """The picture as SVG, by the project's own writer."""
        return to_svg(self.scene)

    @property
    def dot(self) -> str:
        """The picture in Graphviz's language, positions pinned."""
        return to_dot(self.scene)

    @property
    def digraph(self) -> Any:
        """The picture as a ``graphviz.Digraph``, which can be edited and rendered."""
        return to_digraph(self.scene)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file; its ending says how: .svg, .png, .pdf or .dot.

        Args:
            path: the file. It is written whole or not at all.

        Returns:
            The path.

        Raises:
            ValueError: an ending that there isn't.
            RuntimeError: PNG and PDF need Graphviz, and there is none; says what to install.
        """
        path = Path(path)
        kind = path.suffix[1:].lower()
        if kind == "svg":
            content = self._rendered_svg()
        elif kind in RENDERED:
            content = render(self.dot, kind)
        elif kind == "dot":
            content = self.dot.encode()
        else:
            raise ValueError(f"save: {path.name} ends in none of .svg, .png, .pdf, .dot")
        with replace_file(path) as file:
            file.write(content)
        return path

    def _rendered_svg(self) -> bytes:
        """Graphviz renders where it is there; the project's own writer gives the same picture where it isn't."""
        try:
            return render(self.dot, "svg")
        except NoRenderer:
            return self.svg.encode()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<Picture: {self.scene.title}; {self.scene.description}>"


def _roots(x: Any) -> list[Node]:
    found: list[Node] = []
    for leaf in leaves(x):
        if isinstance(leaf, Node):
            found.append(leaf)
        elif isinstance(leaf, np.ndarray):
            found += [element for element in leaf.ravel() if isinstance(element, Node)]
    if not found:
        raise TypeError(
            f"draw: a {type(x).__name__} has no graph. Pass a Tensor or a Scalar that was computed from parameters."
        )
    return list({id(node): node for node in found}.values())


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"draw: {name}={value!r} is not one of {', '.join(choices)}")


def _title(steps: int, level: str, is_rolled: bool) -> str:
    over = f"{steps} time step{'s' if steps != 1 else ''}" if steps else "no time steps"
    return f"Computation graph, {'rolled up from ' if is_rolled else ''}{over}"


def _description(graph: Graph) -> str:
    parameters = [vertex.title or "?" for vertex in graph.vertices if vertex.kind == "parameter"]
    shared = f"; parameters {', '.join(parameters)}" if parameters else ""
    return f"{len(graph.vertices)} nodes and {len(graph.edges)} edges{shared}"
