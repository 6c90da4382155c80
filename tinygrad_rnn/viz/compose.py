"""The composition of a picture: a graph that was read becomes a scene with everything that the options ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from .options import Options
from .placing.direction import directed
from .placing.layout import place
from .reading import views
from .reading.gradients import Measured, measure
from .reading.model import Graph
from .scene import Scene
from .writing import decorate
from .writing.formulas import Equation
from .writing.norm_colors import GradientScale

MOST_WIDTH = 3000.0  # points: in a wider picture, more steps are elided
FEWER = (views.SHOWN, (2, 2), (1, 2), (1, 1))  # the first and last steps that stay visible, until it is narrow enough


class Composed(NamedTuple):
    """A view of a graph, laid out."""

    graph: Graph  # the visible graph
    measured: Measured | None  # its gradients, if they were asked for and there are any
    scene: Scene  # the placed parts of the picture
    scale: GradientScale | None  # the colours of gradient norms, if boxes are coloured by them


def compose_to_fit(graph: Graph, options: Options, equations: dict[int, list[Equation]], gradients: bool) -> Composed:
    """The result of ``compose``, with enough steps elided that neither their number nor the width is too large."""
    if not options.elide or options.is_rolled:
        return compose(graph, options, [], equations, gradients)
    keep = options.highlight.loss_term if options.highlight else None
    hidden = views.hidden_steps(graph, keep)
    shown = compose(graph, options, hidden, equations, gradients)
    for ends in FEWER:
        fewer = views.hidden_steps(graph, keep, sum(ends), ends)
        if shown.scene.width > MOST_WIDTH and fewer and fewer != hidden:
            hidden, shown = fewer, compose(graph, options, fewer, equations, gradients)
    return shown


def compose(
    graph: Graph, options: Options, hidden: list[range], equations: dict[int, list[Equation]], gradients: bool
) -> Composed:
    """Choose the visible graph, measure its gradients if wanted, write on it, and lay it out."""
    seen = views.grouped(graph, options.level)
    seen = views.rolled(seen) if options.is_rolled else views.elided(seen, hidden)
    seen = replace(seen, vertices=[replace(vertex, lines=[]) for vertex in seen.vertices])
    measured = measure(seen) if gradients else None
    if options.shapes:
        decorate.write_shapes(seen)
    if options.values:
        decorate.write_values(seen)
    taps = decorate.write_gradients(seen, measured) if options.gradients else {}
    scale = decorate.color_by_norm(seen, measured, options.gradients) if options.color == "gradient" else None
    if options.formulas:
        decorate.write_derivatives(seen)
    scene = place(seen, taps, options.is_rolled)
    directed(scene, options.direction)
    hints = decorate.write_hints(seen, measured, equations)
    for box in scene.boxes:
        box.hint = hints[box.vertex]
    return Composed(seen, measured, scene, scale)
