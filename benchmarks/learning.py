"""What is learned in equal steps: bits per character beside PyTorch, and tasks that need a long memory."""

from __future__ import annotations

import sys
from subprocess import CalledProcessError

from . import long_memory
from .harness import Effort
from .learners import DESCRIPTION, LEARNERS
from .processes import child_environment, run_json
from .report import duration, table

REPORTED = (100, 300, 1000)
MEMORY_LENGTHS = (100, 400)


def bits_section(effort: Effort) -> str:
    """The same model, weights, data and order in both: what differs is rounding, and the time it takes."""
    rows = []
    for cell in ("RNN", "LSTM", "GRU"):
        for who in LEARNERS:
            print(f"learning: {cell} by {who}", file=sys.stderr)
            arguments = ["-m", "benchmarks.learners", who, cell, *map(str, REPORTED)]
            try:
                found = run_json(arguments, child_environment(effort.threads))
            except CalledProcessError:
                rows.append([f"{cell}, {who}", "failed, or not installed", *[""] * len(REPORTED)])
            else:
                bits = [f"{each:.3f}" for each in found["bits"]]
                rows.append([f"{cell}, {who}", *bits, duration(found["seconds"])])
    header = ["", *(f"after {step:,} steps" for step in REPORTED), "training took"]
    about = f"Of the held-out end of Python's documentation. {DESCRIPTION}"
    return f"### Bits per character\n\n{about}\n\n{table(header, rows)}\n"


def memory_section(effort: Effort) -> str:
    """The articles' claim about LSTM and GRU, made visible."""
    updates = long_memory.UPDATES
    rows = []
    for task in long_memory.TASKS:
        for steps in MEMORY_LENGTHS:
            for cell in long_memory.CELLS:
                print(f"learning: {task}, T = {steps}, {cell}", file=sys.stderr)
                arguments = ["-m", "benchmarks.long_memory", task, str(steps), cell, str(updates)]
                found = run_json(arguments, child_environment(effort.threads))
                solved = f"{found['solved']:,} updates" if found["solved"] else "not"
                rows.append([f"{task}, T = {steps}, {cell}", f"{found['guess']:.4f}", f"{found['loss']:.4f}", solved])
    header = ["", "loss of guessing", f"loss after {updates:,} updates at most", "solved after"]
    return f"### Long memory\n\n{long_memory.DESCRIPTION}\n\n{table(header, rows)}\n"


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the sections whose name contains `wanted`; Markdown."""
    sections = {"bits": bits_section, "memory": memory_section}
    return "\n".join(section(effort) for name, section in sections.items() if wanted in name)
