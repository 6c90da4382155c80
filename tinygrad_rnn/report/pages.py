"""The pages: the tour's report, and one comparison. Style and script are inside, so that they need nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import numpy as np

from .. import __version__
from ..comparison import Report
from ..training import History
from ..viz.plots import smoothed
from . import sections
from .charts import Curve, line_chart
from .findings import CellFlow, Example, Learned

SCRIPT = """
const root = document.documentElement;
const wish = matchMedia("(prefers-color-scheme: dark)");
const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : wish.matches;
const frames = () => document.querySelectorAll("iframe").forEach(frame => {
  const inside = frame.contentDocument;
  if (inside) inside.documentElement.dataset.theme = dark() ? "dark" : "light";
});
document.getElementById("theme").onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; frames(); };
wish.addEventListener("change", frames);
addEventListener("load", frames);
"""


def page(example: Example, flows: Sequence[CellFlow], learned: Learned) -> str:
    """The report as one HTML document.

    Args:
        example: the worked example.
        flows: the gradient in several cells.
        learned: the trained model.
    """
    parts = [
        ("network", "A network, unrolled", "The graph", sections.network(example)),
        ("derivation", "Backpropagation through time, written out", "Derivation", sections.derivation(example)),
        ("gradients", "Three ways to the same gradient", "Gradients", sections.three_ways(example)),
        ("paths", "A gradient is a sum over paths", "Paths", sections.paths(example)),
        ("slips", "What the article prints", "Slips", sections.article_slips(example)),
        ("flow", "How a gradient vanishes, and explodes", "Flow", sections.gradient_flows(flows)),
        ("training", "It learns to write", "Training", sections.writing(learned)),
        ("next", "What to read next", "Next", sections.reading()),
    ]
    links = "".join(f'<a href="#{name}">{short}</a>' for name, _, short, _ in parts)
    body = "".join(
        f'<section id="{name}"><h2><span class="number">{i}</span>{title}</h2>{content}</section>\n'
        for i, (name, title, _, content) in enumerate(parts, start=1)
    )
    return _document(
        "tinygrad_rnn: the tour",
        links,
        f"""<h1>A recurrent network, seen from every side</h1>
<p class="lead">Written in plain NumPy, unrolled, differentiated three ways, followed back through time, and trained.
Everything here was computed when you ran the tour.</p>
<ul class="figures">{sections.headlines(example, flows, learned)}</ul>
{body}""",
    )


def comparison_page(report: Report, title: str = "A derivation, checked") -> str:
    """A comparison as one HTML document: its sentences, then its tables, then the gradients themselves.

    Args:
        report: the report of ``compare``.
        title: the heading.
    """
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.sentences())
    tables = [*report.tables(), report.values()._replace(title="The gradients")]
    return _document(
        title,
        "",
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="lead">{escape(report.summary)}</p>\n'
        f"{f'<ul>{sentences}</ul>' if sentences else ''}\n"
        + "".join(f'<div class="scroll">{table.html(marked=("agrees", "differs"))}</div>\n' for table in tables),
    )


def curves_page(history: History, title: str, kind: str) -> str:
    """The losses of a training run as one HTML document: of every step, and of text that it didn't learn from."""
    bits = np.log(2)
    steps = np.arange(1, history.step + 1)
    curves = [
        Curve("", steps, history.losses / bits, "c0 faint"),
        Curve("learned from, running mean", steps, smoothed(history.losses, 0.9) / bits, "c0"),
    ]
    if history.validation:
        at, losses = np.array(history.validation).T
        curves.append(Curve("validation", at, losses / bits, "c1"))
    chart = line_chart(
        curves,
        x_label="training step",
        y_label=f"bits per {kind[:-1]}",
        description=f"The loss over {history.step:,} training steps",
    )
    table = history.table().html()
    return _document(title, "", f"<h1>{escape(title)}</h1><figure>{chart}</figure><section>{table}</section>")


def _document(title: str, links: str, content: str) -> str:
    """A whole document: bar, content and footer."""
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<nav aria-label="Sections"><strong>tinygrad_rnn</strong>{links}
<button id="theme" aria-label="light or dark">◐</button></nav>
<main>
{content}<footer>tinygrad_rnn {__version__}. This page is one file, and loads nothing from anywhere.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""
