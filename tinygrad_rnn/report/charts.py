"""Line charts as SVG, written by hand: they take their colours from the page, and need no library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from ..autodiff.tables import evenly_spread

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 44
MOST_POINTS = 600  # more than a chart of this width can show


class Curve(NamedTuple):
    """A curve: its name, its points, and its style."""

    name: str  # the name in the legend; a curve without a name isn't in it
    x: np.ndarray  # (N,)
    y: np.ndarray  # (N,); values that a logarithmic axis can't show (zero, NaN) are left out
    style: str  # a CSS class: "c0" ... "c5" for a colour, with "faint" or "dashed" perhaps


def line_chart(
    curves: Sequence[Curve], *, x_label: str, y_label: str, description: str, logarithmic: bool = False
) -> str:
    """An SVG of curves over a common axis, with a legend below as HTML, and the chart described in words."""
    points = [_visible(curve, logarithmic) for curve in curves]
    low_x, high_x = _range([x for x, _ in points])
    low_y, high_y = _range([y for _, y in points])
    if logarithmic:
        low_y, high_y = math.floor(low_y), math.ceil(high_y)

    def across(x: float) -> float:
        return LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">',
        f"<title>{escape(description)}</title>",
    ]
    for tick in _ticks(low_y, high_y, whole=logarithmic):
        label = f'10<tspan dy="-5" font-size="9">{tick:g}</tspan>' if logarithmic else f"{tick:g}"
        parts.append(f'<path class="grid" d="M{LEFT} {down(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{down(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in _ticks(low_x, high_x, whole=True):
        parts.append(f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,g}</text>')
    for curve, (x, y) in zip(curves, points):
        line = "L".join(f"{across(a):.1f} {down(b):.1f}" for a, b in zip(x, y))
        if line:
            parts.append(f'<path class="curve {curve.style}" d="M{line}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(14 {HEIGHT / 2 - 12:g}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + legend(curves)


def legend(curves: Sequence[Curve]) -> str:
    """The names of the curves beside their colours."""
    items = "".join(
        f'<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="curve {curve.style}" d="M0 4H24"/></svg>'
        f"{escape(curve.name)}</li>"
        for curve in curves
        if curve.name
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _visible(curve: Curve, logarithmic: bool) -> tuple[np.ndarray, np.ndarray]:
    """The points that the chart shows; of very many points, some that are evenly spread."""
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    there = np.isfinite(y) & ((y > 0) if logarithmic else True)
    x, y = x[there], y[there]
    if logarithmic:
        y = np.log10(y)
    if len(x) > MOST_POINTS:
        chosen = evenly_spread(len(x), MOST_POINTS)
        x, y = x[chosen], y[chosen]
    return x, y


def _range(arrays: list[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([*arrays]) if arrays else np.zeros(0)
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    """Round numbers from low to high, about six of them."""
    rough = (high - low) / 6
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    if whole:
        step = max(1.0, round(step))
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
