"""A finished picture: shows itself in a notebook, and writes itself to a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..autodiff import did_you_mean
from ..data.files import replace_file
from .formats.dot import to_digraph, to_dot
from .formats.graphviz import render
from .formats.json_and_text import to_json, to_text
from .formats.svg import to_svg
from .html import inline, to_html
from .options import Options
from .reading.gradients import Measured
from .reading.model import Graph
from .reading.paths import Term
from .scene import Scene
from .writing.formulas import Equation

FORMATS = ("svg", "png", "pdf", "dot", "html", "json", "txt")
MOST_NODES_INLINE = 2_000  # a notebook stores its output: with more nodes, it shows only the still picture
RENDERED = ("png", "pdf")  # only by Graphviz


@dataclass(eq=False, repr=False)
class Picture:
    """A finished picture. It keeps what it drew, so the memory of a recorded graph is held as long as its picture.

    Attributes:
        scene: all its parts, with their places.
        graph: the drawn graph.
        measured: the gradients of all nodes and edges; None if they were not asked for or there are none.
        equations: the equations of each lane that has some.
        terms: the terms that add up to the gradient of a highlight.
    """

    if not TYPE_CHECKING:  # otherwise a type checker would accept every attribute
        __getattr__ = did_you_mean.of_object(did_you_mean.OF_PICTURES)

    scene: Scene
    graph: Graph
    measured: Measured | None
    equations: dict[int, list[Equation]]
    terms: list[Term]
    _whole: Graph
    _options: Options

    @property
    def is_rolled(self) -> bool:
        """True if one step stands for all."""
        return self._options.is_rolled

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
        """The picture as a ``graphviz.Digraph``, to be edited; its own ``render`` needs the system's Graphviz."""
        return to_digraph(self.scene)

    @property
    def json(self) -> str:
        """The graph as JSON: nodes, edges, values, gradients, places."""
        return to_json(self)

    @property
    def text(self) -> str:
        """The graph as a table."""
        return to_text(self)

    @property
    def html(self) -> str:
        """The picture as a page to explore: zoom, hover, play forward and backward, follow paths, fold steps."""
        return self.page()

    def page(self, film: float | None = None) -> str:
        """The page to explore, or one that plays by itself.

        Args:
            film: how many seconds each step is shown, in a page that plays; None for one to explore.
        """
        return to_html(self._whole, self._options, self.equations, self.scene.title, film)

    def save(self, path: str | os.PathLike[str], renderer: str | None = None, time_limit: float = 60.0) -> Path:
        """Write the picture to a file, in the format of its ending: .svg, .png, .pdf, .dot, .html, .json or .txt.

        PNG and PDF are rendered by Graphviz: the system's, or the one that comes with pygraphviz. SVG is written by the
        package itself, unless asked otherwise: it has the same bytes on every machine, a title and a description on
        each node, and names of its own, so that two pictures on one page don't interfere. Graphviz's own SVG has none
        of these.

        Args:
            path: the file. It is written whole or not at all.
            renderer: "graphviz" to have Graphviz render SVG, too.
            time_limit: how long Graphviz may take, in seconds.

        Returns:
            The path.

        Raises:
            ValueError: the ending or the renderer is unknown.
            RuntimeError: Graphviz is needed, but isn't there; the error says what to install.
        """
        path = Path(path)
        kind = path.suffix[1:].lower()
        if kind not in FORMATS:
            raise ValueError(f"save: {path.name} ends in none of .{', .'.join(FORMATS)}")
        if renderer not in (None, "graphviz") or (renderer and kind not in ("svg", *RENDERED)):
            raise ValueError(f'save: renderer={renderer!r} for .{kind}; there is "graphviz", for .svg, .png and .pdf')
        if renderer or kind in RENDERED:
            content = render(self.dot, kind, time_limit)
        else:
            content = getattr(self, "text" if kind == "txt" else kind).encode()
        with replace_file(path) as file:
            file.write(content)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The page to explore, where a notebook shows HTML; the still picture elsewhere, or if the graph is large."""
        svg = self.svg
        bundle = {"image/svg+xml": svg, "text/plain": repr(self)}
        if len(self._whole.vertices) <= MOST_NODES_INLINE:
            bundle["text/html"] = inline(self.html, svg, self.scene.title)
        return bundle

    def __repr__(self) -> str:
        return f"<Picture: {self.scene.title}; {self.scene.description}>"
