"""Drawing: how long the picture of an unrolled network takes, beside what draws PyTorch's graphs."""

from __future__ import annotations

import importlib.util
import sys
from statistics import median
from typing import Any

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table

STEPS = (10, 100, 1_000, 10_000)
LIMIT = 60.0  # seconds that a rendering may take
OURS = ("all steps", "all steps, Graphviz", "elided", "elided, with gradients", "rolled")
PEERS = ("torchviz", "torchview")
LARGEST_PEER = 100  # steps; beyond, the answer is known: dot is stopped
LARGEST_GRAPHVIZ = 1_000
TURNS = 3
# (contender, steps): seconds to the SVG beyond reading the graph, and its size in bytes
GOALS = {("all steps", 100): (0.3, 2**20), ("elided", 1_000): (0.1, 2**20)}


def cases() -> list[tuple[str, int]]:
    """Which contender draws how many steps."""
    found = []
    for steps in STEPS:
        for contender in (*OURS, *PEERS):
            too_many = (contender in PEERS and steps > LARGEST_PEER) or (
                contender == "all steps, Graphviz" and steps > LARGEST_GRAPHVIZ
            )
            if not too_many:
                found.append((contender, steps))
    return found


def measured(contender: str, steps: int, effort: Effort) -> dict[str, Any]:
    """The medians of some turns, each in a process of its own."""
    if contender in PEERS and importlib.util.find_spec(contender) is None:
        return {"problem": "not installed"}
    arguments = ["-m", "benchmarks.sketches", contender, str(steps), str(LIMIT)]
    turns = 1 if steps >= 10_000 or contender in PEERS else TURNS
    found = [run_json(arguments, child_environment(effort.threads)) for _ in range(turns)]
    if any("problem" in one for one in found):
        return next(one for one in found if "problem" in one)
    return {key: median(one[key] for one in found) for key in found[0]}


def row(contender: str, steps: int, found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    read = duration(found["read"]) if "read" in found else ""
    described = duration(found["described"]) if "described" in found else ""
    svg = found.get("problem") or duration(found["svg"])
    size = f"{found['bytes'] / 1024:.0f} KiB" if "bytes" in found else ""
    return [f"{steps:,}", contender, read, described, svg, size]


def verdict(contender: str, steps: int, found: dict[str, Any]) -> str:
    """Whether a goal was reached, if there is one."""
    goal = GOALS.get((contender, steps))
    if goal is None or "svg" not in found:
        return ""
    seconds, size = goal
    outcome = "Reached" if found["svg"] <= seconds and found["bytes"] <= size else "Missed"
    told = f"{duration(found['svg'])}, {found['bytes'] / 1024:.0f} KiB"
    return f"\nGoal for {contender}, T = {steps:,}: {duration(seconds)}, {size // 1024} KiB. {outcome}: {told}.\n"


def run(effort: Effort, wanted: str = "") -> str:
    """Draw the networks whose contender contains `wanted`; Markdown."""
    rows, verdicts = [], []
    for contender, steps in cases():
        if wanted in contender:
            print(f"drawing: {contender}, {steps:,} steps", file=sys.stderr)
            found = measured(contender, steps, effort)
            rows.append(row(contender, steps, found))
            verdicts.append(verdict(contender, steps, found))
    if not rows:
        return ""
    header = ["T", "", "reading the graph", "layout", "to the SVG", "size"]
    return (
        "An Elman network with seven operations a step; to the SVG includes the layout, not the reading. torchviz and "
        f"torchview leave the layout to dot, which is stopped after {LIMIT:g} s.\n\n"
        f"{table(header, rows, text=2)}\n{''.join(verdicts)}"
    )
