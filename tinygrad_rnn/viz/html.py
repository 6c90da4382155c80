"""The picture as one HTML page to explore; nothing is loaded from anywhere.

The page holds the SVG of all steps (steps that a still picture elides can be unfolded), and further data as JSON: the
edges that carry gradients, the places where each step's loss begins, and for every parameter the sum of its
contributions from the last step back to each step k. ``page.js`` does the rest.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from .compose import Composed, compose
from .formats.colors import DARK
from .formats.svg import style_rules, to_svg
from .options import Options
from .reading import views
from .reading.gradients import Measured, norm
from .reading.model import Graph
from .reading.paths import loss_terms, parameter_names, state_name, sums_by_place
from .reading.symbols import number
from .writing import decorate
from .writing.formulas import Equation
from .writing.numbers import MOST_NUMBERS, contribution_lines

MOST_STEPS = 60  # more than these stay elided on the page too
MOST_TERM_STEPS = 40  # the largest T for which a table of T² terms is made


def to_html(
    graph: Graph, options: Options, equations: dict[int, list[Equation]], title: str, film: float | None = None
) -> str:
    """The page of a whole graph; as a film, it plays by itself and shows each step for so many seconds."""
    middle = views.hidden_steps(graph)
    can_unfold = len(graph.steps()) <= MOST_STEPS
    view = (graph, options._replace(highlight=None), [] if can_unfold else middle, equations)
    for vertex in graph.vertices:
        vertex.lit = True
    for edge in graph.edges:
        edge.lit = True
    try:
        shown = compose(*view, gradients=True)
    except RuntimeError:  # the graph was freed since it was drawn: the page says "not computed"
        shown = compose(*view, gradients=False)
    scene = shown.scene
    notes = decorate.equation_blocks(graph, equations) if options.shows_equations else []
    decorate.add_below(scene, notes, shown.scale, (vertex.kind for vertex in shown.graph.vertices))
    scene.title = title
    data = _data(shown, options)
    folded = [step for run in middle for step in run if can_unfold and not options.is_rolled]
    data["middle"] = folded
    data["folded"] = folded if options.elide else []
    data["film"] = film
    data["followed"] = list(options.highlight) if options.highlight else None
    return _page(to_svg(scene, marked=True), data, title)


def inline(page: str, svg: str, title: str) -> str:
    """The page within another one, such as a notebook: in a frame of its own, over the still picture.

    Viewers without frames (a notebook that isn't trusted, GitHub) show the picture.
    """
    still = b64encode(svg.encode()).decode()
    return (
        '<div style="position:relative;min-height:520px">'
        f'<img src="data:image/svg+xml;base64,{still}" alt="{escape(title)}" style="max-width:100%;max-height:760px">'
        f'<iframe srcdoc="{escape(page)}" title="{escape(title)}" loading="lazy" sandbox="allow-scripts" '
        'style="position:absolute;left:0;top:0;width:100%;height:100%;border:1px solid #d0d0d0;background:#fff">'
        "</iframe></div>"
    )


def _data(shown: Composed, options: Options) -> dict[str, Any]:
    """The data that the page needs beyond the picture."""
    graph, measured = shown.graph, shown.measured or Measured()
    bands = graph.outside_time()
    columns = [panel for panel in shown.scene.panels if panel.kind == "column" and not options.is_rolled]
    starts = {} if options.is_rolled else loss_terms(graph, measured)
    parameters = parameter_names(graph)
    return {
        "columns": [[panel.step, round(panel.x + 1), round(panel.x + panel.width - 1)] for panel in columns],
        "steps": graph.steps() if not options.is_rolled else [],
        "edges": [[edge.source, edge.target] for edge in graph.edges],
        "flows": [n for n in range(len(graph.edges)) if n in measured.contribution],
        "bands": sorted(bands),
        "bandEdges": [n for n, edge in enumerate(graph.edges) if edge.target in bands],
        "roots": graph.roots,
        "parameters": parameters,
        "parameterOf": {i: name for name, i in parameters.items()},
        "losses": {t: [start.vertex for start in found] for t, found in starts.items()},
        "lossOf": {start.vertex: t for t, found in starts.items() for start in found},
        "states": {name: state_name(graph, i) for name, i in parameters.items()},
        "partial": _partial_sums(graph, measured, parameters) if not options.is_rolled else [],
        "terms": _terms(graph, starts, parameters) if len(starts) <= MOST_TERM_STEPS else {},
    }


def _partial_sums(graph: Graph, measured: Measured, parameters: Mapping[str, int]) -> list[dict[str, Any]]:
    """The gradient of each parameter as it grows from the last step back to the first."""
    found = []
    for name, i in parameters.items():
        by_step: dict[int | None, list[Any]] = {}
        for n, edge in enumerate(graph.edges):
            if edge.source == i and n in measured.contribution:
                by_step.setdefault(graph.vertices[edge.target].step, []).append(measured.contribution[n])
        if not by_step:
            continue
        total = sum(by_step.get(None, []), np.zeros(np.shape(next(iter(by_step.values()))[0])))
        sums: dict[Any, Any] = {"start": _shown(total)}
        for step in reversed(graph.steps()):
            total = sum(by_step.get(step, []), total)
            sums[step] = _shown(total)
        found.append({"name": name, "sums": sums, "total": _shown(total)})
    return found


def _shown(array: Any) -> dict[str, Any]:
    """A gradient as text, and as numbers: itself if it is small, else its norm."""
    array = np.asarray(array, dtype=np.float64)
    exact = array if array.size <= MOST_NUMBERS else np.asarray(norm(array))
    values = [float(f"{value:.12g}") if np.isfinite(value) else str(value) for value in np.ravel(exact)]
    return {"text": "\n".join(contribution_lines(array)), "value": values}


def _terms(graph: Graph, starts: Mapping[int, Any], parameters: Mapping[str, int]) -> dict[int, Any]:
    """The norm of every term: loss step t, parameter, step k of its use."""
    use_of = {}
    name_of = {i: name for name, i in parameters.items()}
    for edge in graph.edges:
        if edge.source in name_of:
            place = (name_of[edge.source], graph.vertices[edge.target].step)
            use_of.update(dict.fromkeys(edge.uses, place))
    table: dict[int, Any] = {}
    for t, found in starts.items():
        sums = sums_by_place(graph, found, use_of)
        rows: dict[str, list[Any]] = {name: [] for name in parameters}
        for (name, step), c in sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
            if name in rows and (step is None or step <= t):
                rows[name].append([step, number(norm(c))])
        table[t] = rows
    return table


def _page(svg: str, data: dict[str, Any], title: str) -> str:
    folder = files(__package__)
    css, script = (folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    name = svg.split('class="', 1)[1].split('"', 1)[0]
    dark = "\n".join(style_rules(f':root[data-theme="dark"] .{name}', DARK))
    losses = "".join(f"<option>{t}</option>" for t in sorted(data["losses"]))
    leaves = "".join(f'<option value="{escape(leaf)}">{escape(leaf)}</option>' for leaf in data["parameters"])
    rows = "".join(
        f'<tr><th scope="row">{escape(row["name"])}</th><td data-parameter="{escape(row["name"])}"></td></tr>'
        for row in data["partial"]
    )
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{css}{dark}
</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<div class="group" role="group" aria-label="Play the forward and the backward pass">
<button id="back" aria-label="one step back">◀</button>
<button id="play">▶ play</button>
<button id="next" aria-label="one step on">▶</button>
<input id="slider" type="range" min="0" value="0" aria-label="forward pass, then backward pass, step by step">
</div>
<div class="group" role="group" aria-label="Follow paths">
<label>loss of step <select id="loss"><option></option>{losses}</select></label>
<label>to <select id="parameter"><option></option>{leaves}</select></label>
<button id="clear">clear</button>
</div>
<div class="group" role="group" aria-label="View">
<button id="out" aria-label="zoom out">−</button>
<button id="in" aria-label="zoom in">+</button>
<button id="fit">fit</button>
<button id="fold">fold</button>
<button id="unfold">unfold</button>
<button id="theme" aria-label="light or dark">◐</button>
</div>
</header>
<div id="stage" tabindex="0" role="application" aria-label="The graph. Arrow keys go from node to node, Enter follows \
paths, plus and minus zoom, comma and full stop go through the passes.">
{svg}<div id="sheet"></div></div>
<div id="map" aria-hidden="true" hidden><canvas></canvas><div></div></div>
<p id="said" role="status"></p>
<aside>
<p id="phase" role="status" aria-live="polite"></p>
<h2 id="sums">Gradients</h2>
<table><tbody>{rows}</tbody></table>
<h2>Node</h2>
<div id="details" role="status" aria-live="polite">Point at a node, or go to one with the arrow keys.</div>
<h2>Paths</h2>
<p id="followed"></p>
<ol id="terms"></ol>
<p>Choose a step's loss and a parameter above, or click them. Click <kbd>t = 1</kbd> to fold a step.
Drag, scroll or use the small map to get about; <kbd>0</kbd> leads back.</p>
</aside>
<script id="data" type="application/json">{_in_script(data)}</script>
<script>
{script}</script>
</body>
</html>
"""


def _in_script(data: Any) -> str:
    """Data as JSON that can't end a ``<script>`` or hide its end: it contains no "<"."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})
