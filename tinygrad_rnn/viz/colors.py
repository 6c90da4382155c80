"""Colours: for the kinds of boxes, the lines of parameters, and gradient norms. All from colour-blind safe sets.

The kinds are tints of Okabe and Ito's palette with dark text, at a contrast of 4.5 to 1 or more; lines are its full
colours, darkened until they stand out from white by 3 to 1.
"""

from __future__ import annotations

from typing import NamedTuple


class Colors(NamedTuple):
    """A box: its area and its border."""

    fill: str
    stroke: str


class Paper(NamedTuple):
    """Everything that is not a box."""

    paper: str
    ink: str
    muted: str
    line: str
    carry: str
    column: str
    lane: str


PAPER = Paper("#ffffff", "#16202c", "#4d5a68", "#66727f", "#00664b", "#f3f6f9", "#a3afbb")

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
