"""``draw``: the graph behind a value, as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.graph import Node
from ..autodiff.texts import printable
from ..autodiff.trees import leaves
from .compose import compose_to_fit
from .options import Options
from .picture import Picture
from .placing.direction import DIRECTIONS
from .reading import paths, views
from .reading.gradients import measure
from .reading.model import Graph, read
from .reading.scalars import as_scalars
from .writing import decorate
from .writing.formulas import equations

MOST_NAMES = 12  # parameters listed in a picture's description
CHOICES = {
    "level": views.LEVELS,
    "view": ("unrolled", "rolled"),
    "direction": DIRECTIONS,
    "color": (None, "gradient"),
}


def draw(
    x: Any,
    *,
    level: str = "op",
    view: str = "unrolled",
    direction: str = "forward",
    shapes: bool = False,
    values: bool = False,
    gradients: bool = False,
    color: str | None = None,
    highlight: Sequence[Any] | None = None,
    formulas: bool = False,
    elide: bool = True,
    title: str | None = None,
) -> Picture:
    """Draw the graph behind a value: a column for each time step, a lane for each layer, a row for each operation.

    Each parameter stands once, at the left, with a line along all steps and a tap at every use.

    Args:
        x: a Tensor or a Scalar, or several in a tuple, list, dict or array; before ``backward()`` frees the graph.
        level: what is one box: "scalar" (each number), "op" (each operation), "gate" (each labelled value), "cell" (a
            layer's step, with its equations) or "layer".
        view: "unrolled", or "rolled": one step stands for all, and the values that it hands to the next one form loops.
        direction: "forward", "backward" (arrows follow the gradients) or "both"; nothing else moves.
        shapes: whether to write the shape of its value into each box.
        values: whether to write numbers into the boxes: up to nine, else shape, type, mean and extremes.
        gradients: whether to write the gradients, too; beside each tap of a parameter stands the step's contribution.
        color: "gradient" colours the boxes by the norm of their gradient, on a logarithmic scale.
        highlight: ``(t, name)``, or ``highlight(loss_term=t, parameter=name)``: only the paths from the loss of step t
            to that parameter, and the list of the terms that add up to its gradient.
        formulas: whether to write the local derivative of each operation, and the cell's equations below.
        elide: whether to draw the middle as one column if there are more than eight steps, or the picture is too wide.
        title: the title of the picture; by default a description of it.

    Returns:
        The picture. It shows itself in a notebook; ``save`` writes it to a file; ``digraph`` is a ``graphviz.Digraph``.

    Raises:
        TypeError: there is no Tensor or Scalar in x, or the highlight isn't a step with a parameter's name.
        ValueError: there is no such choice, or no such step or parameter to highlight.
        RuntimeError: the graph was freed by a ``backward()``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.viz import draw
        >>> W = tr.tensor([[0.5]], requires_grad=True, name="W")
        >>> ys, h = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 1)), state=np.zeros(1))
        >>> picture = draw(ys.sum())
        >>> picture
        <Picture: computation graph over 3 time steps; 16 nodes, 19 edges; parameters: W>
    """
    given = {"level": level, "view": view, "direction": direction, "color": color}
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ValueError(f"draw: {name}={value!r} is not one of {', '.join(map(repr, CHOICES[name]))}")
    followed = _followed(highlight)
    options = Options(level, view, direction, shapes, values, gradients, color, followed, formulas, elide, title)
    roots = _roots(x)
    graph = read(as_scalars(roots) if level == "scalar" else roots)
    return _picture(graph, options)


def _followed(highlight: Any) -> paths.Highlight | None:
    if highlight is None:
        return None
    match highlight:
        case (int() | np.integer() as loss_term, str(parameter)):
            return paths.Highlight(int(loss_term), printable(parameter))
    raise TypeError(f'draw: highlight is a step and a parameter\'s name, as in (3, "W"), not {highlight!r}')


def _picture(graph: Graph, options: Options) -> Picture:
    found = equations(graph)
    terms = _highlighted(graph, options)
    seen, measured, scene, scale = compose_to_fit(graph, options, found, options.needs_gradients)
    notes = decorate.equation_blocks(seen, found) if options.shows_equations else []
    if options.highlight:
        first, *rest = paths.term_lines(options.highlight, terms)
        notes.append((first, rest))
    decorate.add_below(scene, notes, scale, (vertex.kind for vertex in seen.vertices))
    scene.title = printable(options.title or "") or _title(len(graph.steps()), options)
    scene.description = _description(seen)
    return Picture(scene, seen, measured, found, terms, graph, options)


def _highlighted(graph: Graph, options: Options) -> list[paths.Term]:
    if options.highlight is None:
        return []
    measured = measure(graph)
    if measured is None:
        raise ValueError("highlight: paths start at a loss, so draw one number that requires a gradient")
    return paths.mark(graph, measured, options.highlight)


def _roots(x: Any) -> list[Node]:
    found: list[Node] = []
    for leaf in leaves(x):
        if isinstance(leaf, Node):
            found.append(leaf)
        elif isinstance(leaf, np.ndarray):
            found += [element for element in leaf.ravel() if isinstance(element, Node)]
    if not found:
        raise TypeError(
            f"draw: an object of type {type(x).__name__} has no graph. Pass a Tensor or a Scalar that was computed "
            "from parameters."
        )
    if not any(node.requires_grad for node in found):
        warnings.warn(
            "draw: one box, as nothing was recorded: nothing that it was made of requires a gradient. Make parameters "
            "with tensor(..., requires_grad=True), and compute outside no_grad()",
            stacklevel=3,
        )
    return list({id(node): node for node in found}.values())


def _title(steps: int, options: Options) -> str:
    if not steps:
        return "computation graph"
    over = f"{steps} time step{'s' if steps != 1 else ''}"
    return f"computation graph, rolled up from {over}" if options.is_rolled else f"computation graph over {over}"


def _description(graph: Graph) -> str:
    leaves_drawn = [vertex for vertex in graph.vertices if vertex.kind == "parameter"]
    names = list(dict.fromkeys(vertex.title.partition("[")[0] or "without a name" for vertex in leaves_drawn))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    shown = f"; parameters: {', '.join(names[:MOST_NAMES])}{more}" if names else ""
    return f"{len(graph.vertices)} nodes, {len(graph.edges)} edges{shown}"
