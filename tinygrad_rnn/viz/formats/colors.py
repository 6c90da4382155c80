"""Colours: for the kinds of boxes and the lines of parameters, on white and on black. All are colour-blind safe.

The kinds are tints of Okabe and Ito's palette; text on them has a contrast of 4.5 to 1 or more, in either palette.
Lines are its full colours, darkened (or lightened) until they stand out from the paper by 3 to 1.
"""

from __future__ import annotations

from typing import NamedTuple


class Colors(NamedTuple):
    """A box: its area and its border."""

    fill: str
    stroke: str


class Paper(NamedTuple):
    """The colours of everything that is not a box."""

    paper: str
    ink: str
    muted: str
    line: str
    carry: str
    column: str
    lane: str
    gradient: str


class Palette(NamedTuple):
    """The colours of a picture."""

    paper: Paper
    kinds: dict[str, Colors]
    tints: tuple[str, ...]


PAPER = Paper("#ffffff", "#16202c", "#4d5a68", "#66727f", "#00664b", "#f3f6f9", "#a3afbb", "#a31245")

KINDS = {
    "parameter": Colors("#fdebc8", "#a86a00"),
    "input": Colors("#dceefb", "#2b7bb0"),
    "state": Colors("#cfeee2", "#00805d"),
    "output": Colors("#e3dcf5", "#6a51a3"),
    "gate": Colors("#fbe0ec", "#b0477c"),
    "operation": Colors("#ffffff", "#8793a0"),
    "loss": Colors("#fcd9cc", "#c04a00"),
    "constant": Colors("#eceff2", "#8793a0"),
    "cell": Colors("#e6f5ee", "#00805d"),
    "elided": Colors("#ffffff", "#8793a0"),
}

TINTS = ("#0067a5", "#b85400", "#8a3f78", "#00785a", "#8a6d00", "#4b4fa8", "#a8324a", "#4d6673")

LIGHT = Palette(PAPER, KINDS, TINTS)

DARK = Palette(
    Paper("#12181f", "#eef3f7", "#b4c0cb", "#93a1ae", "#54c9a5", "#1b232c", "#5a6875", "#ff8fb0"),
    {
        "parameter": Colors("#3f3114", "#e0a63c"),
        "input": Colors("#15344a", "#6db8e8"),
        "state": Colors("#10402f", "#54c9a5"),
        "output": Colors("#332a52", "#b39ddb"),
        "gate": Colors("#4a2036", "#e08ab4"),
        "operation": Colors("#232c36", "#8793a0"),
        "loss": Colors("#4d2412", "#f08a55"),
        "constant": Colors("#2a323b", "#8793a0"),
        "cell": Colors("#14362a", "#54c9a5"),
        "elided": Colors("#12181f", "#8793a0"),
    },
    ("#5cb3e6", "#f0935a", "#d895c8", "#4fc79f", "#d9bd55", "#a3a8f0", "#ee8a9c", "#9fb6c3"),
)
